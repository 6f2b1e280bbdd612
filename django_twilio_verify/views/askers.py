"""How the factors that the provider keeps are asked on a page: one class for each way that asks alike.

The page (``factor.FactorPage``) knows who is asked, by which factor, and what for; these know the form and the verbs.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django import forms
from django.http import HttpResponse

from ..choices import Channel
from ..exceptions import VerificationNotFound
from ..flows import challenges, verifications
from ..flows.challenges import TOTP_DIGITS
from ..forms.codes import AppCodeForm
from ..forms.passkeys import CredentialForm

if TYPE_CHECKING:
    from .factor import FactorPage


class Asker:
    """One way of asking. ``part``: the template of what the page shows; ``form_class``: of what it posts."""

    part: ClassVar[str]
    form_class: ClassVar[type[forms.Form]] = forms.Form

    def __init__(self, page: FactorPage) -> None:
        self.page = page

    def answer(self, form: forms.Form) -> HttpResponse:
        """What becomes of the posted ``form``. Raises ``TwilioVerifyError`` and ``NoSuchFactor``."""
        raise NotImplementedError

    def context(self) -> dict[str, Any]:
        return {"part": self.part}


class AppAsker(Asker):
    """An authenticator app: nobody is asked before the code is there, so the page has its field at once."""

    part = "twilio_verify/_ask_totp.html"
    form_class = AppCodeForm

    def answer(self, form: forms.Form) -> HttpResponse:
        page = self.page
        started = page.start_challenge()
        checked = challenges.check(
            started.verification,
            code=form.cleaned_data["code"],
            client=page.client,
            user=page.person,
            amount=page.payment.amount,
            payee=page.payment.payee,
        )
        return page.judged(form, checked, field="code")

    def context(self) -> dict[str, Any]:
        factor = self.page.factor
        return {**super().context(), "digits": (factor.digits if factor else 0) or TOTP_DIGITS}


class PhoneAsker(Asker):
    """Push and silent approval: a button has the phone asked, and the page of the request waits for the answer."""

    part = "twilio_verify/_ask_push.html"

    def answer(self, form: forms.Form) -> HttpResponse:
        return self.page.go("push", self.page.start_challenge().verification.pk)


class PasskeyAsker(Asker):
    """A passkey: the page's script fetches the options (``passkey.PasskeyOptionsView``) and posts what came of it."""

    part = "twilio_verify/_ask_passkey.html"
    form_class = CredentialForm

    def answer(self, form: forms.Form) -> HttpResponse:
        page = self.page
        verification = verifications.get(form.cleaned_data["verification"], client=page.client, user=page.person)
        # SECURITY: what was begun for something else, or for nobody, proves nothing here.
        fits = verification.channel == Channel.PASSKEY and verification.purpose == page.purpose
        if not fits or verification.user_id != page.person.pk:
            raise VerificationNotFound
        checked = challenges.check(
            verification,
            credential=form.cleaned_data["credential"],
            client=page.client,
            user=page.person,
            amount=page.payment.amount,
            payee=page.payment.payee,
        )
        return page.judged(form, checked)

    def context(self) -> dict[str, Any]:
        return {**super().context(), "options_url": self.page.options_url()}


ASKERS: Mapping[Channel, type[Asker]] = {
    Channel.TOTP: AppAsker,
    Channel.PUSH: PhoneAsker,
    Channel.SILENT: PhoneAsker,
    Channel.PASSKEY: PasskeyAsker,
}
"""The channels that are not here send something to an address (``ways.SendPage``)."""
