"""The two ways on from a code or a link: send again, send otherwise."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from ..choices import Purpose, VerificationStatus
from ..exceptions import FactorNotFound, TwilioVerifyError, VerificationNotFound
from ..flows import factorgate, plan, verifications, withdrawal
from ..flows.consent import NewConsent
from ..flows.options import Payment
from ..flows.plan import Asked
from ..forms.recipients import ConsentForm, OnceForm
from ..results import Started
from .address import named
from .base import BY_LINK, FormPage, code_url
from .code import CodeView
from .link import LinkView
from .proof import VerificationMixin
from .restart import choose_again
from .ways import SendPage


class ResendView(VerificationMixin, FormPage):
    """Send again by the same way. POST only; the wait is decided by the server."""

    http_method_names = ("post", "options")
    template_name = "twilio_verify/code.html"
    form_class = forms.Form

    def form_valid(self, form: forms.Form) -> HttpResponse:
        try:
            started = verifications.resend(self.verification, client=self.client, user=self.sending_for())
        except FactorNotFound:
            return choose_again(self, self.verification)
        except TwilioVerifyError as error:
            return refused(self, error)
        return HttpResponseRedirect(code_url(self, started))


def refused(page: VerificationMixin, error: TwilioVerifyError) -> HttpResponse:
    """The page of the code, or the link, with the reason: what is under way can still be used, what is over says how to
    begin anew.
    """
    shown: FormPage = LinkView() if page.verification.channel in BY_LINK else CodeView()
    shown.setup(page.request, **page.kwargs)
    return shown.refuse(shown.get_form_class()(), error)


class OtherWayView(VerificationMixin, SendPage):
    """Send by another way to the same address."""

    template_name = "twilio_verify/other_way.html"

    def barred(self) -> HttpResponse | None:
        """Also where nothing is sent any more: the verification is over, or its factor is gone."""
        if elsewhere := super().barred():
            return elsewhere
        verification = self.verification
        if not self.is_of_use() and verification.status != VerificationStatus.MAX_ATTEMPTS_REACHED:
            # SECURITY: before agreement is recorded. Used up says itself when to come again.
            return refused(self, VerificationNotFound("verification_closed"))
        try:
            factorgate.require(self.sending_for(), verification.recipient, Purpose(verification.purpose))
        except FactorNotFound:
            return choose_again(self, verification)
        return None

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.choose()
        return super().post(request, *args, **kwargs)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.choose()
        if self.channel == self.verification.channel:  # another tab went this way already
            return self.go("code", self.verification.pk)
        return super().get(request, *args, **kwargs)

    def choose(self) -> None:
        verification = self.verification
        asked = Asked(
            verification.recipient,
            Purpose(verification.purpose),
            line_type=verification.line_type,
            backend=verification.backend,
        )
        # Also one that is out at the moment, which then says so itself.
        self.channel = named(self.kwargs["channel"], plan.among(asked, frozenset()))
        self.recipient = verification.recipient
        self.purpose = Purpose(verification.purpose)
        self.factor = verification.factor
        self.backend = verification.backend
        self.payment = Payment(verification.amount, verification.payee)

    def send(self, new_consent: NewConsent | None) -> Started:
        return verifications.resend(
            self.verification,
            client=self.client,
            user=self.sending_for(),
            channel=self.channel,
            new_consent=new_consent,
        )

    def gone(self) -> HttpResponse:
        return choose_again(self, self.verification)

    def refuse(self, form: forms.Form, error: TwilioVerifyError) -> HttpResponse:
        if isinstance(error, VerificationNotFound):  # it ended while this page was shown
            return refused(self, error)
        return super().refuse(form, error)

    def consent_form(self) -> type[ConsentForm]:
        # Whoever stops messages is asked for one more message, and not for consent to all that follow.
        return OnceForm if withdrawal.is_for_one_message(self.verification) else ConsentForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        others = [way for way in plan.other_ways(self.verification) if way != self.channel]
        return super().get_context_data(
            verification=self.verification,
            started=verifications.describe(self.verification),
            other_channels=others,
            **kwargs,
        )
