"""The app."""

from __future__ import annotations

from django.apps import AppConfig
from django.test.signals import setting_changed
from django.utils.translation import gettext_lazy as _


class VerifyTwoFactorConfig(AppConfig):
    """Django app ``django_twilio_verify.contrib.two_factor``, label ``twilio_verify_two_factor``. Needs ``two_factor``
    and ``django_twilio_verify.contrib.otp``; stands after ``two_factor`` and its plugins.
    """

    name = "django_twilio_verify.contrib.two_factor"
    label = "twilio_verify_two_factor"
    verbose_name = _("Verification by django-two-factor-auth")

    def ready(self) -> None:
        """Register the methods, in place of others of the same code, and the system checks."""
        # Here and not above: Django imports this file before models may be imported.
        from . import checks, methods  # noqa: PLC0415

        methods.register_all()
        # Its phone plugin registers anew, and unregisters, whenever a test changes a setting.
        setting_changed.connect(methods.register_all, dispatch_uid="twilio_verify_two_factor.methods")
        checks.register_all()
