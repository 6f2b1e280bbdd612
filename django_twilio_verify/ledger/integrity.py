"""Looks for what was done to the ledger behind its back, and names it.

What each event says is held against its own digest, the digests against the seals, the seals against each other and
against their signatures. Read only; memory does not grow with the number of events.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import chain
from operator import itemgetter

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.models import Exists, Max, OuterRef, Q

from ..choices import AGREED, RecipientKind
from ..conf import fingerprints, retired_key_ids, settings
from ..core.recipients import Recipient
from ..core.signing_keys import SigningKey
from ..models import ConsentEvent, ConsentEvidence, ConsentSeal, Disclosure, FingerprintAlias
from . import disclosure_text, fingerprint_aliases, key_register, key_usage, seal_records, stream, timestamps
from .id_ranges import Ranges, parse_list
from .merkle import Tree
from .stream import Row, Writer

MARGIN = timedelta(hours=1)
"""How long a transaction that writes an event may take. An event that claims an earlier time than this before a seal
that does not have it was dated back."""
_SWAPS_TRIED = 8


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that was tampered with, or looks so. ``kind``: a stable word; ``text``: a sentence that names it.

    ``is_certain`` is false where rows that were never written look the same as rows that were deleted.
    """

    kind: str
    text: str
    event_id: int | None = None
    seal_number: int | None = None
    is_certain: bool = True

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}"


@dataclass(slots=True)
class Verified:
    """How much was looked at, counted while ``verify`` goes."""

    events: int = 0
    personal_halves: int = 0
    seals: int = 0
    unsealed: int = 0
    progress: Callable[[int], object] | None = None
    """Called with ``events`` after each page."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much to look at. ``contents``: each event's own bytes; ``personal``: the personal halves too. ``since``:
    only seals made from then on, with what is not sealed yet. ``expected``: digests of seals that must be there.
    """

    contents: bool = True
    personal: bool = True
    since: datetime | None = None
    expected: Collection[str] = ()


def verify(extent: Extent | None = None, *, tally: Verified | None = None) -> Iterator[Finding]:
    """Everything found wrong with the ledger, as it is found. Nothing at all means that it is as it was sealed."""
    extent, tally = extent or Extent(), tally or Verified()
    yield from _expected(extent.expected)
    yield from _seals(extent, tally)
    misfits = key_register.problems()
    for misfit in misfits:
        yield Finding(f"key_{misfit.code}", str(misfit.error))
    if extent.contents:
        yield from _disclosures()
        if not misfits:  # held against the wrong keys, every alias would look false
            yield from _aliases()
    yield from _Reader(extent, tally).everything()
    yield from _orphans()
    yield from _lost_tail()


# ---------------------------------------------------------------------------------------------- the seals


def _expected(digests: Collection[str]) -> Iterator[Finding]:
    for digest in digests:
        if not seal_records.seals().filter(digest=digest.lower()).exists():
            yield Finding(
                "seal_lost", f"The seal {digest} is not there: it was changed, or cut off with all that followed."
            )


def _chosen(since: datetime | None) -> tuple[ConsentSeal | None, Iterator[ConsentSeal]]:
    """The seal before the first to be checked, and those to be checked."""
    if since is None:
        return None, seal_records.seals().iterator(chunk_size=500)
    before = seal_records.seals().filter(created_at__lt=since).last()
    after = seal_records.seals().filter(number__gt=before.number if before else 0)
    return before, after.iterator(chunk_size=500)


def _seals(extent: Extent, tally: Verified) -> Iterator[Finding]:
    previous, chosen = _chosen(extent.since)
    unchecked = _Unchecked()
    for seal in chosen:
        tally.seals += 1
        broken = list(_links(seal, previous))
        yield from broken
        if broken:
            yield from unchecked.left()
        yield from _seal(seal, unchecked)
        previous = seal
    yield from unchecked.left()


def _links(seal: ConsentSeal, previous: ConsentSeal | None) -> Iterator[Finding]:
    number = seal.number
    expected = previous.number + 1 if previous else 1
    if number > expected:
        what = f"Seal {expected} is" if number == expected + 1 else f"Seals {expected} to {number - 1} are"
        yield Finding("seal_missing", f"{what} missing.", seal_number=expected)
    elif seal.previous_digest != (previous.digest if previous else ""):
        yield Finding("chain_broken", f"Seal {number} does not follow from the one before it.", seal_number=number)
    if number == expected and seal.first_event != (previous.last_event + 1 if previous else 1):
        yield Finding("chain_broken", f"Seal {number} does not begin where the one before ends.", seal_number=number)


def _seal(seal: ConsentSeal, unchecked: _Unchecked) -> Iterator[Finding]:
    number, content = seal.number, seal_records.canonical(seal)
    if seal_records.digest(seal) != seal.digest:
        yield Finding("seal_changed", f"Seal {number} was changed.", seal_number=number)
    if keys := _keys_of(seal):
        wrong = list(_signature(seal, content, keys))
        yield from wrong or unchecked.covered_by(seal)
    else:
        unchecked.add(seal)
    if not seal.timestamp_token:
        return
    if not timestamps.is_available():
        text = f"The time-stamp of seal {number} cannot be read: install rfc3161-client."
        yield Finding("timestamp_unread", text, seal_number=number, is_certain=False)
    elif timestamps.stamped_at(seal.timestamp_token, content) is None:
        yield Finding("timestamp_wrong", f"The time-stamp of seal {number} is not over it.", seal_number=number)


def _keys_of(seal: ConsentSeal) -> list[SigningKey]:
    """An id may belong to several keys: those derived from ``SECRET_KEY`` and its fallbacks share one."""
    return [key for key in settings.signing_keys if key.id == seal.key_id and key.algorithm == seal.algorithm]


def _signature(seal: ConsentSeal, content: bytes, keys: list[SigningKey]) -> Iterator[Finding]:
    number = seal.number
    try:
        signature = bytes.fromhex(seal.signature)
    except ValueError:
        signature = b""
    if problem := next((key.problem for key in keys if key.problem), ""):
        raise ImproperlyConfigured(f"The signing key {seal.key_id!r} {problem}.")
    if not any(key.verifies(signature, content) for key in keys):
        yield Finding("signature_wrong", f"The signature of seal {number} is wrong.", seal_number=number)


@dataclass(slots=True)
class _Unchecked:
    """The seals in a row whose signing key is not listed, until a later one that can be checked vouches for them.

    A seal is over the digest of the one before, so that the signature of the later one is over them all.
    """

    runs: list[tuple[int, int, str]] = field(default_factory=list)
    """First and last number, and the key, of each run that one key signed."""

    def add(self, seal: ConsentSeal) -> None:
        key, number = f"{seal.algorithm} key {seal.key_id!r}", seal.number
        first = number
        if self.runs and self.runs[-1][2] == key:
            first = self.runs.pop()[0]
        self.runs.append((first, number, key))

    def covered_by(self, seal: ConsentSeal) -> Iterator[Finding]:
        """Nothing was tampered with as far as the chain tells; still it is said that nobody looked."""
        by = f"by the chain of seals, seal {seal.number} covers that, signed with key {seal.key_id!r}."
        yield from self._told(by, is_certain=False)

    def left(self) -> Iterator[Finding]:
        """Nothing vouches for them."""
        yield from self._told("no later seal with a key that is listed covers that.", is_certain=True)

    def _told(self, ending: str, *, is_certain: bool) -> Iterator[Finding]:
        for first, last, key in self.runs:
            what = f"Seal {first} was" if first == last else f"Seals {first} to {last} were"
            text = f"{what} signed with {key}, which is not among the keys, so nobody can check it; {ending}"
            yield Finding("key_unknown", text, seal_number=first, is_certain=is_certain)
        self.runs.clear()


# -------------------------------------------------------------------------------------- what is under them


def _disclosures() -> Iterator[Finding]:
    """The wordings that were edited. Each event's own digest is over its disclosure's."""
    for row in Disclosure.objects.using(seal_records.database()).order_by("pk").iterator(chunk_size=100):
        if not disclosure_text.holds(row):
            yield Finding("disclosure_changed", f"Disclosure {row.pk} does not have the words that it was shown with.")


def _aliases() -> Iterator[Finding]:
    """The aliases that lead to somebody else's events, as far as the address is still there, and those that are missing
    for a key that is retired. Of whom an account's fingerprint was, nobody can tell without that key.
    """
    rows, last = fingerprint_aliases.rows().order_by("pk"), 0
    while page := list(rows.filter(pk__gt=last)[: stream.PAGE]):
        yield from _false_aliases(page)
        last = page[-1].pk
    listed = [key.id for key in settings.fingerprint_keys]
    for key_id in retired_key_ids():
        unmatched = key_usage.unmatched(key_id, "recipient_fingerprint", listed)
        needed = unmatched.filter(Q(evidence__isnull=False) | ~Q(event__in=AGREED))
        if count := needed.order_by().values("recipient_fingerprint").distinct().count():
            text = f"{count} recipients are not found any more: key {key_id!r} is retired, and they have no alias."
            yield Finding("alias_missing", text)


def _false_aliases(page: list[FingerprintAlias]) -> Iterator[Finding]:
    events = seal_records.events().filter(
        recipient_fingerprint__in={one.earlier for one in page}, evidence__isnull=False
    )
    known = events.values_list("recipient_fingerprint", "recipient_kind", "evidence__recipient").distinct()
    prints = {found: fingerprints(Recipient(RecipientKind(kind), value)) for found, kind, value in known}
    listed = {key.id for key in settings.fingerprint_keys}
    for one in page:
        is_known = one.earlier in prints and one.current.partition(".")[0] in listed
        if is_known and one.current not in prints[one.earlier]:
            yield Finding("alias_false", f"Alias {one.pk} leads to the events of another recipient.")


@dataclass(slots=True)
class _Reader:
    """Goes through the events, seal by seal, and then through those that are not sealed yet."""

    extent: Extent
    tally: Verified
    writer: Writer = field(default_factory=Writer)
    taken_late: set[int] = field(default_factory=set)
    latest: datetime | None = None
    """When the newest seal was made."""

    def everything(self) -> Iterator[Finding]:
        before, chosen = _chosen(self.extent.since)
        self.taken_late = _late_of_all()
        newest = seal_records.seals().last()
        self.latest = newest.created_at if newest else None
        reached = before.last_event if before else 0
        sealed_at = before.created_at if before else None
        if before is None:
            yield from self._below_the_first()
        for seal in chosen:
            yield from self._loose(reached + 1, seal.first_event - 1, sealed_at)
            yield from self._under(seal, sealed_at)
            reached, sealed_at = max(reached, seal.last_event), seal.created_at
        last = seal_records.events().aggregate(last=Max("pk"))["last"] or 0
        yield from self._loose(reached + 1, last, sealed_at)

    def _below_the_first(self) -> Iterator[Finding]:
        for number in seal_records.events().filter(pk__lt=1).values_list("pk", flat=True):
            yield _inserted(number)

    def _loose(self, first: int, last: int, sealed_at: datetime | None) -> Iterator[Finding]:
        """Events under no seal: all that can be said is whether each holds in itself."""
        for page in self._pages(first, last):
            self.tally.unsealed += len(page)
            yield from self._rows(page, sealed_at)

    def _under(self, seal: ConsentSeal, before: datetime | None) -> Iterator[Finding]:
        try:
            check = _Tree(seal, Ranges.parse(seal.gaps), parse_list(seal.late))
        except ValueError:
            text = f"Seal {seal.number} does not say which events it covers."
            yield Finding("seal_changed", text, seal_number=seal.number)
            return
        for page in self._chosen_pages(check.late):
            check.add_late(page)
            yield from self._rows(page, before)
        yield from check.missing_late()
        for page in self._pages(seal.first_event, seal.last_event):
            strangers = check.add(page)
            yield from check.findings()
            yield from self._rows(page, before, strangers)
            yield from self._strangers(strangers, page, seal)
        yield from check.ended()

    def _strangers(self, strangers: Collection[int], page: list[Row], seal: ConsentSeal) -> Iterator[Finding]:
        """Events with numbers that no event had when ``seal`` was made: late ones, or ones put there later."""
        unsealed = [number for number in strangers if number not in self.taken_late]
        if not unsealed:
            return
        self.tally.unsealed += len(unsealed)
        times = {row[stream.ID]: row[self._time] for row in page}
        for number in unsealed:
            if _is_backdated(times[number], self.latest):
                yield _inserted(number, seal.number)

    # One page --------------------------------------------------------------------------------------------

    def _pages(self, first: int, last: int) -> Iterator[list[Row]]:
        columns = stream.COLUMNS if self.extent.contents else stream.LINK_COLUMNS
        yield from stream.pages(first, last, columns)

    def _chosen_pages(self, ids: list[int]) -> Iterator[list[Row]]:
        columns = stream.COLUMNS if self.extent.contents else stream.LINK_COLUMNS
        for start in range(0, len(ids), 500):
            rows = seal_records.events().filter(pk__in=ids[start : start + 500]).order_by("pk")
            yield list(rows.values_list(*columns))

    @property
    def _time(self) -> int:
        return stream.TIME if self.extent.contents else stream.LINK_TIME

    def _rows(self, page: list[Row], before: datetime | None, skipped: Collection[int] = ()) -> Iterator[Finding]:
        """What is wrong with each row of ``page`` in itself. ``before``: when the seal before theirs was made."""
        if not page:
            return
        if self.extent.contents:
            yield from map(_changed, self.writer.changed(page))
        if before is not None:
            yield from self._backdated(page, before, skipped)
        if self.extent.contents and self.extent.personal:
            yield from self._personal(page)
        self.tally.events += len(page)
        if self.tally.progress:
            self.tally.progress(self.tally.events)

    def _backdated(self, page: list[Row], before: datetime, skipped: Collection[int]) -> Iterator[Finding]:
        earliest, place = before - MARGIN, self._time
        if min(map(itemgetter(place), page)) >= earliest:
            return
        for row in page:
            if row[place] < earliest and row[0] not in skipped:
                yield _backdated(row[0], row[place], before)

    def _personal(self, page: list[Row]) -> Iterator[Finding]:
        committed: Mapping[int, str] = {row[0]: row[stream.COMMITMENT] for row in page}
        for half in stream.evidence(page[0][0], page[-1][0]):
            number = half[0]
            if number not in committed:
                continue
            self.tally.personal_halves += 1
            try:
                holds = hmac.compare_digest(stream.commitment(half), committed[number])
            except (TypeError, ValueError):
                holds = False
            if not holds:
                text = f"The personal half of event {number} is not the one that was committed to."
                yield Finding("evidence_changed", text, event_id=number)


@dataclass(slots=True)
class _Tree:
    """The events under one seal, held against its root."""

    seal: ConsentSeal
    gaps: Ranges
    late: list[int]
    tree: Tree = field(default_factory=Tree)
    expected: int = -1
    """The number that comes next unless it is a gap."""
    is_whole: bool = True
    late_found: list[int] = field(default_factory=list)
    lost: list[tuple[int, int]] = field(default_factory=list)

    def add_late(self, page: list[Row]) -> None:
        """Put late events into the tree: they come before all others."""
        self.late_found += [row[0] for row in page]
        self._extend(page)

    def missing_late(self) -> Iterator[Finding]:
        present = set(self.late_found)
        for number in self.late:
            if number not in present:
                self.is_whole = False
                yield _missing(number, number, self.seal.number)

    def add(self, page: list[Row]) -> list[int]:
        """Put a page into the tree. Returns the numbers of those that were not there when it was sealed."""
        strangers, present = [], []
        expected = self.seal.first_event if self.expected < 0 else self.expected
        if self._is_unbroken(page, expected):
            present = page
            expected += len(page)
        for row in page if present is not page else ():
            number = row[0]
            if number in self.gaps:
                strangers.append(number)
                continue
            if number != expected:
                self._skip(expected, number - 1)
            present.append(row)
            expected = number + 1
        self._extend(present)
        self.expected = expected
        return strangers

    def _is_unbroken(self, page: list[Row], expected: int) -> bool:
        """Whether ``page`` is just what comes next, without a number left out: so it is nearly always."""
        first, last = page[0][0], page[-1][0]
        return first == expected and last - first + 1 == len(page) and not self.gaps.meets(first, last)

    def _extend(self, page: list[Row]) -> None:
        try:
            self.tree.extend([bytes.fromhex(row[1]) for row in page])
        except (TypeError, ValueError):  # the row is named by its own check
            self.tree.extend([b""] * len(page))

    def _skip(self, first: int, last: int) -> None:
        """Note those of ``first`` to ``last`` that were there when it was sealed."""
        for found, end in chain(self.gaps, [(last + 1, last + 1)]):
            if end < first:
                continue
            if first < found <= last + 1:
                self.lost.append((first, found - 1))
            first = max(first, end + 1)
            if first > last:
                return

    def findings(self) -> Iterator[Finding]:
        """The events found missing since the last call."""
        for first, last in self.lost:
            self.is_whole = False
            yield _missing(first, last, self.seal.number)
        self.lost.clear()

    def ended(self) -> Iterator[Finding]:
        """What shows once every event was put in."""
        self._skip(self.seal.first_event if self.expected < 0 else self.expected, self.seal.last_event)
        yield from self.findings()
        if self.tree.root().hex() == self.seal.root and self.tree.size == self.seal.count:
            return
        swapped = _swapped(self.seal, self.gaps, self.late) if self.is_whole else None
        if swapped:
            text = f"Events {swapped[0]} and {swapped[1]} of seal {self.seal.number} have changed places."
            yield Finding("events_swapped", text, event_id=swapped[0], seal_number=self.seal.number)
            return
        text = (
            f"The events {self.seal.first_event} to {self.seal.last_event} are not those that seal {self.seal.number} "
            f"was made over ({self.tree.size} there, {self.seal.count} sealed)."
        )
        yield Finding("seal_not_over", text, seal_number=self.seal.number)


def _late_of_all() -> set[int]:
    taken: set[int] = set()
    for late in seal_records.seals().exclude(late="").values_list("late", flat=True).iterator():
        try:
            taken.update(parse_list(late))
        except ValueError:  # its seal is reported
            continue
    return taken


def _swapped(seal: ConsentSeal, gaps: Ranges, late: list[int]) -> tuple[int, int] | None:
    """The two events whose exchange would make the seal right again, if time tells which they are."""
    for one, other in _out_of_time(seal):
        places = dict(seal_records.chosen([one, other]))
        if len(places) == 2 and _root(seal, gaps, late, {one: places[other], other: places[one]}) == seal.root:
            return one, other
    return None


def _out_of_time(seal: ConsentSeal) -> list[tuple[int, int]]:
    """Pairs of events of which the second is older than the first, those first that are most out of place."""
    within = seal_records.events().filter(pk__range=(seal.first_event, seal.last_event))
    early: list[tuple[datetime, int]] = []
    newest: datetime | None = None
    for page in stream.pages(seal.first_event, seal.last_event, stream.LINK_COLUMNS):
        for number, _, moment in page:
            if newest is not None and moment < newest:
                early = sorted([*early, (moment, number)])[:_SWAPS_TRIED]
            newest = max(newest, moment) if newest else moment
    pairs = []
    for moment, number in early:
        place = within.filter(occurred_at__gt=moment, pk__lt=number).order_by("pk").values_list("pk", flat=True).first()
        if place is not None:
            pairs.append((place, number))
    return pairs


def _root(seal: ConsentSeal, gaps: Ranges, late: list[int], instead: Mapping[int, str]) -> str:
    """The root with other digests at some events."""
    tree = Tree()
    in_range = seal_records.numbered(seal.first_event, seal.last_event)
    kept: Iterable[tuple[int, str]] = ((number, digest) for number, digest in in_range if number not in gaps)
    for number, digest in chain(seal_records.chosen(late), kept):
        tree.append(bytes.fromhex(instead.get(number, digest)))
    return tree.root().hex()


# ------------------------------------------------------------------------------------- what is left hanging


def _orphans() -> Iterator[Finding]:
    """Events that something else still speaks of. Foreign keys keep them; who drops those leaves traces."""
    using = seal_records.database()
    there = seal_records.events().filter(pk=OuterRef("event_id"))
    halves = ConsentEvidence.objects.using(using).filter(~Exists(there)).order_by("event_id")
    for number in halves.values_list("event_id", flat=True).iterator():
        yield Finding("event_missing", f"Event {number} is missing; its personal half is there.", event_id=number)
    there = ConsentEvent.objects.using(using).filter(pk=OuterRef("previous_id"))
    followers = seal_records.events().filter(~Exists(there), previous_id__isnull=False).order_by("pk")
    for number, lost in followers.values_list("pk", "previous_id").iterator():
        yield Finding("event_missing", f"Event {lost} is missing; event {number} follows from it.", event_id=lost)


def _lost_tail() -> Iterator[Finding]:
    """Numbers that the database has handed out beyond the newest row of events and seals."""
    for model, kind, what in ((ConsentEvent, "tail_lost", "event"), (ConsentSeal, "seals_lost", "seal")):
        newest = model._default_manager.using(seal_records.database()).aggregate(last=Max("pk"))["last"] or 0
        handed_out, is_exact = _handed_out(model)
        if handed_out <= newest or not (newest or is_exact):
            continue
        run = str(newest + 1) if handed_out == newest + 1 else f"{newest + 1} to {handed_out}"
        rolled_back = "" if is_exact else ", or were never written: a transaction that is rolled back uses numbers up"
        text = f"The newest {what}s are missing: rows {run} were deleted{rolled_back}."
        is_event = model is ConsentEvent
        yield Finding(kind, text, event_id=newest + 1 if is_event else None, is_certain=is_exact)


def _handed_out(model: type[ConsentEvent] | type[ConsentSeal]) -> tuple[int, bool]:
    """The highest number that the database gave a row, and whether each number up to it was once a row.

    SQLite rolls its counter back with the transaction; the others do not.
    """
    connection = connections[seal_records.database()]
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":
            cursor.execute("SELECT seq FROM sqlite_sequence WHERE name = %s", [table])
        elif connection.vendor == "postgresql":
            cursor.execute(
                "SELECT last_value FROM pg_sequences "
                "WHERE format('%%I.%%I', schemaname, sequencename) = pg_get_serial_sequence(%s, 'id')",
                [table],
            )
        else:
            cursor.execute(
                "SELECT AUTO_INCREMENT - 1 FROM information_schema.TABLES "
                "WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = %s",
                [table],
            )
        found = cursor.fetchone()
    return (int(found[0]) if found and found[0] is not None else 0), connection.vendor == "sqlite"


# ------------------------------------------------------------------------------------------------ sentences


def _is_backdated(moment: datetime, sealed_at: datetime | None) -> bool:
    return sealed_at is not None and moment < sealed_at - MARGIN


def _inserted(number: int, seal_number: int | None = None) -> Finding:
    where = f"among those of seal {seal_number}, which does not have it" if seal_number else "in front of all"
    return Finding("event_inserted", f"Event {number} was put {where}.", event_id=number, seal_number=seal_number)


def _backdated(number: int, moment: datetime, sealed_at: datetime) -> Finding:
    text = f"Event {number} says {moment:%Y-%m-%d %H:%M} UTC, but the seal of {sealed_at:%Y-%m-%d %H:%M} lacks it."
    return Finding("event_backdated", text, event_id=number)


def _changed(row: Row) -> Finding:
    number = row[0]
    return Finding("event_changed", f"Event {number} is not what its digest says.", event_id=number)


def _missing(first: int, last: int, seal_number: int) -> Finding:
    what = f"Event {first} is" if first == last else f"Events {first} to {last} are"
    text = f"{what} missing: seal {seal_number} was made over more."
    return Finding("event_missing", text, event_id=first, seal_number=seal_number)
