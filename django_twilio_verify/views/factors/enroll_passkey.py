"""Passkeys: enrolling one, and signing in with one without saying who it is.

A page asks our server for options, the browser for a passkey, and posts what that answers (``passkeys.js``). Only the
first of these reaches the provider before the person has done anything, and no page does so by being shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django import forms
from django.conf import settings as django_settings
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.shortcuts import resolve_url
from django.utils.translation import gettext as _

from ... import login
from ...backends.factor_options import MAX_NAME
from ...choices import Channel, CheckOutcome, FactorKind, Purpose
from ...core.browser_names import browser_name
from ...exceptions import TwilioVerifyError, VerificationNotFound, VerificationRequired
from ...factors import devices, own_factors, passkey_login, recovery_codes
from ...factors.results import SetupChecked
from ...forms.names import NameForm
from ...forms.passkeys import CredentialForm, NewPasskeyForm
from ...login import hints, session
from ...login.redirects import with_next
from ...models import Verification
from ...verifications import lifecycle
from ...verifications.messages import challenge_sentence_for
from ...verifications.results import Checked
from ..base import FormPage, PageMixin, StepUpMixin, demand_proof
from ..enroll_options import page_of
from ..errors import Refusal
from ..recovery_codes import codes_may_be_unseen, recovery_codes_page
from ..upgrade_offer import after_sign_in


def options_answer(verification: Verification, options: Mapping[str, Any]) -> JsonResponse:
    """What our script gives to the browser, and posts back."""
    return JsonResponse({"verification": str(verification.pk), "options": dict(options)})


def problem_answer(error: TwilioVerifyError) -> JsonResponse:
    """Why there are no options, in a sentence, with the status that says the same."""
    refusal = Refusal.of(error, otherwise=409)
    return refusal.tell(JsonResponse({"problem": error.user_message}, status=refusal.status))


def sentence_for(checked: Checked) -> str:
    """What is told of an answer that was not right. SECURITY: of a passkey that nobody knows, the same as of a wrong
    one.
    """
    if checked.outcome == CheckOutcome.MALFORMED and checked.reason == passkey_login.NOT_UNLOCKED:
        return _("Your device has to ask for your finger, face or PIN. Try again, or try another way.")
    return challenge_sentence_for(checked)


class PasskeyMixin(PageMixin):
    """Not there where the backend of this page's brand keeps no passkeys."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not passkey_login.are_kept(client=self.viewer):
            raise Http404
        return super().dispatch(request, *args, **kwargs)


class PasskeyPage(FormPage):
    """A page whose form our script fills in with what the browser answers."""

    def form_invalid(self, form: Any) -> HttpResponse:
        problem = str(form.not_given) if form.non_field_errors() else ""
        if not self.request.POST.get("credential"):
            problem = _("Your browser was not asked for a passkey. Allow JavaScript for this page, or try another way.")
        return self.render_to_response(self.get_context_data(form=form, problem=problem))


class EnrollPasskeyMixin(PageMixin):
    """Not there where the site offers no passkeys."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not page_of(FactorKind.PASSKEY, self.access.acting_user, self.viewer):
            raise Http404
        return super().dispatch(request, *args, **kwargs)


class EnrollPasskeyView(EnrollPasskeyMixin, StepUpMixin, PasskeyPage):
    """Make a passkey on the device at hand, under a name of the person's own."""

    template_name = "twilio_verify/enroll_passkey.html"
    form_class = NewPasskeyForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if "enrolling" in request.POST and not session.has_secret(request):
            # A second press whose session the first one has just replaced.
            return self.go("recovery_codes")
        return super().dispatch(request, *args, **kwargs)

    def must_prove(self) -> HttpResponse:
        enrolled = self._enrolled_just_now()
        return super().must_prove() if enrolled is None else self.already_enrolled(enrolled)

    def _enrolled_just_now(self) -> Verification | None:
        """What is posted again, if that has enrolled a passkey: a second press may have read the session before the
        first one wrote to it.
        """
        form = self.get_form()
        if self.request.method != "POST" or not form.is_valid():
            return None
        try:
            posted = lifecycle.get(form.cleaned_data["verification"], client=self.client, user=self.person)
        except VerificationNotFound:
            return None
        fits = (posted.purpose, posted.channel) == (Purpose.ENROLL, Channel.PASSKEY)
        return posted if fits and posted.approved_at is not None else None

    def get_initial(self) -> dict[str, Any]:
        return {"name": self._free_name()}

    def _free_name(self) -> str:
        """What the browser calls itself, and a number if the person has a factor of that name."""
        name = browser_name(self.request.headers.get("User-Agent", "")) or _("My passkey")
        taken = {factor.label for factor in own_factors.usable(self.person)}
        numbered = (f"{name[: MAX_NAME - 4]} {number}" for number in range(2, len(taken) + 3))
        return next(one for one in (name, *numbered) if one not in taken)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        given = form.cleaned_data
        try:
            done = login.finish_setup(self.request, given["verification"], credential=given["credential"])
        except VerificationRequired:
            return demand_proof(self)
        except TwilioVerifyError as error:
            return self.refuse(form, error)
        if done.checked.approved:
            return self.enrolled(done)
        if done.checked.already_approved:
            return self.already_enrolled(done.checked.verification)
        return self.render_to_response(self.get_context_data(form=form, problem=sentence_for(done.checked)))

    def already_enrolled(self, verification: Verification) -> HttpResponse:
        """A second press: on to where the first one leads, by the recovery codes if that one's answer held them."""
        if codes_may_be_unseen(self.request, verification):
            return self.go("recovery_codes")
        return HttpResponseRedirect(self.next or self.url("factors"))

    def enrolled(self, done: SetupChecked) -> HttpResponse:
        """Where to, once the passkey is there. SECURITY: reached by exactly one request for each passkey."""
        if done.factor is None:  # removed at this very moment
            return self.go("factors")
        if done.is_first:
            return recovery_codes_page(self, recovery_codes.issue(self.person, self.client), first=True)
        return HttpResponseRedirect(self.next or self.url("factors"))


class EnrollPasskeyOptionsView(EnrollPasskeyMixin, StepUpMixin):
    """Have the provider make a passkey of that name. POST only; answers with JSON for the browser."""

    http_method_names = ("post", "options")

    def post(self, request: HttpRequest) -> HttpResponse:
        form = NameForm(request.POST)
        if not form.is_valid():
            return JsonResponse({"problem": str(form.errors["name"][0])}, status=409)
        try:
            begun = devices.begin_passkey(self.person, self.client, name=form.cleaned_data["name"])
        except TwilioVerifyError as error:
            return problem_answer(error)
        return options_answer(begun.verification, begun.browser_options)


class PasskeySignInView(PasskeyMixin, PasskeyPage):
    """Sign in with a passkey alone. Posted to by login pages, and a page of its own where that did not work."""

    template_name = "twilio_verify/passkey_sign_in.html"
    form_class = CredentialForm

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated:
            return self.go_on()
        return super().get(request, *args, **kwargs)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        given = form.cleaned_data
        try:
            checked = login.finish_passkey_login(self.request, given["verification"], credential=given["credential"])
        except TwilioVerifyError as error:
            return self.refuse(form, error)
        if checked.already_approved:  # the second press of a double click
            return self.go_on()
        if checked.approved:
            response = after_sign_in(self, Channel.PASSKEY.value)
            hints.remember(self.request, response, Channel.PASSKEY.value)
            return response
        return self.render_to_response(self.get_context_data(form=form, problem=sentence_for(checked)))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        login_url = with_next(resolve_url(django_settings.LOGIN_URL), self.next)
        return super().get_context_data(login_url=login_url, **kwargs)


class PasskeySignInOptionsView(PasskeyMixin):
    """Options for whoever is at the browser. POST only; answers with JSON.

    SECURITY: it is the same for everybody: nothing is looked up, and the session gets nothing but its secret.
    """

    http_method_names = ("post", "options")

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            begun = login.begin_passkey_login(request)
        except TwilioVerifyError as error:
            return problem_answer(error)
        return options_answer(begun.verification, begun.browser_options)
