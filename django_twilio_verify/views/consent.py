"""Taking consent back, and showing to anybody how it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import reverse

from ..choices import CODE_CHANNELS, LINK_CHANNELS, Channel, Purpose
from ..client import session_secret
from ..conf import settings
from ..consent import self_service
from ..consent.context import ConsentContext
from ..exceptions import TwilioVerifyError
from ..factors import own_factors
from ..forms.consent import ChannelsForm, StopEmailForm, StopPhoneForm, stop_form
from ..forms.recipients import ConsentForm, OnceForm, recipient_form
from ..login import redirects
from ..models import Verification
from ..verifications import holder
from .base import FormPage, PersonMixin, TemplatePage
from .verification.send import AddressPage, SendPage, button_of, named, offered

ON_A_PAGE = 50
"""Entries of a list of consents."""


class ConsentsView(PersonMixin, TemplatePage):
    """What the person agreed to, with a button beside each to stop it."""

    template_name = "twilio_verify/consents.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        found = sorted(self_service.own_consents(self.person), key=lambda own: not own.state.is_live)
        page = Paginator(found, ON_A_PAGE).get_page(request.GET.get("page"))
        context = self.get_context_data(
            consents=[own.state for own in page if own.state.is_live],
            ended=[own for own in page if not own.state.is_live],
            page_obj=page,
        )
        return self.render_to_response(context)


class WithdrawView(PersonMixin):
    """Stop one consent of the person's own. POST only; a second press finds it stopped and changes nothing."""

    http_method_names = ("post", "options")

    @property
    def next(self) -> str:
        """Back to the list, also from a challenge on the way: this address itself answers no GET."""
        return super().next or reverse("twilio_verify:consents")

    def post(self, request: HttpRequest, event: int) -> HttpResponse:
        try:
            self_service.withdraw(event, user=self.person, client=self.client, button="Stop")
        except LookupError as error:
            raise Http404 from error
        return HttpResponseRedirect(self.next)


class ReopenView(PersonMixin, SendPage):
    """Ask for the one code by which a person verifies again a number that has opted out.

    SECURITY: only for a factor of the person's own: the number was verified before, by this very account.
    """

    template_name = "twilio_verify/reopen.html"
    purpose = Purpose.VERIFY

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        person = self.access.acting_user
        if person is not None:
            owned = [one for one in own_factors.usable(person) if one.pk == kwargs["factor"] and one.recipient_value]
            if not owned:
                raise Http404
            self.recipient = owned[0].recipient
            self.channel = named(kwargs["channel"], self_service.channels_to(self.recipient))
        return super().dispatch(request, *args, **kwargs)

    def is_agreed(self) -> bool:
        return False

    def consent_form(self) -> type[ConsentForm]:
        return OnceForm

    def get_form(self, form_class: type[forms.Form] | None = None) -> forms.Form:
        return OnceForm(channel=self.channel, **self.get_form_kwargs())

    def form_valid(self, form: forms.Form) -> HttpResponse:
        assert isinstance(form, OnceForm)
        try:
            started = holder.ask_to_reopen(
                recipient=self.recipient,
                channel=self.channel,
                disclosure=form.shown,
                client=self.client,
                user=self.person,
                context=ConsentContext.checkbox(button_label=button_of(self.channel)),
            )
        except TwilioVerifyError as error:
            return self.refuse(form, error)
        proved = reverse("twilio_verify:reopen_proved", args=[started.verification.pk])
        name = "link" if started.verification.channel in LINK_CHANNELS else "code"
        return HttpResponseRedirect(
            redirects.with_next(reverse(f"twilio_verify:{name}", args=[started.verification.pk]), proved)
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        return super().get_context_data(factor_id=self.kwargs["factor"], **kwargs)


class ReopenProvedView(PersonMixin, FormPage):
    """The number is verified again: end the opt-out. Nothing is sent before the person agrees where a page asks."""

    template_name = "twilio_verify/reopen_proved.html"
    form_class = forms.Form

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        verification = holder.proved(kwargs["verification"], client=self.client, user=self.person)
        return self.render_to_response(
            self.get_context_data(form=forms.Form(), recipient=verification.recipient, verification=verification)
        )

    def form_valid(self, form: forms.Form) -> HttpResponse:
        holder.reopen(self.kwargs["verification"], user=self.person, client=self.client, button="Allow messages again")
        return self.go("consents")


class StopView(AddressPage):
    """For whoever holds an address, without an account: say which, agree to one code, and have it sent."""

    template_name = "twilio_verify/withdraw.html"

    def ways(self) -> Sequence[Channel]:
        """By those that bring a code, somebody without an account can prove an address."""
        return [channel for channel in settings.channels if channel in CODE_CHANNELS]

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        # The visitor's session begins here and not with the press of the button: two first presses, each making one,
        # would be two visitors, and two messages.
        session_secret(request)
        return super().get(request, *args, **kwargs)

    def get_form_class(self) -> type[StopPhoneForm] | type[StopEmailForm]:
        return stop_form(self.channel)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        assert isinstance(form, StopPhoneForm | StopEmailForm)
        try:
            started = holder.ask(
                recipient=form.cleaned_data["recipient"],
                channel=self.channel,
                disclosure=form.shown,
                client=self.client,
                context=ConsentContext.checkbox(button_label=self.button),
            )
        except TwilioVerifyError as error:
            return self.refuse(form, error)
        proved = reverse("twilio_verify:stop_proved", args=[started.verification.pk])
        code = reverse("twilio_verify:code", args=[started.verification.pk])
        return HttpResponseRedirect(redirects.with_next(code, proved))


class StopProvedView(FormPage):
    """The address is proved: choose what to stop, and stop it. Afterwards, what is stopped."""

    template_name = "twilio_verify/withdraw_confirm.html"
    form_class = ChannelsForm
    button = "Stop"
    verification: Verification

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.verification = holder.proved(kwargs["verification"], client=self.client)
        self.ways = self_service.channels_not_opted_out(self.verification.recipient)
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        # A way that another press has stopped meanwhile may be named again: it stays stopped.
        ways = self.ways if self.request.method == "GET" else self_service.channels_to(self.verification.recipient)
        return {**super().get_form_kwargs(), "ways": ways}

    def form_valid(self, form: forms.Form) -> HttpResponse:
        holder.stop(
            self.verification.pk,
            channels=form.cleaned_data["channels"],
            client=self.client,
            button=self.button,
        )
        return self.go("stop_proved", self.verification.pk)

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        recipient = self.verification.recipient
        stopped = [way for way in self_service.channels_to(recipient) if way not in self.ways]
        return super().get_context_data(recipient=recipient, ways=self.ways, stopped=stopped, **kwargs)


class OptInView(TemplatePage):
    """How consent is asked, for a reviewer of the provider's who has no account. Shows, and takes nothing."""

    template_name = "twilio_verify/opt_in.html"
    http_method_names = ("get", "head", "options")

    def get(self, request: HttpRequest, channel: str = "") -> HttpResponse:
        # What people agree to: a way that may end in another one asks for that one's words.
        agreed = dict.fromkeys(way.consent_channel for way in ([offered(channel)] if channel else settings.channels))
        forms_shown = [
            recipient_form(way)(channel=way, auto_id=f"id_{way.value}_%s", use_required_attribute=False)
            for way in agreed
        ]
        response = self.render_to_response(
            self.get_context_data(forms=forms_shown, stop_url=request.build_absolute_uri(_stop_path()))
        )
        response.headers["X-Robots-Tag"] = "noindex"
        return response


def _stop_path() -> str:
    return reverse("twilio_verify:stop")
