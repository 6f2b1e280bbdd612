"""What a person changes about one factor: each change by a POST on an address of its own, after a proof of just now."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.functional import cached_property

from ... import factors
from ...choices import Channel, Purpose
from ...core.recipients import Recipient
from ...exceptions import LastFactor
from ...factors import changes, devices, own_factors
from ...factors.policy import requires_factor
from ...forms.factors import RemovalForm, add_sign_out
from ...forms.names import NameForm
from ...login import completion, ended_sessions, session
from ...models import Factor
from ...verifications import channel_plan
from ...verifications.results import Started
from ..base import FormPage, StepUpMixin, code_url
from ..upgrade_offer import LATER
from ..verification.send import SendPage
from .enroll import EnrollRecipientView


class ChangeMixin(StepUpMixin):
    """Pages about one factor of the person's own; 404 alike for unknown ones and other people's."""

    @property
    def next(self) -> str:
        """Back to the list, also from a proof on the way: some of these addresses answer no GET."""
        return super().next or reverse("twilio_verify:factors")

    @cached_property
    def factor(self) -> Factor:
        # SECURITY: looked up among the person's own factors, so nobody else's can be named.
        return own_factors.get(self.person, self.kwargs["factor"])

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(factor=self.factor, **kwargs)


class RenameView(ChangeMixin, FormPage):
    """Give a factor a name of one's own."""

    template_name = "twilio_verify/factor_rename.html"
    form_class = NameForm

    def get_initial(self) -> dict[str, Any]:
        return {"name": self.factor.label}

    def form_valid(self, form: forms.Form) -> HttpResponse:
        devices.rename(self.person, self.factor.pk, form.cleaned_data["name"])
        return HttpResponseRedirect(self.next)


class DefaultView(ChangeMixin):
    """Be asked by this factor first. POST only; a second press changes nothing."""

    http_method_names = ("post", "options")

    def post(self, request: HttpRequest, factor: int) -> HttpResponse:
        changes.make_default(self.person, factor, client=self.client)
        return HttpResponseRedirect(self.next)


class RemoveView(ChangeMixin, FormPage):
    """Say what removing a factor means; POST removes it."""

    template_name = "twilio_verify/factor_remove.html"
    form_class = RemovalForm

    @cached_property
    def required(self) -> bool:
        return requires_factor(self.person, self.request)

    @cached_property
    def left(self) -> list[Factor]:
        return [other for other in own_factors.confirmed(self.person) if other.pk != self.factor.pk]

    def form_valid(self, form: forms.Form) -> HttpResponse:
        end = partial(ended_sessions.end, self.request, self.person) if form.cleaned_data.get("sign_out") else None
        try:
            changes.remove(self.person, self.factor.pk, required=self.required, client=self.client, then=end)
        except LastFactor as error:
            return self.refuse(form, error)
        if factors.has_factor(self.person):
            completion.outlive_factor(self.request)
        else:
            completion.forget_proof(self.request)
        return HttpResponseRedirect(self.next)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        try:
            changes.check_removal(self.factor, self.left, required=self.required)
            refused = ""
        except LastFactor as error:
            refused = error.user_message
        return super().get_context_data(left=self.left, refused=refused, **kwargs)


class ReplaceView(ChangeMixin, EnrollRecipientView):
    """Prove another number or address in the place of one; the old one is in force until then."""

    template_name = "twilio_verify/factor_replace.html"

    @cached_property
    def replaced(self) -> Factor:
        if not self.factor.recipient_value:
            raise Http404
        return self.factor

    def ways(self) -> Sequence[Channel]:
        kind = self.replaced.recipient.kind
        offered = channel_plan.offered()
        return [channel for channel in offered if channel.recipient_kind == kind] or offered

    def other_channels(self) -> Sequence[Channel]:
        return self.ways()

    def get_form(self, form_class: type[forms.Form] | None = None) -> forms.Form:
        return add_sign_out(super().get_form(form_class))

    def begun(self, started: Started) -> HttpResponse:
        session.plan_replacement(
            self.request,
            started.verification.pk,
            self.replaced.pk,
            sign_out="sign_out" in self.request.POST,
        )
        return HttpResponseRedirect(code_url(self, started))


class ReverifyView(ChangeMixin, SendPage):  # type: ignore[misc]  # there is always a factor
    """Prove a number or address again that was not used for long. POST sends the code."""

    template_name = "twilio_verify/factor_reverify.html"
    # Not as a step-up or a sign-in: proving what may be somebody else's by now opens nothing.
    purpose = Purpose.ENROLL

    @cached_property
    def channel(self) -> Channel:  # type: ignore[override]
        """The way that worked last, or the first that is offered."""
        way = changes.reverify_channel(self.person, self.factor)
        if way is None:
            raise Http404
        return way

    @cached_property
    def recipient(self) -> Recipient:  # type: ignore[override]
        if not self.factor.recipient_value:  # what lives at the provider has no address to send to
            raise Http404
        return self.factor.recipient

    def form_valid(self, form: forms.Form) -> HttpResponse:
        session.forget_replacement(self.request)
        return super().form_valid(form)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(later=LATER in self.request.GET, **kwargs)
