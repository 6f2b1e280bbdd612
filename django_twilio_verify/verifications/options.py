"""What one send is told: the call's options, over the site's setting, over what is known of the person."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import to_locale
from django.views.decorators.debug import sensitive_variables

from ..backends.handler import backends
from ..backends.options import NO_OPTIONS, OUR_TAG, IncompatibleOptions, SendOptions, SendRequest
from ..choices import Channel, Feature, Purpose
from ..conf import settings

GivenOptions = SendOptions | Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Payment:
    """What a payment is bound to, as it is compared and shown. Empty for other purposes.

    Args:
        amount: The amount with its currency, as "39,00 €": free text in one line.
        payee: Who is paid: free text in one line.
    """

    amount: str = ""
    payee: str = ""

    @classmethod
    def of(cls, amount: str, payee: str) -> Payment:
        """Return the payment with single spaces between the words of both texts."""
        return cls(" ".join(str(amount).split()), " ".join(str(payee).split()))


@dataclass(frozen=True, slots=True)
class Gathered:
    """The options of one send. ``insists``: its custom code was named by the call, so that no other one will do."""

    options: SendOptions
    insists: bool = False


@sensitive_variables("given")
def gather(request: SendRequest, given: GivenOptions, payment: Payment) -> Gathered:
    """The options of ``request``: those of the call, over those of the site that fit the channel, over ours.

    Raises ``IncompatibleOptions`` for what cannot be told to the provider together, or that its backend cannot carry,
    and ``ImproperlyConfigured`` for a setting that gives no options.
    """
    call = SendOptions.of(given)
    if call.amount or call.payee:
        raise IncompatibleOptions("amount and payee are arguments of start() itself, with purpose='payment'.")
    chosen = _with_payment(call.over(of_setting(request).fitting(request.channel)), request, payment)
    features = backends[request.backend].features
    if lacking := sorted(chosen.features - features):
        raise IncompatibleOptions(f"The backend {request.backend!r} does not take {lacking[0].label}.")
    options = chosen.over(_ours(request, features))
    tagged(options, "").check(request.channel)
    return Gathered(options, insists=bool(call.custom_code))


def tagged(options: SendOptions, verification_id: object) -> SendOptions:
    """``options`` with our own tag, whatever tags the site has."""
    return SendOptions(tags={**options.tags, OUR_TAG: str(verification_id)}).over(options)


@sensitive_variables("given", "setting")
def of_setting(request: SendRequest) -> SendOptions:
    """What ``TWILIO_VERIFY_SEND_OPTIONS`` has for ``request``, its callables called.

    Raises ``ImproperlyConfigured`` for what is no mapping of options.
    """
    setting = settings.send_options
    given: Any = setting(request) if callable(setting) else setting
    if isinstance(given, SendOptions) or given is None:
        return given or NO_OPTIONS
    if not isinstance(given, Mapping):
        raise ImproperlyConfigured("TWILIO_VERIFY_SEND_OPTIONS must give a dict of options.")
    try:
        found = SendOptions.of({name: value(request) if callable(value) else value for name, value in given.items()})
    except IncompatibleOptions as error:
        raise ImproperlyConfigured(f"TWILIO_VERIFY_SEND_OPTIONS: {error}") from None
    if found.amount or found.payee:
        raise ImproperlyConfigured("TWILIO_VERIFY_SEND_OPTIONS: amount and payee are those of each payment.")
    return found


def _with_payment(options: SendOptions, request: SendRequest, payment: Payment) -> SendOptions:
    """With amount and payee, where the Service is set to PSD2 and wants them."""
    if request.purpose != Purpose.PAYMENT or not settings.service(request.backend).psd2:
        return options
    return SendOptions(amount=payment.amount, payee=payment.payee).over(options)


def _ours(request: SendRequest, features: frozenset[Feature]) -> SendOptions:
    """What is known of the person and fits, so far as the backend can carry it."""
    known = SendOptions(locale=_locale(request.client.language), device_ip=_public(request.client.ip))
    carried = known if request.channel == Channel.AUTO else known.without("device_ip")
    lacking = [name for name, feature in _OURS.items() if feature not in features]
    return carried.without(*lacking)


_OURS = {"locale": Feature.LOCALE, "device_ip": Feature.DEVICE_IP}


def _locale(language: str) -> str:
    """The person's language as a BCP 47 tag, as Verify's ``Locale`` wants it."""
    return to_locale(language).replace("_", "-") if language else ""


def _public(ip: str) -> str:
    """``ip``, if it is an address that a carrier could know; Verify wants a public one."""
    try:
        return ip if ip_address(ip).is_global else ""
    except ValueError:
        return ""
