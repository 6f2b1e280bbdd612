"""Results of starting, checking and redeeming a verification, and of enrolling a factor."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from ..choices import Channel, CheckOutcome, Purpose, VerificationStatus

if TYPE_CHECKING:
    from ..models.factor import Factor
    from ..models.verification import Verification


@dataclass(frozen=True, slots=True)
class Started:
    """A verification is open and a code is on its way, or perhaps is.

    ``reused``: nothing was sent by this call, an earlier send still counts. ``perhaps_sent``: the provider did
    not answer in time. ``resend_at``: aware UTC time from which another send is allowed, ``None`` when no more are.
    ``sends_left``: sends that remain to this verification. ``link``: where there is no code to type, the address that
    the phone has to open over its mobile network. ``offer_call``: three messages went out and a call has not, though
    it could: offer it. ``may_differ``: the message may come otherwise than ``channel`` says (as RCS, or as a text
    message instead of WhatsApp): say "we sent a code" and not how.
    """

    verification: Verification
    channel: Channel
    reused: bool = False
    perhaps_sent: bool = False
    resend_at: datetime | None = None
    sends_left: int = 0
    link: str = field(default="", repr=False)
    offer_call: bool = False
    may_differ: bool = False


@dataclass(frozen=True, slots=True)
class Checked:
    """What came of an answer. ``checks_left``: answers that remain; ``retry_at``: when a new code may be asked for.
    ``next_channel``: after a link that confirmed nothing, the way to go on by, ``None`` if there is no other.
    """

    verification: Verification
    outcome: CheckOutcome
    checks_left: int = 0
    retry_at: datetime | None = None
    problem: str = field(default="")
    """For a malformed answer, which of ``codes.CodeProblem`` it was."""
    next_channel: Channel | None = None

    @property
    def approved(self) -> bool:
        """Whether this very call proved it. SECURITY: true for exactly one call of all that race."""
        return self.outcome == CheckOutcome.APPROVED


@dataclass(frozen=True, slots=True)
class Challenged:
    """A factor that the provider keeps was asked for a proof.

    ``options``: of a passkey, for ``PublicKeyCredential.parseRequestOptionsFromJSON``. ``asks_number``: the phone shows
    a number of two digits that the person has to type here. ``reused``: nothing was asked anew. ``perhaps_asked``: the
    provider did not answer in time, and the phone may have been asked.
    """

    verification: Verification
    channel: Channel
    reused: bool = False
    perhaps_asked: bool = False
    asks_number: bool = False
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Enrolling:
    """A factor that the provider made and the person has yet to confirm.

    Told once and kept nowhere: ``secret`` (base32) and ``uri`` (``otpauth://…``, for the QR code) of an authenticator
    app; ``options`` of a passkey, for ``PublicKeyCredential.parseCreationOptionsFromJSON``; ``access_token``,
    ``identity`` and ``service_sid`` (``""`` where the backend has none) for the site's app on a phone.
    """

    verification: Verification
    channel: Channel
    secret: str = field(default="", repr=False)  # SECURITY: who reads it, has the factor
    uri: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=dict, repr=False)
    access_token: str = field(default="", repr=False)
    identity: str = ""
    service_sid: str = ""


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What came of confirming a factor. ``factor``: ``None`` unless ``checked`` approved it, or had before. ``first``:
    the person had none, so this is the default: hand out recovery codes.
    """

    checked: Checked
    factor: Factor | None = None
    first: bool = False


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a verification stands by our own record, for a page that asks again and again.

    ``status``: ``expired`` also where nobody has written that down yet. ``waits_for_link``: a link is out and has
    confirmed nothing so far. ``link_failed``: it is over with the link, and open for another way. ``redeemed``: the
    proof has been used.
    """

    status: VerificationStatus
    waits_for_link: bool = False
    link_failed: bool = False
    redeemed: bool = False

    @property
    def approved(self) -> bool:
        """Whether it is proved. Whoever acts on it redeems it: that holds for one caller only."""
        return self.status == VerificationStatus.APPROVED


class RedeemProblem(StrEnum):
    """Why a proof could not be used."""

    NOT_APPROVED = "not_approved"
    OTHER_PURPOSE = "other_purpose"  # it was made for something else
    CHANGED = "changed"  # amount or payee are not those that were approved
    TOO_LATE = "too_late"
    USED = "used"
    FACTOR_GONE = "factor_gone"  # the factor that it proved was removed, replaced or lost since


@dataclass(frozen=True, slots=True)
class Redeemed:
    """What came of using a proof. SECURITY: true exactly for the one call that may go ahead, false for all others.

    ``problem``: why not, ``None`` if it may.
    """

    verification: Verification
    problem: RedeemProblem | None = None

    def __bool__(self) -> bool:
        return self.problem is None


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
