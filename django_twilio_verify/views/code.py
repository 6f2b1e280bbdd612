"""The page that asks for a code, whatever it is for."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from ..choices import Channel, CheckOutcome, Purpose, VerificationStatus
from ..conf import settings
from ..exceptions import BackendError
from ..flows import plan, verifications
from ..forms.codes import CodeForm
from ..results import Checked
from ..web import failures, session
from ..web.wording import sentence_for
from .base import BY_LINK, FormPage
from .proof import ProofMixin
from .restart import restart_of


class CodeView(ProofMixin, FormPage):
    """Ask for the code."""

    template_name = "twilio_verify/code.html"
    form_class = CodeForm
    problem_field = "code"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.verification.channel in BY_LINK:
            return self.go("link", self.verification.pk)
        if self.verification.status == VerificationStatus.APPROVED:
            return self.already_approved()
        return super().get(request, *args, **kwargs)

    def get_form(self, form_class: type[forms.Form] | None = None) -> forms.Form:
        form = super().get_form(form_class)
        if self.verification.code_digest:  # the site's own code, which may have letters
            form.fields["code"].widget.attrs["inputmode"] = "text"
        return form

    def form_valid(self, form: forms.Form) -> HttpResponse:
        verification = self.verification
        try:
            checked = verifications.check(
                verification,
                code=form.cleaned_data["code"],
                client=self.client,
                user=self.person,
                # SECURITY: what the code was sent for, by our own record, and nothing that the browser says.
                amount=verification.amount,
                payee=verification.payee,
            )
        except BackendError as error:
            return self.refuse(form, error)
        self.verification = checked.verification
        if checked.approved:
            return self.approved()
        if checked.outcome == CheckOutcome.ALREADY_VERIFIED:
            return self.already_approved()
        return self.not_approved(form, checked)

    def not_approved(self, form: forms.Form, checked: Checked) -> HttpResponse:
        failures.note(self.request, self.person, checked)
        form.add_error("code", sentence_for(checked))
        return self.render_to_response(self.get_context_data(form=form, retry_at=checked.retry_at))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        started = verifications.describe(self.verification)
        others = plan.other_ways(self.verification)
        if started.offer_call:  # above the others, and not twice
            others = tuple(way for way in others if way != Channel.CALL)
        is_open = verifications.is_open(self.verification)
        return super().get_context_data(
            verification=self.verification,
            recipient=self.verification.recipient,
            is_open=is_open,
            restart=None if is_open else restart_of(self, self.verification),
            replaced=session.replaced_by(self.request, self.verification.pk),
            is_enrolling=self.verification.purpose in (Purpose.ENROL, Purpose.VERIFY),
            started=started,
            can_resend=started.resend_at is None or started.resend_at <= timezone.now(),
            other_channels=others,
            call_way=Channel.CALL,
            code_length=settings.code_length,
            **kwargs,
        )
