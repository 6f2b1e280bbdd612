"""Reads what became of earlier sends from the provider's list of attempts, page by page.

How far it has come is kept in ``AttemptSync``, one row for a backend: a run that was killed leaves its window and page,
and the next one goes on there. One run at a time holds the row, by a lease that it takes and renews by conditional
updates; no transaction is open while the provider is asked.
"""

from __future__ import annotations

import os
import secrets
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial

from django.db.models import Q, QuerySet
from django.utils import timezone

from ..backends.base import BaseBackend
from ..backends.handler import backends
from ..backends.results import AttemptsPage
from ..exceptions import BackendRejected
from ..models import AttemptSync
from ..models.transactions import short_transaction
from . import attempts
from .attempts import Outcome

KEPT = timedelta(days=30)
"""For so long Twilio keeps attempts (docs/verify/api/list-verification-attempts)."""
OVERLAP = timedelta(days=2)
"""How much of what was read before is read again. A verification can be answered for a day at most, a text message is
tried for ten hours at most (docs/messaging/api/message-resource#validityperiod), and prices come later than either, at
a time that Twilio does not tell.
"""
REQUESTS_PER_MINUTE = 100
"""Twilio's limit for this list (docs/verify/api/list-verification-attempts)."""
PAGE = 500
"""Attempts asked for at once. Twilio gives up to 1000; half of that is lost work when a run is killed."""
LEASE = timedelta(minutes=5)
"""For so long a run holds the row without a sign of life, which it gives after each page and each pause."""
PAUSE = 60.0
"""Seconds to wait after "too many requests": the limit is one of a minute."""
PAUSES = 3
_LEFT_OVER = timedelta(days=1)
"""An unfinished window that begins so long before what is kept is not gone on with: a new one reads no less."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a run has done for ``backend``: attempts ``seen``, of which ``changed`` a record, and ``strangers``: no
    sends of ours. ``since`` and ``until``: what it read. ``resumed``: it went on where another was cut short.
    """

    backend: str
    since: datetime
    until: datetime
    seen: int = 0
    changed: int = 0
    strangers: int = 0
    pages: int = 0
    resumed: bool = False


class Held(Exception):
    """Another run holds it: ``holder`` (host, process and a random part), at least until ``until``."""

    def __init__(self, backend: str, holder: str, until: datetime | None) -> None:
        self.backend, self.holder, self.until = backend, holder, until
        super().__init__(backend, holder)


class Pace:
    """Keeps calls apart, so that they stay within ``per_minute``. ``clock``: seconds that never go back."""

    def __init__(
        self,
        per_minute: int = REQUESTS_PER_MINUTE,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap = 60.0 / per_minute
        self._clock = clock
        self.sleep = sleep
        self._next: float | None = None

    def wait(self) -> None:
        """Return when the next call may be made."""
        now = self._clock()
        if self._next is not None and self._next > now:
            self.sleep(self._next - now)
            now = max(self._clock(), self._next)
        self._next = now + self._gap


def sync(
    alias: str,
    *,
    since: datetime | None = None,
    pace: Pace | None = None,
    progress: Callable[[int], None] = lambda seen: None,
) -> Synced:
    """Read the attempts of the backend ``alias`` and settle our records by them.

    ``since``: aware time to begin at; without it, where the last run ended, less ``OVERLAP``. ``pace``: shared by the
    backends of one account. ``progress``: called with the number seen so far. Raises ``ValueError`` for a backend that
    lists none, and for a ``since`` that is naive, to come, or longer ago than the provider keeps attempts; ``Held``
    where another run is at it, or has taken over; ``BackendUnavailable`` and ``BackendRejected``: where it stands is
    kept, and the next run goes on there.
    """
    backend = backends[alias]
    now = timezone.now()
    if not backend.supports_attempts:
        raise ValueError(f"The backend {alias!r} keeps no list of attempts.")
    if since is not None:
        _check_since(since, now)
    run = _Run.begin(backend, since, now, pace or Pace())
    try:
        return run.read(progress)
    finally:
        run.release()


def _check_since(since: datetime, now: datetime) -> None:
    if timezone.is_naive(since):
        raise ValueError("Give the time with its zone.")
    if since > now:
        raise ValueError("That time is yet to come.")
    if since < now - KEPT - timedelta(minutes=1):  # who says 30 days has said so a moment ago
        raise ValueError(f"Twilio keeps attempts for {KEPT.days} days: nothing older can be read.")


class _Run:
    """One run that holds the lease on one row, and reads one window, from ``page`` on."""

    def __init__(
        self, backend: BaseBackend, lease: str, pace: Pace, window: tuple[datetime, datetime], page: str
    ) -> None:
        self._backend, self._lease, self._pace = backend, lease, pace
        self._start, self._end = window
        self._at = page

    @classmethod
    def begin(cls, backend: BaseBackend, since: datetime | None, now: datetime, pace: Pace) -> _Run:
        """Take the lease and settle what to read. Raises ``Held``."""
        lease = f"{socket.gethostname()[:16]}:{os.getpid()}:{secrets.token_hex(4)}"
        row = _taken(backend.alias, lease, now)
        if (window := _unfinished(row, since, now)) is not None:
            return cls(backend, lease, pace, window, row.page)
        run = cls(backend, lease, pace, (_start(row, since, now), now), "")
        run._keep(window_start=run._start, window_end=run._end, page="")
        return run

    def read(self, progress: Callable[[int], None]) -> Synced:
        done = Synced(self._backend.alias, self._start, self._end, resumed=bool(self._at))
        seen = {""}
        while True:
            page = self._page()
            done = _counted(done, self._settle(page))
            progress(done.seen)
            if page.next_page in seen:  # behind the last one; or in a circle, whose pages were all read
                self._keep(done_until=self._end, window_start=None, window_end=None, page="")
                return done
            seen.add(page.next_page)
            self._go_to(page.next_page)

    def release(self) -> None:
        """Let go of the row. Where the run stands stays in it."""
        self._mine().update(lease="", leased_until=None)

    def _page(self) -> AttemptsPage:
        try:
            return self._asked()
        except BackendRejected as error:
            if not self._at or error.code == "wait":
                raise
        # The provider does not know the page any more, as its token was too old. What was read is read again.
        self._go_to("")
        return self._asked()

    def _asked(self) -> AttemptsPage:
        for left in range(PAUSES, -1, -1):
            self._pace.wait()
            try:
                return self._backend.attempts_page(after=self._start, before=self._end, page=self._at, size=PAGE)
            except BackendRejected as error:
                if error.code != "wait" or not left:
                    raise
            self._pace.sleep(PAUSE)
            self._keep()
        raise AssertionError  # pragma: no cover  the loop returns or raises

    def _go_to(self, page: str) -> None:
        self._keep(page=page)
        self._at = page

    def _settle(self, page: AttemptsPage) -> list[Outcome]:
        """Each attempt in a transaction of its own: short, and what was done stays done."""
        now = timezone.now()
        found = attempts.find(page.attempts, backends=(self._backend.alias,), now=now)
        outcomes = []
        for news, attempt in zip(page.attempts, found, strict=True):
            if attempt is None or attempts.is_known(news, attempt):
                outcomes.append(Outcome.STRANGER if attempt is None else Outcome.UNCHANGED)
            else:
                outcomes.append(short_transaction(partial(attempts.settle, news, attempt, now)))
        return outcomes

    def _keep(self, **values: object) -> None:
        """Write where the run stands, and that it lives. Raises ``Held`` if another has taken over."""
        until = timezone.now() + LEASE
        if not self._mine().update(leased_until=until, **values):
            row = AttemptSync.objects.get(backend=self._backend.alias)
            raise Held(row.backend, row.lease, row.leased_until)

    def _mine(self) -> QuerySet[AttemptSync]:
        return AttemptSync.objects.filter(backend=self._backend.alias, lease=self._lease)


def _taken(alias: str, lease: str, now: datetime) -> AttemptSync:
    """The row of ``alias``, held by ``lease``. Raises ``Held``."""
    AttemptSync.objects.get_or_create(backend=alias)
    free = Q(leased_until__isnull=True) | Q(leased_until__lte=now)
    # One conditional UPDATE: of any number of runs, one is given it.
    if AttemptSync.objects.filter(free, backend=alias).update(lease=lease, leased_until=now + LEASE):
        return AttemptSync.objects.get(backend=alias)
    row = AttemptSync.objects.get(backend=alias)
    raise Held(alias, row.lease, row.leased_until)


def _unfinished(row: AttemptSync, since: datetime | None, now: datetime) -> tuple[datetime, datetime] | None:
    """The window in which ``row`` stands, if it is worth finishing: not past what is kept, and no more is asked for."""
    start, end = row.window_start, row.window_end
    if start is None or end is None or (since is not None and since < start):
        return None
    if start < now - KEPT - _LEFT_OVER:
        return None
    return start, end


def _start(row: AttemptSync, since: datetime | None, now: datetime) -> datetime:
    wanted = since or (row.done_until - OVERLAP if row.done_until else now - KEPT)
    return max(wanted, now - KEPT)


def _counted(done: Synced, outcomes: list[Outcome]) -> Synced:
    return replace(
        done,
        pages=done.pages + 1,
        seen=done.seen + len(outcomes),
        changed=done.changed + outcomes.count(Outcome.CHANGED),
        strangers=done.strangers + outcomes.count(Outcome.STRANGER),
    )
