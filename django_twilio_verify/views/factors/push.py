"""A phone was asked: type the number that it shows, and wait for its answer."""

from __future__ import annotations

from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.response import HttpResponseBase
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ... import login, verifications
from ...choices import Channel, CheckOutcome, Purpose
from ...exceptions import BackendError, BackendRejected, NotRedeemable, VerificationNotFound
from ...forms.verification import NumberForm
from ...login import failures, session, trust_cookie
from ...models import Verification
from ...verifications import challenge_steps, challenges, lifecycle
from ...verifications.options import Payment
from ...verifications.results import Checked, Started, VerificationState
from ..base import FormPage
from ..verification.approved import RedeemMixin

_WAITS = (CheckOutcome.WAITING, CheckOutcome.IN_PROGRESS)


class PushMixin(RedeemMixin):
    """Pages about one request to a phone, of this very session; 404 alike for all others."""

    def is_about(self, verification: Verification) -> bool:
        return verification.channel in (Channel.PUSH, Channel.SILENT) and verification.purpose != Purpose.ENROLL

    def own_url(self) -> str:
        return self.url("push", self.verification.pk)

    def told_no(self, checked: Checked) -> None:
        """SECURITY: whoever waits here has the password, and the person says no: it has to be given again."""
        if checked.outcome == CheckOutcome.DENIED and self.verification.purpose == Purpose.LOGIN:
            session.give_up(self.request)


class PushView(PushMixin, FormPage):
    """The request to the phone, as it stands by our own record. POST, with the number or without: ask what came of
    it.
    """

    template_name = "twilio_verify/push.html"
    form_class = NumberForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        return self.go_on() if self.progress.redeemed else super().get(request, *args, **kwargs)

    @cached_property
    def progress(self) -> VerificationState:
        return lifecycle.status(self.verification, client=self.client, user=self.person)

    @cached_property
    def started(self) -> Started:
        return challenges.describe(self.verification)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        try:
            checked = self.asked(form.cleaned_data["number"])
            if self.approved_beside(checked):
                checked = self.asked("")
        except BackendError as error:
            return self.refuse(form, error)
        except NotRedeemable as error:
            return self.told(form, error.user_message)
        if checked.approved or self.is_repeatable(checked):
            return self.approved(again=checked.already_approved)
        if checked.already_approved:
            return self.already_approved()
        self.told_no(checked)
        return self.not_proved(form, checked)

    def approved_beside(self, checked: Checked) -> bool:
        """Return whether a request that waits was approved by now.

        The page's script may have been asking the provider when the number was sent: it learns of the yes, and its
        page is not there any more.
        """
        if checked.outcome not in _WAITS:
            return False
        self.forget()
        return self.progress.approved

    def forget(self) -> None:
        """Have the request read again: it has changed since."""
        for known in ("verification", "progress", "started"):
            self.__dict__.pop(known, None)

    @sensitive_variables("number")
    def asked(self, number: str) -> Checked:
        verification = self.verification
        by_number = bool(number) and verification.channel != Channel.SILENT
        if self.is_second_factor:
            trust = trust_cookie.is_wished(self.request)
            if by_number:
                return login.check(self.request, verification, number=number, trust_browser=trust)
            return login.poll(self.request, verification, trust_browser=trust)
        if not by_number:
            return verifications.poll(verification, client=self.client, user=self.person)
        # SECURITY: what the phone was asked for, by our own record, and nothing that the browser says.
        payment = Payment(verification.amount, verification.payee)
        return verifications.check(verification, number=number, client=self.client, user=self.person, payment=payment)

    def not_proved(self, form: forms.Form, checked: Checked) -> HttpResponse:
        """The number is wrong or missing, nobody has answered yet, or it is over."""
        sentence = checked.user_message
        about_number = checked.outcome == CheckOutcome.MALFORMED or checked.reason == "number"
        if about_number:
            form.add_error("number", sentence)
        if checked.outcome in _WAITS and not about_number:
            return self.told(NumberForm(), "", checked, note=sentence)
        return self.told(form, "" if about_number else sentence, checked)

    def told(self, form: forms.Form, problem: str, checked: Checked | None = None, note: str = "") -> HttpResponse:
        self.forget()
        retry_at = checked.retry_at if checked is not None else None
        return self.render_to_response(self.get_context_data(form=form, problem=problem, note=note, retry_at=retry_at))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(
            verification=self.verification,
            factor=challenge_steps.factor_of(self.verification),
            started=self.started,
            progress=self.progress,
            is_open=lifecycle.is_open(self.verification),
            **kwargs,
        )


class PushStatusView(PushMixin):
    """What became of it, as JSON, for the page that waits: ``status``, and ``next``, where to go on. As often as a page
    likes. Signs nobody in: for that, POST to ``next``.
    """

    http_method_names = ("get", "head", "options")

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not session.has_secret(request):
            raise VerificationNotFound  # programs are led nowhere
        return super().dispatch(request, *args, **kwargs)

    def signed_out(self) -> HttpResponse:
        raise VerificationNotFound

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        before = self.verification.status
        try:
            checked = challenges.poll(self.verification, client=self.client, user=self.person)
        except BackendError:
            return JsonResponse({"status": "pending", "next": ""}, status=503)
        failures.note_polled(self.request, self.person, checked, before)
        self.told_no(checked)
        if checked.outcome in _WAITS:
            return JsonResponse({"status": "pending", "next": ""})
        is_proved = checked.approved or checked.already_approved
        status = "approved" if is_proved else checked.outcome.value
        return JsonResponse({"status": status, "next": self.url("push", self.verification.pk)})


class RemindView(PushMixin, FormPage):
    """Have the phone notified once more. POST only; three times at most."""

    http_method_names = ("post", "options")
    template_name = "twilio_verify/push.html"
    form_class = forms.Form

    def form_valid(self, form: forms.Form) -> HttpResponse:
        try:
            challenges.remind(self.verification, client=self.client, user=self.person)
        except BackendRejected:
            return self.page().told(NumberForm(), _("Your phone cannot be notified again. Open the app on it."))
        except BackendError as error:
            return self.page().refuse(NumberForm(), error)
        return self.page().told(NumberForm(), "", note=_("We have notified your phone again."))

    def page(self) -> PushView:
        page = PushView()
        page.setup(self.request, **self.kwargs)
        return page
