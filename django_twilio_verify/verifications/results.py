"""Results of starting, checking and redeeming a verification."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from ..choices import Channel, CheckOutcome, Purpose, RedeemProblem, VerificationStatus
from ..core.recipients import Recipient
from ..core.results import Result, json_time
from . import messages

if TYPE_CHECKING:
    from ..models.verification import Verification


@dataclass(frozen=True, slots=True)
class Started:
    """A verification is open: a message is on its way, or a sign-in method was asked.

    The one result with a truth value, since it has no other outcome: ``form.send(request)`` gives it or ``None``.

    Attributes:
        verification: The record. Its id is what ``check``, ``resend`` and the others take.
        channel: The channel that carries it, which for ``auto`` may be another one than was asked for.
        reused: Nothing was sent by this call: an earlier send still counts.
        delivery_unknown: The provider did not answer in time. The send counts, and a message may be under way.
        resend_at: When another send is allowed (aware, UTC); ``None`` when no more are.
        sends_left: Sends that remain to this verification.
        link: Where there is no code to type, the address that the phone has to open over its mobile network.
        suggests_call: Three messages went out and a call has not, though it could: offer one.
        channel_may_differ: The message may come by another channel than ``channel`` says (as RCS, or as a text message
            instead of WhatsApp): write "we sent a code", and not how.
        needs_number: The phone shows a number of two digits, which the user types here.
        browser_options: Of a passkey, for ``PublicKeyCredential.parseRequestOptionsFromJSON``.
        code_replaced: The latest send brought a new code, and the ones before do not work: say so.
    """

    verification: Verification
    channel: Channel
    reused: bool = False
    delivery_unknown: bool = False
    resend_at: datetime | None = None
    sends_left: int = 0
    link: str = field(default="", repr=False)
    suggests_call: bool = False
    channel_may_differ: bool = False
    needs_number: bool = False
    code_replaced: bool = False
    browser_options: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def expires_at(self) -> datetime:
        """When it can no longer be answered (aware, UTC)."""
        return self.verification.expires_at

    @property
    def recipient(self) -> Recipient | None:
        """Where the message goes; ``None`` where the provider keeps the factor."""
        return self.verification.recipient if self.verification.recipient_kind else None

    def as_dict(self) -> dict[str, Any]:
        """Describe it as JSON, for the program that may answer it. The recipient is masked. No query."""
        recipient = self.recipient
        return {
            "verification": str(self.verification.pk),
            "channel": self.channel.value,
            "recipient": recipient.masked if recipient else "",
            "reused": self.reused,
            "delivery_unknown": self.delivery_unknown,
            "resend_at": json_time(self.resend_at),
            "sends_left": self.sends_left,
            "expires_at": json_time(self.expires_at),
            "link": self.link,
            "suggests_call": self.suggests_call,
            "channel_may_differ": self.channel_may_differ,
            "needs_number": self.needs_number,
            "code_replaced": self.code_replaced,
            "browser_options": json.loads(json.dumps(dict(self.browser_options))),
        }


@dataclass(frozen=True, slots=True)
class Checked(Result):
    """What came of an answer.

    Attributes:
        verification: The record as it is now.
        outcome: What came of it.
        checks_left: Answers that remain.
        retry_at: When a new code may be asked for, or the next answer given (aware, UTC); ``None`` for now or never.
        reason: More of the outcome: for ``malformed`` which of ``CodeProblem`` it was, or ``not_a_passkey``,
            ``not_unlocked``; for ``waiting`` ``number`` while the number is still to be typed.
        next_channel: After a link that confirmed nothing, the channel to go on by; ``None`` if there is no other.
    """

    answer: ClassVar[str] = "approved"

    verification: Verification
    outcome: CheckOutcome
    checks_left: int = 0
    retry_at: datetime | None = None
    reason: str = ""
    next_channel: Channel | None = None

    @property
    def approved(self) -> bool:
        """Whether this very call approved it. SECURITY: true for exactly one call of all that race."""
        return self.outcome == CheckOutcome.APPROVED

    @property
    def already_approved(self) -> bool:
        """Whether a call before this one approved it, as after a double click. It opens nothing by itself: ``redeem``
        does, once.
        """
        return self.outcome == CheckOutcome.ALREADY_APPROVED

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is decided yet: the link was not opened, the phone has not answered, or another answer is
        being checked.
        """
        return self.outcome in (CheckOutcome.WAITING, CheckOutcome.NOT_OPENED, CheckOutcome.IN_PROGRESS)

    @property
    def recipient(self) -> Recipient | None:
        """Where the message went; ``None`` where the provider keeps the factor."""
        return self.verification.recipient if self.verification.recipient_kind else None

    @property
    def user_message(self) -> str:
        """The sentence for the user, in the active language; ``""`` for an answer that was right."""
        return messages.message_for(self)

    def as_dict(self) -> dict[str, Any]:
        """Describe it as JSON. ``code`` is the outcome, ``detail`` the sentence."""
        return {
            "verification": str(self.verification.pk),
            "code": self.outcome.value,
            "detail": self.user_message,
            "approved": self.approved,
            "already_approved": self.already_approved,
            "is_waiting": self.is_waiting,
            "checks_left": self.checks_left,
            "retry_at": json_time(self.retry_at),
            "reason": self.reason,
            "next_channel": self.next_channel.value if self.next_channel else None,
        }


@dataclass(frozen=True, slots=True)
class VerificationState(Result):
    """How a verification stands by our own record, for a page that asks again and again.

    Attributes:
        verification: The record.
        status: ``expired`` also where nobody has written that down yet.
        is_open: It may still be answered.
        link_pending: A link is out and has confirmed nothing yet.
        link_failed: It is over with the link, and open for another channel.
        redeemed: Its approval has been used.
        resend_at: When another send is allowed (aware, UTC); ``None`` when no more are.
        sends_left: Sends that remain.
        checks_left: Answers that remain.
        other_channels: The channels that it can be sent by instead, the best one first.
    """

    answer: ClassVar[str] = "status"

    verification: Verification
    status: VerificationStatus
    is_open: bool = False
    link_pending: bool = False
    link_failed: bool = False
    redeemed: bool = False
    resend_at: datetime | None = None
    sends_left: int = 0
    checks_left: int = 0
    other_channels: tuple[Channel, ...] = ()

    @property
    def approved(self) -> bool:
        """Whether it is approved. Whoever acts on it redeems it: that works for one caller only."""
        return self.status == VerificationStatus.APPROVED

    def as_dict(self) -> dict[str, Any]:
        """Describe it as JSON."""
        return {
            "verification": str(self.verification.pk),
            "status": self.status.value,
            "is_open": self.is_open,
            "link_pending": self.link_pending,
            "link_failed": self.link_failed,
            "redeemed": self.redeemed,
            "resend_at": json_time(self.resend_at),
            "sends_left": self.sends_left,
            "checks_left": self.checks_left,
            "other_channels": [channel.value for channel in self.other_channels],
        }


@dataclass(frozen=True, slots=True)
class Redeemed(Result):
    """What came of using an approval.

    Attributes:
        verification: The record; ``None`` where a session has approved nothing at all.
        problem: Why it could not be used, ``None`` if it was.
    """

    answer: ClassVar[str] = "accepted"

    verification: Verification | None
    problem: RedeemProblem | None = None

    @property
    def accepted(self) -> bool:
        """Whether what was approved may go ahead. SECURITY: true for exactly one call of all that race."""
        return self.problem is None

    @property
    def user_message(self) -> str:
        """Why not, for the user, in the active language; ``""`` if it may go ahead."""
        return messages.redeem_sentence(self.problem) if self.problem else ""

    def as_dict(self) -> dict[str, Any]:
        """Describe it as JSON."""
        return {
            "verification": str(self.verification.pk) if self.verification else None,
            "accepted": self.accepted,
            "code": self.problem.value if self.problem else "accepted",
            "detail": self.user_message,
        }


@dataclass(frozen=True, slots=True)
class Handover:
    """A link handed from the screen that asked for it to the phone that can open it.

    ``token``: goes into the QR code, ten minutes; ``match``: two digits to show on the asking screen; ``choices``: the
    three that the phone offers, ``match`` among them.
    """

    token: str = field(repr=False)
    match: str = field(repr=False)
    choices: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Offered:
    """What the phone is shown before it opens a link: the numbers to choose among, where the proof is about (masked),
    and what for.
    """

    choices: tuple[str, ...]
    recipient: str
    purpose: Purpose
