"""System checks of this app."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

MIDDLEWARE = "django_twilio_verify.contrib.otp.middleware.VerifyDeviceMiddleware"
_OTP = "django_otp.middleware.OTPMiddleware"


def register_all() -> None:
    """Register them. Called once, when the app is ready."""
    register(check_middleware)


def check_middleware(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """Ours must be there, and behind django-otp's."""
    names = list(settings.MIDDLEWARE)
    if MIDDLEWARE not in names:
        text = "Without VerifyDeviceMiddleware, a code can be answered in another session than the one that asked."
        return [Warning(text, hint=f"Add {MIDDLEWARE!r} to MIDDLEWARE.", id="twilio_verify_otp.W001")]
    if _OTP in names and names.index(_OTP) > names.index(MIDDLEWARE):
        return [Error(f"{MIDDLEWARE!r} must stand after {_OTP!r}.", id="twilio_verify_otp.E001")]
    return []
