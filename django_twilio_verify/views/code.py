"""The page that asks for a code, whatever it is for, and the two ways on from it: send again, send otherwise."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.functional import cached_property

from ..choices import CheckOutcome, Purpose, VerificationStatus
from ..conf import settings
from ..exceptions import BackendError, TwilioVerifyError
from ..flows import factors, recovery, verifications
from ..flows.factors import Confirmed
from ..forms.codes import CodeForm
from ..models import Verification
from ..results import Checked
from ..web import access, session
from ..web.wording import sentence_for
from .account import recovery_codes_page
from .address import offered
from .base import FormPage, PageMixin, code_url, demand_proof, must_prove_first
from .ways import SendPage


class VerificationMixin(PageMixin):
    """Pages about one verification of this very session; 404 alike for unknown ones and other people's."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not session.has_secret(request):
            # A second press whose session the first one has just replaced, or nobody at all: on to where the first one
            # leads. SECURITY: the same whichever verification is named.
            return self.go_on()
        return super().dispatch(request, *args, **kwargs)

    @cached_property
    def person(self) -> AbstractBaseUser | None:
        return self.access.acting_user

    @cached_property
    def verification(self) -> Verification:
        return verifications.get(self.kwargs["verification"], client=self.client, user=self.person)

    def sending_for(self) -> AbstractBaseUser | None:
        """Whose proof it is: nobody's account where a visitor began it, even if she is signed in by now."""
        return self.person if self.verification.user_id is not None else None

    def other_channels(self) -> list[Any]:
        """The other ways to the same address."""
        kind = self.verification.recipient_kind
        here = self.verification.channel
        return [way for way in settings.channels if way.recipient_kind == kind and way.value != here]


class CodeView(VerificationMixin, FormPage):
    """Ask for the code."""

    template_name = "twilio_verify/code.html"
    form_class = CodeForm
    problem_field = "code"

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.verification.status == VerificationStatus.APPROVED:
            return self.go_on()
        return super().get(request, *args, **kwargs)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        try:
            checked = verifications.check(
                self.kwargs["verification"],
                code=form.cleaned_data["code"],
                client=self.client,
                user=self.person,
            )
        except BackendError as error:
            return self.refuse(form, error)
        self.verification = checked.verification
        if checked.approved:
            return self.approved()
        if checked.outcome == CheckOutcome.ALREADY_VERIFIED:
            return self.go_on()
        return self.not_approved(form, checked)

    def not_approved(self, form: forms.Form, checked: Checked) -> HttpResponse:
        form.add_error("code", sentence_for(checked))
        return self.render_to_response(self.get_context_data(form=form, retry_at=checked.retry_at))

    def approved(self) -> HttpResponse:
        """What this proof is for. SECURITY: reached by exactly one request for each verification."""
        if self.verification.purpose == Purpose.ENROL and self.person is not None:
            # SECURITY: asked again here: since this enrolment began, the person may have got a factor elsewhere, and
            # then a password and any phone must not add another one, nor sign in.
            if must_prove_first(self, self.person):
                return demand_proof(self)
            return self.enrolled(factors.confirm(self.verification))
        if self.verification.purpose == Purpose.LOGIN:
            self.sign_in()
            if self.verification.factor_id is not None:
                factors.used(self.verification.factor_id, timezone.now())
        return self.go_on()

    def sign_in(self) -> None:
        """Complete the sign-in that waits for this proof; a proof for a sign-in that is over changes nothing."""
        if self.person is not None and self.access.is_pending:
            access.complete(self.request, self.person, self.verification.channel)

    def enrolled(self, confirmed: Confirmed) -> HttpResponse:
        if self.access.is_pending:
            self.sign_in()
        else:
            access.mark_passed(self.request, self.verification.channel)
        if confirmed.first and self.person is not None:
            return recovery_codes_page(self, recovery.issue(self.person), first=True)
        return HttpResponseRedirect(self.next or self.url("factors"))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        started = verifications.describe(self.verification)
        return super().get_context_data(
            verification=self.verification,
            recipient=self.verification.recipient,
            is_open=verifications.is_open(self.verification),
            is_enrolling=self.verification.purpose != Purpose.LOGIN,
            started=started,
            can_resend=started.resend_at is None or started.resend_at <= timezone.now(),
            other_channels=self.other_channels(),
            code_length=settings.code_length,
            **kwargs,
        )


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
            )
        except TwilioVerifyError as error:
            return self.refused(error)
        return HttpResponseRedirect(code_url(self, started))

    def refused(self, error: TwilioVerifyError) -> HttpResponse:
        """The code page with the reason: the code that is under way can still be typed."""
        page = CodeView()
        page.setup(self.request, **self.kwargs)
        page.verification = self.verification
        return page.refuse(CodeForm(), error)


class OtherWayView(VerificationMixin, SendPage):
    """Send by another way to the same address."""

    template_name = "twilio_verify/other_way.html"

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.choose()
        return super().post(request, *args, **kwargs)

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        self.choose()
        return super().get(request, *args, **kwargs)

    def choose(self) -> None:
        self.channel = offered(self.kwargs["channel"])
        if self.channel not in self.other_channels():
            raise Http404
        self.recipient = self.verification.recipient
        self.purpose = Purpose(self.verification.purpose)
        self.factor = self.verification.factor

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        started = verifications.describe(self.verification)
        return super().get_context_data(verification=self.verification, started=started, **kwargs)
