"""Twilio's error numbers, and what we make of each.

The numbers, meanings and HTTP statuses are those of Twilio's error dictionary
(https://www.twilio.com/docs/api/errors) and of the Verify API's own list
(https://www.twilio.com/docs/verify/api/error-codes). What to do about each is ours.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from enum import Enum
from typing import NamedTuple

from ...choices import Channel
from ...exceptions import Retry

# Numbers that say more than their reaction: each is a named fact of an error or a result.
NOT_FOUND = 20404
SENDS_USED_UP = 60203
ALREADY_THERE = frozenset({60301, 60317})
"""The entity that is to be made."""
CHALLENGE_NOT_FOUND = 60391
LINK_PENDING = 60519


class Reaction(Enum):
    """What an error means for us."""

    RECIPIENT = "recipient"  # the person can mend it
    LANDLINE = "landline"
    OPTED_OUT = "opted_out"
    CODE = "code"
    WAIT = "wait"
    BLOCKED = "blocked"
    OPERATOR = "operator"
    GONE = "gone"
    EXHAUSTED = "exhausted"
    TRANSIENT = "transient"
    PARAMETER = "parameter"  # which one is in Twilio's message
    SILENT = "silent"  # silent network authentication did not work out
    UNDELIVERED = "undelivered"  # told afterwards, of a message that was taken
    DEVICE = "device"  # an enrolled app, device or passkey has to be set up again
    NOTICE = "notice"  # a warning: it was done all the same
    BUG = "bug"

    @property
    def key(self) -> str:
        """The key of ``BackendRejected.user_messages``; ``""`` for what is ``BackendUnavailable``."""
        return _KEYS[self]

    @property
    def level(self) -> int:
        """The level of the operator's line in the log."""
        return _LEVELS.get(self, logging.WARNING)


_KEYS = {
    Reaction.RECIPIENT: "recipient",
    Reaction.LANDLINE: "landline",
    Reaction.OPTED_OUT: "opted_out",
    Reaction.CODE: "code",
    Reaction.WAIT: "wait",
    # SECURITY: reads like any other refusal; who is blocked for fraud learns nothing from the
    # answer.
    Reaction.BLOCKED: "cannot_send",
    Reaction.OPERATOR: "misconfigured",
    # To a question, these two are answers (``standing``). To a send, a 404 means that the Service
    # is not there, and 60202 that the old verification has yet to expire.
    Reaction.GONE: "misconfigured",
    Reaction.EXHAUSTED: "wait",
    Reaction.TRANSIENT: "",
    Reaction.PARAMETER: "cannot_send",
    Reaction.SILENT: "silent",
    Reaction.UNDELIVERED: "undelivered",
    Reaction.DEVICE: "device",
    Reaction.NOTICE: "cannot_send",
    Reaction.BUG: "cannot_send",
}
_LEVELS = {
    **dict.fromkeys((Reaction.OPERATOR, Reaction.GONE, Reaction.PARAMETER, Reaction.BUG), logging.ERROR),
    **dict.fromkeys(
        (
            Reaction.RECIPIENT,
            Reaction.LANDLINE,
            Reaction.OPTED_OUT,
            Reaction.CODE,
            Reaction.SILENT,
            Reaction.UNDELIVERED,
            Reaction.DEVICE,
        ),
        logging.INFO,
    ),
}
_HERE_ALONE = frozenset(
    {
        Reaction.RECIPIENT,
        Reaction.CODE,
        Reaction.WAIT,
        Reaction.GONE,  # the Service is not there, and it is every channel's
        Reaction.EXHAUSTED,
    }
)
_RETRIES = {
    Reaction.CODE: Retry.NOW,
    Reaction.GONE: Retry.NOW,
    Reaction.TRANSIENT: Retry.NOW,
    Reaction.UNDELIVERED: Retry.NOW,
    Reaction.WAIT: Retry.AFTER_WAIT,
    Reaction.BLOCKED: Retry.AFTER_WAIT,
    Reaction.EXHAUSTED: Retry.AFTER_EXPIRY,
}

NO_CHANNEL: frozenset[str] = frozenset()
ANY_CHANNEL: frozenset[str] = frozenset(one.value for one in Channel)
_LINKS = frozenset({"sna", "auto"})
_EMAIL = frozenset({"email"})
_WHATSAPP = frozenset({"whatsapp"})


class Row(NamedTuple):
    """One error: what we do, and a sentence for the operator's log.

    ``off``: the channels that are not usable for anybody once this was answered to one of them. ``elsewhere`` and
    ``again``: where the reaction's own answer to "does another channel help?" and "when again?" does not fit.
    """

    reaction: Reaction
    sentence: str
    off: frozenset[str] = NO_CHANNEL
    elsewhere: bool | None = None
    again: Retry | None = None

    @property
    def another_way(self) -> bool:
        """Does another channel help?"""
        return self.reaction not in _HERE_ALONE if self.elsewhere is None else self.elsewhere

    @property
    def retry(self) -> Retry:
        """When may the same be asked again?"""
        return self.again or _RETRIES.get(self.reaction, Retry.NEVER)

    def channel_off(self, channel: str) -> bool:
        """Is ``channel`` unusable for everybody?"""
        return channel in self.off


_R = Reaction


def _off(sentence: str, channels: frozenset[str]) -> Row:
    """The channel lacks what an operator has to set up."""
    return Row(_R.OPERATOR, sentence, channels)


def _account(sentence: str) -> Row:
    """The whole account or its credentials, so that no channel works."""
    return Row(_R.OPERATOR, sentence, elsewhere=False)


def _each(first: int, last: int, row: Row) -> dict[int, Row]:
    return dict.fromkeys(range(first, last + 1), row)


_TRANSPORT = {
    20003: _account("Authentication failed: look at account_sid, username and password."),
    20005: _account("The Twilio account is not active."),
    20006: _account("These credentials may not use this resource."),
    20008: _account("Test credentials do not work with Verify: use live ones."),
    20010: _account("This action is disabled for the Twilio account."),
    20403: _account("Twilio forbids this request to these credentials."),
    # Three meanings: a closed verification, an unknown Service, an unknown locale. The caller knows
    # which.
    NOT_FOUND: Row(
        _R.GONE,
        "Twilio did not find it: look at service_sid, which has to be a Service of account_sid, and at region.",
    ),
    20409: Row(_R.BUG, "Twilio reports a conflict with another request.", again=Retry.NOW),
    20410: Row(_R.BUG, "Twilio says that the resource is gone for good."),
    20422: Row(_R.PARAMETER, "Twilio did not accept a parameter."),
    20423: Row(_R.BUG, "Twilio did not accept a SID."),
    # Never processed, so it is safe to come back; never done by ourselves, the person does.
    20429: Row(_R.WAIT, "Too many requests: a Service rate limit, or the account's concurrency."),
    20500: Row(_R.TRANSIENT, "Twilio had an error of its own."),
    20503: Row(_R.TRANSIENT, "Twilio is unavailable."),
}

_MESSAGING = {
    21211: Row(_R.RECIPIENT, "The number is not valid."),
    21217: Row(_R.RECIPIENT, "The number does not look valid."),
    21408: Row(_R.OPERATOR, "Messaging Geo-Permissions do not allow this country."),
    21608: _account("A trial account sends only to numbers verified in the Console."),
    # Mostly seen on an attempt, after the send was taken.
    21610: Row(_R.OPTED_OUT, "The recipient has sent STOP to the sender."),
    21614: Row(_R.RECIPIENT, "The number cannot get text messages.", elsewhere=True),
    575001: _account("Verify is not available to this trial account."),
}

# Told of an attempt, after Twilio took the message.
_DELIVERY = {
    30003: Row(_R.UNDELIVERED, "The phone is switched off or out of reach."),
    30004: Row(_R.UNDELIVERED, "The recipient, or the carrier for it, blocks the message.", again=Retry.NEVER),
    30005: Row(_R.RECIPIENT, "The number is not in use."),
    30006: Row(_R.LANDLINE, "A landline, or a carrier that cannot be reached."),
    30007: Row(_R.UNDELIVERED, "The carrier filtered the message as unwanted.", again=Retry.NEVER),
    30008: Row(_R.UNDELIVERED, "The message was lost for a reason that the carrier does not tell."),
    30034: Row(_R.OPERATOR, "The sender is a US number that is not registered (A2P 10DLC)."),
    63003: Row(_R.UNDELIVERED, "The channel has no such address.", again=Retry.NEVER),
    63016: Row(_R.OPERATOR, "WhatsApp takes only a template outside of its 24 hours."),
    63018: Row(_R.WAIT, "The channel's rate limit is exceeded.", elsewhere=True),
    63024: Row(_R.UNDELIVERED, "The number has no WhatsApp.", again=Retry.NEVER),
    63036: Row(_R.UNDELIVERED, "The number cannot get RCS.", again=Retry.NEVER),
}

_DOWNSTREAM = {
    60001: Row(_R.OPERATOR, "A downstream service refused Twilio's credentials."),
    60002: Row(_R.TRANSIENT, "The person's device did not answer in time."),
    60003: Row(_R.TRANSIENT, "A downstream service had no data."),
    60004: Row(_R.OPERATOR, "A downstream service is not configured."),
    60005: Row(_R.TRANSIENT, "The carrier had an error."),
    60006: Row(_R.TRANSIENT, "The carrier did not answer as expected."),
    60007: Row(_R.RECIPIENT, "The carrier does not accept the number."),
    60008: Row(_R.OPERATOR, "The carrier is not supported."),
}

_VERIFICATIONS = {
    60200: Row(_R.PARAMETER, "Twilio did not accept a parameter."),
    60201: Row(_R.OPERATOR, "The template is not approved."),
    60202: Row(_R.EXHAUSTED, "Five answers were judged; the verification has to expire first."),
    SENDS_USED_UP: Row(
        _R.WAIT, "Five messages were sent; the verification has to expire first.", again=Retry.AFTER_EXPIRY
    ),
    # Of a text message or a call it is an option that is not enabled; of these two it is the channel.
    60204: _off("The feature is not enabled for the Service.", _LINKS),
    60205: Row(_R.LANDLINE, "A landline cannot get text messages."),
    60206: Row(_R.BUG, "The Service is set to PSD2 and wants an amount and a payee.", elsewhere=False),
    # A burst for one number: a person in a hurry, or somebody pumping.
    60212: Row(_R.WAIT, "Too many concurrent requests for one number."),
    60214: _off("Phone calls are not possible while the Service is set to PSD2.", frozenset({"call"})),
    60216: _off("Twilio could not use the API key of the email integration.", _EMAIL),
    60217: _off("The Service has no email integration.", _EMAIL),
    60218: _off("The SendGrid template is not active.", _EMAIL),
    60219: _off("The SendGrid template lacks the placeholder for the code.", _EMAIL),
    60220: Row(_R.OPERATOR, "Messages to China need vetting by Twilio first."),
    60221: Row(_R.BUG, "Neither a recipient nor a verification SID was given.", elsewhere=False),
    60222: _off("The sender of the email is not verified at SendGrid.", _EMAIL),
    60223: _off("The channel is switched off in the Service.", ANY_CHANNEL),
    60224: Row(_R.OPERATOR, "Values for the template are missing."),
    60226: Row(_R.OPERATOR, "Messages to China need a friendly name."),
    60227: Row(_R.OPERATOR, "The template does not fit the channel."),
    60228: Row(_R.OPERATOR, "The template was not found."),
    60229: Row(_R.OPERATOR, "The template has no such translation."),
    60230: Row(_R.OPERATOR, "The template cannot be used as it is."),
    60236: Row(_R.RECIPIENT, "The domain of the email address cannot be read."),
    # The deny list is Twilio's or the account's; the person can only use another address.
    60237: Row(_R.RECIPIENT, "The domain of the email address is on a deny list."),
    60238: Row(
        _R.BLOCKED,
        "Twilio blocked the verification: account under review, or the country.",
        elsewhere=False,
        again=Retry.NEVER,
    ),
    60239: Row(_R.OPERATOR, "The message cannot be sent as configured."),
    60240: Row(_R.OPERATOR, "The message cannot be sent as configured."),
    60241: Row(_R.OPERATOR, "The message cannot be sent as configured."),
    # Not off for everybody: another language may have its template.
    60242: Row(_R.OPERATOR, "There is no WhatsApp template for this language."),
    60243: Row(_R.OPERATOR, "Custom messages are not enabled."),
    60245: Row(_R.WAIT, "The account's messaging limit is exceeded.", elsewhere=True),
    60247: Row(_R.OPERATOR, "The message is longer than 500 characters."),
    60248: Row(_R.OPERATOR, "The friendly name holds a restricted word."),
    60250: Row(_R.OPERATOR, "The sender has to be registered for Australia."),
    60252: Row(_R.OPERATOR, "None of the templates can be used."),
    60253: _off("The email settings of the Service are incomplete.", _EMAIL),
    60329: _off("Silent network authentication does not work with PSD2.", _LINKS),
    60331: Row(_R.OPERATOR, "There is no voice for the language of the call."),
    60408: Row(_R.BUG, "A template was given for a channel that takes none."),
    # Blocks by prefix last from five minutes to twelve hours, and cover text messages only.
    60410: Row(_R.BLOCKED, "Fraud Guard blocks the number's prefix."),
    60412: Row(_R.BLOCKED, "Blocked by Fraudulent Signup Prevention.", elsewhere=False),
    60602: Row(_R.BUG, "An app hash was given for a channel other than sms."),
    60603: _off("The SendGrid account has no credits left.", _EMAIL),
    60604: _off("The SendGrid API key lacks rights.", _EMAIL),
    # Our settings decide which countries are open, so this is an operator's slip as often as an
    # attack.
    60605: Row(_R.BLOCKED, "Verify Geo-Permissions do not allow the country for this channel.", again=Retry.NEVER),
    60623: Row(_R.GONE, "Twilio did not find the verification."),
    60624: Row(_R.WAIT, "The rate limit of a trial account is reached."),
    60626: Row(_R.WAIT, "The rate limit for the number is reached."),
    68008: _off("The WhatsApp channel of the Service is not configured.", _WHATSAPP),
}

# Twilio advises to fall back for every one but 60540, and not to tell them apart
# (verify/best-practices-for-verify-sna-error-handling).
SILENT = Row(_R.SILENT, "Silent network authentication failed.")
_SILENT = {
    **_each(60510, 60534, SILENT),
    60500: Row(_R.SILENT, "The number of the phone that opened the link is another."),
    60510: Row(_R.SILENT, "Silent network authentication failed; the phone may have been on Wi-Fi."),
    60517: Row(_R.SILENT, "The browser named itself differently on the way through the carrier."),
    LINK_PENDING: Row(_R.SILENT, "The link has not been opened yet.", again=Retry.NOW),
    60520: Row(_R.SILENT, "The link could not be opened, was opened before, or is too old."),
    60533: Row(_R.SILENT, "The carrier left out a header that Twilio needs."),
    60540: Row(_R.RECIPIENT, "The carrier says that the number is not valid."),
    # Nor is this: one number that neither carrier nor text message reaches says so, too.
    60550: Row(_R.OPERATOR, "The automatic choice found no channel to use."),
}

_SETTING_UP = {
    60207: Row(_R.OPERATOR, "The Service has as many rate limits as it may have."),
    60208: Row(_R.OPERATOR, "There is a rate limit of this name."),
    60209: Row(_R.OPERATOR, "The name of a rate limit has characters that it may not have."),
    60210: Row(_R.OPERATOR, "The rate limit has as many buckets as it may have."),
    60211: Row(_R.OPERATOR, "The rate limit has a bucket for this interval."),
    60213: Row(_R.OPERATOR, "There is a messaging configuration for this country."),
    60215: Row(_R.OPERATOR, "The account has as many email integrations as it may have."),
    60225: Row(_R.OPERATOR, "The template has this translation."),
    **_each(60231, 60235, Row(_R.OPERATOR, "The sender cannot be set up so.")),
    60330: Row(_R.OPERATOR, "Our webhook did not answer 200."),
    60411: Row(_R.NOTICE, "The number is on the Safelist already."),
}

_WARNINGS = {
    60325: Row(_R.NOTICE, "The language was not available, another one was used."),
    60327: Row(_R.NOTICE, "The template was not available, another one was used."),
    **_each(60333, 60335, Row(_R.NOTICE, "The brand's name was left out of the message or put into it.")),
    60409: Row(_R.NOTICE, "The custom message does not match."),
}

_FACTORS = {
    60300: Row(_R.BUG, "Twilio did not accept a parameter of a factor.", again=Retry.NOW),
    60301: Row(_R.BUG, "The entity is there already."),
    60302: Row(_R.BUG, "The type of factor is there already."),
    60304: Row(_R.BUG, "The factor is there already."),
    60305: Row(_R.BUG, "Twilio did not accept a parameter of an access token."),
    60306: Row(_R.BUG, "Twilio did not accept the request about a factor."),
    60307: Row(_R.BUG, "A device without notifications cannot be notified."),
    # Five tries: a new challenge, or a new factor, has to be begun.
    60308: Row(_R.EXHAUSTED, "Five answers to the challenge were judged.", again=Retry.NOW),
    60309: Row(_R.WAIT, "Three notifications of the challenge were sent.", elsewhere=True),
    60310: Row(_R.EXHAUSTED, "Five answers were judged while the factor was enrolled.", again=Retry.NOW),
    60311: Row(_R.CODE, "The code of an authenticator app, or a signature, was wrong."),
    60312: Row(_R.WAIT, "Too many challenges of one factor.", elsewhere=True),
    60313: Row(_R.BUG, "The factor may not do this."),
    60314: Row(_R.BUG, "The binding of the factor is not valid."),
    60315: Row(_R.DEVICE, "The entity has as many factors as it may have: one has to be removed."),
    60317: Row(_R.BUG, "The factor is there already."),
    60318: Row(_R.DEVICE, "The factor was never confirmed."),
    60322: Row(_R.GONE, "The challenge was answered before."),
    60323: Row(_R.GONE, "The challenge has expired."),
    60324: Row(_R.CODE, "The answer to the challenge was wrong."),
    60326: Row(_R.WAIT, "Too many factors were made for one entity.", elsewhere=True),
    60328: Row(_R.WAIT, "Too many entities were made.", elsewhere=True),
    **_each(60361, 60388, Row(_R.DEVICE, "The passkey, or what the browser made of it, was not accepted.")),
    60382: Row(_R.OPERATOR, "The factor belongs to another relying party than the challenge."),
    60390: Row(_R.DEVICE, "Twilio did not find the factor."),
    CHALLENGE_NOT_FOUND: Row(_R.GONE, "Twilio did not find the challenge."),
    60392: Row(_R.DEVICE, "Twilio did not find the entity."),
    60535: Row(_R.DEVICE, "The factor was never confirmed."),
    # The Service, or the request, has to name the site as relying party.
    **dict.fromkeys((60371, 60372, 60393), Row(_R.OPERATOR, "The relying party of passkeys is not configured.")),
}

_OTHER = {
    **_each(60401, 60407, Row(_R.TRANSIENT, "Twilio had an error of its own.")),
    **_each(60420, 60441, Row(_R.BUG, "Twilio did not accept a parameter of its newer API.")),
    60600: Row(_R.OPERATOR, "The look-up of the number is not possible."),
    **_each(60606, 60622, Row(_R.OPERATOR, "The look-up of the number is not possible.")),
    60625: Row(_R.OPERATOR, "The look-up of the number is not possible."),
    **_each(68001, 68007, Row(_R.TRANSIENT, "Twilio's channels had an error of their own.")),
}

TABLE: Mapping[int, Row] = {
    **_TRANSPORT,
    **_MESSAGING,
    **_DELIVERY,
    **_DOWNSTREAM,
    **_VERIFICATIONS,
    **_SILENT,
    **_SETTING_UP,
    **_WARNINGS,
    **_FACTORS,
    **_OTHER,
}
"""By Twilio's number."""
