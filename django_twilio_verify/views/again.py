"""The two ways on from a code or a link: send again, send otherwise."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from ..choices import Purpose
from ..exceptions import TwilioVerifyError
from ..flows import plan, verifications, withdrawal
from ..flows.options import Payment
from ..flows.plan import Asked
from ..forms.recipients import ConsentForm, OnceForm
from .address import named
from .base import BY_LINK, FormPage, code_url
from .code import CodeView
from .link import LinkView
from .proof import VerificationMixin
from .ways import SendPage


class ResendView(VerificationMixin, FormPage):
    """Send again by the same way. POST only; the wait is decided by the server."""

    http_method_names = ("post", "options")
    template_name = "twilio_verify/code.html"
    form_class = forms.Form

    def form_valid(self, form: forms.Form) -> HttpResponse:
        verification = self.verification
        try:
            started = verifications.start(
                recipient=verification.recipient,
                channel=verification.channel,
                client=self.client,
                user=self.sending_for(),
                purpose=verification.purpose,
                factor=verification.factor,
                resend=True,
                backend=verification.backend,
                amount=verification.amount,
                payee=verification.payee,
            )
        except TwilioVerifyError as error:
            return self.refused(error)
        return HttpResponseRedirect(code_url(self, started))

    def refused(self, error: TwilioVerifyError) -> HttpResponse:
        """The page of the code, or the link, with the reason: what is under way can still be used."""
        page: FormPage = LinkView() if self.verification.channel in BY_LINK else CodeView()
        page.setup(self.request, **self.kwargs)
        page.verification = self.verification  # type: ignore[attr-defined]  # both have it
        return page.refuse(page.get_form_class()(), error)


class OtherWayView(VerificationMixin, SendPage):
    """Send by another way to the same address."""

    template_name = "twilio_verify/other_way.html"

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
