"""What backends return: frozen dataclasses."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum


class ProviderStatus(Enum):
    """What the provider says of a verification, in words that every backend shares."""

    PENDING = "pending"
    APPROVED = "approved"
    CANCELED = "canceled"
    GONE = "gone"  # 404: expired, approved before, used up or never there; the provider does not say which
    EXHAUSTED = "exhausted"  # no more answers are taken until it expires
    UNKNOWN = "unknown"  # a word this version does not know: SECURITY: never proof


@dataclass(frozen=True, slots=True)
class ProviderSend:
    """The provider took a send.

    Args:
        sid: The provider's id of the verification, up to 128 characters, the same for every resend (Twilio: ``VE…``).
        status: ``PENDING``. Any other one is recorded as sent all the same.
        channel: The channel that the provider says it used, as it spells it, lower case.
        attempt_sid: The provider's id of this send, up to 128 characters (Twilio: ``VL…``), or ``""``.
        link: For silent network authentication, the address that the phone has to open over its mobile network, once,
            within ten minutes.
        line_type: What a look-up says of the number (``mobile``, ``landline``, ``fixedVoip`` …), or ``""``.
    """

    sid: str
    status: ProviderStatus
    channel: str = ""
    attempt_sid: str = ""
    link: str = field(default="", repr=False)  # SECURITY: who opens it first, proves the number
    line_type: str = ""


@dataclass(frozen=True, slots=True)
class ProviderCheck:
    """The provider's judgement of an answer, or where a verification stands.

    Args:
        status: The judgement.
        sid: The provider's id of the verification.
        provider_code: For the record, the provider's number for the reason, 0 if there is none.
        link_errors: For the record, the provider's numbers of the openings that failed, latest last.
        link_failed: Of silent network authentication, the link was opened and confirmed nothing; false while it was not
            opened.
    """

    status: ProviderStatus
    sid: str = ""
    provider_code: int = 0
    link_failed: bool = False
    link_errors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class ProviderAttempt:
    """What the provider knows of one send, from its list of attempts or from an event.

    ``channel``: the way it used, as it spells it, lower case; ``rbm`` is RCS. ``converted``: whether a right answer
    came of it, ``None`` if this source does not say. ``price``: a decimal number as text, in ``currency`` (ISO 4217).
    ``message_status``: of the message or call: ``queued sent delivered undelivered failed read`` …; ``error_code``: why
    it was not delivered, 0 if there is none. ``at``: when the provider made or last changed it, if it says. ``tag``:
    our own id of the verification, if the source repeats the tags of the send.
    """

    sid: str
    verification_sid: str
    channel: str
    converted: bool | None
    price: str = ""
    currency: str = ""
    message_status: str = ""
    error_code: int = 0
    country: str = ""
    carrier: str = ""
    at: datetime | None = None
    tag: str = ""


@dataclass(frozen=True, slots=True)
class AttemptsPage:
    """Some of the provider's attempts, and how to ask for the next ones: ``next_page`` is ``""`` behind the last."""

    attempts: tuple[ProviderAttempt, ...]
    next_page: str = ""
