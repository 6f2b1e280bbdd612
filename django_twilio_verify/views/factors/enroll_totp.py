"""Enrolling an authenticator app: a name, then the secret in one answer, then the first code."""

from __future__ import annotations

from dataclasses import dataclass, field
from textwrap import wrap
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ... import login
from ...backends.factor_options import MAX_NAME
from ...choices import Channel, FactorKind, Purpose
from ...conf import settings
from ...core.codes import TOTP_DIGITS
from ...exceptions import BackendError, TwilioVerifyError, VerificationNotFound, VerificationRequired
from ...factors import devices
from ...factors.results import Setup
from ...forms.names import NameForm
from ...forms.verification import AppCodeForm
from ...models import Verification
from ...verifications import challenge_steps, lifecycle
from ...verifications.results import Checked
from ..base import FormPage, StepUpMixin, demand_proof
from ..enroll_options import page_of
from ..qr import svg
from ..verification.approved import ProofMixin


@dataclass(frozen=True, slots=True)
class ShownSetup:
    """What one answer shows of a new authenticator app. SECURITY: whoever reads it, has the factor; so it has no
    ``repr``, and nothing keeps it.
    """

    secret: str = field(repr=False)
    uri: str = field(repr=False)

    @classmethod
    def of(cls, begun: Setup) -> ShownSetup:
        # SECURITY: what the provider says ends in an ``href``.
        return cls(begun.secret, begun.uri if begun.uri.startswith("otpauth://") else "")

    @property
    def groups(self) -> list[str]:
        """The secret in groups of four, to be typed."""
        return wrap(self.secret, 4)

    @property
    def qr(self) -> str:
        """The QR code; ``""`` if there is nothing to scan."""
        return svg(self.uri) if self.uri else ""


class TotpView(StepUpMixin, FormPage):
    """Name it. POST has the provider make a secret, and its answer is the only one that shows it."""

    template_name = "twilio_verify/enroll_totp.html"
    form_class = NameForm

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if not page_of(FactorKind.TOTP, self.access.acting_user, self.viewer):
            raise Http404
        return super().dispatch(request, *args, **kwargs)

    def get_initial(self) -> dict[str, Any]:
        return {"name": _("Authenticator app")}

    @sensitive_variables("begun")
    def form_valid(self, form: forms.Form) -> HttpResponse:
        account = self.person.get_username()[:MAX_NAME] or str(settings.program.name)[:MAX_NAME]
        label = form.cleaned_data["name"]
        try:
            begun = devices.begin_totp(self.person, self.client, name=account or label, label=label)
        except TwilioVerifyError as error:
            return self.refuse(form, error)
        context = code_context(begun.verification, form=AppCodeForm(), setup=ShownSetup.of(begun))
        return TemplateResponse(self.request, "twilio_verify/enroll_totp_code.html", self.get_context_data(**context))


class TotpCodeView(ProofMixin, FormPage):
    """Take the first code. SECURITY: without the secret: it was shown once, and the app has it."""

    template_name = "twilio_verify/enroll_totp_code.html"
    form_class = AppCodeForm

    def own_url(self) -> str:
        return self.url("enroll_totp_code", self.verification.pk)

    @cached_property
    def verification(self) -> Verification:
        found = lifecycle.get(self.kwargs["verification"], client=self.client, user=self.person)
        if found.channel != Channel.TOTP or found.purpose != Purpose.ENROLL or self.person is None:
            raise VerificationNotFound
        return found

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if self.verification.approved_at is not None:
            return self.already_approved()
        return super().get(request, *args, **kwargs)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        verification = self.verification  # 404 for a visitor, and for everybody else's
        assert self.person is not None
        try:
            done = login.finish_setup(self.request, verification, code=form.cleaned_data["code"])
        except BackendError as error:
            return self.refuse(form, error)
        except VerificationRequired:
            return demand_proof(self)
        self.verification = done.checked.verification
        if done.enrolled is not None and done.checked.approved:
            return self.enrolled(done.enrolled)
        if done.checked.already_approved:
            return self.already_approved()
        return self.not_confirmed(form, done.checked)

    def not_confirmed(self, form: forms.Form, checked: Checked) -> HttpResponse:
        form.add_error("code", checked.user_message)
        return self.render_to_response(self.get_context_data(form=form, retry_at=checked.retry_at))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(**code_context(self.verification, **kwargs))


def code_context(verification: Verification, **kwargs: Any) -> dict[str, Any]:
    """What the page of the first code shows, with a ``setup`` or without one."""
    factor = challenge_steps.factor_of(verification)
    return {
        "verification": verification,
        "is_open": lifecycle.is_open(verification),
        "code_length": _digits(verification),
        "name": factor.label if factor is not None else _("Authenticator app"),
        "code_url": reverse("twilio_verify:enroll_totp_code", args=[verification.pk]),
        **kwargs,
    }


def _digits(verification: Verification) -> int:
    factor = challenge_steps.factor_of(verification)
    return (factor.digits if factor is not None else 0) or TOTP_DIGITS
