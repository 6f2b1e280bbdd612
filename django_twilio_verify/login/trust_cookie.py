"""The trusted browser's cookie: who gets it, what it holds, and the person's wish for it on the way.

One cookie for a browser, with one random value for each person who trusts it: ``value.value…``, the newest first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import Resolver404, get_script_prefix, resolve
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..choices import Channel
from ..client import client_from
from ..conf import settings
from ..models import TrustedBrowser
from . import session, trusted_browsers

COOKIE = "twilio_verify_browser"

FIELD = "trust"
"""The box "Do not ask again on this browser": ``yes``, or ``no`` from the hidden field beside it."""

KEPT = 5
"""People that one browser remembers: the cookie stays small, and a sign-in's SELECT too."""

_TOKEN = re.compile(r"[\w-]{43}", re.ASCII)
_DUE = "_twilio_verify_cookie"
_WISHED = "_twilio_verify_trust_wished"


@dataclass(frozen=True, slots=True)
class Offer:
    """What the box offers: ``days`` without being asked; ``wished``: whether it was ticked on the way here."""

    days: int
    wished: bool


@dataclass(frozen=True, slots=True)
class Cookie:
    """A cookie to set; ``max_age`` in seconds."""

    value: str = field(repr=False)
    max_age: int


def days_for(user: AbstractBaseUser, request: HttpRequest) -> int:
    """For how many days ``user`` may trust a browser, by ``TWILIO_VERIFY_TRUSTED_BROWSER_DAYS``; 0 for not at all."""
    days: Any = settings.trusted_browser_days
    if callable(days):
        days = days(user, request) or 0
    if isinstance(days, timedelta):
        days = days.days
    if not isinstance(days, int):
        raise ImproperlyConfigured(
            f"TWILIO_VERIFY_TRUSTED_BROWSER_DAYS must answer with days, not a {type(days).__name__}."
        )
    return max(0, int(days))


def offer(request: HttpRequest) -> Offer | None:
    """What the box offers the person whose sign-in waits; ``None`` where there is to be no box."""
    waiting = session.pending_login(request)
    if waiting is None or settings.trusted_browser_days == 0:
        return None
    user = request.twilio_verify.pending_user if callable(settings.trusted_browser_days) else None  # type: ignore[attr-defined]
    days = days_for(user, request) if user is not None else settings.trusted_browser_days
    return Offer(days, _is_wished(request, waiting.user_id)) if isinstance(days, int) and days > 0 else None


def keep_wish(request: HttpRequest, response: HttpResponseBase) -> None:
    """Keep what the box said where the sign-in goes on at another page, that of a verification. Called after each POST
    to our pages.

    Only there: written in every request, it would make a second press of a button an error, whose session the first
    one has just replaced.
    """
    waiting = session.pending_login(request) if FIELD in request.POST else None
    if waiting is None or not _leads_to_verification(response):
        return
    session.wish_trust(request, waiting.user_id if request.POST[FIELD] == "yes" else "")


def note_wish(request: HttpRequest, wished: bool) -> None:
    """Whether the user of this request wants the browser to be trusted, as the caller says, whatever was posted.

    On the request alone: written to the session at each answer, it would make a double click an error, and a wish that
    came with a wrong answer would outlive it.
    """
    setattr(request, _WISHED, wished)


def is_wished(request: HttpRequest) -> bool:
    """Whether the box of our pages is ticked, or was on the page before."""
    waiting = session.pending_login(request)
    return waiting is not None and _is_wished(request, waiting.user_id)


def excuses(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Whether this browser is excused from the second factor of ``user``. No statement without the cookie."""
    tokens = tokens_of(request)
    return bool(tokens) and trusted_browsers.recognise(user, tokens, client_from(request), days=days_for(user, request))


@sensitive_variables("tokens", "made")
def completed(request: HttpRequest, user: AbstractBaseUser, channel: str) -> TrustedBrowser | None:
    """``user`` has just passed a factor by ``channel``: trust this browser if that was wished. Returns it if so."""
    # SECURITY: whoever had to use a recovery code has lost something, perhaps to a thief: asked again next time.
    wished = _is_wished(request, session.text_of(user)) and channel != Channel.RECOVERY
    session.forget_trust_wish(request)
    days = days_for(user, request) if wished else 0
    if not days:
        return None
    tokens = tokens_of(request)
    made = trusted_browsers.trust(user, client_from(request), days=days, tokens=tokens)
    # The response is not made yet: the middleware sets the cookie on it. (A wrapper of REST framework's has the request
    # that the middleware will see.)
    setattr(getattr(request, "_request", request), _DUE, _cookie(made, tokens))
    return made.browser


def _is_wished(request: HttpRequest, user_id: str) -> bool:
    """Whether the caller says so, or the box is ticked, or was on the page before."""
    told: bool | None = getattr(request, _WISHED, None)
    if told is not None:
        return told
    if FIELD in request.POST:
        return request.POST[FIELD] == "yes"
    # SECURITY: by this very person, whoever used the browser before.
    return session.trust_wish(request) == user_id


def _leads_to_verification(response: HttpResponseBase) -> bool:
    path = urlsplit(response.headers.get("Location", "")).path.removeprefix(get_script_prefix().rstrip("/"))
    try:
        return "verification" in resolve(path).kwargs
    except Resolver404:
        return False


@sensitive_variables("tokens", "made", "others")
def _cookie(made: trusted_browsers.Trusted, tokens: list[str]) -> Cookie:
    others = dict([*trusted_browsers.expiries(tokens).items()][: KEPT - 1])
    until = max([made.browser.expires_at, *others.values()])
    return Cookie(".".join([made.token, *others]), int((until - timezone.now()).total_seconds()))


def tokens_of(request: HttpRequest) -> list[str]:
    """The values in this browser's cookie. What is not of our making is left out."""
    return [one for one in request.COOKIES.get(COOKIE, "").split(".")[:KEPT] if _TOKEN.fullmatch(one)]


def set_cookie(request: HttpRequest, response: HttpResponseBase) -> None:
    """Set the cookie that is due, if one is. Called for each response."""
    due: Cookie | None = getattr(request, _DUE, None)
    if due is None:
        return
    response.set_cookie(
        COOKIE,
        due.value,
        max_age=due.max_age,
        path=django_settings.SESSION_COOKIE_PATH,
        # SECURITY: without a domain: not even the site's other hosts get it.
        secure=django_settings.SESSION_COOKIE_SECURE or request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
