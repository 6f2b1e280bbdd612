"""Asking the factors that the provider keeps: authenticator apps, push and silent approval, passkeys.

The same ``Verification`` as for a code that is sent, and the same rules: one pending challenge in a place, answers
counted and judged one at a time, every final state by one conditional write, no transaction while the provider is
called. Nothing goes to an address, so no consent is needed. The twins with an ``a`` run the very same steps.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..backends.twins import Call, Steps, verb, verb_twin_of
from ..choices import Channel, CheckOutcome, Purpose
from ..core import receivers
from ..core.client import ClientInfo
from ..exceptions import BackendError, BackendRejected
from ..models import Factor, Verification
from ..signals import verification_sent
from . import answers, challenge_rules, checking
from .challenge_rules import ChallengeRequest
from .challenge_steps import ChallengeAnswer, entity_of, factor_of, id_of
from .options import Payment
from .passkey import signature_steps
from .push import number_steps, poll_steps
from .results import Checked, Started
from .totp import code_steps


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
) -> Steps[Started]:
    """Ask ``user`` for a proof by a factor that the provider keeps, unless they are being asked already.

    ``channel``: ``totp``, ``push``, ``silent`` or ``passkey``. ``factor``: one of the person's own; without it the one
    that worked latest, and for passkeys any of them. ``client``: the other end; answers count only with the same
    ``client.session``. ``backend``: for passkeys of several backends, which. ``amount``, ``payee``: of
    ``purpose="payment"``, as for ``verifications.start``. ``message`` (256 characters) and ``shown`` (label to value):
    what the phone shows beside the number, if the site does not like ours.

    An authenticator app is not asked anything: the provider is called with the code. Raises
    ``FactorNotFound`` where the person has no such factor, ``RateLimited`` (also
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
    after a webhook. ``Checked.reason`` is ``"number"`` while the number is still to be typed. Raises
    ``VerificationNotFound`` and ``BackendUnavailable``.
    """
    return poll_steps(ChallengeAnswer(id_of(verification), client, user))


apoll = verb_twin_of(poll)


@verb
def remind(
    verification: Verification | uuid.UUID, *, client: ClientInfo, user: AbstractBaseUser | None = None
) -> Steps[Started]:
    """Have the phone notified of a pending push once more. Raises ``BackendRejected`` after three times, and for a
    phone that is never notified; ``VerificationNotFound`` for what is no pending push of the caller's.
    """
    return reminded_steps(checking.load(id_of(verification), client, user))


aremind = verb_twin_of(remind)


def describe(verification: Verification) -> Started:
    """How ``verification`` stands, as ``start`` would have answered: for a page that is shown again."""
    return challenge_rules.challenged_result(verification, reused=True)


def reminded_steps(verification: Verification) -> Steps[Started]:
    """The steps of ``remind``."""
    factor = factor_of(verification)
    if not verification.is_open(timezone.now()) or factor is None or not verification.sid:
        raise BackendRejected("device")
    if not challenge_rules.may_answer(factor, verification):
        raise BackendRejected("device")
    entity = entity_of(factor)
    yield Call(entity.backend, "notify", (entity.identity, verification.sid))
    return describe(verification)


def start_steps(ask: ChallengeRequest) -> Steps[Started]:
    """The steps of ``start``."""
    wanted = challenge_rules.validate(ask)
    verification = challenge_rules.reserve(wanted, timezone.now())
    if isinstance(verification, Started):
        return verification
    if wanted.channel == Channel.TOTP:
        return _announce_start(ask, challenge_rules.challenged_result(verification))
    try:
        made = yield Call(
            wanted.backend,
            "challenge",
            (wanted.identity, challenge_rules.KIND_OF[wanted.channel]),
            {"factor_sid": wanted.factor_sid, "details": challenge_rules.details(wanted, verification)},
        )
    except BackendError as error:
        return _announce_start(ask, challenge_rules.record_challenge_failed(wanted, verification, error))
    return _announce_start(ask, challenge_rules.record_challenge(wanted, verification, made, timezone.now()))


def check_steps(given: ChallengeAnswer, loaded: Verification | None = None) -> Steps[Checked]:
    """The steps of ``check``. ``loaded``: the verification, if it was read a moment ago."""
    verification = loaded or checking.load(given.verification_id, given.client, given.user)
    if not verification.is_challenge or verification.purpose == Purpose.ENROLL or not _fits(given, verification):
        return checking.checked_result(verification, CheckOutcome.WRONG_ANSWER_TYPE)
    if verification.is_open(timezone.now()) and given.anybody != (verification.user_id is None):
        # SECURITY: where nobody was named, the passkey decides who signs in: only ``passkeys.finish_sign_in`` asks for
        # that, and it takes no challenge that was begun for somebody.
        return checking.checked_result(verification, CheckOutcome.WRONG_ANSWER_TYPE)
    if given.number is not None:
        return (yield from number_steps(given))
    checked = yield from (code_steps(given) if given.code is not None else signature_steps(given))
    return answers.remembered(checked, given.client)


def _fits(given: ChallengeAnswer, verification: Verification) -> bool:
    ways = {Channel.TOTP: given.code, Channel.PASSKEY: given.credential, Channel.PUSH: given.number}
    return ways.get(Channel(verification.channel)) is not None


def _announce_start(ask: ChallengeRequest, challenged: Started) -> Started:
    told = {"verification": challenged.verification, "attempt": None, "is_resend": False}
    receivers.send(verification_sent, Verification, user=ask.user, client=ask.client, **told)
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
    return ChallengeAnswer(id_of(verification), client, user, code, number, credential, payment)
