"""The decisions of an answer: whether it may be judged, and what came of it.

``answers`` runs these around the provider's call, for a code and for what came of a link. One answer to a
verification is with the provider at a time: the others wait for what comes of it, so that the losers of a race hear
"already verified" and are not charged a guess.
"""

from __future__ import annotations

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Literal, Protocol

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import check_password

from ..backends.handler import backends
from ..backends.results import ProviderCheck, ProviderStatus
from ..choices import LINK_CHANNELS, Channel, CheckOutcome, Purpose, VerificationStatus
from ..conf import settings
from ..core.client import ClientInfo
from ..core.codes import TypedCode
from ..exceptions import (
    BackendError,
    BackendRejected,
    BackendUnavailable,
    FactorHeld,
    RateLimited,
    VerificationNotFound,
)
from ..ledger.persons import session_matches
from ..limits import counters
from ..limits.lockouts import Refused
from ..models import Verification, VerificationCheck
from ..models.transactions import short_transaction
from ..models.verification import CLEARED
from . import channel_plan, claimants, confirmed_factors, throttling
from .options import Payment
from .results import Checked

logger = logging.getLogger("django_twilio_verify")

_OVER = {
    VerificationStatus.APPROVED: CheckOutcome.ALREADY_APPROVED,
    VerificationStatus.EXPIRED: CheckOutcome.EXPIRED,
    VerificationStatus.MAX_ATTEMPTS_REACHED: CheckOutcome.NO_CHECKS_LEFT,
}

MAX_LINK_CHECKS = 3
"""How often the provider is asked what came of the links of a verification. Whether Verify counts that as one of its
five checks is not documented: so many leave two for the code that comes instead.
"""


class Given(Protocol):
    """What every kind of answer says of who gives it."""

    @property
    def client(self) -> ClientInfo | None: ...

    @property
    def user(self) -> AbstractBaseUser | None: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that somebody typed. ``code``: as typed; ``user``: given by callers who know whose it must be;
    ``payment``: what is approved with it.
    """

    verification_id: uuid.UUID
    code: str = field(repr=False)
    client: ClientInfo
    user: AbstractBaseUser | None
    payment: Payment = field(default_factory=Payment)


@dataclass(frozen=True, slots=True)
class LinkQuestion:
    """Somebody asks what came of a link. ``client`` is ``None`` for the phone that it was handed over to.

    ``token``: what the link answered, if it was asked to.
    """

    verification_id: uuid.UUID
    client: ClientInfo | None
    user: AbstractBaseUser | None = None
    token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Claimed:
    """An answer that has been counted and may now be judged, once: by the provider, or for a code that the app or the
    site made, here.
    """

    verification: Verification
    code: TypedCode
    withheld: bool = False

    @property
    def is_own(self) -> bool:
        return bool(self.verification.code_digest)

    @property
    def sid(self) -> str:
        """By which the provider is asked: of one that is withheld, by one that it does not know.

        SECURITY: the question takes as long as any other, and uses up no answer to the owner's code.
        """
        return self.verification.no_sid if self.withheld else self.verification.sid


@dataclass(frozen=True, slots=True)
class LinkClaimed:
    """A question after a link that has been counted and may now be put to the provider, once."""

    verification: Verification
    token: str = field(repr=False)

    @property
    def sid(self) -> str:
        """By which the provider is asked, as of ``Claimed``."""
        return self.verification.no_sid if self.verification.withheld else self.verification.sid


def load(verification_id: uuid.UUID, client: ClientInfo, user: AbstractBaseUser | None) -> Verification:
    """The verification, if it is the caller's own. Raises ``VerificationNotFound`` alike for all others, and for one
    whose address was erased.
    """
    # With its factor, of which the count of failures is asked before an answer is judged.
    verification = Verification.objects.select_related("factor").filter(pk=verification_id).first()
    if verification is None or not session_matches(verification.session, client):
        raise VerificationNotFound
    # SECURITY: a session may change hands (another sign-in) and keep its secret; the person must be the same too.
    if user is not None and verification.user_id is not None and verification.user_id != user.pk:
        raise VerificationNotFound
    # SECURITY: without its address, nobody knows what it proved. It must not enroll, stop or open anything.
    if verification.recipient_kind and not verification.recipient_value:
        raise VerificationNotFound
    return verification


def claim(answer: Answer, now: datetime, loaded: Verification | None = None) -> Checked | Claimed | None:
    """Count the answer; or what it is answered without asking the provider; or ``None``: wait and ask again.

    ``loaded``: the verification, if it was read a moment ago. Raises ``VerificationNotFound``.
    """
    verification = loaded or load(answer.verification_id, answer.client, answer.user)
    over = ended_as(verification, now)
    if over is not None:
        return checked_result(verification, over)
    if waits_for_link(verification) or verification.channel == Channel.SNA or verification.is_challenge:
        return checked_result(verification, CheckOutcome.WRONG_ANSWER_TYPE)  # no code was sent
    if payment_changed(verification, answer.payment):
        return checked_result(verification, CheckOutcome.PAYMENT_CHANGED)
    typed = read_code(answer.code, verification)
    if typed.problem is not None:
        return checked_result(verification, CheckOutcome.MALFORMED, reason=typed.problem.value)
    withheld = claimants.is_outranked(verification, now)
    if withheld and not verification.is_claim:
        # SECURITY: a password alone must not use up the answers that the provider takes to the owner's code.
        return record_outcome(verification, CheckOutcome.CLOSED, now)
    taken = claim_answer(verification, answer, now)
    return Claimed(verification, typed, withheld) if taken is True else taken


def claim_answer(verification: Verification, given: Given, now: datetime) -> Checked | Literal[True] | None:
    """Count an answer to ``verification`` and hold the place while it is judged: true if this call does; what it is
    answered if there were too many; ``None``: wait and ask again.
    """
    if verification.checking_until is not None and verification.checking_until > now:
        return None
    if verification.checks >= claimants.most_checks(verification):  # the last answer was cut short and counted
        close(verification, VerificationStatus.MAX_ATTEMPTS_REACHED)
        return checked_result(verification, CheckOutcome.NO_CHECKS_LEFT)
    try:
        throttling.charge(verification, given.client or ClientInfo(), now)
    except FactorHeld:
        return checked_result(verification, CheckOutcome.HELD)
    except RateLimited as limit:
        return checked_result(verification, CheckOutcome.TOO_SOON, retry_at=limit.retry_at)
    try:
        if not count_answer(verification, "checks", given, now):
            throttling.refund(verification)
            return None
    except RateLimited as limited:
        # All claimants' answers together are used up: the same is told as of this one's own.
        throttling.refund(verification)
        used_up = record_outcome(verification, CheckOutcome.NO_CHECKS_LEFT, now)
        verification.is_locked_out = False  # the site was told of the claimants' limit
        return replace(used_up, checks_left=0, retry_at=max(limited.retry_at, verification.expires_at))
    verification.checks += 1
    return True


def claim_link(
    question: LinkQuestion, now: datetime, loaded: Verification | None = None
) -> Checked | LinkClaimed | None:
    """As ``claim``, for a question after the link of a verification."""
    verification = loaded or load_for_link(question)
    over = ended_as(verification, now)
    if over is not None:
        return checked_result(verification, over)
    if not waits_for_link(verification):
        # A link that failed, or whose address was lost with the provider's answer; or there never was one.
        by_link = verification.channel in LINK_CHANNELS
        return _link_failed(verification) if by_link else checked_result(verification, CheckOutcome.WRONG_ANSWER_TYPE)
    if verification.checking_until is not None and verification.checking_until > now:
        return None
    if verification.link_checks >= MAX_LINK_CHECKS:  # the last question was cut short and counted
        return _end_link(verification, now)
    try:
        if not count_answer(verification, "link_checks", question, now):
            return None
    except RateLimited:
        return _end_link(verification, now)
    verification.link_checks += 1
    return LinkClaimed(verification, question.token)


def load_for_link(question: LinkQuestion) -> Verification:
    """The verification that ``question`` is about. Raises ``VerificationNotFound``."""
    if question.client is not None:
        return load(question.verification_id, question.client, question.user)
    # SECURITY: without a session only by ``handover``, which has checked its own signature.
    verification = Verification.objects.filter(pk=question.verification_id).first()
    if verification is None:
        raise VerificationNotFound
    return verification


def waits_for_link(verification: Verification) -> bool:
    """Whether a link, and not a code, is what ``verification`` waits for."""
    return bool(verification.link) and verification.status == VerificationStatus.PENDING


def payment_changed(verification: Verification, payment: Payment) -> bool:
    """SECURITY: whether what the person approves is not what the code was sent for. Decided before anybody is asked."""
    bound = Payment(verification.amount, verification.payee)
    return verification.purpose == Purpose.PAYMENT and payment != bound


def ended_as(verification: Verification, now: datetime) -> CheckOutcome | None:
    """What an answer comes to because ``verification`` is over, ``None`` if it is open."""
    if verification.status == VerificationStatus.PENDING:
        if verification.expires_at <= now:
            close(verification, VerificationStatus.EXPIRED)
            return CheckOutcome.EXPIRED
        return None
    return _OVER.get(VerificationStatus(verification.status), CheckOutcome.CLOSED)


class _NotFree(Exception):
    """Another answer is being judged, or was, since the verification was read."""


def count_answer(verification: Verification, counter: str, given: Given, now: datetime) -> bool:
    """Count an answer that is about to be judged, and hold the place while it is; whether this call did."""
    # Longer than a provider's call can last (connecting and reading each have the time-out).
    lease = timedelta(seconds=2 * backends[verification.backend].timeout + 5)
    row = Verification.objects.filter(pk=verification.pk)

    def write() -> bool:
        if not row.count_check(verification, counter, now, lease):
            raise _NotFree
        return True

    # In a transaction of its own, so that a caller's transaction is refused before the provider is asked, not after.
    try:
        # SECURITY: a claimant's answers count with those of all other claimants to the same recipient, in the same
        # transaction and before the provider is asked. With nobody to count, this is a short transaction.
        refused = partial(_refused, verification, given)
        return counters.within(claimants.check_subjects(verification), now, write, refused=refused)
    except _NotFree:
        return False


def _refused(verification: Verification, given: Given) -> Refused:
    return Refused(account_of(verification, given), given.client, verification.country)


def account_of(verification: Verification, given: Given | None) -> AbstractBaseUser | None:
    """The user whose ``verification`` it is. No query where the caller named the user."""
    if given is not None and given.user is not None and given.user.pk == verification.user_id:
        return given.user
    return verification.user


def judge(claimed: Claimed) -> ProviderCheck:
    """Judge a code that the app or the site made. Slow, as the hash wants."""
    # SECURITY: of one that is withheld, which nobody was sent, every code is wrong, and takes as long.
    is_right = check_password(claimed.code.digits, claimed.verification.code_digest) and not claimed.withheld
    return ProviderCheck(ProviderStatus.APPROVED if is_right else ProviderStatus.PENDING, claimed.verification.sid)


def record_check(claimed: Claimed, judged: ProviderCheck, now: datetime) -> Checked:
    """The provider answered."""
    verification = claimed.verification
    if judged.status == ProviderStatus.APPROVED:
        return approve(verification, now)
    if over := _ended(claimed, judged):
        return record_outcome(verification, over, now, judged.provider_code)
    # SECURITY: pending, and any word that we do not know, is a wrong code.
    used_up = verification.checks >= claimants.most_checks(verification)
    return record_outcome(verification, CheckOutcome.NO_CHECKS_LEFT if used_up else CheckOutcome.WRONG, now)


def record_link_check(claimed: LinkClaimed, judged: ProviderCheck, now: datetime) -> Checked:
    """The provider said what came of the link."""
    verification = claimed.verification
    if judged.status == ProviderStatus.APPROVED:  # whatever failed before
        return approve(verification, now)
    if over := _ended(claimed, judged):
        return record_outcome(verification, over, now, judged.provider_code)
    # SECURITY: pending, and any word that we do not know, proves nothing.
    if judged.link_failed or verification.link_checks >= MAX_LINK_CHECKS:
        return _end_link(verification, now, judged.link_errors[-1] if judged.link_errors else 0)
    return record_outcome(verification, CheckOutcome.NOT_OPENED, now)


def _ended(claimed: Claimed | LinkClaimed, judged: ProviderCheck) -> CheckOutcome | None:
    """How it ended at the provider's side, ``None`` if it did not."""
    verification = claimed.verification
    if claimed.sid == verification.no_sid:
        return None  # SECURITY: what was asked about is not there; told is a wrong code
    if judged.status == ProviderStatus.GONE:
        return _why_gone(verification)
    ends = {ProviderStatus.EXHAUSTED: CheckOutcome.NO_CHECKS_LEFT, ProviderStatus.CANCELED: CheckOutcome.CLOSED}
    return ends.get(judged.status)


def _why_gone(verification: Verification) -> CheckOutcome:
    """What a 404 means, by our own record: the provider does not tell expired, used and used up apart.

    One recipient has one verification at the provider, whatever sessions and purposes it serves here: another row of
    the same SID may have used it, or used it up.
    """
    others = Verification.objects.filter(backend=verification.backend, sid=verification.sid).exclude(pk=verification.pk)
    found = set(others.values_list("status", flat=True)) if verification.sid else set()
    if found & {VerificationStatus.APPROVED, VerificationStatus.CANCELED, VerificationStatus.DENIED}:
        return CheckOutcome.CLOSED
    return CheckOutcome.NO_CHECKS_LEFT if VerificationStatus.MAX_ATTEMPTS_REACHED in found else CheckOutcome.EXPIRED


def record_check_failed(claimed: Claimed, error: BackendError, now: datetime) -> Checked:
    """The provider did not judge it. Answers "malformed" if it would not read it as a code, else raises ``error``."""
    verification = claimed.verification
    release(verification, "checks", error, now)
    if isinstance(error, BackendRejected) and error.code == "code":
        verification.checks -= 1
        return checked_result(verification, CheckOutcome.MALFORMED, reason="not_digits")
    raise error


def record_link_check_failed(claimed: LinkClaimed, error: BackendError, now: datetime) -> Checked:
    """The provider did not say. Where it would not, there is another way to go; where it is down, raises ``error``."""
    verification = claimed.verification
    release(verification, "link_checks", error, now)
    if isinstance(error, BackendRejected):
        return _end_link(verification, now, error.provider_code)
    raise error


def release(verification: Verification, counter: str, error: BackendError, now: datetime) -> None:
    """Let the next one ask."""
    logger.warning(
        "Check failed: verification=%s error=%s provider_code=%s",
        verification.pk,
        error.code,
        error.provider_code,
    )
    # A time-out may have counted at the provider, so it counts here; what never reached it does not.
    counted = isinstance(error, BackendUnavailable) and error.may_have_been_done

    if counted:
        throttling.lose(verification)
    else:
        throttling.refund(verification)

    def write() -> None:
        Verification.objects.filter(pk=verification.pk).release_check(uncounted="" if counted else counter)
        append_check(verification, CheckOutcome.UNANSWERED, now, error.provider_code)

    short_transaction(write)


def uncount(verification: Verification, counter: str) -> None:
    """Let the next one ask, as if this answer had not been given."""
    row = Verification.objects.filter(pk=verification.pk)
    short_transaction(partial(row.release_check, uncounted=counter))
    setattr(verification, counter, getattr(verification, counter) - 1)
    throttling.refund(verification)


class _Forbidden(Exception):
    """Something else forbids what the provider approved. ``outcome``: what the answer comes to instead."""

    def __init__(self, outcome: CheckOutcome) -> None:
        self.outcome = outcome
        super().__init__(outcome)


def approve(
    verification: Verification, now: datetime, also: Callable[[], CheckOutcome | None] | None = None
) -> Checked:
    """Turn a right answer into a proof, once.

    ``also``: run in the same transaction, when the place is taken: an outcome that it gives forbids the proof, undoes
    all of it and is what the answer comes to.
    """

    def write() -> bool:
        # SECURITY: promise 3. Whoever removed or replaced the factor a moment ago did so for this sign-in too. Before
        # the verification, as removing does: of two that wait for each other the database ends one.
        if not verification.is_challenge and not confirmed_factors.still_opens(verification):
            raise _Forbidden(CheckOutcome.FACTOR_GONE)
        accepted = bool(Verification.objects.filter(pk=verification.pk).approve(now))
        if accepted:
            append_check(verification, CheckOutcome.APPROVED, now)
            channel_plan.remember(verification, now)
            if also is not None and (forbids := also()):
                raise _Forbidden(forbids)
        return accepted

    try:
        accepted = short_transaction(write)
    except _Forbidden as forbidden:
        return record_outcome(verification, forbidden.outcome, now)
    if not accepted:
        verification.refresh_from_db()
        return checked_result(verification, ended_as(verification, now) or CheckOutcome.CLOSED)
    verification.status, verification.approved_at = VerificationStatus.APPROVED.value, now
    for name, value in CLEARED.items():
        setattr(verification, name, value)
    return checked_result(verification, CheckOutcome.APPROVED)


def _end_link(verification: Verification, now: datetime, provider_code: int = 0) -> Checked:
    """Nothing comes of the link any more: another way may go ahead at once, in the same place."""

    def write() -> bool:
        ended = bool(Verification.objects.filter(pk=verification.pk).end_link(verification.link, now))
        if ended:
            append_check(verification, CheckOutcome.LINK_FAILED, now, provider_code)
        return ended

    ended = short_transaction(write)
    verification.refresh_from_db()
    over = None if ended else ended_as(verification, now)
    return checked_result(verification, over) if over else _link_failed(verification)


def refuse_link(verification: Verification, now: datetime) -> None:
    """End the link of ``verification`` because the phone that holds it does not belong to the asking screen."""
    _end_link(verification, now)


def _link_failed(verification: Verification) -> Checked:
    return checked_result(verification, CheckOutcome.LINK_FAILED, next_channel=channel_plan.next_channel(verification))


_ENDS = {
    CheckOutcome.NO_CHECKS_LEFT: VerificationStatus.MAX_ATTEMPTS_REACHED,
    CheckOutcome.EXPIRED: VerificationStatus.EXPIRED,
    CheckOutcome.CLOSED: VerificationStatus.CANCELED,
    CheckOutcome.FACTOR_GONE: VerificationStatus.CANCELED,
    CheckOutcome.DENIED: VerificationStatus.DENIED,
}


def record_outcome(verification: Verification, outcome: CheckOutcome, now: datetime, provider_code: int = 0) -> Checked:
    """Record ``outcome``, which is no approval, and end the verification if it ends it."""
    status = _ENDS.get(outcome)

    def write() -> None:
        if status is None:
            Verification.objects.filter(pk=verification.pk).release_check()
        else:
            close(verification, status)
        append_check(verification, outcome, now, provider_code)

    short_transaction(write)
    return checked_result(verification, outcome)


def close(verification: Verification, status: VerificationStatus) -> bool:
    """End a pending verification without proof; whether this call did."""
    ended = bool(Verification.objects.filter(pk=verification.pk).close(status))
    verification.status = status.value
    verification.is_locked_out = ended and status == VerificationStatus.MAX_ATTEMPTS_REACHED
    return ended


def append_check(verification: Verification, outcome: CheckOutcome, now: datetime, provider_code: int = 0) -> None:
    """Write down what came of one answer."""
    VerificationCheck.objects.create(
        verification=verification,
        outcome=outcome.value,
        created_at=now,
        error_code=provider_code or None,
    )


def busy(verification: Verification) -> Checked:
    """Another answer did not come back from the provider in time."""
    return checked_result(verification, CheckOutcome.IN_PROGRESS)


def checked_result(
    verification: Verification,
    outcome: CheckOutcome,
    *,
    reason: str = "",
    next_channel: Channel | None = None,
    retry_at: datetime | None = None,
) -> Checked:
    """The answer that describes ``verification`` after ``outcome``."""
    used_up = outcome == CheckOutcome.NO_CHECKS_LEFT
    return Checked(
        verification=verification,
        outcome=outcome,
        checks_left=max(claimants.most_checks(verification) - verification.checks, 0),
        retry_at=verification.expires_at if used_up else retry_at,
        reason=reason,
        next_channel=next_channel,
    )


def read_code(code: str, verification: Verification) -> TypedCode:
    """``code`` as typed, against the length of its Service's codes; a code of the site's own against what such codes
    may be.
    """
    if verification.has_custom_code:
        return TypedCode.parse_custom(code)
    return TypedCode.parse(code, length=settings.service(verification.backend).code_length)
