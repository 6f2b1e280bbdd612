"""The register of fingerprint keys: a process whose keys do not fit it neither sends nor changes a record.

Every key is registered before the first record under it is written. A process that lacks a registered key cannot find
the opt-outs and legal holds under it, so that its answers would be wrong without any error. The look-up of consent
carries the comparison in its own statement (``unfit``, ``unregistered``); everything else asks ``require``.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, TypeVar

from django.db import IntegrityError, connections, router, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet

from ..choices import KeyRecord
from ..conf import retired_key_ids, settings
from ..core.derived_keys import check_value
from ..exceptions import KeysDoNotFit
from ..models import ConsentEvent, RegisteredKey
from ..models.clock import database_now
from ..models.prepared import Values, fetch

Standing = TypeVar("Standing", bound=ConsentEvent | None)

_FREED = (KeyRecord.ROTATED, KeyRecord.LOST)
_OVER = (KeyRecord.CLOSED, *_FREED)
"""What is on record of a key that writes no more."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """Why the configured keys do not fit. ``code``: a stable word (``exceptions.KeysDoNotFit``)."""

    code: str
    key_id: str

    @property
    def error(self) -> KeysDoNotFit:
        return KeysDoNotFit(self.code, self.key_id)


# ---------------------------------------------------------------------------------------- asked before an act


def require() -> None:
    """Raise ``KeysDoNotFit`` unless the keys fit the register; register the newest key. One SELECT.

    SECURITY: read at every call and never cached: another process may have registered a key a moment ago.
    """
    rows = _read()
    for misfit in _misfits(rows):
        raise misfit.error
    if not any(_is_of_the_newest(row) for row in rows):
        _register()


def require_for_rotation() -> None:
    """As ``require``, but let pass a key that was retired too early: the rotation is the cure for that."""
    rows = _read()
    for misfit in _misfits(rows):
        if misfit.code != "retired_early":
            raise misfit.error
    if not any(_is_of_the_newest(row) for row in rows):
        _register()


def admitted(standing: Standing) -> Standing:
    """Return ``standing``, read with ``columns``, if the keys fit; raise ``KeysDoNotFit`` otherwise.

    No statement where an event was found and the newest key is registered: the look-up has brought the answer along.
    """
    if standing is None or getattr(standing, "keys_unfit") or getattr(standing, "key_unregistered"):  # noqa: B009  columns
        require()
    return standing


def columns() -> dict[str, Any]:
    """Return what a SELECT of events must carry for ``admitted``."""
    return {"keys_unfit": Exists(_unfit()), "key_unregistered": ~Exists(_of_the_newest())}


def configured() -> tuple[tuple[str, ...], ...]:
    """Return the configured keys, by what ``columns`` depends on."""
    keys = settings.fingerprint_keys
    return (tuple(key.id for key in keys), tuple(_check_value(key.secret) for key in keys), tuple(retired_key_ids()))


def problems() -> list[Misfit]:
    """Return everything that does not fit, without registering anything."""
    return list(_misfits(_read()))


def is_there() -> bool:
    """Return whether the register's table was migrated."""
    return RegisteredKey._meta.db_table in connections[database()].introspection.table_names()


def database() -> str:
    """Return the alias of the database that holds the register: the ledger's."""
    return router.db_for_write(RegisteredKey)


# ------------------------------------------------------------------------------------------- what is recorded


def record_freed(key_id: str, *, lost: bool = False) -> None:
    """Record that ``key_id`` may be retired: its rotation is complete, or its secret is lost and was given up.

    Doing it again does no harm.
    """
    kind = KeyRecord.LOST if lost else KeyRecord.ROTATED
    if not rows().filter(key_id=key_id, kind__in=_FREED).exists():
        _insert(key_id, kind, "")


def record_closed(key_id: str) -> bool:
    """Record that no process may write with ``key_id`` any more. Returns whether that is new."""
    is_new = not rows().filter(key_id=key_id, kind__in=_OVER).exists()
    if is_new:
        _insert(key_id, KeyRecord.CLOSED, "")
    return is_new


def successors() -> set[str]:
    """Return the ids of the keys that stand behind the newest and have not written before it did: their turn is yet to
    come, or was put off. To be called where the newest is registered (``require``).
    """
    began = {row.key_id: row.pk for row in _read() if row.kind == KeyRecord.WRITES}
    newest, *others = settings.fingerprint_keys
    return {key.id for key in others if key.id not in began or began[key.id] > began[newest.id]}


def rows() -> QuerySet[RegisteredKey]:
    """Return every record, from the database that is written to: a replica that lags must not hide a key."""
    return RegisteredKey.objects.using(database())


def _register() -> None:
    newest = settings.fingerprint_keys[0]
    _insert(newest.id, KeyRecord.WRITES, _check_value(newest.secret))
    if not any(_is_of_the_newest(row) for row in _read()):  # another process was first, with another secret
        raise KeysDoNotFit("changed", newest.id)


def _insert(key_id: str, kind: KeyRecord, value: str) -> None:
    using = database()
    entry = f"{kind.value}:{key_id.lower()}"
    moment = database_now(using)
    try:
        with transaction.atomic(using=using):
            RegisteredKey.objects.using(using).create(
                key_id=key_id, kind=kind.value, check_value=value, entry=entry, recorded_at=moment
            )
    except IntegrityError:
        if not rows().filter(entry=entry).exists():
            raise


# ------------------------------------------------------------------------------------------------ comparison


@lru_cache(maxsize=64)
def _check_value(secret: bytes) -> str:
    return check_value(secret)


def _read() -> list[RegisteredKey]:
    return fetch(_oldest_first, {}, using=database())


def _oldest_first(values: Values) -> QuerySet[RegisteredKey]:
    return rows().order_by("pk")


def _is_of_the_newest(row: RegisteredKey) -> bool:
    newest = settings.fingerprint_keys[0]
    return row.kind == KeyRecord.WRITES and row.key_id == newest.id and row.check_value == _check_value(newest.secret)


def _misfits(records: list[RegisteredKey]) -> Iterator[Misfit]:
    """In the order of registration. ``_unfit`` says the same in SQL."""
    listed = {key.id: _check_value(key.secret) for key in settings.fingerprint_keys}
    retired, newest = retired_key_ids(), settings.fingerprint_keys[0].id
    freed = {one.key_id for one in records if one.kind in _FREED}
    over = {one.key_id for one in records if one.kind in _OVER}
    for one in records:
        if one.kind == KeyRecord.WRITES and one.key_id in listed:
            if listed[one.key_id] != one.check_value:
                yield Misfit("changed", one.key_id)
        elif one.kind == KeyRecord.WRITES and one.key_id not in retired:
            yield Misfit("missing", one.key_id)
        elif one.kind == KeyRecord.WRITES and one.key_id not in freed:
            yield Misfit("retired_early", one.key_id)
    if newest in over:
        yield Misfit("rotated_away", newest)


def _unfit() -> QuerySet[RegisteredKey]:
    """The records that the keys do not fit, as ``_misfits`` finds them."""
    mine = Q(pk__in=[])
    for key in settings.fingerprint_keys:
        mine |= Q(key_id=key.id, check_value=_check_value(key.secret))
    writes = Q(kind=KeyRecord.WRITES)
    # Without a retired key this adds nothing that could be true.
    freed = Exists(rows().filter(key_id=OuterRef("key_id"), kind__in=_FREED))
    may_be_gone = Q(key_id__in=retired_key_ids()) & Q(freed)
    return rows().filter((writes & ~mine & ~may_be_gone) | Q(key_id=settings.fingerprint_keys[0].id, kind__in=_OVER))


def _of_the_newest() -> QuerySet[RegisteredKey]:
    newest = settings.fingerprint_keys[0]
    return rows().filter(kind=KeyRecord.WRITES, key_id=newest.id, check_value=_check_value(newest.secret))
