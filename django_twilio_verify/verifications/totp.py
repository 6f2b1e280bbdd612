"""Check a code of an authenticator app."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.utils import timezone

from ..backends.factor_options import ChallengeDetails
from ..backends.factor_results import ChallengeStatus, ProviderChallenge
from ..backends.twins import Call, Pause, Steps
from ..choices import CheckOutcome, FactorKind, VerificationStatus
from ..core.codes import TOTP_DIGITS, TypedCode
from ..exceptions import BackendError
from ..ledger.persons import session_fingerprints
from ..models import Factor, Verification
from . import answers, challenge_rules, checking, replays
from .answers import POLL
from .challenge_steps import (
    ChallengeAnswer,
    claim_answer,
    claimed,
    entity_of,
    factor_of,
    not_approved,
    refused,
    refused_early,
    unanswered,
)
from .results import Checked

JUST_NOW = timedelta(minutes=1)
_LOOKS = 10


def code_steps(given: ChallengeAnswer) -> Steps[Checked]:
    """A code of an authenticator app."""

    def claim() -> Checked | Verification | None:
        verification = checking.load(given.verification_id, given.client, given.user)
        now = timezone.now()
        if (early := refused_early(verification, given, now)) is not None:
            return early
        typed = typed_code(given, verification)
        if typed.problem is not None:
            return checking.checked_result(verification, CheckOutcome.MALFORMED, reason=typed.problem.value)
        return claim_answer(verification, given, now)

    verification = yield from claimed(given, claim)
    if isinstance(verification, Checked):
        return answers.announced(verification, given)
    factor, now = factor_of(verification), timezone.now()
    if factor is None or not challenge_rules.may_answer(factor, verification):
        return answers.announced(checking.record_outcome(verification, CheckOutcome.FACTOR_GONE, now), given)
    code = typed_code(given, verification).digits
    if replays.was_accepted(factor.pk, code, now):
        return answers.announced(_replayed(given, verification, now), given)
    try:
        told = yield from _judged_code(verification, factor, code)
    except BackendError as error:
        return answers.announced(unanswered(verification, error), given)
    if not told.approved:
        yield from _others_written(verification, factor, code)
    return answers.announced(_settle_code(given, verification, factor, code, told, timezone.now()), given)


def _replayed(given: ChallengeAnswer, verification: Verification, now: datetime, provider_code: int = 0) -> Checked:
    """A code that was accepted before: used up, unless the same session proved the very same with it a moment ago.

    That is the second press of a button, whose first one ended the challenge that both were for: it is "already
    verified", and no guess is charged.
    """
    proved = Verification.objects.filter(
        user=verification.user_id,
        session__in=session_fingerprints(given.client),
        channel=verification.channel,
        purpose=verification.purpose,
        amount=verification.amount,
        payee=verification.payee,
        status=VerificationStatus.APPROVED,
        approved_at__gt=now - JUST_NOW,
    )
    found = proved.order_by("-approved_at").first() if given.client.session else None
    if found is None:
        return refused(verification, CheckOutcome.REPLAYED, now, provider_code)
    # SECURITY: good for leading on, and no proof: that of the first press was redeemed, or still can be, once.
    checking.uncount(verification, "checks")
    return checking.checked_result(found, CheckOutcome.ALREADY_APPROVED)


def _others_written(verification: Verification, factor: Factor, code: str) -> Steps[None]:
    """Wait, for a second at most, until nobody else is being judged by ``factor``.

    A code that the provider refuses may be the one that it has just accepted, of another tab, whose approval is being
    written at this moment: that one is "used before", and not wrong.
    """
    others = Verification.objects.filter(factor=factor, status=VerificationStatus.PENDING).exclude(pk=verification.pk)
    for _ in range(_LOOKS):
        now = timezone.now()
        if replays.was_accepted(factor.pk, code, now) or not others.filter(checking_until__gt=now).exists():
            return
        yield Pause(POLL)


def typed_code(given: ChallengeAnswer, verification: Verification) -> TypedCode:
    """What was typed, against the length that the codes of this factor have."""
    factor = factor_of(verification)  # it may be removed at any moment, and a code is still a code
    return TypedCode.parse(given.code or "", length=(factor.digits if factor else 0) or TOTP_DIGITS)


def _judged_code(verification: Verification, factor: Factor, code: str) -> Steps[ProviderChallenge]:
    """A wrong code leaves its challenge pending, for the next one: Verify counts how many are made."""
    entity = entity_of(factor)
    if verification.sid:
        told: ProviderChallenge = yield Call(entity.backend, "answer", (entity.identity, verification.sid, code))
        if told.status not in (ChallengeStatus.GONE, ChallengeStatus.EXPIRED, ChallengeStatus.ANSWERED):
            return told
    ends = ChallengeDetails(expires_at=verification.expires_at + timedelta(minutes=1))
    told = yield Call(
        entity.backend,
        "challenge",
        (entity.identity, FactorKind.TOTP),
        {"factor_sid": factor.sid, "code": code, "details": ends},
    )
    if told.sid:
        Verification.objects.filter(pk=verification.pk).record_sid(told.sid)
    return told


def _settle_code(
    given: ChallengeAnswer,
    verification: Verification,
    factor: Factor,
    code: str,
    told: ProviderChallenge,
    now: datetime,
) -> Checked:
    if told.status == ChallengeStatus.GONE:
        challenge_rules.lose(factor, now)
        return checking.record_outcome(verification, CheckOutcome.FACTOR_GONE, now, told.provider_code)
    if not told.approved:
        if replays.was_accepted(factor.pk, code, now):  # in another session, while this one was asked about
            return _replayed(given, verification, now, told.provider_code)
        return not_approved(verification, told, now)

    def accepted() -> CheckOutcome | None:
        # SECURITY: in the transaction that approves, so that one code is one proof, however many sessions show it.
        if lost := challenge_rules.held(verification, factor, now):
            return lost
        return None if replays.accept(factor.pk, code, now) else CheckOutcome.REPLAYED

    return checking.approve(verification, now, accepted)
