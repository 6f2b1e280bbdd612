"""Consents that a site already has, from a CSV file.

An ``imported`` event says no more than is known: when it was imported and from what, and in the erasable half when
consent is claimed to have been given and the words that came with it. It never speaks louder than a stop on record: who
opted out or took consent back has to agree anew.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, time
from itertools import islice
from pathlib import Path
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime
from django.utils.translation import gettext as _

from ..choices import CONSENT_CHANNELS, FOR_EVERYBODY, Actor, Channel, ConsentMedium, PersonKind
from ..conf import fingerprints, settings
from ..core.recipients import Recipient
from ..exceptions import InvalidRecipient
from ..ledger import fingerprint_aliases, key_register
from ..ledger.addressees import ledger_database
from ..ledger.persons import Person
from ..models import ConsentEvent
from ..models.transactions import joined_transaction
from . import api
from .context import ConsentContext

BATCH = 500
NOTE_LIMIT = 900
"""Characters of evidence and source together: what an event's note holds beside the time that is claimed."""
_SPELLINGS = {
    "recipient": "recipient",
    "number": "recipient",
    "phone": "recipient",
    "phone_number": "recipient",
    "email": "recipient",
    "channel": "channel",
    "user": "user",
    "username": "user",
    "granted_at": "granted_at",
    "evidence": "evidence",
    "source": "source",
    "document_sha256": "document",
}
_REQUIRED = ("recipient", "channel", "granted_at")
_DELIMITERS = ",;\t|"
_BOMS = ((codecs.BOM_UTF8, "utf-8-sig"), (codecs.BOM_UTF16_LE, "utf-16"), (codecs.BOM_UTF16_BE, "utf-16"))
_SHORTENED = re.compile(r"^\+?\d([.,]\d+)?[eE]\+?\d+$")
_SHA256 = re.compile(r"^[0-9a-f]{64}$")


class ImportRefused(ValueError):
    """The file as a whole cannot be read; the message says why and may be shown."""


class _BadLine(ValueError):
    """One line cannot be read; the message is a sentence and holds no personal data."""


@dataclass(frozen=True, slots=True)
class Row:
    """One line, read and checked. ``line``: where it ends in the file, the first is 1."""

    line: int
    recipient: Recipient
    channel: Channel
    username: str
    note: str
    document: str


@dataclass(frozen=True, slots=True)
class LineError:
    """What is wrong with a line: a sentence without personal data."""

    line: int
    sentence: str


@dataclass(slots=True)
class Report:
    """What an import did, or in a dry run would do.

    ``new``: events written. ``known``: lines whose consent is live on record already. ``stopped``: lines left out since
    the person or the holder of the address has stopped it. ``without_user``: lines that name nobody. ``bad``: how many
    lines cannot be read; ``errors``: the first of them. ``ignored``: columns that are not read.
    """

    dry_run: bool
    ignored: tuple[str, ...] = ()
    lines: int = 0
    new: int = 0
    known: int = 0
    stopped: int = 0
    without_user: int = 0
    bad: int = 0
    errors: list[LineError] = field(default_factory=list)

    ERRORS_KEPT = 50

    def refuse(self, line: int, sentence: str) -> None:
        self.bad += 1
        if len(self.errors) < self.ERRORS_KEPT:
            self.errors.append(LineError(line, sentence))

    def add(self, part: Report) -> None:
        """Count what was done with the rows of ``part`` too."""
        self.new += part.new
        self.known += part.known
        self.stopped += part.stopped
        self.without_user += part.without_user
        self.bad += part.bad
        self.errors += part.errors[: self.ERRORS_KEPT - len(self.errors)]


@dataclass(frozen=True, slots=True)
class Source:
    """A file to import. ``origin``: up to 64 characters that name it in every event. ``region``: ISO 3166 country of
    numbers without ``+``. ``actor``: who imports.
    """

    path: Path
    origin: str
    actor: str = ""
    region: str = ""


def run(
    source: Source,
    *,
    dry_run: bool = False,
    skip_bad: bool = False,
    progress: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Import ``source``. The whole file is read and checked before the first event is written.

    A file with a bad line imports nothing, unless ``skip_bad``. Importing it again adds nothing. Neither pass keeps the
    file in memory. Raises ``ImportRefused`` for a file that is no such CSV, and ``OSError``.
    """
    if not 1 <= len(source.origin.strip()) <= 64:
        raise ImportRefused(_("Name the import in 1 to 64 characters."))
    key_register.require()
    checked = _pass(source, Report(dry_run=True), progress)
    if dry_run or (checked.bad and not skip_bad):
        return checked
    return _pass(source, Report(dry_run=False), progress)


def _pass(source: Source, report: Report, progress: Callable[[Report], None]) -> Report:
    with _opened(source.path) as text:
        reader, columns, report.ignored = _header(text)
        rows = _rows(reader, columns, source, report)
        while batch := list(islice(rows, BATCH)):
            _take(batch, source, report)
            progress(report)
    return report


# ------------------------------------------------------------------------------------------------- the file


def _opened(path: Path) -> io.TextIOWrapper:
    return path.open(encoding=_encoding(path), newline="")


def _encoding(path: Path) -> str:
    """UTF-8 where the whole file is (or its first bytes say what it is), else what Windows calls ANSI (cp1252)."""
    with path.open("rb") as raw:
        start = raw.read(4)
        for mark, name in _BOMS:
            if start.startswith(mark):
                return name
        raw.seek(0)
        decoder = codecs.getincrementaldecoder("utf-8")()
        try:
            for block in iter(lambda: raw.read(1 << 16), b""):
                decoder.decode(block)
            decoder.decode(b"", final=True)
        except UnicodeDecodeError:
            return "cp1252"
    return "utf-8"


def _header(text: io.TextIOWrapper) -> tuple[Any, dict[str, int], tuple[str, ...]]:
    try:
        first = text.readline()
    except UnicodeError:
        raise ImportRefused(_("The file is neither UTF-8, UTF-16 nor Windows-1252 text.")) from None
    if not first.strip():
        raise ImportRefused(_("The file is empty: its first line must name the columns."))
    delimiter = max(_DELIMITERS, key=first.count)
    names = [name.strip().lower().replace(" ", "_") for name in next(csv.reader([first], delimiter=delimiter))]
    columns: dict[str, int] = {}
    for place, name in enumerate(names):
        known = _SPELLINGS.get(name)
        if known in columns:
            raise ImportRefused(_("Two columns stand for the same: %(name)s.") % {"name": known})
        if known:
            columns[known] = place
    if missing := [name for name in _REQUIRED if name not in columns]:
        raise ImportRefused(_("The first line names no column %(names)s.") % {"names": ", ".join(missing)})
    ignored = tuple(name for name in names if name and name not in _SPELLINGS)
    return csv.reader(text, delimiter=delimiter, strict=True), columns, ignored


def _rows(reader: Any, columns: dict[str, int], source: Source, report: Report) -> Iterator[Row]:
    """The lines that can be read; of the others ``report`` is told."""
    while True:
        try:
            cells = next(reader, None)
        except csv.Error as error:
            # Where the next line begins is anybody's guess: nothing after it is read as if nothing were wrong.
            raise ImportRefused(
                _("Line %(line)d is no CSV: %(problem)s.") % {"line": reader.line_num + 1, "problem": error}
            ) from None
        except UnicodeError:
            raise ImportRefused(
                _("Line %(line)d holds bytes that are no text.") % {"line": reader.line_num + 2}
            ) from None
        if cells is None:
            return
        if not any(cell.strip() for cell in cells):
            continue
        report.lines += 1
        line = reader.line_num + 1  # the reader began after the header
        try:
            yield _row(line, _Cells(cells, columns), source)
        except (_BadLine, InvalidRecipient) as error:
            report.refuse(line, " ".join(getattr(error, "messages", None) or [str(error)]))


@dataclass(frozen=True, slots=True)
class _Cells:
    cells: list[str]
    columns: dict[str, int]

    def __getitem__(self, name: str) -> str:
        """A cell without what spreadsheets put around it: ``="…"``, a leading apostrophe."""
        place = self.columns.get(name, -1)
        text = self.cells[place].strip() if 0 <= place < len(self.cells) else ""
        if text.startswith('="') and text.endswith('"'):
            text = text[2:-1]
        return text.removeprefix("'").replace("\0", "").strip()


def _row(line: int, cells: _Cells, source: Source) -> Row:
    if len(cells.cells) < len(cells.columns):
        raise _BadLine(_("The line has fewer cells than the first line has names."))
    channel = _channel(cells["channel"])
    recipient = _recipient(cells["recipient"], source.region)
    if channel.recipient_kind != recipient.kind:
        raise _BadLine(_("A %(channel)s does not go to such an address.") % {"channel": channel.label})
    document = cells["document"].lower()
    if document and not _SHA256.match(document):
        raise _BadLine(_("The SHA-256 of the document must be 64 hexadecimal digits."))
    return Row(line, recipient, channel, cells["user"], _note(cells), document)


def _channel(text: str) -> Channel:
    try:
        channel = Channel.parse(text)
        CONSENT_CHANNELS.index(channel)
    except ValueError:
        raise _BadLine(_("The channel must be one of: %(names)s.") % {"names": ", ".join(CONSENT_CHANNELS)}) from None
    return channel


def _recipient(text: str, region: str) -> Recipient:
    if _SHORTENED.match(text):
        raise _BadLine(_("A spreadsheet has shortened the number (as in 1.5E+10): format the column as text."))
    return Recipient.parse(text, region=region or settings.default_region or None)


def _note(cells: _Cells) -> str:
    claimed = _granted_at(cells["granted_at"])
    said = [_("Consent is said to have been given at %(time)s.") % {"time": claimed.isoformat()}]
    if cells["source"]:
        said.append(_("Source: %(source)s") % {"source": cells["source"]})
    if cells["evidence"]:
        said.append(_("Evidence: %(evidence)s") % {"evidence": cells["evidence"]})
    if len(cells["source"]) + len(cells["evidence"]) > NOTE_LIMIT:
        raise _BadLine(_("Evidence and source are longer than %(limit)d characters.") % {"limit": NOTE_LIMIT})
    return "\n".join(said)


def _granted_at(text: str) -> datetime:
    """An ISO 8601 time or day; in the site's time zone where it names none. Raises ``_BadLine``."""
    try:
        moment = parse_datetime(text)
        day = parse_date(text) if moment is None else None
    except ValueError:
        moment = day = None
    if moment is None and day is not None:
        moment = datetime.combine(day, time.min)
    if moment is None:
        raise _BadLine(_("The time must be written as 2024-05-31 or 2024-05-31T14:30:00+02:00."))
    try:
        moment = timezone.make_aware(moment) if timezone.is_naive(moment) else moment
        is_future = moment > timezone.now()
    except (OverflowError, ValueError):
        raise _BadLine(_("The time is out of range.")) from None
    if is_future:
        raise _BadLine(_("The time lies in the future."))
    return moment


# ---------------------------------------------------------------------------------------------- the ledger


def _take(rows: list[Row], source: Source, report: Report) -> None:
    """Sort the rows of one batch, and write those that are new. Two SELECTs, whatever its length."""
    users = _users(rows)

    def work() -> Report:
        # Counted apart: a batch that a deadlock with another import undid is taken again.
        part, standing = Report(report.dry_run), _Standing.of(rows, users)
        for row in rows:
            user = users.get(row.username) if row.username else None
            if row.username and user is None:
                part.refuse(row.line, str(_("There is no account with that user name.")))
                continue
            part.without_user += user is None
            _take_row(row, user, standing, source, part)
        return part

    report.add(joined_transaction(work, using=ledger_database()))


def _take_row(row: Row, user: Any, standing: _Standing, source: Source, report: Report) -> None:
    newest = standing.bearing_on(row, user)
    if newest is not None:
        report.known += newest
        # SECURITY: promise 1. What a file says of the past never undoes a stop.
        report.stopped += not newest
        return
    report.new += 1
    standing.add(row, user)
    if report.dry_run:
        return
    api.record(
        event="imported",
        recipient=row.recipient,
        channel=row.channel,
        user=user,
        context=ConsentContext(
            medium=ConsentMedium.IMPORT,
            actor=Actor.STAFF if source.actor else Actor.SYSTEM,
            actor_label=source.actor,
            origin=source.origin.strip(),
            document_digest=row.document,
            note=row.note,
        ),
    )


def _users(rows: list[Row]) -> dict[str, Any]:
    names = {row.username for row in rows if row.username}
    if not names:
        return {}
    model = get_user_model()
    found = model._default_manager.filter(**{f"{model.USERNAME_FIELD}__in": names})
    # Compared again: some databases find "Ann" where "ann" was asked for.
    return {user.get_username(): user for user in found if user.get_username() in names}


_Key = tuple[str, str, str]


@dataclass(slots=True)
class _Standing:
    """Whether the latest event is live, by recipient, channel and person's fingerprint. Instead of a fingerprint,
    ``""`` is anybody's latest event, and ``"*"`` the latest that bears on everybody.
    """

    latest: dict[_Key, tuple[int, bool]] = field(default_factory=dict)
    persons: dict[str, list[str]] = field(default_factory=dict)
    """The fingerprints of each account, by its primary key as text."""

    @classmethod
    def of(cls, rows: list[Row], users: Mapping[str, Any]) -> _Standing:
        groups = fingerprint_aliases.widened(*(fingerprints(row.recipient) for row in rows))
        wanted = {one: row.recipient for row, group in zip(rows, groups, strict=True) for one in group}
        persons = [Person(PersonKind.USER, str(user.pk)) for user in users.values()]
        prints = fingerprint_aliases.widened(*(person.fingerprints for person in persons))
        known = cls(persons={person.ref: each for person, each in zip(persons, prints, strict=True)})
        events = ConsentEvent.objects.using(ledger_database()).filter(recipient_fingerprint__in=list(wanted))
        fields = ("id", "event", "channel", "person_fingerprint", "recipient_fingerprint")
        for event in events.only(*fields).order_by("id").iterator():
            value = wanted[event.recipient_fingerprint].value.casefold()
            known.latest[(value, event.channel, event.person_fingerprint)] = (event.pk, event.is_live)
            known.latest[(value, event.channel, "")] = (event.pk, event.is_live)
            if event.event in FOR_EVERYBODY:
                known.latest[(value, event.channel, "*")] = (event.pk, event.is_live)
        return known

    def bearing_on(self, row: Row, user: Any) -> bool | None:
        """Whether the latest event that bears on the row is live; ``None`` where there is none."""
        persons = ["*", *self.persons[str(user.pk)]] if user is not None else [""]
        place = (row.recipient.value.casefold(), row.channel.value)
        found = [self.latest[(*place, person)] for person in persons if (*place, person) in self.latest]
        return max(found)[1] if found else None

    def add(self, row: Row, user: Any) -> None:
        """The row's own event, so that the same line again is known."""
        place = (row.recipient.value.casefold(), row.channel.value)
        newest = (1 << 62, True)
        if user is not None:
            self.latest[(*place, self.persons[str(user.pk)][0])] = newest
        self.latest[(*place, "")] = newest
