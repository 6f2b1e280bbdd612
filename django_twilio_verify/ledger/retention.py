"""How long evidence is kept: legal holds, and the end of its time.

The time runs from the end of the consent: the latest event that bears on a person, a recipient and a channel, if that
event stopped it. Evidence of live consent is never taken, however old it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import router, transaction
from django.db.models import QuerySet

from ..choices import FOR_EVERYBODY, AuditKind, RecipientKind
from ..conf import fingerprints, settings
from ..core.recipients import Recipient
from ..models import ConsentEvent, ConsentEvidence, LegalHold, locks
from ..models.clock import database_now
from . import audit, fingerprint_aliases, key_register
from .addressees import Addressee, ledger_database

BATCH = 500


def hold(addressee: Addressee, *, reason: str, actor: str) -> LegalHold:
    """Forbid erasing and purging what is known of ``addressee``, on record or not. The hold that stands, if one does.

    Raises ``ValueError`` without a reason or an actor.
    """
    if not audit.cleaned(reason):
        raise ValueError("Say why it is held.")
    key_register.require()
    addressee.require_found()
    # SECURITY: locked as erasing and purging are, which have asked for holds a moment before they delete: after this
    # call has returned, nothing is deleted.
    return locks.holding(addressee.fingerprints, lambda: _hold(addressee, reason, actor))


def _hold(addressee: Addressee, reason: str, actor: str) -> LegalHold:
    if standing := hold_on(addressee):
        return standing
    using = _holds_database()
    with transaction.atomic(using=using), transaction.atomic(using=audit.database()):
        audit.record(AuditKind.HELD, actor=actor, reason=reason, fingerprint=addressee.fingerprint)
        return LegalHold.objects.using(using).create(
            recipient_fingerprint=addressee.fingerprint,
            reason=audit.cleaned(reason),
            set_by=audit.cleaned(actor)[:150],
            set_at=database_now(using),
        )


def release(addressee: Addressee, *, reason: str, actor: str) -> int:
    """Release every hold on ``addressee``; how many there were. Raises ``ValueError`` as ``hold``."""
    if not audit.cleaned(reason):
        raise ValueError("Say why it is released.")
    key_register.require()
    addressee.require_found()
    using = _holds_database()
    with transaction.atomic(using=using), transaction.atomic(using=audit.database()):
        released = _standing(addressee.fingerprints).update(released_at=database_now(using))
        if released:
            audit.record(
                AuditKind.RELEASED,
                actor=actor,
                reason=reason,
                fingerprint=addressee.fingerprint,
                details={"holds": released},
            )
    return released


def hold_on(addressee: Addressee) -> LegalHold | None:
    """The hold that stands on ``addressee``, or ``None``. One SELECT."""
    return _standing(addressee.fingerprints).order_by("id").first()


@dataclass(slots=True)
class Purged:
    """What a run found. ``looked_at``: evidence rows older than ``before``; of them ``over`` had their time behind
    them, ``held`` are kept by a legal hold, and the rest belongs to consent that is live or ended later.
    """

    before: datetime
    dry_run: bool
    looked_at: int = 0
    over: int = 0
    held: int = 0


def purge(
    *,
    actor: str,
    reason: str = "",
    days: int | None = None,
    dry_run: bool = False,
    progress: Callable[[Purged], None] = lambda purged: None,
) -> Purged:
    """Delete the evidence of consent that ended more than ``days`` (``TWILIO_VERIFY_EVIDENCE_RETENTION_DAYS``) ago.

    In batches, each in a transaction of its own, so a run that was cut short is continued by the next one; memory does
    not grow with the ledger. ``progress`` is called after each batch. A run leaves one audit event, a ``dry_run``
    none. Raises ``ValueError`` for less than one day, and without an actor.
    """
    kept_for = settings.evidence_retention_days if days is None else days
    if kept_for < 1:
        raise ValueError("Evidence is kept for one day at least.")
    if not audit.cleaned(actor):
        raise ValueError("Say who does it.")
    key_register.require()  # SECURITY: a hold under a key that is not listed would not be found
    purged = Purged(before=database_now(ledger_database()) - timedelta(days=kept_for), dry_run=dry_run)
    try:
        for batch in _batches(purged.before):
            _purge_batch(batch, purged)
            progress(purged)
    finally:
        if not dry_run:
            audit.record(AuditKind.PURGED, actor=actor, reason=reason, details=_summary(purged, kept_for))
    return purged


def _summary(purged: Purged, days: int) -> dict[str, object]:
    return {
        "before": purged.before.isoformat(),
        "days": days,
        "evidence": purged.over,
        "held": purged.held,
        "looked_at": purged.looked_at,
    }


def _batches(before: datetime) -> Iterator[list[ConsentEvidence]]:
    """The evidence of events before that time, oldest first. By key and not by OFFSET: rows vanish under way."""
    old = ConsentEvidence.objects.using(ledger_database()).filter(event__occurred_at__lt=before)
    last = 0
    while batch := list(old.filter(event_id__gt=last).select_related("event").order_by("event_id")[:BATCH]):
        yield batch
        last = batch[-1].event_id


def _purge_batch(batch: list[ConsentEvidence], purged: Purged) -> None:
    prints = fingerprint_aliases.widened(*map(_prints, batch))
    known = {evidence.event_id: {*each} for evidence, each in zip(batch, prints, strict=True)}
    found = _sort_out(batch, known, purged.before)
    if found.free and not purged.dry_run:
        keys = {one for event_id in found.free for one in known[event_id]}
        found = locks.holding(keys, lambda: _delete(batch, known, purged.before, {*found.free}))
    purged.looked_at += len(batch)
    purged.held += found.held
    purged.over += len(found.free)


@dataclass(frozen=True, slots=True)
class _Sorted:
    """Those of a batch that had their time behind them: how many a legal hold keeps, and the others."""

    held: int
    free: list[int]


def _sort_out(batch: list[ConsentEvidence], known: Mapping[int, set[str]], before: datetime) -> _Sorted:
    every = {fingerprint for prints in known.values() for fingerprint in prints}
    held = set(_standing(every).values_list("recipient_fingerprint", flat=True))
    endings = _Endings.of(every)
    over = [one.event_id for one in batch if endings.ended_before(one.event, known[one.event_id], before)]
    free = [event_id for event_id in over if held.isdisjoint(known[event_id])]
    return _Sorted(len(over) - len(free), free)


def _delete(batch: list[ConsentEvidence], known: Mapping[int, set[str]], before: datetime, free: set[int]) -> _Sorted:
    """Delete what is still ``free``, with its recipients locked."""
    # SECURITY: asked again behind the locks, so that a hold set, or consent given, a moment ago counts.
    found = _sort_out(batch, known, before)
    still_free = [event_id for event_id in found.free if event_id in free]
    rows = ConsentEvidence.objects.using(ledger_database()).filter(event_id__in=still_free)
    # What is still there: another run, or an erasure, may have been first, and the audit event counts.
    deleted = list(rows.values_list("event_id", flat=True))
    rows.delete()
    return _Sorted(found.held, deleted)


def _prints(evidence: ConsentEvidence) -> list[str]:
    recipient = Recipient(RecipientKind(evidence.event.recipient_kind), evidence.recipient)
    return [evidence.event.recipient_fingerprint, *fingerprints(recipient)]


Ending = tuple[str, str, str]
"""Recipient, channel and person, of a person's own events; the person is empty for those that bear on everybody."""


@dataclass(slots=True)
class _Endings:
    """The latest event of each person, recipient and channel, and the latest one that bears on everybody."""

    latest: dict[Ending, ConsentEvent] = field(default_factory=dict)
    persons: dict[str, str] = field(default_factory=dict)
    """Each person's fingerprint as the newest key has it."""

    @classmethod
    def of(cls, recipients: Iterable[str]) -> _Endings:
        endings = cls()
        rows = ConsentEvent.objects.using(ledger_database()).filter(recipient_fingerprint__in=list(recipients))
        fields = ("event", "channel", "person_fingerprint", "recipient_fingerprint", "occurred_at")
        events = list(rows.only(*fields).order_by("id"))
        endings.persons = fingerprint_aliases.under_the_newest(event.person_fingerprint for event in events)
        for event in events:
            person = endings.persons[event.person_fingerprint]
            endings.latest[(event.recipient_fingerprint, event.channel, person)] = event
            if event.event in FOR_EVERYBODY:
                endings.latest[(event.recipient_fingerprint, event.channel, "")] = event
        return endings

    def ended_before(self, event: ConsentEvent, prints: Iterable[str], before: datetime) -> bool:
        """Whether what ``event`` is about had ended by then, and nothing that bears on it came later."""
        persons = (self.persons[event.person_fingerprint], "")
        keys = [(one, event.channel, person) for one in prints for person in persons]
        bearing = [self.latest[key] for key in keys if key in self.latest]
        newest = max(bearing, key=lambda one: one.pk)
        return not newest.is_live and newest.occurred_at < before


def _standing(prints: Iterable[str]) -> QuerySet[LegalHold]:
    rows = LegalHold.objects.using(_holds_database())
    return rows.filter(recipient_fingerprint__in=list(prints), released_at__isnull=True)


def _holds_database() -> str:
    return router.db_for_write(LegalHold)
