"""Asking the factors that the provider keeps: authenticator apps, push and silent approval, passkeys.

The same ``Verification`` as for a code that is sent, and the same rules: one pending challenge in a place, answers
counted and judged one at a time, every final state by one conditional write, no transaction while the provider is
called. Nothing goes to an address, so no consent is needed. The twins with an ``a`` run the very same steps.
"""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..backends.factor_options import ChallengeDetails
from ..backends.factor_results import ChallengeStatus, ProviderChallenge
from ..backends.twins import Call, Pause, Steps, verb, verb_twin_of
from ..choices import Channel, CheckOutcome, FactorKind, Purpose, VerificationStatus
from ..conf import MAX_CHECKS
from ..core import receivers
from ..core.client import ClientInfo
from ..core.codes import TypedCode
from ..exceptions import BackendError, BackendRejected
from ..ledger.persons import session_fingerprints
from ..models import Entity, Factor, Verification
from ..models.transactions import short_transaction
from ..signals import login_denied, verification_started
from ..verifications import answers, checking, throttling
from ..verifications.answers import POLL
from ..verifications.options import Payment
from ..verifications.results import Challenged, Checked
from . import challenge_rules, replays
from .challenge_rules import ChallengeRequest

TOTP_DIGITS = 6
CHALLENGE_NOT_FOUND = 60391
MAX_CREDENTIAL_ID = 1400
"""Characters of a credential's id: 1023 bytes at most (WebAuthn Level 3), in base64url."""
JUST_NOW = timedelta(minutes=1)
_LOOKED_AT = 20
_LOOKS = 10
_PUSHED = (Channel.PUSH, Channel.SILENT)


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


@verb
def start(
    *,
    channel: str,
    client: ClientInfo,
    user: AbstractBaseUser,
    purpose: str = Purpose.LOGIN,
    factor: Factor | None = None,
    backend: str | None = None,
    amount: str = "",
    payee: str = "",
    message: str = "",
    shown: Mapping[str, str] | None = None,
) -> Steps[Challenged]:
    """Ask ``user`` for a proof by a factor that the provider keeps, unless they are being asked already.

    ``channel``: ``totp``, ``push``, ``silent`` or ``passkey``. ``factor``: one of the person's own; without it the one
    that worked latest, and for passkeys any of them. ``client``: the other end; answers count only with the same
    ``client.session``. ``backend``: for passkeys of several backends, which. ``amount``, ``payee``: of
    ``purpose="payment"``, as for ``verifications.start``. ``message`` (256 characters) and ``shown`` (label to value):
    what the phone shows beside the number, if the site does not like ours.

    An authenticator app is not asked anything: the provider is called with the code. Raises
    ``challenge_rules.NoSuchFactor`` (a ``ValueError``) where the person has no such factor, ``RateLimited`` (also
    ``push_unanswered``), ``BackendRejected`` (``device``: the provider does not know the factor any more) and
    ``BackendUnavailable``, and ``RuntimeError`` within a transaction.
    """
    return start_steps(
        ChallengeRequest(channel, client, user, purpose, factor, backend, amount, payee, message, shown or {})
    )


astart = verb_twin_of(start)


@verb
def check(
    verification: Verification | uuid.UUID,
    *,
    client: ClientInfo,
    user: AbstractBaseUser | None = None,
    code: str | None = None,
    number: str | None = None,
    credential: Mapping[str, Any] | None = None,
    amount: str = "",
    payee: str = "",
) -> Steps[Checked]:
    """Judge an answer: ``code`` of an authenticator app, ``credential`` of a passkey (what ``credential.toJSON()`` gave
    the page), or ``number`` that the phone shows; exactly one of them.

    Outcomes as of ``verifications.check``, and: ``REPLAYED`` (the code was accepted before; within a minute and in the
    session that proved the same by it, ``ALREADY_VERIFIED``), ``LOST`` (the factor is not there any more), ``DENIED``,
    ``WAITING`` (the number was right; the phone has not said yes so far). A wrong number is ``WRONG`` and ends the
    challenge: with two digits there is no second guess. Raises as ``verifications.check``.
    """
    return check_steps(_answer(verification, client, user, code, number, credential, amount, payee))


acheck = verb_twin_of(check)


@verb
def poll(
    verification: Verification | uuid.UUID, *, client: ClientInfo, user: AbstractBaseUser | None = None
) -> Steps[Checked]:
    """What became of a push: ``WAITING``, ``APPROVED`` (to one call alone, then ``ALREADY_VERIFIED``), ``DENIED``,
    ``EXPIRED``, ``LOST``. ``DENIED`` also for what a wrong number ended, if the phone has said no since.

    May be asked as often as a page likes: the provider is asked every 3 seconds, later every 5 and 10, and at once
    after a webhook. ``Checked.problem`` is ``"number"`` while the number is still to be typed. Raises
    ``VerificationNotFound`` and ``BackendUnavailable``.
    """
    return poll_steps(ChallengeAnswer(_id(verification), client, user))


apoll = verb_twin_of(poll)


@verb
def remind(
    verification: Verification | uuid.UUID, *, client: ClientInfo, user: AbstractBaseUser | None = None
) -> Steps[Challenged]:
    """Have the phone notified of a pending push once more. Raises ``BackendRejected`` after three times, and for a
    phone that is never notified; ``VerificationNotFound`` for what is no pending push of the caller's.
    """
    verification = checking.load(_id(verification), client, user)
    factor = factor_of(verification)
    if not verification.is_open(timezone.now()) or factor is None or not verification.sid:
        raise BackendRejected("device")
    if not challenge_rules.may_answer(factor, verification):
        raise BackendRejected("device")
    entity = _entity_of(factor)
    yield Call(entity.backend, "notify", (entity.identity, verification.sid))
    return describe(verification)


aremind = verb_twin_of(remind)


def describe(verification: Verification) -> Challenged:
    """How ``verification`` stands, as ``start`` would have answered: for a page that is shown again."""
    return challenge_rules.challenged_result(verification, reused=True)


def start_steps(ask: ChallengeRequest) -> Steps[Challenged]:
    """The steps of ``start``."""
    wanted = challenge_rules.validate(ask)
    verification = challenge_rules.reserve(wanted, timezone.now())
    if isinstance(verification, Challenged):
        return verification
    if wanted.channel == Channel.TOTP:
        return _announce_start(challenge_rules.challenged_result(verification))
    try:
        made = yield Call(
            wanted.backend,
            "challenge",
            (wanted.identity, challenge_rules.KIND_OF[wanted.channel]),
            {"factor_sid": wanted.factor_sid, "details": challenge_rules.details(wanted, verification)},
        )
    except BackendError as error:
        return _announce_start(challenge_rules.record_challenge_failed(wanted, verification, error))
    return _announce_start(challenge_rules.record_challenge(wanted, verification, made, timezone.now()))


def check_steps(given: ChallengeAnswer) -> Steps[Checked]:
    """The steps of ``check``."""
    verification = checking.load(given.verification_id, given.client, given.user)
    if not verification.is_challenge or verification.purpose == Purpose.ENROLL or not _fits(given, verification):
        return checking.checked_result(verification, CheckOutcome.NOT_THIS_WAY)
    if verification.is_open(timezone.now()) and given.anybody != (verification.user_id is None):
        # SECURITY: where nobody was named, the passkey decides who signs in: only ``passkeys.finish_sign_in`` asks for
        # that, and it takes no challenge that was begun for somebody.
        return checking.checked_result(verification, CheckOutcome.NOT_THIS_WAY)
    if given.number is not None:
        return (yield from _numbered(given))
    checked = yield from (_coded(given) if given.code is not None else signed(given))
    return answers.remembered(checked, given.client)


def _fits(given: ChallengeAnswer, verification: Verification) -> bool:
    ways = {Channel.TOTP: given.code, Channel.PASSKEY: given.credential, Channel.PUSH: given.number}
    return ways.get(Channel(verification.channel)) is not None


def _coded(given: ChallengeAnswer) -> Steps[Checked]:
    """A code of an authenticator app."""

    def claim() -> Checked | Verification | None:
        verification = checking.load(given.verification_id, given.client, given.user)
        now = timezone.now()
        if early := _refused_early(verification, given, now):
            return early
        typed = typed_code(given, verification)
        if typed.problem is not None:
            return checking.checked_result(verification, CheckOutcome.MALFORMED, problem=typed.problem.value)
        return _taken(verification, given.client, now)

    verification = yield from claimed(given, claim)
    if isinstance(verification, Checked):
        return answers.announced(verification, given.client)
    factor, now = factor_of(verification), timezone.now()
    if factor is None or not challenge_rules.may_answer(factor, verification):
        return answers.announced(checking.record_outcome(verification, CheckOutcome.LOST, now), given.client)
    code = typed_code(given, verification).digits
    if replays.was_accepted(factor.pk, code, now):
        return answers.announced(_replayed(given, verification, now), given.client)
    try:
        told = yield from _judged_code(verification, factor, code)
    except BackendError as error:
        return answers.announced(unanswered(verification, error), given.client)
    if not told.approved:
        yield from _others_written(verification, factor, code)
    return answers.announced(_settle_code(given, verification, factor, code, told, timezone.now()), given.client)


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
    if not given.client.session or not proved.exists():
        return refused(verification, CheckOutcome.REPLAYED, now, provider_code)
    # SECURITY: good for leading on, and no proof.
    checking.uncount(verification, "checks")
    return checking.checked_result(verification, CheckOutcome.ALREADY_VERIFIED)


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
    entity = _entity_of(factor)
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
        return checking.record_outcome(verification, CheckOutcome.LOST, now, told.provider_code)
    if not told.approved:
        if replays.was_accepted(factor.pk, code, now):  # in another session, while this one was asked about
            return _replayed(given, verification, now, told.provider_code)
        return _not_approved(verification, told, now)

    def accepted() -> CheckOutcome | None:
        # SECURITY: in the transaction that approves, so that one code is one proof, however many sessions show it.
        if lost := challenge_rules.held(verification, factor, now):
            return lost
        return None if replays.accept(factor.pk, code, now) else CheckOutcome.REPLAYED

    return checking.approve(verification, now, accepted)


def signed(given: ChallengeAnswer) -> Steps[Checked]:
    """A passkey's assertion."""
    claim = partial(_claim_credential, given)
    verification = yield from claimed(given, claim)
    if isinstance(verification, Checked):
        return answers.announced(verification)
    factor = _passkey(given, verification)
    if factor is None:
        return answers.announced(refused(verification, CheckOutcome.WRONG, timezone.now()))
    entity = _entity_of(factor)
    # SECURITY: a person who was not named is not named to the provider either: it says whose passkey it was.
    identity = entity.identity if verification.user_id is not None else ""
    try:
        told = yield Call(entity.backend, "answer", (identity, verification.sid, given.credential))
    except BackendError as error:
        return answers.announced(unanswered(verification, error))
    return answers.announced(_settle_signed(verification, factor, told, timezone.now()))


def _claim_credential(given: ChallengeAnswer) -> Checked | Verification | None:
    verification, now = checking.load(given.verification_id, given.client, given.user), timezone.now()
    if early := _refused_early(verification, given, now):
        return early
    if not credential_digest(given.credential):
        return checking.checked_result(verification, CheckOutcome.MALFORMED, problem="not_a_passkey")
    return _taken(verification, given.client, now)


def credential_digest(credential: Mapping[str, Any] | None) -> str:
    """SHA-256 in hex of the ``id`` of what a browser gave, ``""`` if that is no passkey's answer."""
    given = credential.get("id") if isinstance(credential, Mapping) else None
    if not isinstance(given, str) or not given.isascii() or not 0 < len(given) <= MAX_CREDENTIAL_ID:
        return ""
    if not isinstance(credential, Mapping) or not isinstance(credential.get("response"), Mapping):
        return ""
    return hashlib.sha256(given.rstrip("=").encode()).hexdigest()


def holder_of(credential: Mapping[str, Any], verification: Verification) -> AbstractBaseUser | None:
    """Whose passkey ``credential`` says that it is, by our own records. SECURITY: a claim, which anybody can make."""
    factor = _passkey(ChallengeAnswer(verification.pk, ClientInfo(), None, credential=credential), verification)
    return factor.user if factor is not None else None


def _passkey(given: ChallengeAnswer, verification: Verification) -> Factor | None:
    """The passkey that answered, if it may answer here. SECURITY: by our own records, before the provider is asked."""
    found = Factor.objects.select_related("entity", "user").filter(
        kind=FactorKind.PASSKEY,
        confirmed_at__isnull=False,
        lost_at=None,
        credential_digest=credential_digest(given.credential),
        entity__backend=verification.backend,
    )
    if verification.user_id is not None:
        found = found.filter(user=verification.user_id)
    if verification.factor_id is not None:
        found = found.filter(pk=verification.factor_id)
    factor = found.first()
    return factor if factor is not None and factor.user.is_active else None


def _settle_signed(verification: Verification, factor: Factor, told: ProviderChallenge, now: datetime) -> Checked:
    entity = _entity_of(factor)
    if told.status == ChallengeStatus.GONE and told.provider_code != CHALLENGE_NOT_FOUND:
        return checking.record_outcome(verification, CheckOutcome.LOST, now, told.provider_code)
    if told.status in (ChallengeStatus.GONE, ChallengeStatus.EXPIRED):
        return checking.record_outcome(verification, CheckOutcome.EXPIRED, now, told.provider_code)
    # SECURITY: neither endpoint is told which challenge or person is meant; what the provider says of another one is
    # no proof here.
    strange = told.sid != verification.sid or told.factor_sid not in ("", factor.sid)
    if not told.approved or strange or told.identity not in ("", entity.identity):
        return _not_approved(verification, told, now)
    verification.factor = factor
    verification.user_id = factor.user_id
    return checking.approve(verification, now, partial(challenge_rules.held, verification, factor, now))


def _numbered(given: ChallengeAnswer) -> Steps[Checked]:
    """The number that the phone shows."""
    verification, now = checking.load(given.verification_id, given.client, given.user), timezone.now()
    if early := _refused_early(verification, given, now):
        return answers.announced(early)
    typed = TypedCode.parse(given.number or "", length=2)
    if typed.problem is not None:
        return checking.checked_result(verification, CheckOutcome.MALFORMED, problem=typed.problem.value)
    if not Verification.objects.filter(pk=verification.pk).match(typed.digits, now):
        misread = _misread(verification, now)
        throttling.fail(verification, given.client)
        return answers.announced(misread, given.client)
    return (yield from poll_steps(given))


def _misread(verification: Verification, now: datetime) -> Checked:
    """SECURITY: a wrong number ends it, at once and for good: guessing is one in ninety, once."""

    def write() -> None:
        if checking.close(verification, VerificationStatus.CANCELED):
            checking.append_check(verification, CheckOutcome.WRONG, now)

    short_transaction(write)
    verification.checks = MAX_CHECKS
    return checking.checked_result(verification, CheckOutcome.WRONG)


def poll_steps(given: ChallengeAnswer) -> Steps[Checked]:
    """The steps of ``poll``."""
    verification, now = checking.load(given.verification_id, given.client, given.user), timezone.now()
    if verification.channel not in _PUSHED or verification.purpose == Purpose.ENROLL:
        return checking.checked_result(verification, CheckOutcome.NOT_THIS_WAY)
    if over := _over(verification, now):
        return (yield from _still_denied(verification, over, now))
    factor = factor_of(verification)
    if factor is None or not challenge_rules.may_answer(factor, verification):
        return answers.announced(checking.record_outcome(verification, CheckOutcome.LOST, now))
    if not may_ask(verification, now):
        return _waiting(verification)
    told = yield from _polled(verification, factor)
    return answers.remembered(_settle_pushed(verification, factor, told, timezone.now()), given.client)


def _still_denied(verification: Verification, over: CheckOutcome, now: datetime) -> Steps[Checked]:
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
    return _deny(verification, timezone.now())


@verb
def learn_of_no(verification: Verification) -> Steps[bool]:
    """Ask the provider whether the phone has said no to ``verification``, a push that waits or that was given up; if
    so, end it as denied and tell the site. Whether this call did. Raises ``BackendUnavailable``, ``BackendRejected``.
    """
    factor = factor_of(verification)
    if factor is None or (yield from _polled(verification, factor)).status != ChallengeStatus.DENIED:
        return False
    now = timezone.now()
    if not _ended_by_no(verification, now):
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
    entity = _entity_of(factor)
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


def _settle_pushed(verification: Verification, factor: Factor, told: ProviderChallenge, now: datetime) -> Checked:
    if told.status == ChallengeStatus.DENIED:
        return _deny(verification, now)
    ends = {ChallengeStatus.EXPIRED: CheckOutcome.EXPIRED, ChallengeStatus.GONE: CheckOutcome.LOST}
    if end := ends.get(told.status):
        return answers.announced(checking.record_outcome(verification, end, now, told.provider_code))
    verification.refresh_from_db()
    if over := _over(verification, now):
        return checking.checked_result(verification, over)
    # SECURITY: a yes on the phone alone is not enough (NIST SP 800-63B rev. 4): the number was read from it as well.
    matched = verification.channel == Channel.SILENT or verification.matched_at is not None
    if not told.approved or told.factor_sid not in ("", factor.sid) or not matched:
        return _waiting(verification)
    held = partial(challenge_rules.held, verification, factor, now)
    return answers.announced(checking.approve(verification, now, held))


def _deny(verification: Verification, now: datetime) -> Checked:
    denied = checking.checked_result(verification, CheckOutcome.DENIED)
    if not _ended_by_no(verification, now):
        verification.refresh_from_db()
        return checking.checked_result(verification, _over(verification, now) or CheckOutcome.CLOSED)
    return answers.announced(denied)


def _ended_by_no(verification: Verification, now: datetime) -> bool:
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
    receivers.send(login_denied, sender=Verification, verification=verification, user=verification.user)
    return True


def _over(verification: Verification, now: datetime) -> CheckOutcome | None:
    over = checking.ended_as(verification, now)
    return CheckOutcome.DENIED if verification.status == VerificationStatus.DENIED else over


def _waiting(verification: Verification) -> Checked:
    unmatched = verification.channel == Channel.PUSH and verification.matched_at is None
    return checking.checked_result(verification, CheckOutcome.WAITING, problem="number" if unmatched else "")


def claimed(
    given: ChallengeAnswer, claim: Callable[[], Checked | Verification | None]
) -> Steps[Checked | Verification]:
    """What ``claim`` comes to, once the answer before is back from the provider; ``BUSY`` if that took too long."""
    load = partial(checking.load, given.verification_id, given.client, given.user)
    return answers.claimed(given.verification_id, claim, load)


def _refused_early(verification: Verification, given: ChallengeAnswer, now: datetime) -> Checked | None:
    if over := _over(verification, now):
        return checking.checked_result(verification, over)
    if checking.payment_changed(verification, given.payment):
        return checking.checked_result(verification, CheckOutcome.CHANGED)
    return None


def _taken(verification: Verification, client: ClientInfo, now: datetime) -> Checked | Verification | None:
    taken = checking.claim_answer(verification, client, now)
    return verification if taken is True else taken


def refused(verification: Verification, outcome: CheckOutcome, now: datetime, provider_code: int = 0) -> Checked:
    """Record an answer that is no proof, and the end after the last one."""
    used_up = verification.checks >= MAX_CHECKS
    return checking.record_outcome(verification, CheckOutcome.USED_UP if used_up else outcome, now, provider_code)


def unanswered(verification: Verification, error: BackendError) -> Checked:
    """The provider did not judge it. Answers "malformed" if it would not read it, else raises ``error``."""
    checking.release(verification, "checks", error, timezone.now())
    if isinstance(error, BackendRejected) and error.code == "code":
        verification.checks -= 1
        return checking.checked_result(verification, CheckOutcome.MALFORMED, problem="not_digits")
    raise error


def _not_approved(verification: Verification, told: ProviderChallenge, now: datetime) -> Checked:
    ends = {ChallengeStatus.EXHAUSTED: CheckOutcome.USED_UP, ChallengeStatus.ANSWERED: CheckOutcome.CLOSED}
    if end := ends.get(told.status):
        return checking.record_outcome(verification, end, now, told.provider_code)
    return refused(verification, CheckOutcome.WRONG, now, told.provider_code)


def factor_of(verification: Verification) -> Factor | None:
    """Its factor, with its entity, if that is still there; confirmed or not."""
    if verification.factor_id is None:
        return None
    return Factor.objects.select_related("entity").filter(entity__isnull=False, pk=verification.factor_id).first()


def _entity_of(factor: Factor) -> Entity:
    assert factor.entity is not None  # every query for such factors asks for one
    return factor.entity


def _announce_start(challenged: Challenged) -> Challenged:
    verification_started.send(sender=Verification, verification=challenged.verification, attempt=None)
    return challenged


def _answer(
    verification: Verification | uuid.UUID,
    client: ClientInfo,
    user: AbstractBaseUser | None,
    code: str | None,
    number: str | None,
    credential: Mapping[str, Any] | None,
    amount: str,
    payee: str,
) -> ChallengeAnswer:
    if [code, number, credential].count(None) != 2:
        raise ValueError("Give exactly one of code, number and credential.")
    payment = Payment.of(amount, payee)
    return ChallengeAnswer(_id(verification), client, user, code, number, credential, payment)


def _id(verification: Verification | uuid.UUID) -> uuid.UUID:
    return verification if isinstance(verification, uuid.UUID) else verification.pk
