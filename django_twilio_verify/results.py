"""What backends and flows answer: frozen, named, never tuples or strings."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TYPE_CHECKING

from .choices import Channel, CheckOutcome

if TYPE_CHECKING:
    from .models.verification import Verification


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

    ``sid``: the verification's (``VE…``), the same for every resend; ``attempt_sid``: this send's (``VL…``) or
    ``""``; ``channel``: the way that the provider says it used, as it spells it, lower case.
    """

    sid: str
    status: ProviderStatus
    channel: str = ""
    attempt_sid: str = ""


@dataclass(frozen=True, slots=True)
class ProviderCheck:
    """The provider's judgement of an answer, or where a verification stands. ``provider_code``: 0 if none."""

    status: ProviderStatus
    sid: str = ""
    provider_code: int = 0


@dataclass(frozen=True, slots=True)
class ProviderAttempt:
    """What the provider knows of one send. ``price`` is a decimal number as text, in ``currency`` (ISO 4217)."""

    sid: str
    verification_sid: str
    channel: str
    converted: bool
    price: str = ""
    currency: str = ""
    message_status: str = ""
    error_code: int = 0


@dataclass(frozen=True, slots=True)
class Started:
    """A verification is open and a code is on its way, or perhaps is.

    ``reused``: nothing was sent by this call, an earlier send still counts. ``perhaps_sent``: the provider did
    not answer in time. ``resend_at``: aware UTC time from which another send is allowed, ``None`` when no more are.
    ``sends_left``: sends that remain to this verification.
    """

    verification: Verification
    channel: Channel
    reused: bool = False
    perhaps_sent: bool = False
    resend_at: datetime | None = None
    sends_left: int = 0


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of an answer. ``checks_left``: answers that remain; ``retry_at``: when a new code may be asked for."""

    verification: Verification
    outcome: CheckOutcome
    checks_left: int = 0
    retry_at: datetime | None = None
    problem: str = field(default="")
    """For a malformed answer, which of ``codes.CodeProblem`` it was."""

    @property
    def approved(self) -> bool:
        """Whether this very call proved it. SECURITY: true for exactly one call of all that race."""
        return self.outcome == CheckOutcome.APPROVED
