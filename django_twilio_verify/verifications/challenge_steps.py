"""Steps that all challenges share: claim the answer, refuse it, and say what came of it."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..backends.factor_results import ChallengeStatus, ProviderChallenge
from ..backends.twins import Steps
from ..choices import CheckOutcome, VerificationStatus
from ..core.client import ClientInfo
from ..exceptions import BackendError, BackendRejected
from ..models import Entity, Factor, Verification
from . import answers, checking, claimants
from .options import Payment
from .results import Checked


@dataclass(frozen=True, slots=True)
class ChallengeAnswer:
    """An answer. ``code`` from an authenticator app, ``number`` from a phone's screen, ``credential`` of a passkey."""

    verification_id: uuid.UUID
    client: ClientInfo
    user: AbstractBaseUser | None
    code: str | None = field(default=None, repr=False)
    number: str | None = field(default=None, repr=False)
    credential: Mapping[str, Any] | None = field(default=None, repr=False)
    payment: Payment = field(default_factory=Payment)
    anybody: bool = False


def outcome_if_over(verification: Verification, now: datetime) -> CheckOutcome | None:
    over = checking.ended_as(verification, now)
    return CheckOutcome.DENIED if verification.status == VerificationStatus.DENIED else over


def claimed(
    given: ChallengeAnswer, claim: Callable[[], Checked | Verification | None]
) -> Steps[Checked | Verification]:
    """What ``claim`` comes to, once the answer before is back from the provider; ``BUSY`` if that took too long."""
    load = partial(checking.load, given.verification_id, given.client, given.user)
    return answers.claimed(given.verification_id, claim, load)


def refused_early(verification: Verification, given: ChallengeAnswer, now: datetime) -> Checked | None:
    if over := outcome_if_over(verification, now):
        return checking.checked_result(verification, over)
    if checking.payment_changed(verification, given.payment):
        return checking.checked_result(verification, CheckOutcome.PAYMENT_CHANGED)
    return None


def claim_answer(verification: Verification, given: ChallengeAnswer, now: datetime) -> Checked | Verification | None:
    taken = checking.claim_answer(verification, given, now)
    return verification if taken is True else taken


def refused(verification: Verification, outcome: CheckOutcome, now: datetime, provider_code: int = 0) -> Checked:
    """Record an answer that is no proof, and the end after the last one."""
    used_up = verification.checks >= claimants.most_checks(verification)
    return checking.record_outcome(
        verification, CheckOutcome.NO_CHECKS_LEFT if used_up else outcome, now, provider_code
    )


def unanswered(verification: Verification, error: BackendError) -> Checked:
    """The provider did not judge it. Answers "malformed" if it would not read it, else raises ``error``."""
    checking.release(verification, "checks", error, timezone.now())
    if isinstance(error, BackendRejected) and error.code == "code":
        verification.checks -= 1
        return checking.checked_result(verification, CheckOutcome.MALFORMED, reason="not_digits")
    raise error


def not_approved(verification: Verification, told: ProviderChallenge, now: datetime) -> Checked:
    ends = {ChallengeStatus.EXHAUSTED: CheckOutcome.NO_CHECKS_LEFT, ChallengeStatus.ANSWERED: CheckOutcome.CLOSED}
    if end := ends.get(told.status):
        return checking.record_outcome(verification, end, now, told.provider_code)
    return refused(verification, CheckOutcome.WRONG, now, told.provider_code)


def factor_of(verification: Verification) -> Factor | None:
    """Its factor, with its entity, if that is still there; confirmed or not."""
    if verification.factor_id is None:
        return None
    return Factor.objects.select_related("entity").filter(entity__isnull=False, pk=verification.factor_id).first()


def entity_of(factor: Factor) -> Entity:
    assert factor.entity is not None  # every query for such factors asks for one
    return factor.entity


def id_of(verification: Verification | uuid.UUID) -> uuid.UUID:
    return verification if isinstance(verification, uuid.UUID) else verification.pk
