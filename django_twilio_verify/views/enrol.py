"""Enrolling: choose a way, say where to, agree, and have a code sent."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django import forms
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

from ..choices import Channel, ConsentMedium, Purpose
from ..conf import settings
from ..exceptions import TwilioVerifyError
from ..flows import consent, plan, verifications
from ..flows.consent import Act
from ..forms.recipients import EmailForm, PhoneForm, recipient_field, recipient_form
from ..web.client import region_of
from .base import FormPage, PersonMixin, TemplatePage, code_url


def offered(word: str) -> Channel:
    """The offered channel that a URL names; 404 for any other."""
    return named(word, settings.channels)


def named(word: str, channels: Iterable[Channel]) -> Channel:
    """The one of ``channels`` that a URL names; 404 for any other."""
    for channel in channels:
        if channel.value == word:
            return channel
    raise Http404


def button_of(channel: Channel) -> str:
    """What the button says that begins by ``channel`` (``_send.html``), in English, as consent is recorded with it."""
    return {Channel.SNA: "Start the check", Channel.AUTO: "Continue"}.get(channel, "Send code")


def act(button: str) -> Act:
    """The box under a disclosure was ticked and ``button`` pressed."""
    return Act(ConsentMedium.WEB, control="checkbox", default=False, final=True, button=str(button))


class EnrolView(PersonMixin, TemplatePage):
    """Choose a way of getting codes."""

    template_name = "twilio_verify/enrol.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        channels = plan.offered()
        if len(channels) == 1:
            return self.go("enrol_recipient", channels[0].value)
        return self.render_to_response(self.get_context_data(channels=channels))


class EnrolRecipientView(PersonMixin, FormPage):
    """Say where to, read the disclosure, agree; the code is sent on posting."""

    template_name = "twilio_verify/enrol_recipient.html"
    channel: Channel
    call_instead = False
    """Whether the number turned out to be a landline."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        self.channel = offered(kwargs["channel"])
        self.problem_field = recipient_field(self.channel)
        return super().dispatch(request, *args, **kwargs)

    def get_form_class(self) -> type[PhoneForm] | type[EmailForm]:
        return recipient_form(self.channel)

    def get_form_kwargs(self) -> dict[str, Any]:
        kwargs = super().get_form_kwargs()
        kwargs["channel"] = self.channel
        if self.channel != Channel.EMAIL:
            kwargs["region"] = region_of(self.request)
        return kwargs

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if "otherwise" in request.POST:  # from the page of another way: nothing was agreed to on this one yet
            return self.render_to_response(self.get_context_data(form=self.form_with_number()))
        return super().post(request, *args, **kwargs)

    def form_with_number(self) -> forms.Form:
        """The empty form, but for the number that was typed on the page of another way."""
        typed = {name: self.request.POST[name] for name in ("country", "number") if name in self.request.POST}
        kwargs = {name: value for name, value in self.get_form_kwargs().items() if name not in ("data", "files")}
        return self.get_form_class()(**{**kwargs, "initial": typed})

    def form_valid(self, form: forms.Form) -> HttpResponse:
        client, recipient = self.client, form.cleaned_data["recipient"]
        try:
            verifications.validate(
                recipient=recipient, channel=self.channel, purpose=Purpose.ENROL, client=client, user=self.person
            )
            consent.grant(
                recipient=recipient,
                channel=self.channel,
                client=client,
                user=self.person,
                disclosure=form.cleaned_data["disclosure"],
                purpose=Purpose.ENROL,
                act=act(button_of(self.channel)),
            )
            started = verifications.start(
                recipient=recipient,
                channel=self.channel,
                client=client,
                user=self.person,
                purpose=Purpose.ENROL,
            )
        except TwilioVerifyError as error:
            self.call_instead = error.code in ("landline", "phone_no_text")
            return self.refuse(form, error)
        return HttpResponseRedirect(code_url(self, started))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        others = [channel for channel in plan.offered() if channel != self.channel]
        return super().get_context_data(
            channel=self.channel,
            other_channels=others,
            offer_call=self.call_instead and Channel.CALL in others,
            **kwargs,
        )
