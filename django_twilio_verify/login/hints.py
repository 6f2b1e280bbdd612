"""What a browser remembers of how its person signs in. Not secret; it opens and closes nothing, and only sorts."""

from __future__ import annotations

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from ..choices import Channel

PASSKEY_HINT = "twilio_verify_passkey"
"""Name of the cookie that says "the latest sign-in here was by passkey"."""
_LIVES = 365 * 24 * 3600


def prefers_passkey(request: HttpRequest) -> bool:
    """Whether the latest sign-in in this browser was by passkey: this browser has one, so it is asked first."""
    return request.COOKIES.get(PASSKEY_HINT) == "1"


def remember(request: HttpRequest, response: HttpResponseBase, channel: str) -> None:
    """Note on ``response`` that the person has just signed in by ``channel``."""
    path, domain = django_settings.SESSION_COOKIE_PATH, django_settings.SESSION_COOKIE_DOMAIN
    if channel == Channel.PASSKEY:
        response.set_cookie(
            PASSKEY_HINT,
            "1",
            max_age=_LIVES,
            path=path,
            domain=domain,
            secure=django_settings.SESSION_COOKIE_SECURE,
            samesite="Lax",
            httponly=True,
        )
    elif PASSKEY_HINT in request.COOKIES:
        response.delete_cookie(PASSKEY_HINT, path=path, domain=domain, samesite="Lax")
