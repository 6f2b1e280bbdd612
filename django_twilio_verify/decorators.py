"""Marks for views."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from typing import Any, TypeVar

from asgiref.sync import iscoroutinefunction
from django.http import HttpRequest

from .login.redirects import EXEMPT_ATTRIBUTE
from .login.step_up import Proof, ademand, demand

View = TypeVar("View", bound=Callable[..., Any])


def verification_exempt(view: View) -> View:
    """Let people who still owe a second factor open ``view`` (a function, a class or what ``as_view()`` gave).

    ``request.user`` is anonymous there all the same; ``request.twilio_verify.pending_user`` says who waits.
    """
    setattr(view, EXEMPT_ATTRIBUTE, True)
    return view


def verification_required(
    view: Callable[..., Any] | None = None, *, max_age: int | None = None, channels: Iterable[str] | None = None
) -> Callable[..., Any]:
    """Open ``view`` only to who has passed a factor in this session: at most ``max_age`` seconds ago, by one of
    ``channels``; without either, ever and by any.

    For functions, sync or async; for methods, also of a ``ModelAdmin``, directly or by ``method_decorator``; for admin
    actions; and for what ``as_view()`` gave. With or without parentheses. Others are led to confirm that it is them and
    come back, or get 401 with the address, if they are programs. A posted form is kept where that is safe. Raises
    ``ValueError`` for a channel that is none and for an age below one second. Costs no query once it is passed.
    """
    proof = Proof.of(max_age, channels)

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        async def aguarded(*args: Any, **kwargs: Any) -> Any:
            return await ademand(_request(args), proof) or await view(*args, **kwargs)

        @wraps(view)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if _dispatches_async(view, args):
                return aguarded(*args, **kwargs)
            return demand(_request(args), proof) or view(*args, **kwargs)

        return aguarded if iscoroutinefunction(view) else guarded

    return decorate if view is None else decorate(view)


def _dispatches_async(view: Callable[..., Any], args: tuple[Any, ...]) -> bool:
    """Whether ``view`` is the ``dispatch`` of an async class: a plain function that gives something to await."""
    if getattr(view, "__name__", "") != "dispatch":
        return False
    # ``method_decorator`` gives a partial of the bound method.
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
