"""Which fingerprint keys the ledger was written with, held against those that the settings list.

A stop that is under a key of which nobody knows any more is not found, and who asked for it can be written to. Cheap,
however big the ledger is: an index is asked for the next key, and a few rows are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from django.db import connections
from django.db.models import Exists, OuterRef, Q, QuerySet

from ..choices import RecipientKind
from ..conf import fingerprints, retired_key_ids, settings
from ..core.recipients import Recipient
from ..models import ConsentEvent, FingerprintAlias
from . import fingerprint_aliases, seal_records

SAMPLE = 20
"""Events looked at to tell whether a key still has the secret that it wrote with. They come in the order of their
fingerprints, which is as good as by lot."""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why what was written with a key is not found. ``is_lost``: the key is not listed, or was retired too early; else
    it is listed with another secret.
    """

    key_id: str
    text: str
    is_lost: bool


def problems() -> Iterator[Problem]:
    """What is wrong with each key that the ledger has fingerprints of. Errors as ``Settings.fingerprint_keys``."""
    listed, retired = {key.id for key in settings.fingerprint_keys}, retired_key_ids()
    for key_id in ids():
        if key_id in listed:
            yield from _other_secret(key_id)
        elif key_id not in retired:
            yield Problem(key_id, f"has fingerprints of key {key_id!r}, which is not listed", is_lost=True)
        elif not _between(fingerprint_aliases.rows(), "earlier", key_id).exists():
            text = f"has fingerprints of key {key_id!r}, which was retired before they were rotated"
            yield Problem(key_id, text, is_lost=True)


def ids() -> list[str]:
    """The ids of the keys that any fingerprint in the ledger is under. Two statements a key, each by an index."""
    return sorted({*_ids("recipient_fingerprint"), *_ids("person_fingerprint")})


def unmatched(key_id: str, column: str, under: Iterable[str]) -> QuerySet[ConsentEvent]:
    """The events whose fingerprint in ``column`` is under ``key_id`` and has no alias under any key of ``under``."""
    return seal_records.events().filter(
        ~Exists(aliased(column, under)),
        **{f"{column}__startswith": f"{key_id}."},
    )


def aliased(column: str, under: Iterable[str]) -> QuerySet[FingerprintAlias]:
    """Of an outer row, the aliases under any key of ``under`` that its ``column`` has."""
    newer = Q(pk__in=[])
    for key_id in under:
        newer |= Q(current__startswith=f"{key_id}.")
    return fingerprint_aliases.rows().filter(newer, earlier=OuterRef(column))


def is_there() -> bool:
    """Whether the ledger's tables were made already."""
    connection = connections[seal_records.database()]
    return {ConsentEvent._meta.db_table, fingerprint_aliases.rows().model._meta.db_table} <= {
        *connection.introspection.table_names()
    }


def _ids(column: str) -> Iterator[str]:
    past, seen = "", set()
    while True:
        rows = seal_records.events().filter(**{f"{column}__gt": past}).order_by(column)
        first = rows.values_list(column, flat=True).first()
        key_id = (first or "").partition(".")[0]
        if first is None or key_id in seen:
            return
        seen.add(key_id)
        yield key_id
        past = _end(key_id)


def _other_secret(key_id: str) -> Iterator[Problem]:
    known = _between(seal_records.events(), "recipient_fingerprint", key_id).filter(evidence__isnull=False)
    rows = known.order_by("recipient_fingerprint")
    for kind, found, value in rows.values_list("recipient_kind", "recipient_fingerprint", "evidence__recipient")[
        :SAMPLE
    ]:
        if found not in fingerprints(Recipient(RecipientKind(kind), value)):
            text = f"has fingerprints of key {key_id!r}, which another secret made than the one that is listed"
            yield Problem(key_id, text, is_lost=False)
            return


def _between(rows: QuerySet, column: str, key_id: str) -> QuerySet:  # type: ignore[type-arg]
    """Those of ``rows`` whose fingerprint is under ``key_id``, as a range, which every database finds by its index."""
    return rows.filter(**{f"{column}__gt": f"{key_id}.", f"{column}__lt": _end(key_id)})


def _end(key_id: str) -> str:
    # Behind all hexadecimal digits, in every order of letters that a database may have.
    return f"{key_id}.g"
