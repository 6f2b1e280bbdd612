"""The optional parameters of a Verification, as Verify's Verifications resource names and bounds them.

https://www.twilio.com/docs/verify/api/verification
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from ipaddress import ip_address
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from django.utils.functional import Promise
from django.views.decorators.debug import sensitive_variables

from ..choices import Channel, Feature, Purpose
from ..core.client import ClientInfo
from ..core.recipients import Recipient

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


OUR_TAG = "verification"
"""The tag that holds the verification's id: opaque, and what events of the provider are matched by."""

MAX_TAGS = 10
MAX_TAG = 128
MAX_TEMPLATES = 10
MAX_FRIENDLY_NAME = 30
MAX_FRIENDLY_DIGITS = 4

_CODE = re.compile(r"[0-9A-Za-z]{4,10}")
_TEMPLATE = re.compile(r"HJ[0-9a-fA-F]{32}")
_DIGITS = re.compile(r"[0-9*#wWA-D]{1,32}")
_LIMIT = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def _nothing() -> Mapping[str, Any]:
    # A factory: Python 3.11 takes a mapping proxy for mutable, and no mutable default.
    return MappingProxyType({})


class IncompatibleOptions(ValueError):
    """These options cannot be told to the provider together. The text says which, and why."""


@dataclass(frozen=True, slots=True)
class SendOptions:
    """The options of one send. Every one left empty is not sent, so that the Service's own setting holds.

    ``locale``: BCP 47 tag of the message's language. ``custom_friendly_name``: the sender's name in the message, up to
    30 characters with at most 4 digits. ``custom_message``: deprecated by Twilio. ``send_digits``: keys pressed once a
    call is answered, to reach an extension. ``custom_code``: 4 to 10 letters or digits, made and judged by the site.
    ``amount`` and ``payee``: of a payment (PSD2), together. ``rate_limits``: name of a limit of the Service to the
    value it counts. ``channel_configuration``: of email alone: ``from``, ``from_name``, ``template_id``,
    ``substitutions``. ``app_hash``: for Android's SMS Retriever. ``template_sid`` (``HJ…``) with
    ``template_custom_substitutions``, or ``templates``: up to ten ``{"sid": …, "substitutions": {…}}`` by preference.
    ``device_ip``: of the person's device, for ``auto``. ``enable_sna_client_token``: the link's answer shall hold a
    token that the check must repeat. ``risk_check``: ``enable`` or ``disable`` (``disable`` passes by Fraud Guard and
    Geo-Permissions). ``tags``: up to ten short values that come back in events; no personal data.
    """

    locale: str = ""
    custom_friendly_name: str = ""
    custom_message: str = ""
    send_digits: str = ""
    custom_code: str = field(default="", repr=False)
    amount: str = ""
    payee: str = ""
    rate_limits: Mapping[str, str] = field(default_factory=_nothing)
    channel_configuration: Mapping[str, Any] = field(default_factory=_nothing)
    app_hash: str = ""
    template_sid: str = ""
    template_custom_substitutions: Mapping[str, str] = field(default_factory=_nothing)
    templates: Sequence[Mapping[str, Any]] = ()
    device_ip: str = ""
    enable_sna_client_token: bool = False
    risk_check: str = ""
    tags: Mapping[str, str] = field(default_factory=_nothing)

    @classmethod
    @sensitive_variables("given", "values", "value", "typed")
    def of(cls, given: SendOptions | Mapping[str, Any] | None) -> SendOptions:
        """``given`` as options. Raises ``IncompatibleOptions`` for a name that is none, and for a value of the wrong
        type.
        """
        if isinstance(given, SendOptions):
            return given
        values = {name: value for name, value in (given or {}).items() if value is not None}
        known = {one.name for one in fields(cls)}
        if unknown := sorted(set(values) - known):
            raise IncompatibleOptions(f"{unknown[0]!r} is no option of a send. Options: {', '.join(sorted(known))}.")
        # SECURITY: a loop: up to Python 3.11 a comprehension is a frame of its own, which no decorator can mark.
        typed: dict[str, Any] = {}
        for name, value in values.items():
            typed[name] = _typed(name, value, getattr(NO_OPTIONS, name))
        return cls(**typed)

    def over(self, defaults: SendOptions) -> SendOptions:
        """These, and where one is empty that of ``defaults``."""
        return replace(defaults, **self.given())

    def given(self) -> dict[str, Any]:
        """The options that are not empty, by name."""
        return {one.name: value for one in fields(self) if (value := getattr(self, one.name))}

    def without(self, *names: str) -> SendOptions:
        """These without the ones named."""
        empty: dict[str, Any] = {one.name: getattr(NO_OPTIONS, one.name) for one in fields(self) if one.name in names}
        return replace(self, **empty)

    def fitting(self, channel: Channel) -> SendOptions:
        """These without the ones that do not go with ``channel``."""
        return self.without(*(name for name, channels, _ in _ONLY if channel not in channels))

    @property
    def features(self) -> frozenset[Feature]:
        """What a backend must be able to carry to take these."""
        return features_of(self.given())

    def check(self, channel: Channel) -> None:
        """Refuse what cannot be told to the provider with ``channel``. Raises ``IncompatibleOptions`` with the reason.

        What is merely against the Service's settings is the provider's to refuse.
        """
        for problem in (*self._malformed(), *self._unfit(channel)):
            raise IncompatibleOptions(problem)

    def _malformed(self) -> Iterator[str]:
        digits = sum(letter.isdigit() for letter in self.custom_friendly_name)
        if len(self.custom_friendly_name) > MAX_FRIENDLY_NAME or digits > MAX_FRIENDLY_DIGITS:
            yield "custom_friendly_name takes 30 characters, at most 4 of them digits."
        if self.custom_code and not _CODE.fullmatch(self.custom_code):
            yield "custom_code takes 4 to 10 letters or digits."
        if self.send_digits and not _DIGITS.fullmatch(self.send_digits):
            yield "send_digits takes digits, *, # and w (wait half a second)."
        if self.risk_check not in ("", "enable", "disable"):
            yield "risk_check is 'enable' or 'disable'."
        if self.device_ip and not _is_address(self.device_ip):
            yield "device_ip takes an IPv4 or IPv6 address."
        if any(not _LIMIT.fullmatch(str(name)) for name in self.rate_limits):
            yield "rate_limits takes names of letters, digits, '-', '_' and '.'."
        if len(self.tags) > MAX_TAGS or any(len(str(word)) > MAX_TAG for pair in self.tags.items() for word in pair):
            yield "tags takes 10 pairs of 128 characters each."
        if len(self.templates) > MAX_TEMPLATES:
            yield "templates takes 10 at most."
        named = [self.template_sid] if self.template_sid else []
        named += [str(one.get("sid", "")) for one in self.templates]
        if any(not _TEMPLATE.fullmatch(sid) for sid in named):
            yield "A template is named by its SID, HJ and 32 hexadecimal digits."
        if bool(self.amount) != bool(self.payee):
            yield "amount and payee are given together (PSD2)."
        if self.template_custom_substitutions and not self.template_sid:
            yield "template_custom_substitutions needs template_sid."

    def _unfit(self, channel: Channel) -> Iterator[str]:
        given = self.given()
        for name, channels, why in _ONLY:
            if name in given and channel not in channels:
                yield f"{name} does not go with {channel.value}: {why}"


NO_OPTIONS = SendOptions()


def features_of(names: Iterable[str]) -> frozenset[Feature]:
    """What a backend must be able to carry to take options of these names."""
    return frozenset(_FEATURES[name] for name in names)


@dataclass(frozen=True, slots=True)
class SendRequest:
    """What the callables of ``TWILIO_VERIFY_SEND_OPTIONS`` may decide by: one send, before anything is written.

    ``user``: whose proof it is, ``None`` for a visitor; ``client``: the other end; ``backend``: the alias of the
    Service that carries it.
    """

    recipient: Recipient
    channel: Channel
    purpose: Purpose
    user: AbstractBaseUser | None = field(repr=False)
    client: ClientInfo
    backend: str


@sensitive_variables("value")
def _typed(name: str, value: Any, default: Any) -> Any:
    """``value``, if it is of the kind that the option takes. SECURITY: the text of the error does not show it."""
    if isinstance(default, str) and isinstance(value, str | Promise):
        return str(value)
    if isinstance(default, bool) and isinstance(value, bool):
        return value
    if isinstance(default, Mapping) and isinstance(value, Mapping):
        return value
    if default == () and isinstance(value, Sequence) and all(isinstance(one, Mapping) for one in value):
        return value
    kind = {str: "text", bool: "True or False", tuple: "a list of dicts"}.get(type(default), "a dict")
    raise IncompatibleOptions(f"{name} takes {kind}.")


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


_FEATURES: Mapping[str, Feature] = {
    "locale": Feature.LOCALE,
    "custom_friendly_name": Feature.CUSTOM_FRIENDLY_NAME,
    "custom_message": Feature.CUSTOM_MESSAGE,
    "send_digits": Feature.SEND_DIGITS,
    "custom_code": Feature.CUSTOM_CODE,
    "amount": Feature.PSD2,
    "payee": Feature.PSD2,
    "rate_limits": Feature.RATE_LIMITS,
    "channel_configuration": Feature.CHANNEL_CONFIGURATION,
    "app_hash": Feature.APP_HASH,
    "template_sid": Feature.TEMPLATE,
    "template_custom_substitutions": Feature.TEMPLATE,
    "templates": Feature.TEMPLATES,
    "device_ip": Feature.DEVICE_IP,
    "enable_sna_client_token": Feature.SNA_CLIENT_TOKEN,
    "risk_check": Feature.RISK_CHECK,
    "tags": Feature.TAGS,
}

_TEXT = frozenset({Channel.SMS, Channel.AUTO})  # what auto sends, if it sends, is a text message
_TALKED = frozenset({Channel.SMS, Channel.CALL, Channel.AUTO})
_LINKED = frozenset({Channel.SNA, Channel.AUTO})
_CODED = frozenset({Channel.SMS, Channel.CALL, Channel.WHATSAPP, Channel.EMAIL, Channel.AUTO})

# Name, the channels that it goes with, and why not with others: Twilio's errors 60602, 60408, 60214 and 60329.
_ONLY: tuple[tuple[str, frozenset[Channel], str], ...] = (
    ("send_digits", frozenset({Channel.CALL}), "only a call can be sent keys."),
    ("app_hash", _TEXT, "only a text message can end in an app hash."),
    ("channel_configuration", frozenset({Channel.EMAIL}), "it is documented for email only."),
    ("template_sid", _TALKED, "templates are for text messages and calls."),
    ("template_custom_substitutions", _TALKED, "templates are for text messages and calls."),
    ("templates", _TALKED, "templates are for text messages and calls."),
    ("risk_check", _TEXT, "Fraud Guard covers text messages only."),
    ("amount", frozenset({Channel.SMS}), "PSD2 allows no calls, no silent check and no WhatsApp."),
    ("payee", frozenset({Channel.SMS}), "PSD2 allows no calls, no silent check and no WhatsApp."),
    ("enable_sna_client_token", _LINKED, "only the silent check answers with a token."),
    ("custom_code", _CODED, "the silent check has no code."),
    ("custom_message", _TALKED, "it is for text messages and calls."),
)
