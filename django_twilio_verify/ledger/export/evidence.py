"""Which evidence an export is about, read in chunks, and the trace that an export leaves.

Every export reads by keys, ``CHUNK`` rows a statement, and not through one long cursor: mysqlclient would fetch the
whole result into memory, and a pooler in transaction mode allows no cursor across statements.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, BinaryIO, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import DatabaseError
from django.db.models import F, Max, Min, Q, QuerySet

from ...choices import FOR_EVERYBODY, AuditKind, ConsentEventType, PersonKind
from ...conf import fingerprint, fingerprints, settings
from ...core.recipients import Recipient
from ...exceptions import InvalidRecipient, KeysDoNotFit
from ...models import ConsentEvent, ConsentEvidence, VerificationAttempt
from ...models.clock import database_now
from .. import audit, fingerprint_aliases, key_register, records
from ..addressees import unmatched_addresses
from ..persons import Person

CHUNK = 2000
"""Rows that one statement reads."""
RECIPIENTS_A_SLICE = 500
"""Recipients that one condition names."""

Row = TypeVar("Row")


class NothingToExport(LookupError):
    """Nobody's evidence is meant by the selection: nothing was written."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Whose evidence, of when. What is given narrows; give at least one.

    ``recipients``: addresses; an empty tuple is nobody, ``None`` anybody. ``person``: whose consent, with what the
    holders of that person's addresses said. ``prints``: the fingerprints of one recipient, whose address is erased.
    ``since``: aware time, inclusive; ``until``: aware time, exclusive.
    ``ceiling``: highest event, set by ``fixed``.
    """

    recipients: tuple[Recipient, ...] | None = None
    person: Person | None = None
    prints: tuple[str, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    ceiling: int | None = None

    def __post_init__(self) -> None:
        # SECURITY: a selection that says nothing is a slip, never "everything".
        whose = (self.recipients is not None) + (self.person is not None) + bool(self.prints)
        if not whose and not self.since and not self.until:
            raise ValueError("Say whose evidence: recipients, a person or a period.")
        if whose > 1:
            raise ValueError("Select by recipients or by person, not by both.")

    @classmethod
    def of_user(
        cls, user: AbstractBaseUser, *, since: datetime | None = None, until: datetime | None = None
    ) -> Selection:
        """The evidence of an account."""
        return cls(person=Person(PersonKind.USER, str(user.pk), user.get_username()[:150]), since=since, until=until)

    @classmethod
    def of_account(cls, pk: object, *, since: datetime | None = None, until: datetime | None = None) -> Selection:
        """The evidence of an account by its primary key: for one that was deleted."""
        return cls(person=Person(PersonKind.USER, str(pk)), since=since, until=until)

    def fixed(self) -> Selection:
        """The same over the events that are there now: those that come while an export runs are left out."""
        newest = ConsentEvent.objects.order_by("-pk").values_list("pk", flat=True).first()
        return replace(self, ceiling=newest or 0)

    @property
    def is_period_only(self) -> bool:
        return self.recipients is None and self.person is None and not self.prints

    @property
    def fingerprint(self) -> str:
        """Of the one recipient that is meant; empty where it is another number of them."""
        if self.recipients is not None and len(self.recipients) == 1:
            return fingerprint(self.recipients[0])
        return self.prints[0] if self.prints else ""

    @property
    def described(self) -> dict[str, Any]:
        """The filter without personal data: how many, whose by fingerprint, of when."""
        by = "period" if self.is_period_only else "person" if self.person else "recipients"
        found: dict[str, Any] = {"by": by}
        if by == "recipients":
            found["asked_for"] = 1 if self.prints else len(self.recipients or ())
        if self.person is not None:
            found["person"] = self.person.fingerprint
        period = {"since": self.since, "until": self.until}
        return found | {name: records.timestamp(moment) for name, moment in period.items() if moment}

    def slices(self) -> Iterator[QuerySet[ConsentEvent]]:
        """The events meant, in no order, as one queryset or, where many recipients are asked for, as several."""
        for condition in self._conditions():
            yield ConsentEvent.objects.filter(condition, self._bounds())

    def of_anybody(self) -> QuerySet[ConsentEvent]:
        """The events of the period, whosever they are."""
        return ConsentEvent.objects.filter(self._bounds())

    def of(self, recipient_prints: Sequence[str]) -> QuerySet[ConsentEvent]:
        """The part that concerns one recipient, known by its fingerprints."""
        whose = next(self._conditions()) if self.person else Q()
        return ConsentEvent.objects.filter(whose, self._bounds(), recipient_fingerprint__in=recipient_prints)

    def withholds(self, event: ConsentEvent) -> bool:
        """Whether the personal half of ``event`` is not this person's to be shown.

        SECURITY: what a holder said bears on the person's consent, and may have been said by somebody else.
        """
        return self.person is not None and event.person_kind == PersonKind.HOLDER

    def _bounds(self) -> Q:
        bounds = Q()
        if self.since:
            bounds &= Q(occurred_at__gte=self.since)
        if self.until:
            bounds &= Q(occurred_at__lt=self.until)
        return bounds & Q(pk__lte=self.ceiling) if self.ceiling is not None else bounds

    def _conditions(self) -> Iterator[Q]:
        if self.person is not None:
            yield _of_person(fingerprint_aliases.of_person(self.person))
        elif self.prints:
            yield Q(recipient_fingerprint__in=self.prints)
        elif self.recipients is None:
            yield Q()
        else:
            for start in range(0, len(self.recipients), RECIPIENTS_A_SLICE):
                some = self.recipients[start : start + RECIPIENTS_A_SLICE]
                yield Q(
                    recipient_fingerprint__in=fingerprint_aliases.known(
                        [each for one in some for each in fingerprints(one)]
                    )
                )


def _of_person(persons: list[str]) -> Q:
    """The person's events, the visitor's that they were carried over from, and the holders' words on the addresses."""
    mine = Q(person_fingerprint__in=persons)
    theirs = ConsentEvent.objects.filter(mine)
    before = theirs.filter(event=ConsentEventType.RENEWED, previous__person_kind=PersonKind.SESSION)
    visitor = [pk for pk in before.values_list("previous_id", flat=True) if pk is not None]
    return mine | Q(pk__in=visitor) | Q(event__in=FOR_EVERYBODY, recipient_fingerprint__in=_addresses(theirs))


def _addresses(events: QuerySet[ConsentEvent]) -> list[str]:
    """The fingerprints, under every key, of the recipients of ``events``."""
    known = set(events.values_list("recipient_fingerprint", flat=True).distinct())
    rows = ConsentEvidence.objects.filter(event__in=events.values("pk"))
    for value in rows.values_list("recipient", flat=True).distinct():
        with suppress(InvalidRecipient):  # imported under other rules: found by the fingerprint on record
            known.update(fingerprints(Recipient.parse(value)))
    return fingerprint_aliases.known(sorted(known))


def read_numbers(lines: Iterable[str], *, region: str | None = None) -> tuple[Recipient, ...]:
    """The recipients of a list, one a line, each once; empty lines and those that start with ``#`` are skipped.

    ``region``: country of numbers without ``+``. Raises ``ValueError`` that names every line which is no address, by
    its number and not by what stands there.
    """
    found: dict[Recipient, None] = {}
    wrong = []
    for number, line in enumerate(lines, 1):
        text = line.strip().lstrip("\ufeff")
        if not text or text.startswith("#"):
            continue
        try:
            found[Recipient.parse(text, region=region or settings.default_region or None)] = None
        except InvalidRecipient as error:
            wrong.append(f"line {number}: {error}")
    if wrong:
        raise ValueError("\n".join(wrong))
    return tuple(found)


# ------------------------------------------------------------------------------------------------- reading


def chunks(selection: Selection, *, size: int = CHUNK) -> Iterator[list[ConsentEvent]]:
    """The events meant, with disclosure, previous event and personal half; one statement a chunk.

    The personal half is read with ``half_of``: it may be gone.
    """
    for events in selection.slices():
        whole = events.select_related("disclosure", "previous", "evidence")
        for chunk in in_chunks(whole, selection, _primary_key, size=size):
            _untie(chunk)
            yield chunk


def half_of(event: ConsentEvent) -> ConsentEvidence | None:
    """The personal half that was read with ``event``, ``None`` where it was erased."""
    return getattr(event, "evidence", None)


def _untie(events: Iterable[ConsentEvent]) -> None:
    """Forget that a personal half knows its event: the cycle would keep both until a full collection of garbage."""
    for event in events:
        if (half := half_of(event)) is not None:
            half._state.fields_cache.pop("event", None)


def _primary_key(event: ConsentEvent) -> int:
    return int(event.pk)


def in_chunks(
    rows: QuerySet[Any, Row], selection: Selection, key: Callable[[Row], int], *, size: int = CHUNK
) -> Iterator[list[Row]]:
    """``rows`` of ``ConsentEvent`` by id, at most ``size`` at a time; ``key`` gives a row's id."""
    chunks = _by_range(rows, selection, size) if selection.is_period_only else _by_key(rows, key, size)
    return (chunk for chunk in chunks if chunk)


def _by_range(rows: QuerySet[Any, Row], selection: Selection, size: int) -> Iterator[list[Row]]:
    """A period: as a range of ids, which are given out as time goes, and that range piece by piece.

    With ``LIMIT`` instead, PostgreSQL merges each chunk with all personal halves from the first one on.
    """
    events = selection.of_anybody()
    ends = events.aggregate(first=Min("pk"), last=Max("pk"))
    start, last = ends["first"], ends["last"] or 0
    while start is not None and start <= last:
        chunk = list(rows.filter(pk__range=(start, start + size - 1)).order_by("pk"))
        yield chunk
        start += size
        if not chunk:  # a gap: numbers were never used, or are of another time
            start = events.filter(pk__gte=start).aggregate(first=Min("pk"))["first"]


def _by_key(rows: QuerySet[Any, Row], key: Callable[[Row], int], size: int) -> Iterator[list[Row]]:
    """Few recipients: behind the last id of the chunk before.

    The order is by ``id + 0``, which no index has: offered ``ORDER BY id LIMIT``, planners walk the whole table instead
    of looking the recipients up.
    """
    rows = rows.order_by(F("pk") + 0)
    chunk = list(rows[:size])
    while chunk:
        yield chunk
        if len(chunk) < size:
            return
        chunk = list(rows.filter(pk__gt=key(chunk[-1]))[:size])


def any_there(selection: Selection) -> bool:
    """Whether anything at all is meant."""
    return any(events.exists() for events in selection.slices())


def count_recipients(selection: Selection) -> int:
    """How many recipients are meant. One that has events under two fingerprint keys counts twice."""
    counts = (events.order_by().values("recipient_fingerprint").distinct().count() for events in selection.slices())
    return sum(counts)


def sends(event_ids: Sequence[int]) -> dict[int, list[VerificationAttempt]]:
    """The sends that relied on these events, oldest first. One statement."""
    found: dict[int, list[VerificationAttempt]] = {}
    rows = VerificationAttempt.objects.filter(consent_event_id__in=event_ids).select_related("verification")
    for attempt in rows.order_by("pk"):
        found.setdefault(attempt.consent_event_id, []).append(attempt)
    return found


# ------------------------------------------------------------------------------------------ the trace it leaves


class HashedStream:
    """What is written goes on to ``stream`` and into a SHA-256. It cannot seek, so nothing is written over."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._digest = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        content = bytes(data)
        self._stream.write(content)
        self._digest.update(content)
        self.size += len(content)
        return len(content)

    def flush(self) -> None:
        self._stream.flush()

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()


@dataclass(slots=True)
class Export:
    """An export under way, and what became of it. ``sha256`` and ``size`` (bytes) are of the file as far as written."""

    selection: Selection
    stream: HashedStream
    format: str
    made_at: datetime
    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def sha256(self) -> str:
        return self.stream.sha256

    @property
    def size(self) -> int:
        return self.stream.size


@contextmanager
def exporting(stream: BinaryIO, selection: Selection, format_name: str, reason: str, actor: str) -> Iterator[Export]:
    """The frame of every export: refuses one over nobody before a byte is written, and leaves an ``AuditEvent``.

    ``reason``: who asked, and why; ``actor``: the name of the account or command. Raises ``ValueError`` where one of
    them is missing, ``NothingToExport``, ``KeysDoNotFit``.
    """
    if not audit.cleaned(reason) or not audit.cleaned(actor):
        raise ValueError("An export needs a reason, and the name of who makes it.")
    # SECURITY: an export that leaves out what it cannot find would be evidence of something false.
    key_register.require()
    _require_found(selection)
    fixed = selection.fixed()
    if not any_there(fixed):
        raise NothingToExport("No evidence is on record for this selection.")
    export = Export(fixed, HashedStream(stream), format_name, database_now(audit.database()))
    try:
        yield export
    except BaseException:
        # SECURITY: a stream that broke off has perhaps shown half of it to somebody.
        with suppress(DatabaseError):
            _leave_trace(export, reason, actor, is_complete=False)
        raise
    _leave_trace(export, reason, actor, is_complete=True)


def _require_found(selection: Selection) -> None:
    """Raise ``KeysDoNotFit`` where evidence has an address of ``selection`` and no fingerprint leads to it."""
    for start in range(0, len(selection.recipients or ()), RECIPIENTS_A_SLICE):
        some = (selection.recipients or ())[start : start + RECIPIENTS_A_SLICE]
        prints = fingerprint_aliases.known([each for one in some for each in fingerprints(one)])
        if unmatched_addresses(some, prints):
            raise KeysDoNotFit("unmatched")


def _leave_trace(export: Export, reason: str, actor: str, *, is_complete: bool) -> None:
    audit.record(
        AuditKind.EXPORTED,
        actor=actor,
        reason=reason,
        fingerprint=export.selection.fingerprint,
        details={
            "format": export.format,
            "filter": export.selection.described,
            "rows": export.rows,
            "sha256": export.sha256,
            "bytes": export.size,
            "complete": is_complete,
        },
    )
