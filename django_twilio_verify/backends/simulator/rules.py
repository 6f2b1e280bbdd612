"""What a Verify Service refuses, and which way a message goes: the rules of ``VerifySimulator`` that need no memory."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from ...choices import VERIFICATION_CHANNELS, Feature
from ..options import MAX_FRIENDLY_DIGITS, MAX_FRIENDLY_NAME, MAX_TAG, MAX_TAGS, MAX_TEMPLATES, SendOptions
from ..twilio.errors import VerifyError

KNOWN = tuple(one.value for one in VERIFICATION_CHANNELS)
"""The channels of the Verifications resource."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
CODE = re.compile(r"[0-9A-Za-z]{4,10}")

# Twilio's number for a channel that is not switched on. Text messages and calls are switched off in the Service, email
# and WhatsApp lack their integration, the other two lack Twilio's approval.
_OFF = {"email": 60217, "whatsapp": 68008, "sna": 60204, "auto": 60204}
_NOT_ENABLED = {Feature.CUSTOM_MESSAGE: 60243}  # any other: 60204


@dataclass(frozen=True, slots=True)
class Template:
    """A message template of the pretended account. ``needs``: names that its text wants values for; ``locales``: the
    languages it has, ``None`` for every one.
    """

    needs: frozenset[str] = frozenset()
    channels: frozenset[str] = frozenset({"sms", "call", "auto"})
    locales: frozenset[str] | None = None
    approved: bool = True

    def problem(self, channel: str, locale: str, substitutions: Iterable[str]) -> int:
        """Twilio's error for using it so, 0 if there is none."""
        if not self.approved:
            return 60201
        if channel not in self.channels:
            return 60227
        if locale and self.locales is not None and locale not in self.locales:
            return 60229
        return 60224 if self.needs.difference(substitutions) else 0


@dataclass(slots=True, eq=False, repr=False)
class ServiceRules:
    """The settings of a pretended Service and of its account. All may be changed at any time.

    ``channels``: those switched on. ``features``: options that Twilio has enabled. ``locales``: those spoken, ``None``
    for all. ``psd2_required``: the Service is set to PSD2, and wants amount and payee with every send.
    ``lookup_enabled``: answers tell the kind of line: that of ``line_types`` by number, ``landline`` for ``landlines``,
    else ``mobile``.

    Numbers: ``landlines`` (60205 for a text message), ``sna_numbers`` (whose carrier can be asked, so that ``auto``
    makes a link), ``sna_failures`` (number to the 605xx with which opening its link fails), ``without_whatsapp`` (goes
    as a text message while ``whatsapp_fallback``, else is not delivered, 63024), ``rcs_numbers`` (their text messages
    go as RCS), ``undelivered`` (number to the error with which nothing arrives). Prefixes: ``fraud_prefixes`` (60410)
    and ``closed_prefixes`` (60605). ``templates``: those of the account by SID, ``None`` for any. ``rate_limits``:
    those of the Service, name to buckets of (most, seconds), ``None`` for any name and no bound.
    """

    channels: set[str] = field(default_factory=lambda: {*KNOWN})
    features: set[Feature] = field(default_factory=lambda: {*Feature})
    locales: frozenset[str] | None = None
    psd2_required: bool = False
    lookup_enabled: bool = False
    whatsapp_fallback: bool = True
    landlines: set[str] = field(default_factory=set)
    line_types: dict[str, str] = field(default_factory=dict)
    sna_numbers: set[str] = field(default_factory=set)
    sna_failures: dict[str, int] = field(default_factory=dict)
    without_whatsapp: set[str] = field(default_factory=set)
    rcs_numbers: set[str] = field(default_factory=set)
    undelivered: dict[str, int] = field(default_factory=dict)
    fraud_prefixes: set[str] = field(default_factory=set)
    closed_prefixes: set[str] = field(default_factory=set)
    templates: dict[str, Template] | None = None
    rate_limits: dict[str, Sequence[tuple[int, float]]] | None = None

    def line_type(self, to: str) -> str:
        """What a look-up says of the number: ``""`` if none is made."""
        if not self.lookup_enabled or "@" in to:
            return ""
        return "landline" if to in self.landlines else self.line_types.get(to, "mobile")

    def way(self, to: str, channel: str) -> str:
        """The channel that a send to ``to`` really goes by. Raises ``VerifyError`` 60550 if ``auto`` finds none."""
        if channel == "whatsapp" and to in self.without_whatsapp and self.whatsapp_fallback and "sms" in self.channels:
            return "sms"
        if channel != "auto":
            return channel
        if "sna" in self.channels and to in self.sna_numbers:
            return "sna"
        if "sms" in self.channels:
            return "sms"
        raise VerifyError(400, 60550, "No channel available")

    def delivery_error(self, to: str, way: str) -> int:
        """Why a message that was taken does not arrive: 0 if it does."""
        return 63024 if way == "whatsapp" and to in self.without_whatsapp else self.undelivered.get(to, 0)

    def refuse(self, to: str, channel: str, options: SendOptions) -> None:
        """Raise what the Service answers to a send that it does not even look up. Twilio's order is not known."""
        if channel not in KNOWN:
            raise invalid("Channel")
        if not (_EMAIL if channel == "email" else _E164).fullmatch(to):
            raise invalid("To")
        if channel not in self.channels:
            raise VerifyError(400, _OFF.get(channel, 60223), f"Delivery channel disabled: {channel}")
        self._refuse_options(channel, options)
        self._refuse_payment(channel, options)
        self._refuse_templates(channel, options)
        if options.locale and self.locales is not None and options.locale not in self.locales:
            # Documented only as "404" (verify/supported-languages), so it looks like any other.
            raise not_found("Verifications")
        if options.risk_check != "disable":
            self._refuse_country(to, channel)
        if self.way(to, channel) == "sms":
            self._refuse_text(to, options)

    def _refuse_options(self, channel: str, options: SendOptions) -> None:
        for feature in sorted(options.features - self.features):
            raise VerifyError(403, _NOT_ENABLED.get(feature, 60204), f"{feature.label} is not enabled")
        for name in _malformed(channel, options):
            raise invalid(name)
        if options.app_hash and channel not in ("sms", "auto"):
            raise VerifyError(400, 60602, "AppHash is only supported on the sms channel")
        if self.rate_limits is not None and not set(options.rate_limits) <= set(self.rate_limits):
            raise invalid("RateLimits")

    def _refuse_payment(self, channel: str, options: SendOptions) -> None:
        if not (self.psd2_required or options.amount or options.payee):
            return
        if channel == "call":
            raise VerifyError(400, 60214, "The call channel is not supported with PSD2")
        if channel in ("sna", "auto"):
            raise VerifyError(400, 60329, "The sna channel is not supported with PSD2")
        if channel == "whatsapp":
            raise invalid("Channel")
        if not (options.amount and options.payee):
            raise amount_and_payee_required()

    def _refuse_templates(self, channel: str, options: SendOptions) -> None:
        named = _templates_of(options)
        if named and channel not in ("sms", "call", "auto"):
            raise VerifyError(400, 60408, "Templates are only supported on the sms and call channels")
        problems = [self._template_problem(sid, channel, options.locale, values) for sid, values in named]
        if problems and all(problems):
            raise VerifyError(400, 60252 if options.templates else problems[0], "The template cannot be used")

    def _template_problem(self, sid: str, channel: str, locale: str, values: Mapping[str, str]) -> int:
        if self.templates is None:
            return 0
        template = self.templates.get(sid)
        return template.problem(channel, locale, values) if template else 60228

    def _refuse_country(self, to: str, channel: str) -> None:
        # WhatsApp is not covered by Geo-Permissions (verify/preventing-toll-fraud).
        if channel not in ("email", "whatsapp") and to.startswith(tuple(self.closed_prefixes)):
            raise VerifyError(403, 60605, "Verification delivery attempt blocked by Geo-Permissions")

    def _refuse_text(self, to: str, options: SendOptions) -> None:
        """Fraud Guard and the refusal of landlines cover text messages only."""
        if to in self.landlines:
            raise VerifyError(403, 60205, "SMS is not supported by landline phone number")
        if options.risk_check != "disable" and to.startswith(tuple(self.fraud_prefixes)):
            raise VerifyError(403, 60410, "Verification delivery attempt blocked")


def _malformed(channel: str, options: SendOptions) -> Iterator[str]:
    """The parameters that Twilio refuses as they stand (60200)."""
    digits = sum(letter.isdigit() for letter in options.custom_friendly_name)
    if len(options.custom_friendly_name) > MAX_FRIENDLY_NAME or digits > MAX_FRIENDLY_DIGITS:
        yield "CustomFriendlyName"
    if options.custom_code and not CODE.fullmatch(options.custom_code):
        yield "CustomCode"
    if options.risk_check not in ("", "enable", "disable"):
        yield "RiskCheck"
    if len(options.tags) > MAX_TAGS or any(len(str(word)) > MAX_TAG for pair in options.tags.items() for word in pair):
        yield "Tags"
    if len(options.templates) > MAX_TEMPLATES:
        yield "Templates"
    sender = options.channel_configuration.get("from", "")
    if channel == "email" and sender and not _EMAIL.fullmatch(str(sender)):
        yield "ChannelConfiguration"


def _templates_of(options: SendOptions) -> list[tuple[str, Mapping[str, str]]]:
    """The templates that a send may use, with the values for each. ``templates`` goes before ``template_sid``."""
    if options.templates:
        return [(str(one.get("sid", "")), one.get("substitutions") or {}) for one in options.templates]
    return [(options.template_sid, options.template_custom_substitutions)] if options.template_sid else []


def invalid(name: str) -> VerifyError:
    return VerifyError(400, 60200, f"Invalid parameter: {name}")


def not_found(what: str) -> VerifyError:
    return VerifyError(404, 20404, f"The requested resource {what} was not found")


def amount_and_payee_required() -> VerifyError:
    return VerifyError(400, 60206, "Amount and Payee are required")
