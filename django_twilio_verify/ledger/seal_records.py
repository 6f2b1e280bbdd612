"""What a seal says and what it covers: its canonical bytes, and the events under it in order."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator

from django.db import router
from django.db.models import QuerySet

from ..models import ConsentEvent, ConsentSeal
from .id_ranges import Ranges, parse_list
from .records import timestamp

RECORD_VERSION = 1
PAGE = 4000
"""Events read in one statement: pages by id hold no cursor open, which on SQLite would keep every writer waiting."""
_COPIED = (
    "record_version",
    "number",
    "first_event",
    "last_event",
    "late",
    "gaps",
    "count",
    "root",
    "previous_digest",
    "algorithm",
    "key_id",
)


def canonical(seal: ConsentSeal) -> bytes:
    """The bytes that a seal's digest, signature and time-stamp are over: JSON with sorted keys, no spaces, UTF-8,
    time in UTC with microseconds.
    """
    content = {name: getattr(seal, name) for name in _COPIED}
    content["created_at"] = timestamp(seal.created_at)
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(seal: ConsentSeal) -> str:
    """SHA-256 in hex over ``canonical``."""
    return hashlib.sha256(canonical(seal)).hexdigest()


def database() -> str:
    """The alias of the database that the ledger is written to; it is read from there too: a replica lags."""
    return router.db_for_write(ConsentEvent)


def events() -> QuerySet[ConsentEvent]:
    """Every event."""
    return ConsentEvent.objects.using(database())


def seals() -> QuerySet[ConsentSeal]:
    """Every seal, oldest first."""
    return ConsentSeal.objects.using(database()).order_by("number")


def numbered(first: int, last: int) -> Iterator[tuple[int, str]]:
    """Id and digest of the events from ``first`` to ``last``, ascending, read page by page."""
    while first <= last:
        page = list(events().filter(pk__range=(first, last)).order_by("pk").values_list("pk", "digest")[:PAGE])
        yield from page
        if len(page) < PAGE:
            return
        first = page[-1][0] + 1


def chosen(ids: list[int]) -> Iterator[tuple[int, str]]:
    """Id and digest of those of ``ids`` (ascending) that are there, in that order."""
    for start in range(0, len(ids), 500):
        found = dict(events().filter(pk__in=ids[start : start + 500]).values_list("pk", "digest"))
        yield from ((number, found[number]) for number in ids[start : start + 500] if number in found)


def leaves(seal: ConsentSeal) -> Iterator[bytes]:
    """The entries of the seal's tree as the database has them now: each event's digest, 32 bytes.

    First the late ones, then those of the range, each by id. Raises ``ValueError`` for a digest that is no hex.
    """
    gaps = Ranges.parse(seal.gaps)
    for _, found in chosen(parse_list(seal.late)):
        yield bytes.fromhex(found)
    for number, found in numbered(seal.first_event, seal.last_event):
        if number not in gaps:  # it came after the seal
            yield bytes.fromhex(found)
