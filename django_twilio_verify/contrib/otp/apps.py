"""The app."""

from __future__ import annotations

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class VerifyOtpConfig(AppConfig):
    """Django app ``django_twilio_verify.contrib.otp``, label ``twilio_verify_otp``. Needs ``django_otp``."""

    name = "django_twilio_verify.contrib.otp"
    label = "twilio_verify_otp"
    verbose_name = _("Verification by django-otp")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Listen for factors that come, and for proofs."""
        # Here and not above: Django imports this file before models may be imported.
        from . import agreement, checks  # noqa: PLC0415

        agreement.connect(self)
        checks.register_all()
