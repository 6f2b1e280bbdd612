"""For ``ACCOUNT_FORMS``: codes that Verify made are judged by Verify."""

from __future__ import annotations

from allauth.account.forms import ConfirmLoginCodeForm as StockConfirmLoginCodeForm
from allauth.account.forms import VerifyPhoneForm as StockVerifyPhoneForm
from allauth.account.internal.flows.phone_verification import phone_already_exists
from allauth.core import context
from django import forms
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from ... import verifications
from ...client import client_from
from ...exceptions import TwilioVerifyError
from . import session
from .freshness import require_fresh_proof


class OwnCodeMixin(forms.Form):
    """Judges ``code`` by the verification that this session had sent. Codes that allauth made (for an email address)
    are compared as ever.
    """

    def clean_code(self) -> str:
        sent = session.verification_of(context.request)
        if self.expected_code or sent is None:  # type: ignore[attr-defined]  # allauth's forms have it
            return str(super().clean_code())  # type: ignore[misc]
        code = str(self.cleaned_data["code"])
        try:
            checked = verifications.check(sent, code=code, client=client_from(context.request))
        except TwilioVerifyError as error:
            raise ValidationError(error.user_message, code=error.code) from None
        if not checked.approved:
            raise ValidationError(checked.user_message or _("Start again."), code=checked.outcome.value)
        return code


class VerifyPhoneForm(OwnCodeMixin, StockVerifyPhoneForm):  # type: ignore[misc,unused-ignore]
    """``ACCOUNT_FORMS["verify_phone"]``."""

    def clean_code(self) -> str:
        # SECURITY: before the code is judged, which is good after the way round by a fresh proof.
        require_fresh_proof(context.request)
        code = super().clean_code()
        # SECURITY: as allauth's own: the number may have become another account's since.
        phone_already_exists(self.user, self.phone, always_raise=True)
        return code


class ConfirmLoginCodeForm(OwnCodeMixin, StockConfirmLoginCodeForm):  # type: ignore[misc,unused-ignore]
    """``ACCOUNT_FORMS["confirm_login_code"]``."""
