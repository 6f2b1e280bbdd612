"""Enrolling: choose a way, say where to, agree, and have a code sent."""

from __future__ import annotations

from django import forms
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect

from ..choices import Purpose
from ..conf import settings
from ..exceptions import TwilioVerifyError
from ..flows import consent, verifications
from ..forms.recipients import EmailForm, PhoneForm, recipient_form
from .address import AddressPage, act
from .base import PersonMixin, TemplatePage, code_url


class EnrolView(PersonMixin, TemplatePage):
    """Choose a way of getting codes."""

    template_name = "twilio_verify/enrol.html"

    def get(self, request: HttpRequest) -> HttpResponse:
        channels = settings.channels
        if len(channels) == 1:
            return self.go("enrol_recipient", channels[0].value)
        return self.render_to_response(self.get_context_data(channels=channels))


class EnrolRecipientView(PersonMixin, AddressPage):
    """Say where to, read the disclosure, agree; the code is sent on posting."""

    template_name = "twilio_verify/enrol_recipient.html"

    def get_form_class(self) -> type[PhoneForm] | type[EmailForm]:
        return recipient_form(self.channel)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        client, recipient = self.client, form.cleaned_data["recipient"]
        try:
            verifications.validate(recipient=recipient, channel=self.channel)
            consent.grant(
                recipient=recipient,
                channel=self.channel,
                client=client,
                user=self.person,
                disclosure=form.cleaned_data["disclosure"],
                purpose=Purpose.ENROL,
                act=act(self.button),
            )
            started = verifications.start(
                recipient=recipient,
                channel=self.channel,
                client=client,
                user=self.person,
                purpose=Purpose.ENROL,
            )
        except TwilioVerifyError as error:
            return self.refuse(form, error)
        return HttpResponseRedirect(code_url(self, started))
