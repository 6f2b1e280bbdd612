"""Sending a code to where we already know, by one way, with the person's agreement to that way."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpResponse, HttpResponseRedirect

from ..choices import Channel, Purpose
from ..exceptions import ConsentRequired, FactorNotFound, TwilioVerifyError
from ..flows import consent, verifications
from ..flows.options import Payment
from ..forms.recipients import ConsentForm
from ..models import Factor
from ..recipients import Recipient
from ..results import Started
from .address import act, button_of
from .base import FormPage, code_url


class SendPage(FormPage):
    """A page with one button, "Send code". Showing it sends nothing.

    Where no live consent covers this way, the page shows its disclosure and an unticked box above the button.
    """

    channel: Channel
    recipient: Recipient
    purpose: Purpose
    factor: Factor | None = None
    payment = Payment()
    backend: str | None = None
    """An alias; ``None`` to ask the router."""

    def sending_for(self) -> AbstractBaseUser | None:
        """Whose proof it is; ``None`` for a visitor."""
        return self.access.acting_user

    def is_agreed(self) -> bool:
        return (
            consent.live(
                recipient=self.recipient,
                channel=self.channel,
                client=self.client,
                user=self.sending_for(),
            )
            is not None
        )

    def get_form(self, form_class: type[forms.Form] | None = None) -> forms.Form:
        """With the box where consent is missing. On posting that is what was posted: the flow asks the ledger
        itself.
        """
        is_plain = "disclosure" not in self.request.POST if self.request.method == "POST" else self.is_agreed()
        kwargs = self.get_form_kwargs()
        return forms.Form(**kwargs) if is_plain else ConsentForm(channel=self.channel, **kwargs)

    def form_valid(self, form: forms.Form) -> HttpResponse:
        try:
            if isinstance(form, ConsentForm):
                self._grant(form)
            started = self.send()
        except ConsentRequired as error:
            return self.refuse(form if isinstance(form, ConsentForm) else ConsentForm(channel=self.channel), error)
        except FactorNotFound:
            return self.gone()
        except TwilioVerifyError as error:
            return self.refuse(form, error)
        return HttpResponseRedirect(code_url(self, started))

    def send(self) -> Started:
        """Have the code sent. Raises as ``verifications.start``."""
        return verifications.start(
            recipient=self.recipient,
            channel=self.channel,
            client=self.client,
            user=self.sending_for(),
            purpose=self.purpose,
            factor=self.factor,
            backend=self.backend,
            amount=self.payment.amount,
            payee=self.payment.payee,
        )

    def gone(self) -> HttpResponse:
        """The answer where the factor was removed or replaced since the page was shown."""
        raise FactorNotFound

    def _grant(self, form: ConsentForm) -> None:
        consent.grant(
            recipient=self.recipient,
            channel=self.channel,
            client=self.client,
            user=self.sending_for(),
            disclosure=form.cleaned_data["disclosure"],
            purpose=self.purpose,
            act=act(button_of(self.channel)),
        )

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        if "recipient" not in kwargs and hasattr(self, "recipient"):  # a device has none
            kwargs["recipient"] = self.recipient
        return super().get_context_data(channel=self.channel, **kwargs)
