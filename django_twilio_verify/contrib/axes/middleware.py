"""django-axes, asked before a second factor is sent or judged.

What failed, it hears of by itself: ``login.failures`` sends Django's ``user_login_failed``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction
from axes.conf import settings
from axes.handlers.proxy import AxesProxyHandler
from axes.helpers import get_lockout_response
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse

from ...login import failures
from ...views import consent
from ...views.base import PageMixin
from ...views.login.challenge import CancelView


class AxesLockoutMiddleware:
    """Stands after ``TwoFactorMiddleware``. Answers what is posted to our pages by somebody who is locked out, as axes
    is set up to. The steps of a program (``contrib.rest_framework``) ask it themselves, once they know who it is.

    SECURITY: nothing is sent and nothing is judged for them: their right code is refused as the wrong one.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        if iscoroutinefunction(get_response):
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Any:
        return self.get_response(request)

    def process_view(
        self, request: HttpRequest, view: Callable[..., Any], args: Any, kwargs: Any
    ) -> HttpResponse | None:
        """The lockout response, or ``None`` to go on. Run in a thread where the site is async."""
        if request.method != "POST" or not settings.AXES_ENABLED:
            return None
        failures.guard(request, partial(_is_locked, request))
        if not _is_asking(view):
            return None
        user = request.twilio_verify.acting_user  # type: ignore[attr-defined]
        if user is None:
            return None  # a visitor proves an address, or comes with a passkey: there is no account to guess at
        credentials = failures.credentials_of(user)
        if AxesProxyHandler.is_allowed(request, credentials):
            return None
        response: HttpResponse = get_lockout_response(request, credentials=credentials)
        return response


def _is_locked(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Whether axes has locked ``user`` out; if so, its own middleware gives the lockout response."""
    locked = not AxesProxyHandler.is_allowed(request, failures.credentials_of(user))
    if locked:
        request.axes_locked_out = True  # type: ignore[attr-defined]
    return locked


def _is_asking(view: Callable[..., Any]) -> bool:
    """Whether ``view`` is a page of ours that may ask for a proof. Giving up, and stopping messages, always works."""
    page = getattr(view, "view_class", None)
    if not isinstance(page, type) or not issubclass(page, PageMixin):
        return False
    return not issubclass(page, CancelView) and page.__module__ != consent.__name__
