"""What the provider keeps of people against what is enrolled here: cleaned where it is safe, reported where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.utils import timezone

from ..backends.handler import backends
from ..factor_results import ProviderFactor
from ..models import Entity, Factor, ProviderRemoval
from . import asking, removals

LITTER_AGE = timedelta(hours=1)
"""How old an enrolment is that nobody will finish: six times as old as one may get. Verify removes its own within 24
hours (error 60318).
"""
PAGE = 200


@dataclass(slots=True)
class Report:
    """What a run found and did; ``dry``: would have done.

    ``removed``: outstanding removals that are done; ``outstanding``: that are not; ``litter``: unfinished enrolments,
    here and there; ``found``: factors of ours that were lost and are there after all, as when another Service was asked
    by mistake; ``lost``: factors of ours that the provider does not know; ``strangers``: SIDs of confirmed factors
    at the provider that nobody has here; ``nobodies``: identities at the provider that are nobody here.
    """

    backend: str
    dry: bool
    seen: int = 0
    removed: int = 0
    outstanding: int = 0
    litter: int = 0
    found: int = 0
    lost: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    nobodies: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether anything is left for a person to look at."""
        return bool(self.lost or self.strangers or self.nobodies or self.outstanding)


def sync(alias: str, *, dry: bool = False, progress: Callable[[int, int], object] = lambda done, of: None) -> Report:
    """Finish outstanding removals of ``alias``, remove unfinished enrolments, and compare person by person.

    Safe to run twice, in parallel and to kill. Confirmed factors are never removed, here or there: of one that is lost
    at the provider it is noted (``Factor.lost_at``), of a stranger it is reported. ``progress``: called with how many
    people are done, of how many. Raises ``BackendUnavailable`` and ``BackendRejected``, keeping what was done.
    """
    report, now = Report(alias, dry), timezone.now()
    _finish(report, now)
    _sweep(report, now)
    known: set[str] = set()
    total = Entity.objects.filter(backend=alias).count()
    for entity in Entity.objects.filter(backend=alias).order_by("pk").iterator(chunk_size=PAGE):
        known.add(entity.identity)
        _compare(report, entity, now)
        report.seen += 1
        progress(report.seen, total)
    report.nobodies = [one for one in _identities(alias) if one not in known and not _on_its_way(alias, one)]
    return report


def _finish(report: Report, now: datetime) -> None:
    waiting = ProviderRemoval.objects.filter(backend=report.backend)
    if not report.dry:
        ours = set(waiting.values_list("pk", flat=True))
        report.removed = sum(removals.attempt(pk, now) for pk in removals.due(now) if pk in ours)
    report.outstanding = waiting.count()


def _sweep(report: Report, now: datetime) -> None:
    """Enrolments that were begun here and not finished. Their removal at the provider follows from their deletion."""
    old = Factor.objects.filter(confirmed_at=None, entity__backend=report.backend, created_at__lt=now - LITTER_AGE)
    if report.dry:
        report.litter += old.count()
        return
    for factor in old.iterator(chunk_size=PAGE):
        # SECURITY: as it was read: one that is confirmed at this instant stays.
        report.litter += Factor.objects.filter(pk=factor.pk, confirmed_at=None).delete()[0] and 1


def _compare(report: Report, entity: Entity, now: datetime) -> None:
    theirs = {one.sid: one for one in backends[report.backend].factors(entity.identity)}
    ours = {factor.sid: factor for factor in Factor.objects.filter(entity=entity).exclude(sid="")}
    for sid, factor in ours.items():
        if sid in theirs and factor.lost_at is not None and theirs[sid].verified:
            report.found += 1
            if not report.dry:
                Factor.objects.filter(pk=factor.pk).update(lost_at=None)
        if sid not in theirs and factor.confirmed_at is not None:
            report.lost.append(sid)
            if not report.dry:
                asking.lose(factor, now)
    for sid, stranger in theirs.items():
        if sid not in ours and not _on_its_way(report.backend, entity.identity, sid):
            _judge(report, entity, stranger, now)


def _judge(report: Report, entity: Entity, stranger: ProviderFactor, now: datetime) -> None:
    if stranger.verified:
        report.strangers.append(stranger.sid)
    elif stranger.created_at is not None and stranger.created_at < now - LITTER_AGE:
        report.litter += 1
        if not report.dry:
            backends[report.backend].remove(entity.identity, stranger.sid)


def _on_its_way(alias: str, identity: str, sid: str = "") -> bool:
    """Whether a removal is outstanding, and so nothing new."""
    return ProviderRemoval.objects.filter(backend=alias, identity=identity, factor_sid__in={"", sid}).exists()


def _identities(alias: str) -> Iterator[str]:
    page = ""
    while True:
        got = backends[alias].entities(page=page, size=PAGE)
        for entity in got.entities:
            yield entity.identity
        if not got.next_page:
            return
        page = got.next_page
