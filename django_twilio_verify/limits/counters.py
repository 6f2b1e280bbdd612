"""How often: counted in the database, decided before the provider is called.

Each rule counts in windows of its own length (``conf.LIMIT_RULES``) that begin at whole multiples of it. What was
counted in the window before still counts in part: as much of it as of that window lies within one length from now; or,
for an ``exact`` rule, all of it. Windows that begin with the first event in them would let twice the limit through
around their edge.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from django.db import router
from django.db.models import Case, F, Q, QuerySet, Value, When
from django.db.models.lookups import LessThanOrEqual

from ..conf import LIMIT_RULES, settings
from ..exceptions import RateLimited
from ..models import LimitCounter
from ..models.prepared import Values, update
from ..models.transactions import joined_transaction, short_transaction
from . import lockouts
from .lockouts import Refused

T = TypeVar("T")

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_WHOLE = 1000
"""Parts that an event is counted in, so that the database can weigh the window before without fractions."""
KEPT = timedelta(days=2)
"""How old a counter may be and still matter: two of the longest windows."""


def resend_at(sends: int, *, now: datetime, expires_at: datetime) -> datetime:
    """From when another send is allowed after send number ``sends`` (1 is the first) at ``now``.

    By ``TWILIO_VERIFY_RESEND_COOLDOWN_SECONDS``, and then not before the code has expired.
    """
    spacing = settings.resend_cooldown_seconds
    if sends > len(spacing):
        return expires_at
    return min(now + timedelta(seconds=spacing[sends - 1]), expires_at)


class _Uncounted(Exception):
    """Not every counter had room, or was there."""


@dataclass(frozen=True, slots=True)
class _Window:
    """The window of a rule at one moment. ``share``: of an event of the window before, in parts of ``_WHOLE``."""

    start: datetime
    length: timedelta
    share: int

    @classmethod
    def of(cls, rule: str, now: datetime) -> _Window:
        known = LIMIT_RULES[rule]
        length = timedelta(seconds=known.window)
        start = _EPOCH + (now - _EPOCH) // length * length
        # Rounded up: rather a moment too late than one too many.
        share = _WHOLE if known.exact else math.ceil(_WHOLE * (1 - (now - start) / length))
        return cls(start, length, share)

    def room_at(self, counter: LimitCounter, limit: int, *, exact: bool) -> datetime:
        """From when ``counter`` has room for one more."""
        count, previous = self._seen(counter)
        if count >= limit:  # not in this window any more
            return _faded(count, limit - 1, self.start + self.length, self.length, exact=exact)
        return _faded(previous, limit - 1 - count, self.start, self.length, exact=exact)

    def _seen(self, counter: LimitCounter) -> tuple[int, int]:
        if counter.since >= self.start:
            return counter.count, counter.previous
        return 0, counter.count if counter.since >= self.start - self.length else 0

    def has_room(self, counter: LimitCounter, limit: int) -> bool:
        count, previous = self._seen(counter)
        return count * _WHOLE + previous * self.share <= (limit - 1) * _WHOLE


def _faded(previous: int, room: int, start: datetime, length: timedelta, *, exact: bool) -> datetime:
    """When no more than ``room`` is left of ``previous`` events, in the window that begins at ``start`` or after it."""
    if previous <= room:
        return start
    if exact:
        return start + length
    return start + length * (1 - room / previous) + length / _WHOLE  # what is weighed is rounded up


def within(
    subjects: Mapping[str, str],
    now: datetime,
    work: Callable[[], T],
    *,
    refused: Callable[[], Refused],
    durable: bool = True,
) -> T:
    """Do ``work`` and count one more event for each of ``subjects``, all in one short transaction; or none of it.

    ``subjects``: rule to whom it counts; empty ones are not counted. ``refused``: who is told to have been locked out,
    the first time in a window. ``durable``: see ``short_transaction``; without it, the transaction may be part of the
    caller's. Raises ``RateLimited`` with the rule as its code and the time left.
    """
    limits = settings.limits
    keys = {key(rule, subject): rule for rule, subject in subjects.items() if subject}
    run = short_transaction if durable else joined_transaction
    if not keys:
        return run(work)
    _refuse_zero(keys, limits, now)

    def counted() -> T:
        if _count(keys, limits, now) < len(keys):
            raise _Uncounted
        return work()

    try:
        return run(counted)
    except _Uncounted:
        # SECURITY: what is refused leaves no row: new sessions and numbers would fill the table at no cost.
        _require_room(keys, limits, now, refused)
        # The first time for somebody, or a limit. Rows are made outside of the transaction: InnoDB would deadlock two
        # that insert the same one. With all rows there, the next try tells for certain.
        _make_rows(keys, now)
    try:
        return run(counted)
    except _Uncounted:
        raise _reached(keys, limits, now, refused) from None


def purge(now: datetime, *, dry_run: bool = False) -> int:
    """Delete the counters that no rule reads again. Return how many; a ``dry_run`` deletes none."""
    rows = LimitCounter.objects.filter(since__lt=now - KEPT)
    deleted: int = rows.count() if dry_run else rows.delete()[0]
    return deleted


def _count(keys: Mapping[str, str], limits: Mapping[str, int], now: datetime) -> int:
    """Add one to each of ``keys`` that has room; how many had. One conditional UPDATE."""
    values: dict[str, Any] = {}
    groups = list(_by_window(keys, now))
    for number, (window, own) in enumerate(groups):
        values[f"start {number}"] = window.start
        values[f"before {number}"] = window.start - window.length
        values[f"share {number}"] = window.share
        for place, key in enumerate(own):
            values[f"key {number} {place}"] = key
            values[f"most {number} {place}"] = (limits[keys[key]] - 1) * _WHOLE
    shape = tuple(len(own) for _window, own in groups)
    return update(_counting, values, using=router.db_for_write(LimitCounter), shape=shape)


def _by_window(keys: Mapping[str, str], now: datetime) -> Iterable[tuple[_Window, list[str]]]:
    found: dict[_Window, list[str]] = {}
    for key, rule in keys.items():
        found.setdefault(_Window.of(rule, now), []).append(key)
    return found.items()


def _counting(values: Values) -> tuple[QuerySet[LimitCounter], Mapping[str, Any]]:
    """Build the UPDATE of ``_count``."""
    room = current = before = Q(pk__in=[])
    begins: list[When] = []
    number = 0
    while f"start {number}" in values:
        start, last, share = (values[f"{name} {number}"] for name in ("start", "before", "share"))
        own: list[str] = []
        while f"key {number} {len(own)}" in values:
            key, most = (values[f"{name} {number} {len(own)}"] for name in ("key", "most"))
            fits = Q(LessThanOrEqual(F("count") * _WHOLE + F("previous") * share, most))
            faded = Q(LessThanOrEqual(F("count") * share, most))
            now, earlier = Q(since__gte=start), Q(since__gte=last, since__lt=start)
            room |= Q(key=key) & (now & fits | earlier & faded | Q(since__lt=last))
            own.append(key)
        current |= Q(key__in=own, since__gte=start)
        before |= Q(key__in=own, since__gte=last)
        begins.append(When(key__in=own, then=Value(start)))
        number += 1
    # Each ``When`` is asked after the ones above it. MariaDB assigns from left to right: ``since`` has to be the last.
    return LimitCounter.objects.filter(room), {
        "previous": Case(When(current, then=F("previous")), When(before, then=F("count")), default=Value(0)),
        "count": Case(When(current, then=F("count") + 1), default=Value(1)),
        "since": Case(When(current, then=F("since")), *begins),
    }


def prepare(subjects: Mapping[str, str], now: datetime, *, refused: Callable[[], Refused]) -> None:
    """Make the counters of ``subjects`` that are not there, unless one that is there has no room.

    One SELECT and one INSERT, the same whether any is missing or not. Raises ``RateLimited`` as ``within``.
    """
    keys, limits = {key(rule, subject): rule for rule, subject in subjects.items() if subject}, settings.limits
    _refuse_zero(keys, limits, now)
    _require_room(keys, limits, now, refused)
    _make_rows(keys, now)


def _refuse_zero(keys: Mapping[str, str], limits: Mapping[str, int], now: datetime) -> None:
    for rule in keys.values():
        if limits[rule] <= 0:
            raise RateLimited(rule, retry_at=now + timedelta(seconds=LIMIT_RULES[rule].window))


def _require_room(
    keys: Mapping[str, str], limits: Mapping[str, int], now: datetime, refused: Callable[[], Refused]
) -> None:
    if full := _full(keys, limits, now):
        raise _longest(full, now, refused)


def _make_rows(keys: Mapping[str, str], now: datetime) -> None:
    rows = [LimitCounter(key=one, since=_Window.of(keys[one], now).start, count=0) for one in sorted(keys)]
    LimitCounter.objects.bulk_create(rows, ignore_conflicts=True)


def _reached(
    keys: Mapping[str, str], limits: Mapping[str, int], now: datetime, refused: Callable[[], Refused]
) -> RateLimited:
    """The answer for the rule that was reached; of several, the one that lasts longest."""
    full = _full(keys, limits, now)
    # It was full a moment ago.
    return _longest(full, now, refused) if full else RateLimited(retry_at=now + timedelta(seconds=1))


@dataclass(frozen=True, slots=True)
class _Full:
    """A counter that has no room before ``until``. ``window``: in which it was reached."""

    until: datetime
    rule: str
    counter: LimitCounter
    window: datetime

    def is_first(self) -> bool:
        """Whether this is its first refusal in the window. No write once it was told."""
        told = self.counter.locked_out_since
        return (told is None or told < self.window) and lockouts.is_first(self.counter.key, self.window)


def _full(keys: Mapping[str, str], limits: Mapping[str, int], now: datetime) -> list[_Full]:
    """The counters that have no room left. One SELECT."""
    full: list[_Full] = []
    for counter in LimitCounter.objects.filter(key__in=keys):
        rule = keys[counter.key]
        window = _Window.of(rule, now)
        if not window.has_room(counter, limits[rule]):
            until = window.room_at(counter, limits[rule], exact=LIMIT_RULES[rule].exact)
            full.append(_Full(until, rule, counter, window.start))
    return full


def _longest(full: list[_Full], now: datetime, refused: Callable[[], Refused]) -> RateLimited:
    reached = max(full, key=lambda one: (one.until, one.rule))
    until = max(reached.until, now + timedelta(seconds=1))
    if reached.is_first():
        lockouts.announce(reached.rule, refused(), until=until)
    return RateLimited(reached.rule, retry_at=until)


def window_of(rule: str, now: datetime) -> datetime:
    """The beginning of the window of ``rule`` that ``now`` is in."""
    return _Window.of(rule, now).start


def key(rule: str, subject: str) -> str:
    """Return the key of the counter of ``rule`` for ``subject``, in the table of limits."""
    # SECURITY: keyed, so that addresses do not stand in this table as they are, nor can be found by trying them all.
    return settings.fingerprint_keys[0].fingerprint(f"limit:{rule}", subject)
