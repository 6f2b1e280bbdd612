"""Protect views, open them to pending logins, and answer errors as JSON."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Collection
from datetime import timedelta
from functools import wraps
from typing import Any, TypeVar, cast, overload

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest, JsonResponse
from django.utils.cache import patch_cache_control

from .choices import ChannelName
from .exceptions import TwilioVerifyError
from .login.redirects import EXEMPT_ATTRIBUTE
from .login.step_up import Proof, ademand, demand

__all__ = ["json_errors", "verification_exempt", "verification_required"]

View = TypeVar("View", bound=Callable[..., Any])


def verification_exempt(view: View) -> View:
    """Let users whose login is pending open ``view`` (a function, a class or what ``as_view()`` returned).

    ``request.user`` is anonymous there all the same; ``request.twilio_verify.pending_user`` is the user.
    """
    setattr(view, EXEMPT_ATTRIBUTE, True)
    return view


@overload
def verification_required(
    view: View, *, max_age: timedelta | int | None = None, channels: Collection[ChannelName] = ()
) -> View: ...
@overload
def verification_required(
    view: None = None, *, max_age: timedelta | int | None = None, channels: Collection[ChannelName] = ()
) -> Callable[[View], View]: ...
def verification_required(
    view: View | None = None, *, max_age: timedelta | int | None = None, channels: Collection[ChannelName] = ()
) -> View | Callable[[View], View]:
    """Open ``view`` only to users who verified a factor in this session. No query once they have.

    For functions, sync or async; for methods, also of a ``ModelAdmin``, directly or by ``method_decorator``; for admin
    actions; and for what ``as_view()`` returned. With or without parentheses. Keeps the type of the view.

    Others are redirected to the page where they can, and come back; programs get 401 and JSON that says what is
    missing. A posted form is kept where that is safe.

    Args:
        max_age: How long ago at most; seconds, or a ``timedelta``. ``None`` for any time in this session.
        channels: By one of these channels; by any without it.

    Raises:
        ValueError: ``channels`` names no channel, or ``max_age`` is below one second.
    """
    proof = Proof.of(max_age, channels)

    def decorate(view: View) -> View:
        @wraps(view)
        async def aguarded(*args: Any, **kwargs: Any) -> Any:
            return await ademand(_request(args), proof) or await view(*args, **kwargs)

        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if _dispatches_async(view, args):
                return aguarded(*args, **kwargs)
            return demand(_request(args), proof) or view(*args, **kwargs)

        return cast(View, aguarded if iscoroutinefunction(view) else guarded)

    return decorate if view is None else decorate(view)


def json_errors(view: View) -> View:
    """Answer with JSON where ``view`` raises a ``TwilioVerifyError``: its ``as_dict()``, with its status.

    The response has ``Retry-After`` where the error knows a time, and ``Cache-Control: no-store``. All other errors
    are raised, those of a malformed body too. For functions, sync or async, for methods, and for what ``as_view()``
    returned. Keeps the type of the view.
    """

    @wraps(view)
    async def aanswering(*args: Any, **kwargs: Any) -> Any:
        return await _answered(view(*args, **kwargs))

    @wraps(view)
    def answering(*args: Any, **kwargs: Any) -> Any:
        try:
            response = view(*args, **kwargs)
        except TwilioVerifyError as error:
            return _json_of(error)
        # The ``dispatch`` of an async class is a plain function that returns a coroutine.
        return _answered(response) if inspect.isawaitable(response) else response

    return cast(View, aanswering if iscoroutinefunction(view) else answering)


async def _answered(response: Awaitable[Any]) -> Any:
    try:
        return await response
    except TwilioVerifyError as error:
        return _json_of(error)


def _json_of(error: TwilioVerifyError) -> JsonResponse:
    response = JsonResponse(error.as_dict(), status=error.status_code)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    patch_cache_control(response, no_store=True)
    return response


def _dispatches_async(view: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    """Whether ``view`` is the ``dispatch`` of an async class: a plain function that returns a coroutine."""
    if getattr(view, "__name__", "") != "dispatch":
        return False
    # ``method_decorator`` passes a partial of the bound method.
    owner = getattr(getattr(view, "func", view), "__self__", None) or args[0]
    return bool(getattr(owner, "view_is_async", False))


def _request(args: tuple[Any, ...]) -> HttpRequest:
    """The request among the arguments: of a method and of an admin action it is the second one."""
    for one in args[:2]:
        if isinstance(one, HttpRequest):
            return one
        # Django REST Framework's wraps Django's.
        if isinstance(inner := getattr(one, "_request", None), HttpRequest):
            return inner
    raise TypeError("verification_required guards views, methods of views and admin actions: give it a request.")
