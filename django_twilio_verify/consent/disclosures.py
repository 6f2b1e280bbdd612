"""The words that ask for consent, composed from the programme's facts.

Sources: Twilio's Verify consent and opt-in policy (2026-07), CTIA Short Code Monitoring Handbook 1.9, and Twilio's
rejection reasons (``backends.twilio.rejections``).
"""

from __future__ import annotations

from typing import Any

from django.utils.translation import get_language
from django.utils.translation import gettext as _

from ..channels import RATES, DisclosureWords
from ..choices import Channel, ChannelName
from ..conf import Program, settings
from ..ledger.disclosure_text import Disclosure


def compose(channel: ChannelName) -> Disclosure:
    """The disclosure for ``channel`` in the active language, from ``TWILIO_VERIFY_PROGRAM``; for ``auto``, that of the
    text message which it may end in.
    """
    parsed, program = Channel.parse(channel), settings.program
    words = _words(parsed)
    return _composed(parsed, words.purpose, _frequency(words, program), words.label)


def compose_once(channel: ChannelName) -> Disclosure:
    """The disclosure for the one code that proves whose an address is before messages to it are stopped.

    Not ``compose``: whoever wants no more messages must not be made to agree to more of them.
    """
    parsed = Channel.parse(channel)
    words = _words(parsed)
    return _composed(parsed, words.once, str(words.once_frequency), words.once_label)


def _words(channel: Channel) -> DisclosureWords:
    words = channel.consent_channel.row.disclosure
    if words is None:
        raise ValueError(f"{channel.value!r} needs no consent.")
    return words


def _composed(channel: Channel, purpose: Any, frequency: str, label: Any) -> Disclosure:
    words, program = _words(channel), settings.program
    name = {"name": program.name or _("This site")}
    lines = (str(purpose) % name, frequency, _cost(words), _help(words, program))
    return Disclosure(
        channel=channel.consent_channel,
        language=get_language() or "en",
        lines=tuple(line for line in lines if line),
        checkbox_label=str(label) % name,
        terms_url=str(program.terms_url),
        privacy_url=str(program.privacy_url),
        terms_digest=program.terms_digest,
        privacy_digest=program.privacy_digest,
    )


def _frequency(words: DisclosureWords, program: Program) -> str:
    if words.frequency:
        return str(words.frequency)
    frequency = str(program.message_frequency) or _("One message per request")
    return frequency if frequency.endswith(".") else f"{frequency}."


def _cost(words: DisclosureWords) -> str:
    if words.cost != RATES:
        return str(words.cost)
    translated = _("Standard message and data rates may apply.")
    return RATES if translated == RATES else f"{RATES} ({translated})"


def _help(words: DisclosureWords, program: Program) -> str:
    support = str(program.support)
    if words.has_keywords:
        line = _("Reply HELP for help or STOP to stop these messages.")
        return f"{line} {_('Support: %(support)s.') % {'support': support}}" if support else line
    return _("For help or to stop: %(support)s.") % {"support": support} if support else ""
