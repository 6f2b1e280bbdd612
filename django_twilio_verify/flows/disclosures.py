"""The words that ask for consent, composed from the programme's facts.

Sources: Twilio's Verify consent and opt-in policy (2026-07), CTIA Short Code Monitoring Handbook 1.9, and Twilio's
rejection reasons 30544 (purpose), 30545 (frequency), 30551 (names the way), 30556 (one box a way), 30569 (rates),
30570 (help), 30841 (apart from the terms).
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from ..choices import Channel
from ..conf import Program, settings
from ..models import Disclosure

RECORD_VERSION = 1
RATES = "Standard message and data rates may apply."
"""Word for word, never translated away: Twilio and carriers check the sentence for +1 numbers."""


@dataclass(frozen=True, slots=True)
class DisclosureText:
    """What a page shows before it asks for a number. ``lines``: paragraphs of plain text."""

    channel: Channel
    language: str
    lines: tuple[str, ...]
    checkbox_label: str
    terms_url: str = ""
    privacy_url: str = ""
    terms_digest: str = ""
    privacy_digest: str = ""

    @property
    def text(self) -> str:
        return "\n".join(self.lines)

    @property
    def digest(self) -> str:
        """SHA-256 in hex over everything shown: the name of this wording."""
        content = {
            "version": RECORD_VERSION,
            "channel": self.channel.value,
            "language": self.language,
            "text": self.text,
            "checkbox_label": self.checkbox_label,
            "terms_url": self.terms_url,
            "privacy_url": self.privacy_url,
            "terms_digest": self.terms_digest,
            "privacy_digest": self.privacy_digest,
        }
        encoded = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
        return hashlib.sha256(encoded.encode()).hexdigest()


def compose(channel: Channel) -> DisclosureText:
    """The disclosure for ``channel`` in the active language, from ``TWILIO_VERIFY_PROGRAM``; for ``auto``, that of the
    text message which it may end in.
    """
    channel = channel.consent_channel
    program = settings.program
    name = program.name or _("This site")
    lines = (
        _purpose_line(channel) % {"name": name},
        _frequency_line(channel, program),
        _cost_line(channel),
        _help_line(channel, program),
    )
    return DisclosureText(
        channel=channel,
        language=get_language() or "en",
        lines=tuple(line for line in lines if line),
        checkbox_label=_checkbox_label(channel) % {"name": name},
        terms_url=str(program.terms_url),
        privacy_url=str(program.privacy_url),
        terms_digest=program.terms_digest,
        privacy_digest=program.privacy_digest,
    )


def compose_once(channel: Channel) -> DisclosureText:
    """The disclosure for the one code that proves whose an address is before messages to it are stopped.

    Not ``compose``: whoever wants no more messages must not be made to agree to more of them.
    """
    channel = channel.consent_channel
    program = settings.program
    name = program.name or _("This site")
    return DisclosureText(
        channel=channel,
        language=get_language() or "en",
        lines=tuple(
            line
            for line in (
                _once_line(channel) % {"name": name},
                _once_often(channel),
                _cost_line(channel),
                _help_line(channel, program),
            )
            if line
        ),
        checkbox_label=_once_label(channel) % {"name": name},
        terms_url=str(program.terms_url),
        privacy_url=str(program.privacy_url),
        terms_digest=program.terms_digest,
        privacy_digest=program.privacy_digest,
    )


def holds(disclosure: Disclosure) -> bool:
    """Whether ``disclosure`` still has the words that its digest is over."""
    if disclosure.record_version != RECORD_VERSION or disclosure.channel not in Channel.values:
        return False
    shown = DisclosureText(
        channel=Channel(disclosure.channel),
        language=disclosure.language,
        lines=(disclosure.text,),
        checkbox_label=disclosure.checkbox_label,
        terms_url=disclosure.terms_url,
        privacy_url=disclosure.privacy_url,
        terms_digest=disclosure.terms_digest,
        privacy_digest=disclosure.privacy_digest,
    )
    return shown.digest == disclosure.digest


def _once_often(channel: Channel) -> str:
    if channel == Channel.SNA:
        return _("One check.")
    return _("One call.") if channel == Channel.CALL else _("One message.")


def _once_line(channel: Channel) -> str:
    if channel == Channel.SNA:
        return _(
            "%(name)s will have your mobile network confirm that this number is yours, instead of sending a security "
            "code. Your phone opens an address of the network for that."
        )
    if channel == Channel.EMAIL:
        return _("%(name)s will email a security code to this address, to make sure that it is yours.")
    if channel == Channel.CALL:
        return _("%(name)s will call this number and read out a security code, to make sure that it is yours.")
    if channel == Channel.WHATSAPP:
        return _(
            "%(name)s will send a security code by WhatsApp to this number, to make sure that it is yours. If WhatsApp "
            "cannot deliver it, it may come as a text message (SMS)."
        )
    return _("%(name)s will send a security code by text message (SMS) to this number, to make sure that it is yours.")


def _once_label(channel: Channel) -> str:
    if channel == Channel.SNA:
        return _("I agree that %(name)s has my mobile network confirm this number once.")
    if channel == Channel.EMAIL:
        return _("I agree to get this security code from %(name)s by email.")
    if channel == Channel.CALL:
        return _("I agree to get this security code from %(name)s by automated phone call.")
    if channel == Channel.WHATSAPP:
        return _("I agree to get this security code from %(name)s by WhatsApp.")
    return _("I agree to get this security code from %(name)s by text message (SMS).")


def _purpose_line(channel: Channel) -> str:
    if channel == Channel.SNA:
        # No message: what is agreed to is that the network is asked about the number (GDPR: who learns what, and why).
        return _(
            "When you sign in or ask for it, %(name)s will have your mobile network confirm that your phone has this "
            "number, instead of sending a one-time security code. Your phone opens an address of the network for that; "
            "nothing is sent to you."
        )
    if channel == Channel.EMAIL:
        return _("%(name)s will email a one-time security code to this address when you sign in or ask for one.")
    if channel == Channel.CALL:
        return _(
            "%(name)s will call this number and read out a one-time security code when you sign in or ask for one."
        )
    if channel == Channel.WHATSAPP:
        return _(
            "%(name)s will send a one-time security code by WhatsApp to this number when you sign in or ask for one. "
            "If WhatsApp cannot deliver it, it may come as a text message (SMS)."
        )
    return _(
        "%(name)s will send a one-time security code by text message (SMS) to this number when you sign in "
        "or ask for one."
    )


def _frequency_line(channel: Channel, program: Program) -> str:
    if channel == Channel.SNA:
        return _("One check per request.")
    if channel == Channel.CALL:
        return _("One call per request.")  # the programme's fact is about messages
    frequency = str(program.message_frequency) or _("One message per request")
    return frequency if frequency.endswith(".") else f"{frequency}."


def _cost_line(channel: Channel) -> str:
    if channel == Channel.EMAIL:
        return ""
    if channel == Channel.CALL:
        return _("Your phone company may charge you for calls that you take.")
    if channel == Channel.SNA:
        return _("Your phone company may charge you for the little data that the check takes.")
    translated = _("Standard message and data rates may apply.")
    return RATES if translated == RATES else f"{RATES} ({translated})"


def _help_line(channel: Channel, program: Program) -> str:
    support = str(program.support)
    if channel in (Channel.SMS, Channel.WHATSAPP):
        line = _("Reply HELP for help or STOP to stop these messages.")
        return f"{line} {_('Support: %(support)s.') % {'support': support}}" if support else line
    return _("For help or to stop: %(support)s.") % {"support": support} if support else ""


def _checkbox_label(channel: Channel) -> str:
    if channel == Channel.SNA:
        return _("I agree that %(name)s has my mobile network confirm this number.")
    if channel == Channel.EMAIL:
        return _("I agree to get one-time security codes from %(name)s by email.")
    if channel == Channel.CALL:
        return _("I agree to get one-time security codes from %(name)s by automated phone call.")
    if channel == Channel.WHATSAPP:
        return _("I agree to get one-time security codes from %(name)s by WhatsApp.")
    return _("I agree to get one-time security codes from %(name)s by text message (SMS).")
