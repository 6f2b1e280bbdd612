"""How often: counted in the database, decided before the provider is called.

Each rule counts in windows of an hour, or as ``WINDOWS`` says, that begin with the first event in them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import TypeVar

from django.db.models import Case, F, Q, QuerySet, When

from ..conf import RESEND_SPACING, settings
from ..exceptions import RateLimited
from ..models import LimitCounter
from .transactions import joined_transaction, short_transaction

T = TypeVar("T")

WINDOW = timedelta(hours=1)
WINDOWS: Mapping[str, timedelta] = {
    "consent_person_day": timedelta(days=1),
    "consent_ip_day": timedelta(days=1),
    "consent_recipient_day": timedelta(days=1),
}
"""The rules that count in another window than ``WINDOW``."""


def resend_at(sends: int, *, now: datetime, expires_at: datetime) -> datetime:
    """From when another send is allowed after send number ``sends`` (1 is the first) at ``now``.

    30, 40, 60, 90 and 120 seconds, and then not before the code has expired.
    """
    if sends > len(RESEND_SPACING):
        return expires_at
    return min(now + timedelta(seconds=RESEND_SPACING[sends - 1]), expires_at)


class _Uncounted(Exception):
    """Not every counter had room, or was there."""


def within(subjects: Mapping[str, str], now: datetime, work: Callable[[], T], *, durable: bool = True) -> T:
    """Do ``work`` and count one more event for each of ``subjects``, all in one short transaction; or none of it.

    ``subjects``: rule to whom it counts; empty ones are not counted. ``durable``: see ``short_transaction``; without
    it, the transaction may be part of the caller's.
    Raises ``RateLimited`` with the rule as its code and the time left.
    """
    limits = settings.limits
    keys = {key(rule, subject): rule for rule, subject in subjects.items() if subject}
    for rule in keys.values():
        if limits[rule] <= 0:
            raise RateLimited(rule, retry_at=now + _window(rule))

    def counted() -> T:
        if _count(keys, limits, now) < len(keys):
            raise _Uncounted
        return work()

    in_transaction = short_transaction if durable else joined_transaction
    try:
        return in_transaction(counted)
    except _Uncounted:
        # The first time for somebody, or a limit. Rows are made outside of the transaction: InnoDB would deadlock two
        # that insert the same one. With all rows there, the next try tells for certain.
        _make_rows(keys, now)
    try:
        return in_transaction(counted)
    except _Uncounted:
        raise _reached(keys, limits, now) from None


def _count(keys: Mapping[str, str], limits: Mapping[str, int], now: datetime) -> int:
    """Add one to each of ``keys`` that has room; how many had. One conditional UPDATE."""
    over = _over(keys, now)
    return _with_room(keys, limits, over).update(
        count=Case(When(over, then=1), default=F("count") + 1),
        since=Case(When(over, then=now), default=F("since")),
    )


def _window(rule: str) -> timedelta:
    return WINDOWS.get(rule, WINDOW)


def _over(keys: Mapping[str, str], now: datetime) -> Q:
    """The counters whose window is over."""
    over = Q(pk__in=())
    for window in {_window(rule) for rule in keys.values()}:
        timed = [key for key, rule in keys.items() if _window(rule) == window]
        over |= Q(key__in=timed, since__lte=now - window)
    return over


def _with_room(keys: Mapping[str, str], limits: Mapping[str, int], over: Q) -> QuerySet[LimitCounter]:
    room = Q(pk__in=[])
    for key, rule in keys.items():
        room |= Q(key=key) & (over | Q(count__lt=limits[rule]))
    return LimitCounter.objects.filter(room)


def _make_rows(keys: Mapping[str, str], now: datetime) -> None:
    known = set(LimitCounter.objects.filter(key__in=keys).values_list("key", flat=True))
    missing = [LimitCounter(key=key, count=0, since=now) for key in sorted(keys.keys() - known)]
    if missing:
        LimitCounter.objects.bulk_create(missing, ignore_conflicts=True)


def _reached(keys: Mapping[str, str], limits: Mapping[str, int], now: datetime) -> RateLimited:
    """The answer for the rule that was reached; of several, the one that lasts longest."""
    counters = LimitCounter.objects.filter(key__in=keys).exclude(_over(keys, now))
    full = [counter for counter in counters if counter.count >= limits[keys[counter.key]]]
    last = max(full, key=lambda counter: counter.since + _window(keys[counter.key]), default=None)
    if last is None:  # it was, a moment ago
        return RateLimited(retry_at=now + timedelta(seconds=1))
    return RateLimited(keys[last.key], retry_at=last.since + _window(keys[last.key]))


def key(rule: str, subject: str) -> str:
    """Return the key of the counter of ``rule`` for ``subject``, in the table of limits."""
    # SECURITY: keyed, so that addresses do not stand in this table as they are, nor can be found by trying them all.
    return settings.fingerprint_keys[0].fingerprint(f"limit:{rule}", subject)
