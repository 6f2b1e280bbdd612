"""The decisions of an answer: whether it may be judged, and what came of it.

``verifications.check`` runs these around the provider's call. One answer to a verification is with the provider at a
time: the others wait for what comes of it, so that the losers of a race hear "already verified" and are not charged a
guess.
"""

from __future__ import annotations

import logging
import uuid
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import F, Q

from ..backends.handler import backends
from ..choices import CheckOutcome, VerificationStatus
from ..clientinfo import ClientInfo
from ..codes import TypedCode
from ..conf import MAX_CHECKS, settings
from ..exceptions import BackendError, BackendRejected, BackendUnavailable, VerificationNotFound
from ..models import Verification, VerificationCheck
from ..results import Checked, ProviderCheck, ProviderStatus
from .persons import session_matches
from .transactions import short_transaction

logger = logging.getLogger("django_twilio_verify")

_OVER = {
    VerificationStatus.APPROVED: CheckOutcome.ALREADY_VERIFIED,
    VerificationStatus.EXPIRED: CheckOutcome.EXPIRED,
    VerificationStatus.MAX_ATTEMPTS_REACHED: CheckOutcome.USED_UP,
}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that somebody typed. ``user``: given by callers who know whose it must be."""

    verification_id: uuid.UUID
    code: TypedCode
    client: ClientInfo
    user: AbstractBaseUser | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """An answer that has been counted and may now be judged by the provider, once."""

    verification: Verification
    code: TypedCode


def load(verification_id: uuid.UUID, client: ClientInfo, user: AbstractBaseUser | None) -> Verification:
    """The verification, if it is the caller's own. Raises ``VerificationNotFound`` alike for all others."""
    verification = Verification.objects.filter(pk=verification_id).first()
    if verification is None or not session_matches(verification.session, client):
        raise VerificationNotFound
    # SECURITY: a session may change hands (another sign-in) and keep its secret; the person must be the same too.
    if user is not None and verification.user_id is not None and verification.user_id != user.pk:
        raise VerificationNotFound
    return verification


def claim(answer: Answer, now: datetime) -> Checked | Claimed | None:
    """Count the answer; or what it is answered without asking the provider; or ``None``: wait and ask again.

    Raises ``VerificationNotFound``.
    """
    verification = load(answer.verification_id, answer.client, answer.user)
    over = _over(verification, now)
    if over is not None:
        return checked(verification, over)
    if answer.code.problem is not None:
        return checked(verification, CheckOutcome.MALFORMED, problem=answer.code.problem.value)
    if verification.checking_until is not None and verification.checking_until > now:
        return None
    if verification.checks >= MAX_CHECKS:  # the last answer was cut short and counted
        close(verification, VerificationStatus.MAX_ATTEMPTS_REACHED)
        return checked(verification, CheckOutcome.USED_UP)
    if not _claim(verification, now):
        return None
    verification.checks += 1
    return Claimed(verification, answer.code)


def _over(verification: Verification, now: datetime) -> CheckOutcome | None:
    if verification.status == VerificationStatus.PENDING:
        if verification.expires_at <= now:
            close(verification, VerificationStatus.EXPIRED)
            return CheckOutcome.EXPIRED
        return None
    return _OVER.get(VerificationStatus(verification.status), CheckOutcome.CLOSED)


def _claim(verification: Verification, now: datetime) -> bool:
    # SECURITY: one conditional UPDATE on the count that was read (less than MAX_CHECKS): never more answers judged,
    # whatever runs beside it.
    free = Q(checking_until__isnull=True) | Q(checking_until__lte=now)
    # Longer than a provider's call can last (connecting and reading each have the time-out).
    lease = timedelta(seconds=2 * backends[verification.backend].timeout + 5)
    row = Verification.objects.open_at(now).filter(free, pk=verification.pk, checks=verification.checks)
    # In a transaction of its own, so that a caller's transaction is refused before the provider is asked, not after.
    return bool(short_transaction(lambda: row.update(checks=F("checks") + 1, checking_until=now + lease)))


def settle(claimed: Claimed, judged: ProviderCheck, now: datetime) -> Checked:
    """The provider answered."""
    verification = claimed.verification
    if judged.status == ProviderStatus.APPROVED:
        return _approve(verification, now)
    if judged.status == ProviderStatus.EXHAUSTED:
        return _settle(verification, CheckOutcome.USED_UP, now, judged.provider_code)
    if judged.status == ProviderStatus.GONE:
        # Our record says that it was neither approved nor used up, so it expired, or ended at the provider's side.
        return _settle(verification, CheckOutcome.EXPIRED, now, judged.provider_code)
    if judged.status == ProviderStatus.CANCELED:
        return _settle(verification, CheckOutcome.CLOSED, now, judged.provider_code)
    # SECURITY: pending, and any word that we do not know, is a wrong code.
    used_up = verification.checks >= MAX_CHECKS
    return _settle(verification, CheckOutcome.USED_UP if used_up else CheckOutcome.WRONG, now)


def settle_failed(claimed: Claimed, error: BackendError, now: datetime) -> Checked:
    """The provider did not judge it. Answers "malformed" if it would not read it as a code, else raises ``error``."""
    verification = claimed.verification
    logger.warning(
        "Check failed: verification=%s error=%s provider_code=%s",
        verification.pk,
        error.code,
        error.provider_code,
    )
    # A time-out may have counted at the provider, so it counts here; what never reached it does not.
    counted = isinstance(error, BackendUnavailable) and error.perhaps_done

    def write() -> None:
        values = {} if counted else {"checks": F("checks") - 1}
        Verification.objects.filter(pk=verification.pk).update(checking_until=None, **values)
        _record(verification, CheckOutcome.UNANSWERED, now, error.provider_code)

    short_transaction(write)
    if isinstance(error, BackendRejected) and error.code == "code":
        verification.checks -= 1
        return checked(verification, CheckOutcome.MALFORMED, problem="not_digits")
    raise error


def _approve(verification: Verification, now: datetime) -> Checked:
    def write() -> bool:
        # SECURITY: promise 4. The one conditional UPDATE that turns a right code into a proof.
        row = Verification.objects.filter(pk=verification.pk, status=VerificationStatus.PENDING)
        accepted = bool(
            row.update(
                status=VerificationStatus.APPROVED,
                approved_at=now,
                pending_key=None,
                checking_until=None,
            )
        )
        if accepted:
            _record(verification, CheckOutcome.APPROVED, now)
        return accepted

    if not short_transaction(write):
        verification.refresh_from_db()
        return checked(verification, _over(verification, now) or CheckOutcome.CLOSED)
    verification.status, verification.approved_at = VerificationStatus.APPROVED.value, now
    return checked(verification, CheckOutcome.APPROVED)


_ENDS = {
    CheckOutcome.USED_UP: VerificationStatus.MAX_ATTEMPTS_REACHED,
    CheckOutcome.EXPIRED: VerificationStatus.EXPIRED,
    CheckOutcome.CLOSED: VerificationStatus.CANCELED,
}


def _settle(verification: Verification, outcome: CheckOutcome, now: datetime, provider_code: int = 0) -> Checked:
    status = _ENDS.get(outcome)

    def write() -> None:
        if status is None:
            Verification.objects.filter(pk=verification.pk).update(checking_until=None)
        else:
            close(verification, status)
        _record(verification, outcome, now, provider_code)

    short_transaction(write)
    return checked(verification, outcome)


def close(verification: Verification, status: VerificationStatus) -> None:
    """End a pending verification without proof."""
    values: dict[str, object] = {"status": status.value, "checking_until": None}
    if status != VerificationStatus.MAX_ATTEMPTS_REACHED:
        values["pending_key"] = None
    # Used up keeps its place until it would have expired: the provider takes no answers until then, so another send
    # would be money for nothing.
    Verification.objects.filter(pk=verification.pk, status=VerificationStatus.PENDING).update(**values)
    verification.status = status.value


def _record(verification: Verification, outcome: CheckOutcome, now: datetime, provider_code: int = 0) -> None:
    VerificationCheck.objects.create(
        verification=verification,
        outcome=outcome.value,
        created_at=now,
        error_code=provider_code or None,
    )


def checked(verification: Verification, outcome: CheckOutcome, *, problem: str = "") -> Checked:
    """The answer that describes ``verification`` after ``outcome``."""
    used_up = outcome == CheckOutcome.USED_UP
    return Checked(
        verification=verification,
        outcome=outcome,
        checks_left=max(MAX_CHECKS - verification.checks, 0),
        retry_at=verification.expires_at if used_up else None,
        problem=problem,
    )


def read_code(code: str) -> TypedCode:
    """``code`` as typed, against the length that the site says its codes have."""
    return TypedCode.parse(code, length=settings.code_length)
