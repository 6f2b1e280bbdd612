"""django-otp's forms, without the transaction that they verify tokens in.

They work on every database, SQLite among them, and say why a code was refused. Devices of others are verified as
django-otp does.
"""

from __future__ import annotations

from typing import Any

from django import forms
from django_otp import admin as otp_admin
from django_otp import forms as otp_forms
from django_otp.models import Device

from .models import VerifyDevice


class OutsideMixin:
    """For forms with django-otp's ``OTPAuthenticationFormMixin``, before it in the list of bases."""

    def clean_otp(self, user: Any) -> None:
        """Process the ``otp_*`` fields. Raises ``ValidationError`` unless ``user`` is verified."""
        if user is None:
            return
        device = self.named_device(user)
        if not isinstance(device, VerifyDevice):
            super().clean_otp(user)  # type: ignore[misc]
            return
        user.otp_device = None
        try:
            self._clean_own(user, device)
        finally:
            if user.otp_device is None:
                self._update_form(user)  # type: ignore[attr-defined]

    def named_device(self, user: Any) -> Any:
        """The device that the form names, unless it is somebody else's."""
        wanted = self.cleaned_data.get("otp_device")  # type: ignore[attr-defined]
        device = Device.from_persistent_id(wanted) if wanted else getattr(self, "initial_device", None)
        # SECURITY: the form lists no choices before it knows the person.
        return device if device is not None and device.user_id == user.pk else None

    def _clean_own(self, user: Any, device: VerifyDevice) -> None:
        if self.cleaned_data.get("otp_challenge"):  # type: ignore[attr-defined]
            self._handle_challenge(device)  # type: ignore[attr-defined]
            return
        token = self.cleaned_data.get("otp_token")  # type: ignore[attr-defined]
        if not token:
            message = self.otp_error_messages["token_required"]  # type: ignore[attr-defined]
            raise forms.ValidationError(message, code="token_required")
        try:
            user.otp_device = self._verify_token(user, token, device)  # type: ignore[attr-defined]
        except forms.ValidationError as error:
            if device.problem and getattr(error, "code", "") == "invalid_token":
                raise forms.ValidationError(device.problem, code="invalid_token") from None
            raise


class VerifyAuthenticationForm(OutsideMixin, otp_forms.OTPAuthenticationForm):  # untyped
    """User name, password, device and token."""


class VerifyTokenForm(OutsideMixin, otp_forms.OTPTokenForm):  # untyped
    """Device and token, of somebody who is signed in."""


class VerifyAdminAuthenticationForm(OutsideMixin, otp_admin.OTPAdminAuthenticationForm):  # untyped
    """The ``login_form`` of an ``OTPAdminSite``."""
