"""Choose a factor to enroll, and enroll a phone number or an email address."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from ...choices import Channel
from ...forms.recipients import EmailForm, PhoneForm, recipient_form
from ...ledger.persons import email_of
from ...login import session
from ...verifications.results import Started
from ..base import StepUpMixin, TemplatePage, code_url
from ..enroll_options import enroll_channels, enroll_options, is_strong_enough
from ..verification.send import AddressPage, button_of


class EnrollView(StepUpMixin, TemplatePage):
    """Choose what to add, the strongest first."""

    template_name = "twilio_verify/enroll.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        ways = enroll_options(self.person, self.client)
        if len(ways.channels) == 1 and not ways.devices and not ways.too_weak:
            return self.go("enroll_recipient", ways.channels[0].value)
        devices = [(way, self.url(way.page)) for way in ways.devices]
        context = self.get_context_data(devices=devices, channels=ways.channels, too_weak=ways.too_weak)
        return self.render_to_response(context)


class EnrollRecipientView(StepUpMixin, AddressPage):
    """Say where to, read the disclosure, agree; the code is sent on posting."""

    template_name = "twilio_verify/enroll_recipient.html"
    call_instead = False
    """Whether the number turned out to be a landline."""

    def get(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not is_strong_enough(self.channel, self.person, self.client):
            return self.go("enroll")  # which says why it is not there
        return super().get(request, *args, **kwargs)

    def other_channels(self) -> Sequence[Channel]:
        return enroll_channels(self.person, self.client)

    def get_form_class(self) -> type[PhoneForm] | type[EmailForm]:
        return recipient_form(self.channel)

    def post(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not is_strong_enough(self.channel, self.person, self.client):
            return self.go("enroll")
        if "otherwise" in request.POST:  # from the page of another way: nothing was agreed to on this one yet
            return self.render_to_response(self.get_context_data(form=self.form_with_number()))
        return super().post(request, *args, **kwargs)

    def form_with_number(self) -> forms.Form:
        """The empty form, but for the number that was typed on the page of another way."""
        typed = {name: self.request.POST[name] for name in ("country", "number", "email") if name in self.request.POST}
        kwargs = {name: value for name, value in self.get_form_kwargs().items() if name not in ("data", "files")}
        return self.get_form_class()(**{**kwargs, "initial": typed})

    def form_valid(self, form: forms.Form) -> HttpResponse:
        assert isinstance(form, PhoneForm | EmailForm)
        label = button_of(self.channel)
        started = form.send(self.request, user=self.person, purpose="enroll", button_label=label)
        if started is not None:
            return self.begun(started)
        assert form.failure is not None
        self.call_instead = form.failure.code in ("landline", "phone_no_text")
        return self.refuse(form, form.failure)

    def begun(self, started: Started) -> HttpResponse:
        """The code is on its way: what proving it is for, is settled now."""
        session.forget_replacement(self.request)
        return HttpResponseRedirect(code_url(self, started))

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        others = [channel for channel in self.other_channels() if channel != self.channel]
        is_warned = self.channel == Channel.EMAIL and bool(email_of(self.person))
        return super().get_context_data(
            account_has_address=is_warned,
            other_channels=others,
            suggests_call=self.call_instead and Channel.CALL in others,
            **kwargs,
        )
