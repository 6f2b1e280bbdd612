"""The closed lists of words that records, settings and results share.

Every value is stored in the database or sent to a site's code, so a value never changes its meaning.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from django.db import models
from django.utils.translation import gettext_lazy as _

from .channels import (
    CODE_CHANNELS,
    CONSENT_CHANNELS,
    FACTOR_CHANNELS,
    FALLBACKS,
    LINK_CHANNELS,
    VERIFICATION_CHANNELS,
    Channel,
    ChannelName,
    RecipientKind,
)

__all__ = [
    "AGREED",
    "CODE_CHANNELS",
    "CONSENT_CHANNELS",
    "DEVICE_KINDS",
    "FACTOR_CHANNELS",
    "FALLBACKS",
    "FOR_EVERYBODY",
    "LINK_CHANNELS",
    "LIVE_CONSENT",
    "VERIFICATION_CHANNELS",
    "Actor",
    "AttemptStatus",
    "AuditKind",
    "Channel",
    "ChannelName",
    "CheckOutcome",
    "ConsentEventType",
    "ConsentMedium",
    "FactorKind",
    "Feature",
    "KeyRecord",
    "PersonKind",
    "Precedence",
    "Purpose",
    "PurposeName",
    "RecipientKind",
    "RedeemProblem",
    "VerificationStatus",
]


class Feature(models.TextChoices):
    """What a backend can be told beside recipient and channel: the optional parameters of Verify's Verifications
    resource, in its own words.
    """

    LOCALE = "locale", "Locale"
    CUSTOM_FRIENDLY_NAME = "custom_friendly_name", "CustomFriendlyName"
    CUSTOM_MESSAGE = "custom_message", "CustomMessage"
    SEND_DIGITS = "send_digits", "SendDigits"
    CUSTOM_CODE = "custom_code", "CustomCode"
    PSD2 = "psd2", "Amount, Payee"
    RATE_LIMITS = "rate_limits", "RateLimits"
    CHANNEL_CONFIGURATION = "channel_configuration", "ChannelConfiguration"
    APP_HASH = "app_hash", "AppHash"
    TEMPLATE = "template", "TemplateSid, TemplateCustomSubstitutions"
    TEMPLATES = "templates", "Templates"
    DEVICE_IP = "device_ip", "DeviceIp"
    SNA_CLIENT_TOKEN = "sna_client_token", "EnableSnaClientToken"
    RISK_CHECK = "risk_check", "RiskCheck"
    TAGS = "tags", "Tags"


class Purpose(models.TextChoices):
    """Why a proof is asked for."""

    ENROLL = "enroll", _("enroll a factor")
    LOGIN = "login", _("sign in")
    STEP_UP = "step_up", _("confirm it is you")
    VERIFY = "verify", _("prove an address without an account")
    PAYMENT = "payment", _("approve a payment")


PurposeName = Purpose | Literal["enroll", "login", "step_up", "verify", "payment"]
"""A purpose, or its value as text, for type checkers."""


class Precedence(models.IntegerChoices):
    """Whose verification goes first where the provider has one for a recipient: the higher number.

    An owner has confirmed this very recipient as a factor of the account. A sign-in from a network where the account
    has never passed a second factor may be anybody's who knows the password. All others are claimants.
    """

    CLAIMANT = 1, _("claimant")
    NEW_NETWORK = 2, _("owner, from a new network")
    OWNER = 3, _("owner")


class FactorKind(models.TextChoices):
    """What a person can have enrolled."""

    PHONE = "phone", _("phone")
    EMAIL = "email", _("email")
    TOTP = "totp", _("authenticator app")
    PUSH = "push", _("push approval")
    PASSKEY = "passkey", _("passkey")


DEVICE_KINDS = (FactorKind.TOTP, FactorKind.PUSH, FactorKind.PASSKEY)
"""The factors that the provider keeps."""


class VerificationStatus(models.TextChoices):
    """Where a verification stands. Anything that is not ``approved`` never counts as proof."""

    PENDING = "pending", _("pending")
    APPROVED = "approved", _("approved")
    DENIED = "denied", _("denied")
    CANCELED = "canceled", _("canceled")
    EXPIRED = "expired", _("expired")
    MAX_ATTEMPTS_REACHED = "max_attempts_reached", _("too many tries")
    FAILED = "failed", _("could not be sent")


class AttemptStatus(models.TextChoices):
    """Where one send stands on our side of the wire."""

    RESERVED = (
        "reserved",
        _("reserved"),
    )  # counted, the provider is being called or the call was cut short
    SENT = "sent", _("sent")  # the provider took it
    PERHAPS_SENT = "perhaps_sent", _("perhaps sent")  # no answer: it may or may not have been taken
    REFUSED = "refused", _("refused")  # the provider said no; nothing was sent
    NOT_SENT = "not_sent", _("not sent")  # the provider was never reached; nothing was sent
    WITHHELD = "withheld", _("withheld")  # a claimant's, while the owner's code was under way; nothing was sent


class CheckOutcome(models.TextChoices):
    """What came of one answer."""

    APPROVED = "approved", _("approved")
    WRONG = "wrong", _("wrong code")
    MALFORMED = "malformed", _("not a code")  # never reached the provider, never counted
    ALREADY_APPROVED = "already_approved", _("already approved")
    EXPIRED = "expired", _("expired")
    NO_CHECKS_LEFT = "no_checks_left", _("too many tries")
    CLOSED = "closed", _("no longer open")  # canceled, denied or never sent
    IN_PROGRESS = "in_progress", _("another answer is being checked")
    UNANSWERED = "unanswered", _("provider did not answer")
    NOT_OPENED = "not_opened", _("link not opened yet")
    LINK_FAILED = "link_failed", _("link confirmed nothing")  # another way goes on from here
    WRONG_ANSWER_TYPE = (
        "wrong_answer_type",
        _("answered another way than it was sent"),
    )  # a code to a link, or the reverse
    PAYMENT_CHANGED = "payment_changed", _("payment has changed")  # amount or payee are not those of the start
    REPLAYED = "replayed", _("code used before")  # right, but it was accepted once already
    WAITING = "waiting", _("not answered yet")  # of a push: nobody has answered, or the number is still to be typed
    DENIED = "denied", _("denied")  # the person said no, on the phone
    FACTOR_GONE = "factor_gone", _("device not known any more")  # removed, here or at the provider
    HELD = "held", _("blocked after too many wrong codes")  # not judged; another factor or a recovery code releases it
    TOO_SOON = "too_soon", _("asked to wait after wrong codes")  # not judged; Checked.retry_at says until when


class RedeemProblem(StrEnum):
    """Why an approval could not be redeemed."""

    NOT_APPROVED = "not_approved"
    OTHER_PURPOSE = "other_purpose"  # it was made for something else
    PAYMENT_CHANGED = "payment_changed"  # amount or payee are not those that were approved
    TOO_LATE = "too_late"
    USED = "used"
    FACTOR_GONE = "factor_gone"  # the factor that it verified was removed, replaced or lost since


class ConsentEventType(models.TextChoices):
    """What can happen to consent."""

    GRANTED = "granted", _("granted")
    GRANTED_ONCE = "granted_once", _("granted for one message")  # of one purpose; the first send uses it up
    RENEWED = "renewed", _("renewed")
    WITHDRAWN = "withdrawn", _("withdrawn")  # by one person, for that person
    OPTED_OUT = "opted_out", _("opted out")  # by the recipient, for every person
    EXPIRED = "expired", _("expired")
    IMPORTED = "imported", _("imported")
    INVALIDATED = "invalidated", _("invalidated")
    RELEASED = "released", _("opt-out released")  # the opt-out is over; nothing goes out before a user agrees again


FOR_EVERYBODY = (ConsentEventType.OPTED_OUT, ConsentEventType.INVALIDATED, ConsentEventType.RELEASED)
"""The events that are the recipient's and not one person's: they end every person's consent."""

LIVE_CONSENT = (ConsentEventType.GRANTED, ConsentEventType.RENEWED, ConsentEventType.IMPORTED)
"""The events that, as the latest one, let messages go out. All others, and none at all, stop them."""

AGREED = (*LIVE_CONSENT, ConsentEventType.GRANTED_ONCE)
"""The events by which somebody agreed, to messages or to a single one."""


class ConsentMedium(models.TextChoices):
    """Through what the consent came in."""

    WEB = "web", _("web page")
    API = "api", _("site's own code")
    IMPORT = "import", _("import")
    ADMIN = "admin", _("recorded by staff")
    PROVIDER = "provider", _("reported by the provider")


class PersonKind(models.TextChoices):
    """How a person is known to the records."""

    USER = "user", _("account")
    SESSION = "session", _("visitor")
    HOLDER = "holder", _("whoever holds the address")  # of an opt-out: it is nobody's account that asks


class Actor(models.TextChoices):
    """Who did what an event records."""

    PERSON = "person", _("the person")
    STAFF = "staff", _("staff")
    PROVIDER = "provider", _("the provider")
    SYSTEM = "system", _("the site itself")


class AuditKind(models.TextChoices):
    """What was done with evidence, by whoever looks after it; and with a person's factors, by staff."""

    UNMASKED = "unmasked", _("shown unmasked")
    EXPORTED = "exported", _("exported")
    ERASED = "erased", _("erased")
    PURGED = "purged", _("purged by retention")
    HELD = "held", _("legal hold set")
    RELEASED = "released", _("legal hold released")
    OPT_RELEASED = "opt_released", _("opt-out released")
    ROTATED = "rotated", _("keys rotated")
    RESET_ASKED = "reset_asked", _("reset of factors requested")
    RESET_HALTED = "reset_halted", _("reset of factors canceled")
    RESET_DONE = "reset_done", _("factors reset")
    RESET_LINK = "reset_link", _("enrollment link sent again")
    RESET_OPENED = "reset_opened", _("enrollment link opened")
    ACTED_AS = "acted_as", _("acted as another user")
    EXTERNAL = "external", _("factor verified by another app")
    ACTING_OVER = "acting_over", _("stopped acting as another user")


class KeyRecord(models.TextChoices):
    """What the register says of a fingerprint key."""

    WRITES = "writes", _("records are written with it")
    CLOSED = "closed", _("no more records are written with it")
    ROTATED = "rotated", _("its rotation is complete")
    LOST = "lost", _("its secret was given up as lost")
