"""Events that the provider pushed: each is kept, and applied once.

The row in ``ProviderEvent``, whose id is unique, and what the event changes are written in one short transaction: of an
event that comes ten times at the same instant, one is applied; of a process that dies in between, nothing is left, and
the provider delivers it again. Events may come in any order; ``attempts.settle`` sees to that.

SECURITY: an event never approves a verification. Proof is given by the session that typed the code, to nobody else.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from django.db import IntegrityError
from django.utils import timezone

from ..backends.handler import backends
from ..backends.twilio import cloud_events
from ..backends.twilio.cloud_events import CloudEvent
from ..choices import VerificationStatus
from ..conf import settings
from ..models import ProviderEvent, Verification
from ..models.transactions import short_transaction
from ..verifications import checking
from . import attempts

logger = logging.getLogger("django_twilio_verify")

BUDGET = 3.5
"""Seconds for one batch. Event Streams waits 5 for the answer (docs/events/webhook-quickstart)."""
_BATCH = 500

_ENDS: Mapping[str, VerificationStatus] = {
    "canceled": VerificationStatus.CANCELED,
    "expired": VerificationStatus.EXPIRED,
    "max_attempts_reached": VerificationStatus.MAX_ATTEMPTS_REACHED,
}


@dataclass(frozen=True, slots=True)
class Received:
    """What became of a batch, by number of events.

    ``stored``: new, kept, and applied where they are about a record of ours; ``known``: had come before;
    ``malformed``: no events at all, dropped; ``left``: not kept, because something failed or time was up. The provider
    must send those again.
    """

    stored: int = 0
    known: int = 0
    malformed: int = 0
    left: int = 0


class _Fate(Enum):
    """What became of one event; the values are fields of ``Received``."""

    STORED = "stored"
    KNOWN = "known"
    LEFT = "left"


class _Known(Exception):
    """The event is on record."""


def receive(
    batch: Sequence[object],
    *,
    trusted: Collection[str],
    now: datetime | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Received:
    """Keep the events of ``batch`` (parsed JSON values), and apply them.

    ``trusted``: the backends whose provider is known to have sent them. An event of a Service that is none of theirs,
    of an unknown type, about nobody here, or older than ``max_age`` of ``TWILIO_VERIFY_WEBHOOK`` is kept and not
    applied. An event that fails does not stop the others. After ``BUDGET`` seconds of ``clock`` the rest is left: what
    was kept until then is known when it comes again, so that each delivery gets further.
    """
    began, moment = clock(), now or timezone.now()
    events = [event for raw in batch if (event := cloud_events.read(raw)) is not None]
    fresh = _fresh(events)
    services = _services(trusted)
    fates = [_Fate.LEFT if clock() - began > BUDGET else _taken(event, services, moment) for event in fresh]
    counts = {fate.value: fates.count(fate) for fate in _Fate}
    counts["known"] += len(events) - len(fresh)
    return Received(malformed=len(batch) - len(events), **counts)


def prune(days: int, now: datetime | None = None) -> int:
    """Delete the events that were received more than ``days`` days ago; returns how many.

    Raises ``ValueError`` for fewer days than events may be late: a copy of one that is forgotten would be applied anew.
    """
    age = timedelta(days=days)
    if age < timedelta(seconds=settings.webhook.max_age):
        raise ValueError("Events are kept at least as long as max_age of TWILIO_VERIFY_WEBHOOK lets them be applied.")
    before, pruned = (now or timezone.now()) - age, 0
    while found := list(ProviderEvent.objects.filter(received_at__lt=before).values_list("pk", flat=True)[:_BATCH]):
        pruned += ProviderEvent.objects.filter(pk__in=found).delete()[0]
    return pruned


def _fresh(events: Sequence[CloudEvent]) -> list[CloudEvent]:
    """Those that are not on record, each once. What comes at the same instant is told apart by ``_keep``."""
    by_id = {event.id: event for event in reversed(events)}
    ids = list(by_id)
    for start in range(0, len(ids), _BATCH):
        known = ProviderEvent.objects.filter(event_id__in=ids[start : start + _BATCH])
        for event_id in known.values_list("event_id", flat=True):
            by_id.pop(event_id, None)  # a database that minds no capitals may name another one
    return [*reversed(by_id.values())]


def _services(trusted: Collection[str]) -> dict[str, list[str]]:
    """The backends by the SID of their Service."""
    found: dict[str, list[str]] = {}
    for alias in trusted:
        if sid := backends[alias].service_sid:
            found.setdefault(sid, []).append(alias)
    return found


def _taken(event: CloudEvent, services: Mapping[str, list[str]], now: datetime) -> _Fate:
    try:
        _take(event, services.get(event.service_sid, []), now)
    except _Known:
        return _Fate.KNOWN
    except Exception as error:  # whatever is wrong with one event, the others of the batch are not lost
        # SECURITY: the class and no more: neither text nor traceback, which may hold what the event holds.
        logger.error("Event was not kept: type=%s id=%s error=%s", event.kind, event.id, type(error).__name__)
        return _Fate.LEFT
    return _Fate.STORED


def _take(event: CloudEvent, aliases: Sequence[str], now: datetime) -> None:
    """Keep ``event``, and apply it to the records of ``aliases``. Raises ``_Known``."""
    news = event.attempts if aliases and not _is_stale(event, now) else ()
    found = attempts.find(news, backends=aliases, now=now) if news else []
    named = _named(event, aliases) if not _is_stale(event, now) else []

    def write() -> None:
        # Before all else: of several that come here at once, the others wait and then find it known.
        _keep(event, aliases[0] if aliases else "", applied=bool(named) or any(found), now=now)
        for told, attempt in zip(news, found, strict=True):
            attempts.settle(told, attempt, now)
        for verification in named:
            _end(verification, event.word)

    short_transaction(write)


def _is_stale(event: CloudEvent, now: datetime) -> bool:
    """Whether it is later than any delivery of the provider's, and so perhaps a copy of one that was forgotten."""
    return event.at is not None and event.at < now - timedelta(seconds=settings.webhook.max_age)


def _named(event: CloudEvent, aliases: Sequence[str]) -> list[Verification]:
    """The verifications that the event says have ended."""
    if not (aliases and event.family == "verification" and event.word in _ENDS and event.verification_sid):
        return []
    return list(Verification.objects.filter(sid=event.verification_sid, backend__in=aliases))


def _end(verification: Verification, word: str) -> None:
    # SECURITY: only ends without proof are in the table, and only a pending one can be ended.
    if verification.status == VerificationStatus.PENDING:
        checking.close(verification, _ENDS[word])


def _keep(event: CloudEvent, backend: str, *, applied: bool, now: datetime) -> None:
    try:
        ProviderEvent.objects.create(
            event_id=event.id,
            kind=event.kind,
            backend=backend,
            verification_sid=event.verification_sid,
            attempt_sid=event.attempt_sid,
            happened_at=event.at,
            received_at=now,
            applied=applied,
        )
    except IntegrityError:
        raise _Known from None
