"""Numbers and addresses that people proved to an app which the site used before, as factors.

That somebody proved a number there does not say that they agreed to messages: no consent is written, so the first send
to an imported number asks for it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from itertools import islice
from typing import Any

from django.utils import timezone

from ..choices import Channel, RecipientKind
from ..conf import fingerprint, fingerprints
from ..core.recipients import Recipient
from ..exceptions import InvalidRecipient
from ..models import Factor
from ..models.transactions import short_transaction
from . import own_factors
from .import_sources import BATCH, Found, Source


@dataclass(frozen=True, slots=True)
class RowError:
    """What is wrong with a row: where it stands, and a sentence without personal data."""

    where: str
    sentence: str


@dataclass(slots=True)
class Report:
    """What an import did, or in a dry run would do.

    ``seen``: rows read. ``new``: factors made. ``known``: enrolled already. ``unproved``: left out, since the person
    never proved it there. ``others``: ways that Verify does not carry. ``bad``: how many are no address; ``errors``: of
    the first of them.
    """

    dry_run: bool
    seen: int = 0
    new: int = 0
    known: int = 0
    unproved: int = 0
    others: int = 0
    bad: int = 0
    errors: list[RowError] = field(default_factory=list)

    ERRORS_KEPT = 50

    def refuse(self, where: str, sentence: str) -> None:
        self.bad += 1
        if len(self.errors) < self.ERRORS_KEPT:
            self.errors.append(RowError(where, sentence))


@dataclass(frozen=True, slots=True)
class _Row:
    found: Found
    channel: Channel
    recipient: Recipient

    @property
    def keys(self) -> list[tuple[Any, str]]:
        return [(self.found.user_id, key) for key in fingerprints(self.recipient)]


def run(
    source: Source, *, region: str = "", dry_run: bool = True, progress: Callable[[int], None] = lambda done: None
) -> Report:
    """Make a confirmed factor of every proved number or address of ``source``, unless its person has it already.

    ``region``: ISO 3166 country of numbers written without ``+``. ``progress``: called with the rows read. Safe to run
    again, in parallel and to kill: each batch is a transaction of its own. No signal is sent and nobody is written to.
    Raises ``SourceMissing`` before anything is written.
    """
    report = Report(dry_run)
    for batch in _in_batches(source.read()):
        rows = _readable(batch, region, report)
        known = _known(rows)
        new = _distinct(row for row in rows if not known.intersection(row.keys))
        report.known += len(rows) - len(new)
        report.new += len(new)
        if new and not dry_run:
            short_transaction(partial(_write, new))
            _choose_defaults(new)
        report.seen += len(batch)
        progress(report.seen)
    return report


def _in_batches(found: Iterator[Found]) -> Iterator[list[Found]]:
    while batch := list(islice(found, BATCH)):
        yield batch


def _readable(batch: Iterable[Found], region: str, report: Report) -> list[_Row]:
    rows = []
    for found in batch:
        if found.channel is None:
            report.others += 1
        elif not found.proved:
            report.unproved += 1
        else:
            try:
                rows.append(_Row(found, found.channel, _recipient(found.channel, found.raw, region)))
            except InvalidRecipient as error:
                report.refuse(found.where, error.user_message)
    return rows


def _recipient(channel: Channel, raw: str, region: str) -> Recipient:
    if channel.recipient_kind == RecipientKind.EMAIL:
        return Recipient.email(raw)
    return Recipient.phone(raw, region=region or None)


def _known(rows: list[_Row]) -> set[tuple[Any, str]]:
    """Person and key of what is enrolled already, under any of the fingerprint keys."""
    keys = [key for row in rows for _, key in row.keys]
    users = {row.found.user_id for row in rows}
    return set(Factor.objects.filter(user_id__in=users, key__in=keys).values_list("user_id", "key"))


def _distinct(rows: Iterable[_Row]) -> list[_Row]:
    """Each number once for a person: what was asked first, where it stands twice."""
    found: dict[tuple[Any, str], _Row] = {}
    for row in rows:
        place = row.keys[0]
        if place not in found or (row.found.is_default and not found[place].found.is_default):
            found[place] = row
    return list(found.values())


def _write(rows: list[_Row]) -> None:
    now = timezone.now()
    Factor.objects.bulk_create(
        [
            Factor(
                user_id=row.found.user_id,
                kind=row.recipient.kind.value,
                channel=row.channel.value,
                key=fingerprint(row.recipient),
                recipient_value=row.recipient.value,
                label=row.found.label[:64],
                created_at=now,
                confirmed_at=now,
            )
            for row in rows
        ],
        ignore_conflicts=True,  # enrolled by the person at this very moment
    )


def _choose_defaults(rows: list[_Row]) -> None:
    """For people who have none: what was asked first there, else the first one."""
    users = {row.found.user_id for row in rows}
    have = set(Factor.objects.filter(default_for__in=users).values_list("default_for", flat=True))
    keys = {row.keys[0] for row in rows if row.found.is_default}
    mine = Factor.objects.filter(user_id__in=users - have, confirmed_at__isnull=False).order_by("pk")
    chosen: dict[Any, Factor] = {}
    for factor in mine:
        if factor.user_id not in chosen or (factor.user_id, factor.key) in keys:
            chosen[factor.user_id] = factor
    for factor in chosen.values():
        own_factors.make_default(factor)
