"""Enrolling a phone with the site's app: the access tokens that the app asks for, and the page that waits for it.

The app signs in on the phone, in a session of its own, and enrolls it there. The page on another screen gets nothing by
that: it learns that there is a phone now, and its own session has to prove it as any other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from django import forms
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import patch_cache_control
from django.utils.functional import cached_property
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ... import login
from ...choices import CheckOutcome, FactorKind
from ...conf import settings
from ...exceptions import ResetLinkRequired, TwilioVerifyError, VerificationRequired
from ...factors import devices, recovery_codes
from ...factors.results import SetupChecked
from ...forms.names import NameForm
from ...login import missing, redirects, session
from ..base import FormPage, PageMixin, StepUpMixin, demand_proof, is_proof_old, must_open_link_first, must_prove_first
from ..enroll_options import page_of
from ..errors import Refusal

TOKEN_SECONDS = 60
"""SECURITY: as short as the provider makes them: it is good for one registration, by an app that waits for it."""
WAITS = 600
"""Seconds for which the page asks by itself."""
POLL_SECONDS = 3
MAX_BODY = 2048


class PushMixin(PageMixin):
    """404 where the person's backend keeps no phones, or the site names no app (``TWILIO_VERIFY_PUSH_APP_NAME``)."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not self.is_offered:
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    @cached_property
    def is_offered(self) -> bool:
        return bool(page_of(FactorKind.PUSH, self.access.acting_user, self.viewer))

    @property
    def since(self) -> datetime:
        """When the page was first shown, as it says itself; now, if it says nothing that can be read."""
        given = self.request.POST.get("since") or self.request.GET.get("since", "")
        now = timezone.now()
        if not (given.isascii() and given.isdigit() and len(given) <= 10):
            return now.replace(microsecond=0)
        return min(now, datetime.fromtimestamp(int(given), tz=UTC))


class PhoneView(PushMixin, StepUpMixin, FormPage):
    """Says what to do on the phone, and waits for it. Asks our own record only; POST is for pages without scripts."""

    template_name = "twilio_verify/enroll_push.html"
    form_class = forms.Form

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        person = self.access.acting_user if request.method == "POST" and self.is_offered else None
        if person is not None and devices.phone_since(person, self.since) is not None:
            # Before anything else: a person's first phone is a factor that this session has yet to prove.
            return HttpResponseRedirect(self.next or self.url("factors"))
        return super().dispatch(request, *args, **kwargs)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        sentence = _("No phone has been set up so far. Sign in with the app on your phone first.")
        return self.render_to_response(self.get_context_data(form=form, problem=sentence))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        since = int(self.since.timestamp())
        asked: dict[str, str | int] = {
            "since": since,
            **({redirects.REDIRECT_FIELD_NAME: self.next} if self.next else {}),
        }
        status_url = f"{reverse('twilio_verify:enroll_push_status')}?{urlencode(asked)}"
        return super().get_context_data(
            app=settings.push_app_name, since=since, status_url=status_url, waits=WAITS, **kwargs
        )


class PhoneStatusView(PushMixin):
    """JSON for the page that waits: ``status`` is ``pending`` or ``registered``; ``next`` is where to go on, if so."""

    http_method_names = ("get", "head", "options")

    def get(self, request: HttpRequest) -> HttpResponse:
        person = self.access.acting_user
        if person is None:
            raise Http404
        if devices.phone_since(person, self.since) is None:
            return JsonResponse({"status": "pending", "next": ""})
        return JsonResponse({"status": "registered", "next": self.next or reverse("twilio_verify:factors")})


class AppMixin(PushMixin):
    """What the site's app asks, in JSON. Errors are JSON too: ``code`` and ``detail``, and ``url`` where the person has
    to go first.

    SECURITY: for the person of the session alone, who has just proved a factor or has none so far.
    """

    http_method_names = ("post", "options")
    person: AbstractBaseUser

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        try:
            return super().dispatch(request, *args, **kwargs)
        except Http404 as error:  # VerificationNotFound is one
            code = error.code if isinstance(error, TwilioVerifyError) else "not_found"
            return self.refused(404, code, _("This is not known here."))

    def refusal(self) -> HttpResponse | None:
        """The answer to somebody who may not, else ``None`` and ``person`` is set."""
        person = self.access.acting_user
        if person is None:
            return self.refused(401, "not_signed_in", _("Sign in first."))
        if must_prove_first(self, person):
            return self.first_prove()
        if is_proof_old(self, person):
            url = reverse("twilio_verify:step_up")
            return self.refused(403, "step_up_required", _("Confirm that it is you first."), url=url)
        if must_open_link_first(self, person):
            error = ResetLinkRequired()
            return self.refused(403, error.code, error.user_message, url=reverse("twilio_verify:reset_held"))
        self.person = person
        return None

    def first_prove(self) -> HttpResponse:
        """The sign-in waits from now on: the person has a factor and has not passed one in this session."""
        try:
            demand_proof(self)
        except PermissionDenied as error:
            return self.refused(401, "not_signed_in", str(error))
        url = reverse("twilio_verify:challenge")
        return self.answered(401, missing.describe("second_factor_required", url=url))

    def refused(self, status: int, code: str, detail: str, **more: Any) -> HttpResponse:
        return self.answered(status, {"code": code, "detail": detail, **more})

    def answered(self, status: int, body: dict[str, Any]) -> HttpResponse:
        response = JsonResponse(body, status=status)
        patch_cache_control(response, no_store=True, private=True)
        return response

    def failed(self, error: TwilioVerifyError) -> HttpResponse:
        """What came of an error of the flow: 429, 503, and 409 for what the provider refuses."""
        refusal = Refusal.of(error, otherwise=409)
        return refusal.tell(self.refused(refusal.status, error.code, error.user_message))


class AccessTokenView(AppMixin):
    """Let the app on this person's phone register it: what Twilio's library on the phone needs, once."""

    @sensitive_variables("begun")
    def post(self, request: HttpRequest) -> HttpResponse:
        if refusal := self.refusal():
            return refusal
        name = _name_in(request)
        if name is None:
            return self.refused(400, "invalid", _("Give a JSON object with a name of 1 to 64 characters, or nothing."))
        try:
            begun = devices.begin_push(self.person, self.client, name=name, ttl=TOKEN_SECONDS)
        except TwilioVerifyError as error:
            return self.failed(error)
        # SECURITY: in the body of this answer and nowhere else.
        return JsonResponse(
            {
                "token": begun.access_token,
                "identity": begun.identity,
                "service_sid": begun.service_sid,
                "verification": str(begun.verification.pk),
                "expires_in": TOKEN_SECONDS,
            }
        )


class AccessTokenConfirmView(AppMixin):
    """The app says that it has registered: enroll the phone, if the provider knows of it. To be asked until it is."""

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if refusal := self.refusal():
            return refusal
        try:
            done = login.finish_setup(request, kwargs["verification"])
        except VerificationRequired:
            return self.first_prove()
        except Http404:
            raise
        except TwilioVerifyError as error:
            return self.failed(error)
        outcome = done.checked.outcome
        if outcome == CheckOutcome.WRONG_ANSWER_TYPE:
            raise Http404
        if done.checked.approved:
            return self.enrolled(done)
        if outcome == CheckOutcome.WAITING:
            return JsonResponse({"status": "waiting", "retry_after": POLL_SECONDS})
        return JsonResponse({"status": _WORDS.get(outcome, outcome.value)})

    def enrolled(self, done: SetupChecked) -> HttpResponse:
        """SECURITY: reached by exactly one request for each enrollment."""
        factor = done.factor
        if factor is None:
            return self.first_prove()
        answer: dict[str, Any] = {"status": "enrolled", "name": factor.label}
        if done.is_first:
            session.note_codes_shown(self.request)
            answer["recovery_codes"] = recovery_codes.issue(self.person, self.client)
        return JsonResponse(answer)


_WORDS = {CheckOutcome.ALREADY_APPROVED: "enrolled"}


def _name_in(request: HttpRequest) -> str | None:
    """The name in the body, JSON or a form; ours if there is none; ``None`` for what is no name."""
    given: Any = request.POST
    if request.content_type == "application/json":
        try:
            given = json.loads(request.body[: MAX_BODY + 1] or b"{}")
        except (ValueError, RecursionError):  # UnicodeDecodeError, and what was cut off, are of the first kind
            return None
    name = given.get("name", _("Phone")) if isinstance(given, Mapping) else None
    form = NameForm({"name": name})
    return form.cleaned_data["name"] if isinstance(name, str) and form.is_valid() else None
