"""The one table of channels: what each carries, where to, and every word about it.

A new channel is a row here, a method of the backend and rows in its table of errors (docs/howto/channel.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from django.db import models
from django.utils.translation import gettext_lazy as _


class RecipientKind(models.TextChoices):
    """What sort of address a message goes to."""

    PHONE = "phone", _("phone number")
    EMAIL = "email", _("email address")


class Channel(models.TextChoices):
    """The ways in which a proof can be carried.

    The first six are values of Verify's ``Channel`` parameter. ``totp``, ``push``, ``silent`` and
    ``passkey`` are its factor types; ``recovery`` is a code of ours that nobody carries.
    """

    SMS = "sms", _("text message")
    CALL = "call", _("phone call")
    WHATSAPP = "whatsapp", _("WhatsApp message")
    EMAIL = "email", _("email")
    SNA = "sna", _("silent network authentication")
    AUTO = "auto", _("automatic")
    TOTP = "totp", _("authenticator app")
    PUSH = "push", _("push approval")
    SILENT = "silent", _("silent device approval")
    PASSKEY = "passkey", _("passkey")
    RECOVERY = "recovery", _("recovery code")

    @classmethod
    def parse(cls, value: str) -> Channel:
        """The channel that ``value`` names.

        Takes a value of this list in any case, or ``voice`` (Verify documents only ``call``) or ``rcs``
        (Twilio upgrades ``sms`` to RCS by itself; RCS cannot be asked for).
        Raises ``ValueError`` for anything else.
        """
        lowered = str(value).strip().lower()
        return cls(_SPELLINGS.get(lowered, lowered))

    @property
    def row(self) -> ChannelRow:
        """Everything that is the channel's own."""
        return CHANNELS[self]

    @property
    def consent_channel(self) -> Channel:
        """The channel whose consent lets this one go out: ``auto`` may end in a text message, so that one's."""
        return self.row.consent or self

    @property
    def recipient_kind(self) -> RecipientKind | None:
        """The kind of address the channel carries to, ``None`` where it carries to a device or nothing."""
        return self.row.recipient


_SPELLINGS = {"voice": "call", "rcs": "sms"}


_ONE_MESSAGE = _("One message.")


ChannelName = (
    Channel
    | Literal["sms", "call", "whatsapp", "email", "sna", "auto", "totp", "push", "silent", "passkey", "recovery"]
)
"""A channel, or its value as text, for type checkers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisclosureWords:
    """The sentences of a channel's disclosure (``consent.disclosures``). ``%(name)s``: the programme.

    Args:
        purpose: What will be sent, when, and how.
        label: Of the box.
        once: As ``purpose``, for the one code that proves whose an address is.
        once_label: Of that box.
        frequency: How often, where the programme's own word for it, which is about messages, does not fit.
        once_frequency: How often that one is sent.
        cost: Who charges for it. ``RATES``: the sentence that Twilio and carriers look for.
        mentions: A regular expression of the English words that name the channel: they may not stand in the label of
            another one's box. Case does not matter.
        has_keywords: Whether HELP and STOP can be answered to it.
    """

    purpose: Any
    label: Any
    once: Any
    once_label: Any
    frequency: Any = ""
    once_frequency: Any = _ONE_MESSAGE
    cost: Any = ""
    mentions: str = ""
    has_keywords: bool = False


RATES = "Standard message and data rates may apply."
"""Word for word, never translated away: Twilio and carriers check the sentence for +1 numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelRow:
    """What is one channel's own.

    Args:
        name: In a list of choices.
        named: The same, with the name of a device.
        instead: On a button that goes on by it.
        hint: What comes of choosing it, in a sentence.
        plural: What is sent by it, as a choice.
        nouns: What is sent by it, within a sentence.
        button: On the button that begins by it. In English: consent is recorded with it.
        assurance: How strong it is, 1 to 5, by what an attacker has to do (``verifications.assurance``).
        recipient: The kind of address it carries to.
        consent: The channel whose consent lets it go out, if that is not its own.
        fallbacks: The channels that the provider may use instead, of its own accord. Verify's default
            (docs/verify/fallback-scenarios): a WhatsApp message that cannot be delivered becomes a text message
            wherever the Service has SMS enabled. No request parameter switches that off.
        has_code: Whether it brings a code to type.
        has_link: Whether it brings a link to open, or may.
        reaches_landlines: Whether a landline can take it.
        channel_may_differ: Whether the message may come by another channel than was asked for.
        is_factor: Whether it asks a factor that the provider keeps. Nothing is sent, so it needs no consent.
        disclosure: What is shown before consent to it, where there is such consent.
    """

    name: Any
    named: Any = ""
    instead: Any = ""
    hint: Any = ""
    plural: Any = ""
    nouns: Any = ""
    button: str = "Send code"
    assurance: int
    recipient: RecipientKind | None = None
    consent: Channel | None = None
    fallbacks: tuple[Channel, ...] = ()
    has_code: bool = False
    has_link: bool = False
    reaches_landlines: bool = True
    channel_may_differ: bool = False
    is_factor: bool = False
    disclosure: DisclosureWords | None = None


CHANNELS: Mapping[Channel, ChannelRow] = {
    Channel.SMS: ChannelRow(
        name=_("Text message (SMS)"),
        assurance=2,
        instead=_("Send a text message instead"),
        hint=_("We text a code to your mobile phone."),
        plural=_("Text messages (SMS)"),
        nouns=_("text messages"),
        recipient=RecipientKind.PHONE,
        has_code=True,
        reaches_landlines=False,
        channel_may_differ=True,
        disclosure=DisclosureWords(
            purpose=_(
                "%(name)s will send a one-time security code by text message (SMS) to this number when you sign in "
                "or ask for one."
            ),
            label=_("I agree to get one-time security codes from %(name)s by text message (SMS)."),
            once=_(
                "%(name)s will send a security code by text message (SMS) to this number, to make sure that it is "
                "yours."
            ),
            once_label=_("I agree to get this security code from %(name)s by text message (SMS)."),
            mentions=r"\bSMS\b|\btext messages?\b",
            cost=RATES,
            has_keywords=True,
        ),
    ),
    Channel.CALL: ChannelRow(
        name=_("Phone call"),
        assurance=2,
        instead=_("Call me instead"),
        hint=_("An automated call reads a code to you. Works with landlines too."),
        plural=_("Phone calls"),
        nouns=_("phone calls"),
        recipient=RecipientKind.PHONE,
        has_code=True,
        disclosure=DisclosureWords(
            purpose=_(
                "%(name)s will call this number and read out a one-time security code when you sign in or ask for one."
            ),
            label=_("I agree to get one-time security codes from %(name)s by automated phone call."),
            once=_("%(name)s will call this number and read out a security code, to make sure that it is yours."),
            once_label=_("I agree to get this security code from %(name)s by automated phone call."),
            mentions=r"\b(?:phone )?calls?\b",
            frequency=_("One call per request."),
            once_frequency=_("One call."),
            cost=_("Your phone company may charge you for calls that you take."),
        ),
    ),
    Channel.WHATSAPP: ChannelRow(
        name=_("WhatsApp"),
        assurance=2,
        instead=_("Send a WhatsApp message instead"),
        hint=_("We send a code to your WhatsApp."),
        plural=_("WhatsApp messages"),
        nouns=_("WhatsApp messages"),
        recipient=RecipientKind.PHONE,
        fallbacks=(Channel.SMS,),
        has_code=True,
        channel_may_differ=True,
        disclosure=DisclosureWords(
            purpose=_(
                "%(name)s will send a one-time security code by WhatsApp to this number when you sign in or ask for "
                "one. If WhatsApp cannot deliver it, it may come as a text message (SMS)."
            ),
            label=_("I agree to get one-time security codes from %(name)s by WhatsApp."),
            once=_(
                "%(name)s will send a security code by WhatsApp to this number, to make sure that it is yours. If "
                "WhatsApp cannot deliver it, it may come as a text message (SMS)."
            ),
            once_label=_("I agree to get this security code from %(name)s by WhatsApp."),
            mentions="whatsapp",
            cost=RATES,
            has_keywords=True,
        ),
    ),
    Channel.EMAIL: ChannelRow(
        name=_("Email"),
        assurance=1,
        instead=_("Send an email instead"),
        hint=_("We send a code to your inbox."),
        plural=_("Emails"),
        nouns=_("emails"),
        recipient=RecipientKind.EMAIL,
        has_code=True,
        disclosure=DisclosureWords(
            purpose=_("%(name)s will email a one-time security code to this address when you sign in or ask for one."),
            label=_("I agree to get one-time security codes from %(name)s by email."),
            once=_("%(name)s will email a security code to this address, to make sure that it is yours."),
            once_label=_("I agree to get this security code from %(name)s by email."),
            mentions=r"\be-?mails?\b",
        ),
    ),
    Channel.SNA: ChannelRow(
        name=_("Check by your mobile network"),
        assurance=3,
        instead=_("Check by my mobile network instead"),
        hint=_("No code: your mobile network confirms your number. You need the phone and mobile data."),
        plural=_("Checks by the mobile network"),
        button="Start the check",
        recipient=RecipientKind.PHONE,
        has_link=True,
        reaches_landlines=False,
        disclosure=DisclosureWords(
            # No message: what is agreed to is that the network is asked about the number (GDPR: who learns what, why).
            purpose=_(
                "When you sign in or ask for it, %(name)s will have your mobile network confirm that your phone has "
                "this number, instead of sending a one-time security code. Your phone opens an address of the network "
                "for that; nothing is sent to you."
            ),
            label=_("I agree that %(name)s has my mobile network confirm this number."),
            once=_(
                "%(name)s will have your mobile network confirm that this number is yours, instead of sending a "
                "security code. Your phone opens an address of the network for that."
            ),
            once_label=_("I agree that %(name)s has my mobile network confirm this number once."),
            frequency=_("One check per request."),
            once_frequency=_("One check."),
            cost=_("Your phone company may charge you for the little data that the check takes."),
        ),
    ),
    Channel.AUTO: ChannelRow(
        name=_("Automatic"),
        assurance=2,
        instead=_("Choose a way for me instead"),
        hint=_("By your mobile network, without a code, where that works. Otherwise we text you one."),
        button="Continue",
        recipient=RecipientKind.PHONE,
        consent=Channel.SMS,
        fallbacks=(Channel.SNA, Channel.SMS),
        has_link=True,
        reaches_landlines=False,
        channel_may_differ=True,
    ),
    Channel.TOTP: ChannelRow(
        name=_("Authenticator app"), assurance=4, named=_("Authenticator app, %(name)s"), is_factor=True
    ),
    Channel.PUSH: ChannelRow(
        name=_("Approve on your phone"), assurance=4, named=_("Approve on %(name)s"), is_factor=True
    ),
    Channel.SILENT: ChannelRow(
        name=_("Check by the app on your phone"), assurance=3, named=_("Check by the app on %(name)s"), is_factor=True
    ),
    Channel.PASSKEY: ChannelRow(name=_("Passkey"), assurance=5, is_factor=True),
    Channel.RECOVERY: ChannelRow(name=_("Recovery code"), assurance=5),
}

CODE_CHANNELS = tuple(channel for channel, row in CHANNELS.items() if row.has_code)
"""The channels by which a person gets a code to type."""

CONSENT_CHANNELS = tuple(channel for channel, row in CHANNELS.items() if row.disclosure is not None)
"""The channels that people agree to, each by itself (``Channel.consent_channel``)."""

LINK_CHANNELS = tuple(channel for channel, row in CHANNELS.items() if row.has_link)
"""The channels that bring a link to open, or may."""

VERIFICATION_CHANNELS = (*CODE_CHANNELS, *LINK_CHANNELS)
"""The channels of Verify's Verifications resource. ``sna`` brings a link to open instead of a code, ``auto`` a link or
a text message.
"""

FALLBACKS: Mapping[Channel, tuple[Channel, ...]] = {
    channel: row.fallbacks for channel, row in CHANNELS.items() if row.fallbacks
}
"""The channels that the provider may use instead, of its own accord. A channel that is not here has none."""

FACTOR_CHANNELS = tuple(channel for channel, row in CHANNELS.items() if row.is_factor)
"""The channels that ask a factor which the provider keeps. Nothing is sent to an address, so they need no consent."""
