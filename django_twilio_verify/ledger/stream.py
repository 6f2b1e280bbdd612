"""The ledger read fast: the digest of ``ledger.canonical`` and ``ledger.commitment`` from plain rows, page by page.

``ledger`` says what an event's bytes are; this says the same for a million of them, and tests hold the two together.
Fields that have few different values share a template, made once for each combination that occurs.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime, tzinfo
from hashlib import sha256
from hmac import digest as hmac_digest
from json.encoder import encode_basestring
from typing import Any

from ..models import ConsentEvidence
from . import records, seal_records

Row = Sequence[Any]

PAGE = 2000
_OWN = (
    "actor_fingerprint",
    "commitment",
    "occurred_at",
    "origin",
    "person_fingerprint",
    "previous",
    "recipient_fingerprint",
)
"""Fields of which nearly every event has a value of its own, in the order of their names, which is JSON's here."""
_TIMES = tuple(name for name in records._TIMES if name not in _OWN)
_SHARED = tuple(name for name in records._COPIED if name not in _OWN)
_COLUMN_OF = {"previous": "previous__digest"}
COLUMNS = (
    "pk",
    "digest",
    "previous_id",
    *(_COLUMN_OF.get(name, name) for name in _OWN),
    "disclosure__digest",
    *_TIMES,
    *_SHARED,
)
LINK_COLUMNS = ("pk", "digest", "occurred_at")
ID, DIGEST, PREVIOUS_ID = 0, 1, 2
_OWN_FROM = 3
COMMITMENT = _OWN_FROM + _OWN.index("commitment")
TIME = _OWN_FROM + _OWN.index("occurred_at")
LINK_TIME = 2
EVIDENCE_COLUMNS = ("event_id", "salt", *records.EVIDENCE_FIELDS)
_EVIDENCE_NAMES = tuple(name.encode() for name in records.EVIDENCE_FIELDS)
_MOST_TEMPLATES = 500
_SALT = 32
"""Bytes of a salt, and of a digest of SHA-256: half a block, so the pads of an HMAC are as long again."""
_INNER, _OUTER = (bytes(byte ^ pad for byte in range(256)) for pad in (0x36, 0x5C))
_INNER_REST, _OUTER_REST = b"\x36" * _SALT, b"\x5c" * _SALT


class Writer:
    """Makes the bytes of events out of rows of ``COLUMNS``."""

    def __init__(self) -> None:
        self._templates: dict[Row, str] = {}

    def changed(self, page: list[Row]) -> list[Row]:
        """Those of ``page`` whose ``digest`` is not that of what they say."""
        canonical, found = self.canonical, []
        for row in page:
            try:
                if sha256(canonical(row)).hexdigest() != row[DIGEST]:
                    found.append(row)
            except (TypeError, ValueError, AttributeError):  # a value of another type, as SQLite allows
                found.append(row)
        return found

    def canonical(
        self,
        row: Row,
        # Bound once: this runs a million times in a verification.
        quoted: Callable[[str], str] = encode_basestring,
        utc: tzinfo = UTC,
    ) -> bytes:
        """As ``ledger.canonical``."""
        _, _, _, actor, commitment, moment, origin, person, previous, recipient, *shared = row
        key = tuple(shared)
        template = self._templates.get(key) or self._made(key)
        text = template % (
            quoted(actor) if actor else '""',
            quoted(commitment),
            moment.isoformat(timespec="microseconds")[:26] if moment.tzinfo is utc else _timestamp(moment),
            quoted(origin) if origin else '""',
            quoted(person),
            quoted(previous) if previous else '""',
            quoted(recipient),
        )
        return text.encode()

    def _made(self, shared: Row) -> str:
        if len(self._templates) >= _MOST_TEMPLATES:
            self._templates.clear()
        made = self._templates[shared] = _template(shared)
        return made


def _template(shared: Row) -> str:
    """The canonical text with a ``%s`` for each field of ``_OWN``."""
    disclosure, times, copied = shared[0], shared[1 : 1 + len(_TIMES)], shared[1 + len(_TIMES) :]
    content: dict[str, Any] = dict(zip(_SHARED, copied, strict=True))
    content["disclosure"] = disclosure or ""
    for name, moment in zip(_TIMES, times, strict=True):
        content[name] = records.timestamp(moment) if moment else ""
    parts = {name: json.dumps(value, ensure_ascii=False).replace("%", "%%") for name, value in content.items()}
    parts |= dict.fromkeys(_OWN, "%s")
    parts["occurred_at"] = '"%sZ"'
    return "{" + ",".join(f'"{name}":{parts[name]}' for name in sorted(parts)) + "}"


def _timestamp(moment: datetime) -> str:
    return records.timestamp(moment)[:26]


def commitment(row: Row) -> str:
    """As ``ledger.commitment``, of a row of ``EVIDENCE_COLUMNS``. Raises ``ValueError`` for a salt that is no hex."""
    salt = bytes.fromhex(row[1])
    values = [str(value).encode() if value else b"" for value in row[2:]]
    hashed = _hashed if len(salt) == _SALT else _hashed_slowly
    return sha256(b"".join(hashed(salt, values))).hexdigest()


def _hashed_slowly(salt: bytes, values: list[bytes]) -> Iterator[bytes]:
    for name, value in zip(_EVIDENCE_NAMES, values, strict=True):
        yield hmac_digest(hmac_digest(salt, name, "sha256"), value, "sha256")


def _hashed(salt: bytes, values: list[bytes], sha: Callable[[bytes], Any] = sha256) -> Iterator[bytes]:
    """The same for a salt of 32 bytes: HMAC as RFC 2104 section 2 has it, hash by hash.

    OpenSSL prepares a context for each HMAC, which takes longer than the hashing of so little, and a personal half
    takes fourteen. Tests hold the two together.
    """
    inner, outer = salt.translate(_INNER) + _INNER_REST, salt.translate(_OUTER) + _OUTER_REST
    for name, value in zip(_EVIDENCE_NAMES, values, strict=True):
        key = sha(outer + sha(inner + name).digest()).digest()
        within = sha(key.translate(_INNER) + _INNER_REST + value).digest()
        yield sha(key.translate(_OUTER) + _OUTER_REST + within).digest()


def pages(first: int, last: int, columns: Sequence[str], size: int = PAGE) -> Iterator[list[Row]]:
    """The events from ``first`` to ``last`` as rows of ``columns`` (the first being ``pk``), ascending."""
    while first <= last:
        rows = seal_records.events().filter(pk__range=(first, last)).order_by("pk").values_list(*columns)
        page: list[Row] = list(rows[:size])
        if page:
            yield page
        if len(page) < size:
            return
        first = page[-1][ID] + 1


def evidence(first: int, last: int) -> Iterator[Row]:
    """The personal halves of the events from ``first`` to ``last``, as rows of ``EVIDENCE_COLUMNS``."""
    halves = ConsentEvidence.objects.using(seal_records.database()).filter(event_id__gte=first, event_id__lte=last)
    return iter(halves.values_list(*EVIDENCE_COLUMNS))
