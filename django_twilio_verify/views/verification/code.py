"""The page that takes a code, and its two other buttons: resend, and send by another channel."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.utils import timezone

from ... import login
from ...choices import LINK_CHANNELS, Channel, Purpose, VerificationStatus
from ...conf import settings
from ...consent.gate import NewConsent
from ...exceptions import BackendError, FactorNotFound, NotRedeemable, TwilioVerifyError, VerificationNotFound
from ...forms.recipients import ConsentForm, OnceForm
from ...forms.verification import CodeForm, show_checked
from ...login import session, trust_cookie
from ...verifications import channel_plan, confirmed_factors, holder, lifecycle
from ...verifications.channel_plan import PlanRequest
from ...verifications.options import Payment
from ...verifications.results import Started
from ..base import FormPage, code_url
from .approved import ProofMixin, VerificationMixin
from .link import LinkView
from .restart import choose_again, restart_of
from .send import SendPage, named


class CodeView(ProofMixin, FormPage):
    """Ask for the code."""

    template_name = "twilio_verify/code.html"
    form_class = CodeForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.verification.channel in LINK_CHANNELS:
            return self.go("link", self.verification.pk)
        if self.verification.status == VerificationStatus.APPROVED:
            return self.already_approved()
        return super().get(request, *args, **kwargs)

    def get_form(self, form_class: type[forms.Form] | None = None) -> forms.Form:
        form = super().get_form(form_class)
        if self.verification.has_custom_code:  # it may have letters
            form.fields["code"].widget.attrs["inputmode"] = "text"
        return form

    def form_valid(self, form: forms.Form) -> HttpResponse:
        assert isinstance(form, CodeForm)
        try:
            self.check(form)
        except BackendError as error:
            return self.refuse(form, error)
        except NotRedeemable:
            return choose_again(self, self.verification)
        if form.failure is not None:
            return self.refuse(form, form.failure)
        checked = form.checked
        self.verification = checked.verification
        if checked.approved or self.is_repeatable(checked):
            return self.approved(again=checked.already_approved)
        if checked.already_approved:
            return self.already_approved()
        return self.render_to_response(self.get_context_data(form=form, retry_at=checked.retry_at))

    def check(self, form: CodeForm) -> None:
        """Have the code judged: ``form.checked``, or ``form.failure``."""
        verification = self.verification
        if self.is_second_factor:
            wished = trust_cookie.is_wished(self.request)
            checked = login.check(self.request, verification, code=form.cleaned_data["code"], trust_browser=wished)
            show_checked(form, checked)
            return
        # SECURITY: what the code was sent for, by our own record, and nothing that the browser says.
        payment = Payment(verification.amount, verification.payee)
        form.check(self.request, verification, user=self.person, payment=payment)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        started = lifecycle.describe(self.verification)
        others = channel_plan.other_channels(self.verification)
        if started.suggests_call:  # above the others, and not twice
            others = tuple(way for way in others if way != Channel.CALL)
        is_open = lifecycle.is_open(self.verification)
        return super().get_context_data(
            verification=self.verification,
            recipient=self.verification.recipient,
            is_open=is_open,
            restart=None if is_open else restart_of(self, self.verification),
            replaced=session.replaced_by(self.request, self.verification.pk),
            is_enrolling=self.verification.purpose in (Purpose.ENROLL, Purpose.VERIFY),
            started=started,
            can_resend=started.resend_at is None or started.resend_at <= timezone.now(),
            other_channels=others,
            call_channel=Channel.CALL,
            code_length=settings.service(self.verification.backend).code_length,
            **kwargs,
        )


class ResendView(VerificationMixin, FormPage):
    """Send again by the same way. POST only; the wait is decided by the server."""

    http_method_names = ("post", "options")
    template_name = "twilio_verify/code.html"
    form_class = forms.Form

    def form_valid(self, form: forms.Form) -> HttpResponse:
        try:
            started = lifecycle.resend(self.verification, client=self.client, user=self.sending_for())
        except FactorNotFound:
            return choose_again(self, self.verification)
        except TwilioVerifyError as error:
            return refused(self, error)
        return HttpResponseRedirect(code_url(self, started))


def refused(page: VerificationMixin, error: TwilioVerifyError) -> HttpResponse:
    """The page of the code, or the link, with the reason: what is under way can still be used, what is over says how to
    begin anew.
    """
    shown: FormPage = LinkView() if page.verification.channel in LINK_CHANNELS else CodeView()
    shown.setup(page.request, **page.kwargs)
    return shown.refuse(shown.get_form_class()(), error)


class OtherChannelView(VerificationMixin, SendPage):
    """Send by another way to the same address."""

    template_name = "twilio_verify/other_channel.html"

    def barred(self) -> HttpResponse | None:
        """Also where nothing is sent any more: the verification is over, or its factor is gone."""
        if elsewhere := super().barred():
            return elsewhere
        verification = self.verification
        if not self.is_of_use() and verification.status != VerificationStatus.MAX_ATTEMPTS_REACHED:
            # SECURITY: before agreement is recorded. Used up says itself when to come again.
            return refused(self, VerificationNotFound("verification_closed"))
        try:
            confirmed_factors.require(self.sending_for(), verification.recipient, Purpose(verification.purpose))
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
        asked = PlanRequest(
            verification.recipient,
            Purpose(verification.purpose),
            line_type=verification.line_type,
            backend=verification.backend,
        )
        # Also one that is out at the moment, which then says so itself.
        self.channel = named(self.kwargs["channel"], channel_plan.plan_among(asked, frozenset()))
        self.recipient = verification.recipient
        self.purpose = Purpose(verification.purpose)
        self.factor = verification.factor
        self.backend = verification.backend
        self.payment = Payment(verification.amount, verification.payee)

    def send(self, new_consent: NewConsent | None) -> Started:
        return lifecycle.resend(
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
        return OnceForm if holder.is_for_one_message(self.verification) else ConsentForm

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        others = [way for way in channel_plan.other_channels(self.verification) if way != self.channel]
        return super().get_context_data(
            verification=self.verification,
            started=lifecycle.describe(self.verification),
            other_channels=others,
            **kwargs,
        )
