"""Pages that send: to a known recipient, or to one that the page asks for, with consent to that channel."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django import forms
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase

from ... import consent
from ...choices import Channel, Purpose
from ...client import region_from
from ...conf import settings
from ...consent.gate import NewConsent
from ...core.recipients import Recipient
from ...exceptions import ConsentRequired, FactorNotFound, TwilioVerifyError
from ...forms.recipients import ConsentForm, DisclosureForm, new_consent
from ...models import Factor
from ...verifications import lifecycle
from ...verifications.options import Payment
from ...verifications.results import Started
from ..base import FormPage, code_url


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
            consent.find(
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
        return forms.Form(**kwargs) if is_plain else self.consent_form()(channel=self.channel, **kwargs)

    def consent_form(self) -> type[ConsentForm]:
        """The box that is shown where consent is missing."""
        return ConsentForm

    def form_valid(self, form: forms.Form) -> HttpResponse:
        try:
            agreed = new_consent(form, button_of(self.channel)) if isinstance(form, DisclosureForm) else None
            started = self.send(agreed)
        except ConsentRequired as error:
            asks = error.can_agree and not isinstance(form, ConsentForm)
            return self.refuse(self.consent_form()(channel=self.channel) if asks else form, error)
        except FactorNotFound:
            return self.gone()
        except TwilioVerifyError as error:
            return self.refuse(form, error)
        return HttpResponseRedirect(code_url(self, started))

    def send(self, new_consent: NewConsent | None) -> Started:
        """Have the code sent. ``new_consent``: what the user agrees to with it. Raises as ``verifications.start``."""
        return lifecycle.start(
            recipient=self.recipient,
            channel=self.channel,
            client=self.client,
            user=self.sending_for(),
            purpose=self.purpose,
            factor=self.factor,
            backend=self.backend,
            amount=self.payment.amount,
            payee=self.payment.payee,
            new_consent=new_consent,
        )

    def gone(self) -> HttpResponse:
        """The answer where the factor was removed or replaced since the page was shown."""
        raise FactorNotFound

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        if "recipient" not in kwargs and hasattr(self, "recipient"):  # a device has none
            kwargs["recipient"] = self.recipient
        return super().get_context_data(channel=self.channel, **kwargs)


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
    return channel.row.button


class AddressPage(FormPage):
    """``channel`` is the one that the URL names; without one in the URL, the first of ``ways``."""

    channel: Channel
    button = "Send code"

    def ways(self) -> Sequence[Channel]:
        """The ways that the URL may name."""
        return settings.channels

    def other_channels(self) -> Sequence[Channel]:
        """The ways that the page leads to; its own one may be among them."""
        return self.ways()

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        ways = self.ways()
        if not ways:
            raise Http404
        self.channel = named(kwargs["channel"], ways) if "channel" in kwargs else ways[0]
        return super().dispatch(request, *args, **kwargs)

    def get_form_kwargs(self) -> dict[str, Any]:
        kwargs = super().get_form_kwargs()
        kwargs["channel"] = self.channel
        kwargs["region"] = region_from(self.request)
        return kwargs

    def get_context_data(self, **kwargs: Any) -> dict[str, Any]:
        kwargs.setdefault("other_channels", [channel for channel in self.other_channels() if channel != self.channel])
        return super().get_context_data(channel=self.channel, **kwargs)
