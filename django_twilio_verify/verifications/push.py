"""Ask what came of a push challenge: the number typed, the answer on the phone, and a no."""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from django.utils import timezone

from ..backends.factor_results import ChallengeStatus, ProviderChallenge
from ..backends.twins import Call, Steps, verb, verb_twin_of
from ..choices import Channel, CheckOutcome, Purpose, VerificationStatus
from ..core import receivers
from ..core.codes import TypedCode
from ..models import Factor, Verification
from ..models.transactions import short_transaction
from ..signals import login_denied
from . import answers, challenge_rules, checking, claimants, throttling
from .challenge_steps import ChallengeAnswer, entity_of, factor_of, outcome_if_over, refused_early
from .results import Checked

_LOOKED_AT = 20
_PUSHED = (Channel.PUSH, Channel.SILENT)


def number_steps(given: ChallengeAnswer) -> Steps[Checked]:
    """The number that the phone shows."""
    verification, now = checking.load(given.verification_id, given.client, given.user), timezone.now()
    if (early := refused_early(verification, given, now)) is not None:
        return answers.announced(early, given)
    typed = TypedCode.parse(given.number or "", length=2)
    if typed.problem is not None:
        return checking.checked_result(verification, CheckOutcome.MALFORMED, reason=typed.problem.value)
    if not Verification.objects.filter(pk=verification.pk).match(typed.digits, now):
        misread = _misread(verification, now)
        throttling.fail(verification, given.client)
        return answers.announced(misread, given)
    return (yield from poll_steps(given))


def _misread(verification: Verification, now: datetime) -> Checked:
    """SECURITY: a wrong number ends it, at once and for good: guessing is one in ninety, once."""

    def write() -> None:
        if checking.close(verification, VerificationStatus.CANCELED):
            checking.append_check(verification, CheckOutcome.WRONG, now)

    short_transaction(write)
    verification.checks = claimants.most_checks(verification)
    return checking.checked_result(verification, CheckOutcome.WRONG)


def poll_steps(given: ChallengeAnswer) -> Steps[Checked]:
    """The steps of ``poll``."""
    verification, now = checking.load(given.verification_id, given.client, given.user), timezone.now()
    if verification.channel not in _PUSHED or verification.purpose == Purpose.ENROLL:
        return checking.checked_result(verification, CheckOutcome.WRONG_ANSWER_TYPE)
    if over := outcome_if_over(verification, now):
        return (yield from _still_denied(verification, given, over, now))
    factor = factor_of(verification)
    if factor is None or not challenge_rules.may_answer(factor, verification):
        return answers.announced(checking.record_outcome(verification, CheckOutcome.FACTOR_GONE, now), given)
    if not may_ask(verification, now):
        return _waiting(verification)
    told = yield from _polled(verification, factor)
    return answers.remembered(_settle_pushed(given, verification, factor, told, timezone.now()), given.client)


def _still_denied(
    verification: Verification, given: ChallengeAnswer, over: CheckOutcome, now: datetime
) -> Steps[Checked]:
    """``over``, unless the phone has said no to what was given up here, as after a wrong number: it shows the question
    until that expires.
    """
    factor = factor_of(verification)
    is_shown = verification.status == VerificationStatus.CANCELED and verification.expires_at > now
    if not is_shown or factor is None or not may_ask(verification, now):
        return checking.checked_result(verification, over)
    told = yield from _polled(verification, factor)
    if told.status != ChallengeStatus.DENIED:
        return checking.checked_result(verification, over)
    return _deny(verification, given, timezone.now())


@verb
def learn_of_no(verification: Verification) -> Steps[bool]:
    """Ask the provider whether the phone has said no to ``verification``, a push that waits or that was given up; if
    so, end it as denied and tell the site. Whether this call did. Raises ``BackendUnavailable``, ``BackendRejected``.
    """
    factor = factor_of(verification)
    if factor is None or (yield from _polled(verification, factor)).status != ChallengeStatus.DENIED:
        return False
    now = timezone.now()
    if not _ended_by_no(verification, None, now):
        return False
    answers.announced(checking.checked_result(verification, CheckOutcome.DENIED))
    return True


alearn_of_no = verb_twin_of(learn_of_no)


def may_ask(verification: Verification, now: datetime) -> bool:
    """Whether this call may ask the provider now: of simultaneous ones one, and then none for some seconds."""
    age = now - verification.created_at
    wait = 3 if age < timedelta(seconds=30) else 5 if age < timedelta(minutes=2) else 10
    if verification.poll_after is not None and verification.poll_after > now:
        return False
    row = Verification.objects.filter(pk=verification.pk)
    return bool(row.claim_poll(verification, now + timedelta(seconds=wait)))


def _polled(verification: Verification, factor: Factor) -> Steps[ProviderChallenge]:
    entity = entity_of(factor)
    if verification.sid:
        told: ProviderChallenge = yield Call(entity.backend, "poll", (entity.identity, verification.sid))
        return told
    # Its SID was lost with the provider's answer.
    latest = yield Call(
        entity.backend, "challenges", (entity.identity,), {"factor_sid": factor.sid, "limit": _LOOKED_AT}
    )
    for challenge in latest:
        if challenge.hidden.get(challenge_rules.HIDDEN_ID) == str(verification.pk):
            Verification.objects.filter(pk=verification.pk).record_lost_sid(challenge.sid)
            verification.sid = challenge.sid
            return challenge  # type: ignore[no-any-return]
    return ProviderChallenge("", ChallengeStatus.PENDING)


def _settle_pushed(
    given: ChallengeAnswer, verification: Verification, factor: Factor, told: ProviderChallenge, now: datetime
) -> Checked:
    if told.status == ChallengeStatus.DENIED:
        return _deny(verification, given, now)
    ends = {ChallengeStatus.EXPIRED: CheckOutcome.EXPIRED, ChallengeStatus.GONE: CheckOutcome.FACTOR_GONE}
    if end := ends.get(told.status):
        return answers.announced(checking.record_outcome(verification, end, now, told.provider_code), given)
    verification.refresh_from_db()
    if over := outcome_if_over(verification, now):
        return checking.checked_result(verification, over)
    # SECURITY: a yes on the phone alone is not enough (NIST SP 800-63B rev. 4): the number was read from it as well.
    matched = verification.channel == Channel.SILENT or verification.matched_at is not None
    if not told.approved or told.factor_sid not in ("", factor.sid) or not matched:
        return _waiting(verification)
    held = partial(challenge_rules.held, verification, factor, now)
    return answers.announced(checking.approve(verification, now, held), given)


def _deny(verification: Verification, given: ChallengeAnswer, now: datetime) -> Checked:
    denied = checking.checked_result(verification, CheckOutcome.DENIED)
    if not _ended_by_no(verification, given, now):
        verification.refresh_from_db()
        return checking.checked_result(verification, outcome_if_over(verification, now) or CheckOutcome.CLOSED)
    return answers.announced(denied, given)


def _ended_by_no(verification: Verification, given: ChallengeAnswer | None, now: datetime) -> bool:
    """SECURITY: somebody has the password and the person says no: it is over, and the site is told, once.

    Also of what had been given up: a wrong number, or a closed tab, does not make the no any less true.
    """

    def write() -> bool:
        ended = bool(Verification.objects.filter(pk=verification.pk).deny())
        verification.status = VerificationStatus.DENIED.value
        if ended:
            checking.append_check(verification, CheckOutcome.DENIED, now)
        return ended

    if not short_transaction(write):
        return False
    client = given.client if given is not None else None
    user = checking.account_of(verification, given)
    receivers.send(login_denied, Verification, user=user, client=client, verification=verification)
    return True


def _waiting(verification: Verification) -> Checked:
    unmatched = verification.channel == Channel.PUSH and verification.matched_at is None
    return checking.checked_result(verification, CheckOutcome.WAITING, reason="number" if unmatched else "")
