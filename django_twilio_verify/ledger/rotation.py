"""After a new fingerprint key: what older ones wrote is made findable under the newest, while the site runs.

Verifications, factors and legal holds get the newest key's fingerprint instead of the older one, by conditional writes
batch by batch. Events are append-only and hashed, so beside them an alias is kept. Nothing is locked for longer than a
batch, and a run that was cut short, or ran beside another, is continued by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import IntegrityError, router
from django.db.models import Exists, Q, QuerySet
from django.utils import timezone

from ..choices import AGREED, AuditKind, PersonKind, RecipientKind
from ..conf import fingerprints, retired_key_ids, settings
from ..core.recipients import Recipient
from ..models import ConsentEvidence, Factor, LegalHold, Verification
from ..models.primary import FingerprintedQuerySet
from ..models.transactions import short_transaction
from . import audit, fingerprint_aliases, key_register, key_usage, records, seal_records
from .fingerprint_aliases import Pair
from .persons import Person

BATCH = 500
PROOF_LASTS = timedelta(hours=1)
"""How long a visitor's approved verification is good for something (``own_factors.attach``, ``holder.stop``)."""

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class Leftover:
    """What only one older key finds. ``state``: ``listed``, ``retired`` or ``missing`` in the settings.

    ``suppressions``: recipients whose personal half is erased and who, or somebody for them, stopped messages;
    ``waiting``: recipients that another run would make findable; ``holds``: legal holds; ``under_way``: verifications
    of browser sessions that may still be answered or used. Any of these needs the key. The rest does not: ``erased``
    recipients that stopped nothing, ``sessions`` of visitors, ``accounts`` that are deleted.
    """

    key_id: str
    state: str
    suppressions: int
    waiting: int
    holds: int
    under_way: int
    erased: int
    sessions: int
    accounts: int

    @property
    def may_be_retired(self) -> bool:
        return not (self.suppressions or self.waiting or self.holds or self.under_way)


@dataclass(slots=True)
class Rotated:
    """What a run did, in rows. ``twice``: factors that stand under the newest key already, beside an older row, which
    was left. ``doubtful``: events whose personal half is not the one that they were written with: tampered with.
    """

    newest: str
    dry_run: bool
    looked_at: int = 0
    verifications: int = 0
    factors: int = 0
    holds: int = 0
    aliases: int = 0
    twice: int = 0
    doubtful: int = 0
    leftovers: list[Leftover] = field(default_factory=list)

    @property
    def changed(self) -> int:
        return self.verifications + self.factors + self.holds + self.aliases


def rotate(
    *,
    actor: str,
    reason: str = "",
    batch: int = BATCH,
    dry_run: bool = False,
    lost: Iterable[str] = (),
    progress: Callable[[Rotated], object] = lambda rotated: None,
) -> Rotated:
    """Make all that older keys wrote findable under the newest. ``batch``: rows that one transaction writes.

    ``actor`` and ``reason`` go into the audit event, which a run that changed anything leaves, also one that broke off.
    A ``dry_run`` counts and writes nothing; as it keeps no alias, it counts one for each batch that would need it.
    ``lost``: ids of retired keys whose secret nobody has any more, and whose erased opt-outs and holds are given up;
    the audit event names them. ``progress`` is called after each batch. Where a run ends and nothing needs an older key
    any longer, the register records that it may be retired; not so a key whose turn is yet to come, which stands behind
    the newest and has not written before it. Raises ``ValueError`` without an actor and for a lost key
    that is not listed as retired, ``KeysDoNotFit``, ``ImproperlyConfigured`` where the keys are derived from
    ``SECRET_KEY``, which cannot be listed as retired.
    """
    if not audit.cleaned(actor):
        raise ValueError("Say who does it.")
    key_register.require_for_rotation()
    if not getattr(django_settings, "TWILIO_VERIFY_FINGERPRINT_KEYS", None):
        raise ImproperlyConfigured("Give the fingerprints a key of their own first: TWILIO_VERIFY_FINGERPRINT_KEYS.")
    given_up = tuple(lost)
    if unknown := [key_id for key_id in given_up if key_id not in retired_key_ids()]:
        raise ValueError(f'List the key first, as ("{unknown[0]}", "retired").')
    rotated = Rotated(settings.fingerprint_keys[0].id, dry_run)
    try:
        _sweep(rotated, batch, progress)
        if not dry_run and _close(rotated, given_up):
            # SECURITY: what a process wrote with an older key in front until that moment, which would be forgotten with
            # the key. From here on such a process is refused.
            _sweep(rotated, batch, progress)
    finally:
        if (rotated.changed or given_up) and not dry_run:
            details = _summary(rotated) | ({"lost": list(given_up)} if given_up else {})
            audit.record(AuditKind.ROTATED, actor=actor, reason=reason, details=details)
    if not dry_run:
        _record_freed(rotated, given_up)
    return rotated


def _sweep(rotated: Rotated, batch: int, progress: Callable[[Rotated], object]) -> None:
    rotated.twice = rotated.doubtful = 0
    # The ledger first: holds and erased verifications are written anew by what was learned of it.
    for part in (_ledger, _accounts, *map(_writer, _TABLES)):
        for looked_at in part(rotated, batch):
            rotated.looked_at += looked_at
            progress(rotated)
    rotated.leftovers = [_leftover(key_id, rotated.newest) for key_id in _older_keys(rotated.newest)]


def _close(rotated: Rotated, given_up: tuple[str, ...]) -> bool:
    """Let no process write any more with the keys that may be retired. Returns whether one could until now."""
    may_go = [left.key_id for left in rotated.leftovers if _may_go(left, rotated) or left.key_id in given_up]
    closed = [key_id for key_id in may_go if key_register.record_closed(key_id)]
    return bool(closed)


def _record_freed(rotated: Rotated, given_up: tuple[str, ...]) -> None:
    """Record which keys may be retired. A run that broke off does not come here."""
    for left in rotated.leftovers:
        if left.key_id in given_up:
            key_register.record_freed(left.key_id, lost=True)
        elif _may_go(left, rotated):
            key_register.record_freed(left.key_id)


def _may_go(left: Leftover, rotated: Rotated) -> bool:
    return left.may_be_retired and not rotated.doubtful


def _summary(rotated: Rotated) -> dict[str, object]:
    counted = ("verifications", "factors", "holds", "aliases")
    return {"key": rotated.newest} | {name: getattr(rotated, name) for name in counted}


def _pages(rows: QuerySet[Any, Row], batch: int) -> Iterator[list[Row]]:
    """``rows``, whose first value is the primary key, ``batch`` at a time. By key: rows change under way."""
    rows = rows.order_by("pk")
    page = list(rows[:batch])
    while page:
        yield page
        page = list(rows.filter(pk__gt=page[-1][0])[:batch])


def _not_under(key_id: str, column: str) -> Q:
    return ~Q(**{f"{column}__startswith": f"{key_id}."})


# ----------------------------------------------------------------------------------------------- the ledger


def _ledger(rotated: Rotated, batch: int) -> Iterator[int]:
    """Aliases of the recipients whose personal half is there."""
    # Every row is compared: one with the newest key's id may have been written with another secret.
    rows = seal_records.events().filter(evidence__isnull=False)
    columns = ("pk", "recipient_kind", "recipient_fingerprint", "evidence__recipient")
    for page in _pages(rows.values_list(*columns), batch):
        _learn(_pairs_of(page, rotated), rotated)
        yield len(page)


def _pairs_of(page: list[Row], rotated: Rotated) -> list[Pair]:
    """The newest and the older fingerprint of each event's recipient."""
    pairs, unproven = [], {}
    for number, kind, found, value in page:
        prints = fingerprints(Recipient(RecipientKind(kind), value))
        if found == prints[0]:
            continue
        if found in prints:
            pairs.append((prints[0], found))
        else:
            unproven[number] = (prints[0], found)
    # SECURITY: of a key that is not listed, only the commitment tells whether the address is the one that was written:
    # with another one in its place, somebody's opt-out would become somebody else's.
    proven = _untouched(unproven)
    rotated.doubtful += len(unproven) - len(proven)
    return pairs + [unproven[number] for number in proven]


def _untouched(ids: Iterable[int]) -> set[int]:
    """Those events whose personal half is the one that they were written with."""
    halves = (
        ConsentEvidence.objects.using(seal_records.database()).filter(event_id__in=list(ids)).select_related("event")
    )
    return {half.event_id for half in halves if records.commitment(half) == half.event.commitment}


def _accounts(rotated: Rotated, batch: int) -> Iterator[int]:
    """Aliases of the accounts that there are. No event says which account it is of, but each account can be asked."""
    if len(settings.fingerprint_keys) < 2 or {*key_usage.ids()} <= {rotated.newest}:
        return
    model = get_user_model()
    rows = model._base_manager.using(router.db_for_write(model)).values_list("pk")
    for page in _pages(rows, batch):
        groups = [Person(PersonKind.USER, str(key)).fingerprints for (key,) in page]
        _learn(_on_record(groups, "person_fingerprint"), rotated)
        yield len(page)


def _on_record(groups: Iterable[list[str]], column: str) -> list[Pair]:
    """Of fingerprints under every key, newest first, the pairs whose older one the ledger or an alias speaks of."""
    pairs = [(group[0], old) for group in groups for old in group[1:]]
    olds = {old for _, old in pairs}
    found = set(seal_records.events().filter(**{f"{column}__in": olds}).values_list(column, flat=True).distinct())
    found |= set(fingerprint_aliases.rows().filter(current__in=olds).values_list("current", flat=True))
    return [pair for pair in pairs if pair[1] in found]


def _learn(pairs: list[Pair], rotated: Rotated) -> None:
    missing = fingerprint_aliases.missing(
        pairs
    )  # read beforehand: on SQLite a transaction that waits must begin by writing
    rotated.aliases += len(missing)
    if missing and not rotated.dry_run:
        short_transaction(lambda: fingerprint_aliases.write(missing), using=fingerprint_aliases.database())


# ----------------------------------------------------------------------------- what can be written anew


@dataclass(frozen=True, slots=True)
class _Table:
    """A table whose fingerprints are of recipients. ``address``: its columns of kind and value, none where it has
    none. ``counter``: the field of ``Rotated``.
    """

    model: type[Verification | Factor | LegalHold]
    address: tuple[str, ...]
    counter: str

    @property
    def database(self) -> str:
        return router.db_for_write(self.model)

    @property
    def rows(self) -> FingerprintedQuerySet[Any]:
        objects: Any = self.model.objects
        found: FingerprintedQuerySet[Any] = objects.using(self.database)
        return found

    @property
    def column(self) -> str:
        return self.rows.fingerprint_column


_TABLES = (
    _Table(Verification, ("recipient_kind", "recipient_value"), "verifications"),
    _Table(Factor, ("kind", "recipient_value"), "factors"),
    _Table(LegalHold, (), "holds"),
)


def _writer(table: _Table) -> Callable[[Rotated, int], Iterator[int]]:
    def write(rotated: Rotated, batch: int) -> Iterator[int]:
        rows = table.rows if table.address else table.rows.filter(_not_under(rotated.newest, table.column))
        if table.model is Factor:
            rows = rows.exclude(recipient_value="")  # those that live at the provider have a SID for a key
        for page in _pages(rows.values_list("pk", table.column, *table.address), batch):
            _write(table, page, rotated)
            yield len(page)

    return write


def _write(table: _Table, page: list[Row], rotated: Rotated) -> None:
    groups = {
        found: fingerprints(Recipient(RecipientKind(address[0]), address[1]))
        for _, found, *address in page
        if address and address[1]
    }
    # First: evidence may be gone where the address is still here, and in a moment it is under the newest key only.
    _learn(_on_record(groups.values(), "recipient_fingerprint"), rotated)
    newer = {found: prints[0] for found, prints in groups.items()}
    unnamed = fingerprint_aliases.under_the_newest(found for _, found, *_ in page if found not in newer)
    newer |= {found: current for found, current in unnamed.items() if found != current}
    changing = [(key, found, newer[found]) for key, found, *_ in page if newer.get(found, found) != found]
    done = len(changing) if rotated.dry_run else _update(table, changing, rotated)
    setattr(rotated, table.counter, getattr(rotated, table.counter) + done)


def _update(table: _Table, changing: list[tuple[Any, str, str]], rotated: Rotated) -> int:
    """Write each row, if it still has the fingerprint that was read. How many were."""
    if not changing:
        return 0
    newer = {old: new for _, old, new in changing}
    rows = table.rows.filter(pk__in=[key for key, _, _ in changing])
    try:
        return short_transaction(partial(rows.rewrite_fingerprints, newer), using=table.database)
    except IntegrityError:
        return sum(_update_one(table, each, rotated) for each in changing)


def _update_one(table: _Table, change: tuple[Any, str, str], rotated: Rotated) -> int:
    """The same of a single row: a person may have enrolled an address again by a process that knew one key alone."""
    key, old, new = change
    row = table.rows.filter(pk=key)
    try:
        return short_transaction(partial(row.rewrite_fingerprints, {old: new}), using=table.database)
    except IntegrityError:
        rotated.twice += 1
        return 0


# ------------------------------------------------------------------------------------- what is left behind


def _older_keys(newest: str) -> list[str]:
    """Every key but the newest and those after it that is in the settings or in the ledger."""
    listed = [key.id for key in settings.fingerprint_keys]
    # SECURITY: a new key is put behind the newest first. On record as rotated away, it could never come in front.
    younger = key_register.successors() | {newest}
    return [key for key in dict.fromkeys([*listed, *retired_key_ids(), *key_usage.ids()]) if key not in younger]


def _leftover(key_id: str, newest: str) -> Leftover:
    recipients = key_usage.unmatched(key_id, "recipient_fingerprint", [newest])
    gone = recipients.filter(evidence__isnull=True)
    known = recipients.filter(evidence__isnull=False)
    stopped = gone.exclude(event__in=AGREED)
    neither = ~Q(recipient_fingerprint__in=known.values("recipient_fingerprint"))
    neither &= ~Q(recipient_fingerprint__in=stopped.values("recipient_fingerprint"))
    persons = key_usage.unmatched(key_id, "person_fingerprint", [newest])
    return Leftover(
        key_id=key_id,
        state=_state(key_id),
        suppressions=_distinct(stopped) + _only_through(key_id, newest),
        waiting=_distinct(known),
        holds=_holds(key_id),
        under_way=_under_way(key_id, timezone.now()),
        erased=_distinct(gone.filter(neither)),
        sessions=_distinct(persons.filter(person_kind=PersonKind.SESSION), "person_fingerprint"),
        accounts=_distinct(persons.filter(person_kind=PersonKind.USER), "person_fingerprint"),
    )


def _state(key_id: str) -> str:
    if key_id in retired_key_ids():
        return "retired"
    return "listed" if any(key.id == key_id for key in settings.fingerprint_keys) else "missing"


def _only_through(key_id: str, newest: str) -> int:
    """Stops under still older keys whose only alias is under ``key_id``."""
    newer = key_usage.aliased("earlier", [newest])
    links = fingerprint_aliases.rows().filter(~Exists(newer), current__startswith=f"{key_id}.")
    stops = seal_records.events().exclude(event__in=AGREED)
    return _distinct(stops.filter(recipient_fingerprint__in=links.values("earlier")))


def _distinct(events: QuerySet[Any], column: str = "recipient_fingerprint") -> int:
    return events.order_by().values(column).distinct().count()


def _holds(key_id: str) -> int:
    rows = LegalHold.objects.using(router.db_for_write(LegalHold)).filter(released_at__isnull=True)
    return rows.filter(recipient_fingerprint__startswith=f"{key_id}.").count()


def _under_way(key_id: str, now: datetime) -> int:
    rows = Verification.objects.using(router.db_for_write(Verification)).filter(session__startswith=f"{key_id}.")
    return rows.filter(Q(expires_at__gt=now) | Q(approved_at__gt=now - PROOF_LASTS)).count()
