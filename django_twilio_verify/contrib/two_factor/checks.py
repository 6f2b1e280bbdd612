"""System checks of this app."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.core.checks import CheckMessage, Error, register
from two_factor.plugins.registry import registry

from .methods import offered


def register_all() -> None:
    """Register them. Called once, when the app is ready."""
    register(check_installed)


def check_installed(app_configs: Any, **kwargs: Any) -> list[CheckMessage]:
    """The devices must be there, and the methods ours."""
    if not apps.is_installed("django_twilio_verify.contrib.otp"):
        hint = "Add 'django_twilio_verify.contrib.otp' to INSTALLED_APPS."
        return [Error("The devices are those of contrib.otp.", hint=hint, id="twilio_verify_two_factor.E001")]
    taken = [method.code for method in offered() if method not in registry.get_methods()]
    if not taken:
        return []
    hint = "Let 'django_twilio_verify.contrib.two_factor' stand after 'two_factor' and its plugins in INSTALLED_APPS."
    text = f"Another app has the method {taken[0]!r} of django-two-factor-auth."
    return [Error(text, hint=hint, id="twilio_verify_two_factor.E002")]
