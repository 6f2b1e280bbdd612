"""The app."""

from __future__ import annotations

from types import ModuleType
from typing import Any

from django.apps import AppConfig
from django.contrib.auth.signals import user_logged_in
from django.utils.translation import gettext_lazy as _


class VerifyOtpConfig(AppConfig):
    """Django app ``django_twilio_verify.contrib.otp``, label ``twilio_verify_otp``. Needs ``django_otp``."""

    name = "django_twilio_verify.contrib.otp"
    label = "twilio_verify_otp"
    verbose_name = _("Verification by django-otp")
    default_auto_field = "django.db.models.BigAutoField"

    def __init__(self, app_name: str, app_module: ModuleType) -> None:
        super().__init__(app_name, app_module)
        # Receivers run in the order in which they were connected. The wall connects its own in ready(), and decides
        # what a sign-in owes: what django-otp has verified must be known by then, so this is before every ready().
        user_logged_in.connect(self._on_login, dispatch_uid="twilio_verify_otp.on_login")

    def ready(self) -> None:
        """Listen for factors that come, and for proofs."""
        # Here and not above: Django imports this file before models may be imported.
        from . import agreement, checks  # noqa: PLC0415

        agreement.connect(self)
        checks.register_all()

    def _on_login(self, **kwargs: Any) -> None:
        from . import agreement  # noqa: PLC0415

        agreement.on_login(**kwargs)
