"""System checks of this app."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.sessions.backends.signed_cookies import SessionStore as CookieStore
from django.core.checks import CheckMessage, Error, Tags, register


def register_all() -> None:
    """Register them. Called once, when the app is ready."""
    register(check_sessions, Tags.security)


def check_sessions(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """E001: allauth keeps codes in the session, and sessions travel in a cookie that the visitor reads."""
    if not issubclass(import_module(settings.SESSION_ENGINE).SessionStore, CookieStore) or not _keeps_codes():
        return []
    hint = "Use a SESSION_ENGINE that keeps sessions on the server, as django.contrib.sessions.backends.db."
    text = "allauth keeps codes in the session, and signed cookies show it to the visitor."
    return [Error(text, hint=hint, id="twilio_verify_allauth.E001")]


def _keeps_codes() -> bool:
    """Whether allauth compares any code by itself: headless, or one of its own by email."""
    from allauth import app_settings  # noqa: PLC0415  imports models
    from allauth.account import app_settings as account  # noqa: PLC0415

    by_code = ("LOGIN_BY_CODE_ENABLED", "EMAIL_VERIFICATION_BY_CODE_ENABLED", "PASSWORD_RESET_BY_CODE_ENABLED")
    return bool(app_settings.HEADLESS_ENABLED) or any(getattr(account, name, False) for name in by_code)
