"""Bounds on wrong answers to a factor: across sessions, verifications and days (NIST SP 800-63B-4, section 3.2.2).

``Factor.failures`` counts consecutive failures. A network that has failed five times waits, longer each time; after
``MAX_FAILURES`` from all networks together the factor is held until its user gets in another way. The user is told by
email on the way there. Passkeys are never held: a signature cannot be guessed.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from functools import partial

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import F
from django.utils import timezone

from ..choices import CheckOutcome, FactorKind
from ..core import receivers
from ..core.client import ClientInfo
from ..exceptions import FactorHeld, RateLimited
from ..limits import counters, lockouts
from ..limits.lockouts import Refused
from ..models import Factor, LimitCounter, RecoveryCode, Verification
from ..models.transactions import short_transaction
from ..signals import Signal
from .results import Checked

MAX_FAILURES = 50
"""Consecutive failures after which a factor is held. NIST allows at most 100."""
TOLD_AT = (MAX_FAILURES, 25, 5)
"""Consecutive failures at which the user is told by email, the highest first."""
FREE_FAILURES = 4
"""Failures from one network that cost no wait."""
LONGEST_WAIT = timedelta(hours=1)
FORGET_AFTER = timedelta(days=1)
"""How long after its last failure a network begins anew."""
FAILED = (CheckOutcome.WRONG, CheckOutcome.NO_CHECKS_LEFT, CheckOutcome.REPLAYED)

failures_reached = Signal("failures_reached")
"""Private: consecutive failures reached one of ``TOLD_AT``; ``factors.notices`` mails the user. ``user``, ``factor``
(``None`` for recovery codes), ``count``, ``client``.
"""

_NETWORK, _RECOVERY = "guesses", "recovery_failures"


def is_held(factor: Factor) -> bool:
    """Return whether ``factor`` takes no more answers. No query unless it reached its bound.

    A factor is released by what its user did since: verified with another factor, or used a recovery code.
    """
    if factor.held_at is None or factor.kind == FactorKind.PASSKEY:
        return False
    others = Factor.objects.filter(user_id=factor.user_id, last_used_at__gt=factor.held_at).exclude(pk=factor.pk)
    codes = RecoveryCode.objects.filter(user_id=factor.user_id, used_at__gt=factor.held_at)
    if not others.exists() and not codes.exists():
        return True
    Factor.objects.filter(pk=factor.pk).release(factor.held_at)
    factor.failures, factor.failures_told, factor.held_at = 0, 0, None
    return False


def held(user_factors: list[Factor]) -> list[Factor]:
    """Return those of ``user_factors`` that are held."""
    return [factor for factor in user_factors if is_held(factor)]


def require(factor: Factor, client: ClientInfo, now: datetime) -> None:
    """Refuse to ask ``factor`` for an answer that would not be judged. Passkeys are always asked.

    Raises:
        FactorHeld: it is held.
        RateLimited: ``guesses``, the network of ``client`` has to wait.
    """
    if is_held(factor):
        raise FactorHeld
    if factor.kind == FactorKind.PASSKEY:
        return
    counter = _waiting(factor, client, now)
    if counter is None:
        return
    until = counter.since + _wait_after(counter.count)
    told = counter.locked_out_since
    if (told is None or told < counter.since) and lockouts.is_first(counter.key, counter.since):
        lockouts.announce("guesses", _refused(factor, client), until=until)
    raise RateLimited("guesses", retry_at=until)


def charge(verification: Verification, client: ClientInfo, now: datetime) -> None:
    """Count an answer to the factor of ``verification`` as failed before it is judged. One UPDATE.

    ``record`` gives it back unless it fails. SECURITY: charged first, so that of answers given at one instant in many
    sessions no more are judged than the bound allows.

    Raises:
        FactorHeld: the factor takes no more answers.
        RateLimited: ``guesses``, as ``require``.
    """
    factor = verification.factor
    if factor is None or factor.kind == FactorKind.PASSKEY or factor.confirmed_at is None:
        return
    require(factor, client, now)
    row = Factor.objects.filter(pk=factor.pk)
    if short_transaction(partial(row.charge, now, MAX_FAILURES)):
        verification.is_charged = True
    elif row.exists():  # else it was removed, and the approval will say so
        raise FactorHeld


def refund(verification: Verification) -> None:
    """Undo the charge of an answer that was not judged."""
    if verification.is_charged and verification.factor_id is not None:
        row = Factor.objects.filter(pk=verification.factor_id)
        short_transaction(partial(row.refund, MAX_FAILURES))
        verification.is_charged = False


def lose(verification: Verification) -> None:
    """Keep the charge of an answer that the provider may have judged: nobody knows. Its user is told if it was the last
    one.
    """
    if verification.is_charged and verification.factor_id is not None:
        verification.is_charged = False
        _take_step(verification.factor_id, MAX_FAILURES, ClientInfo())


def record(checked: Checked, client: ClientInfo) -> None:
    """Keep or give back what was charged for the answer behind ``checked``, and tell its user of many failures."""
    verification = checked.verification
    if checked.outcome not in FAILED or not verification.is_charged:
        if checked.approved:  # which has reset the count of the factor
            _worked(verification, client)
        else:
            refund(verification)
        verification.is_charged = False
        return
    verification.is_charged = False
    failed(verification.factor_id, client, timezone.now())


def _worked(verification: Verification, client: ClientInfo) -> None:
    """Begin counting the failures of the network that has just answered rightly anew. One UPDATE if there were any."""
    factor = verification.factor if verification.is_charged else None
    if factor is not None and factor.failures:
        LimitCounter.objects.filter(key=_key(factor.pk, client)).update(count=0)


def fail(verification: Verification, client: ClientInfo) -> None:
    """Count a failure that was judged here, such as a wrong number of a push."""
    if verification.factor_id is None:
        return
    row, now = Factor.objects.filter(pk=verification.factor_id), timezone.now()
    if short_transaction(partial(row.record_failure, now, MAX_FAILURES)):
        failed(verification.factor_id, client, now)


def failed(factor_id: int | None, client: ClientInfo, now: datetime) -> None:
    """Note where a counted failure came from; tell the user of the factor at each step, once."""
    if factor_id is None:
        return
    _add(_key(factor_id, client), now)
    for step in TOLD_AT:
        if _take_step(factor_id, step, client):
            return


def _take_step(factor_id: int, step: int, client: ClientInfo) -> bool:
    """Tell the user of as many failures as ``step``, if there are and nobody did; whether this call did."""
    rows = Factor.objects.filter(pk=factor_id)
    if not rows.record_told(step):
        return False
    factor = rows.select_related("user").get()
    if step == MAX_FAILURES:
        lockouts.announce("factor_held", _refused(factor, client), until=None)
    _tell(factor.user, factor, step, client)
    return True


def _refused(factor: Factor, client: ClientInfo) -> Refused:
    country = factor.recipient.country if factor.recipient_value else ""
    return Refused(factor.user, client if client != ClientInfo() else None, country, factor)


def recovery_failed(user: AbstractBaseUser, client: ClientInfo, now: datetime) -> None:
    """Count a wrong recovery code of ``user``, who is told as of a factor. Nothing is held: the codes are long."""
    count = _add(counters.key(_RECOVERY, str(user.pk)), now)
    if count in TOLD_AT:
        _tell(user, None, count, client)


def recovery_worked(user: AbstractBaseUser) -> None:
    """Begin counting wrong recovery codes anew."""
    LimitCounter.objects.filter(key=counters.key(_RECOVERY, str(user.pk))).update(count=0)


def _tell(user: AbstractBaseUser, factor: Factor | None, count: int, client: ClientInfo) -> None:
    receivers.send(failures_reached, Factor, user=user, client=client, factor=factor, count=count)


def _waiting(factor: Factor, client: ClientInfo, now: datetime) -> LimitCounter | None:
    """The counter of the network of ``client``, if that has to wait. No query where nobody has failed."""
    # SECURITY: and not only from the fifth on: the owner's sign-ins begin the factor's count anew, and would give a
    # thief's network four free tries each.
    if not factor.failures:
        return None
    counter = LimitCounter.objects.filter(key=_key(factor.pk, client), since__gt=now - FORGET_AFTER).first()
    if counter is None or counter.count <= FREE_FAILURES:
        return None
    return counter if counter.since + _wait_after(counter.count) > now else None


def _wait_after(failures: int) -> timedelta:
    return min(timedelta(minutes=2 ** min(failures - FREE_FAILURES - 1, 10)), LONGEST_WAIT)


def _key(factor_id: int, client: ClientInfo) -> str:
    return counters.key(_NETWORK, f"{factor_id}:{client.network}")


def _add(key: str, now: datetime) -> int:
    """Add one to the counter ``key``, of which ``since`` is the last time; return the new count."""

    def write() -> int:
        rows = LimitCounter.objects.filter(key=key)
        recent = rows.filter(since__gt=now - FORGET_AFTER)
        if not recent.update(count=F("count") + 1, since=now) and not rows.update(count=1, since=now):
            LimitCounter.objects.bulk_create([LimitCounter(key=key, count=1, since=now)], ignore_conflicts=True)
        return rows.values_list("count", flat=True).get()

    return short_transaction(write)
