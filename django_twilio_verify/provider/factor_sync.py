"""What the provider keeps of people against what is enrolled here: cleaned where it is safe, reported where not."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from django.db.models import F, Q
from django.utils import timezone

from ..backends.base import BaseBackend
from ..backends.factor_results import EntitiesPage, ProviderFactor
from ..backends.handler import backends
from ..exceptions import BackendRejected
from ..models import Entity, Factor, ProviderRemoval
from ..verifications import challenge_rules
from . import removals
from .attempt_sync import PAUSE, PAUSES, Pace

T = TypeVar("T")

LITTER_AGE = timedelta(hours=1)
"""How old an enrollment is that nobody will finish: six times as old as one may get. Verify removes its own within 24
hours.
"""
PAGE = 200
FEW = 3
"""So many factors may be lost at once without anybody being asked."""
SHARE = 10
"""More of them than one in so many, and it is more likely that the wrong Service was asked."""


class UnknownService(Exception):
    """The provider knows no Service by the SID that the backend ``alias`` has: whatever it is asked is not there."""

    def __init__(self, alias: str) -> None:
        self.alias = alias
        super().__init__(alias)


@dataclass(slots=True)
class Report:
    """What a run found and did; ``dry``: would have done.

    ``seen``: people compared by this run, and ``factors``: how many they have; ``removed``: outstanding removals that
    are done; ``outstanding``: that are not; ``litter``: unfinished enrollments, here and there; ``found``: factors of
    ours that were lost and are there after all, as when another Service was asked by mistake; ``lost``: factors of ours
    that the provider does not know; ``doubtful``: those are so many that nothing was noted of them; ``strangers``:
    SIDs of confirmed factors at the provider that nobody has here; ``nobodies``: identities at the provider that are
    nobody here.
    """

    backend: str
    dry: bool
    seen: int = 0
    factors: int = 0
    removed: int = 0
    outstanding: int = 0
    litter: int = 0
    found: int = 0
    doubtful: bool = False
    lost: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    nobodies: list[str] = field(default_factory=list)

    @property
    def differs(self) -> bool:
        """Whether anything is left for a person to look at."""
        return bool(self.lost or self.strangers or self.nobodies or self.outstanding)


class _Asking:
    """The provider of one backend, asked no faster than ``pace``."""

    def __init__(self, alias: str, pace: Pace) -> None:
        self.alias = alias
        self.pace = pace

    def __call__(self, question: Callable[[BaseBackend], T]) -> T:
        """What the provider answers. Where it is asked too often it is left alone for a minute, three times."""
        for left in range(PAUSES, -1, -1):
            self.pace.wait()
            try:
                return question(backends[self.alias])
            except BackendRejected as error:
                if error.code != "wait" or not left:
                    raise
            self.pace.sleep(PAUSE)
        raise AssertionError  # pragma: no cover  the loop returns or raises


def people(alias: str) -> int:
    """How many people a run will compare."""
    return Entity.objects.filter(backend=alias).count()


def sync(
    alias: str,
    *,
    dry: bool = False,
    force: bool = False,
    pace: Pace | None = None,
    progress: Callable[[int], object] = lambda done: None,
) -> Report:
    """Finish outstanding removals of ``alias``, remove unfinished enrollments, and compare person by person.

    Safe to run twice, in parallel and to kill. Runs at the same time share the people; one that follows a run that was
    cut short begins with those whom it left out. Confirmed factors are never removed, here or there: of one that is
    lost at the provider it is noted (``Factor.lost_at``), of a stranger it is reported. Where more than ``FEW`` are
    lost, and more than one in ``SHARE``, or where not one was found, nothing is noted without ``force``. ``pace``:
    shared by the backends of one account. ``progress``: called with how many people are done.

    Raises ``UnknownService``, before anything is done; ``BackendUnavailable`` and ``BackendRejected``, keeping what
    was done.
    """
    report, now, ask = Report(alias, dry), timezone.now(), _Asking(alias, pace or Pace())
    _look_in(ask)
    _finish(report, ask, now)
    _sweep(report, now)
    gone: list[Factor] = []
    for entity in _everybody(alias, now, dry=dry):
        gone += _compare(report, ask, entity, now)
        report.seen += 1
        progress(report.seen)
    _lose(report, gone, now, force=force)
    report.nobodies = [*_nobodies(ask)]
    return report


def _look_in(ask: _Asking) -> None:
    """SECURITY: at a Service that is not there nobody has a factor: all would be lost, and all removals be done."""
    try:
        ask(lambda backend: backend.entities(size=1))
    except BackendRejected as error:
        if error.not_found:  # as of anything else, the provider says so of a Service
            raise UnknownService(ask.alias) from None
        raise


def _everybody(alias: str, began: datetime, *, dry: bool) -> Iterator[Entity]:
    """Each person once, however many runs there are; those first who have not been compared for longest."""
    waiting = Entity.objects.filter(backend=alias)
    if dry:
        yield from waiting.order_by("pk").iterator(chunk_size=PAGE)
        return
    left = waiting.filter(Q(compared_at=None) | Q(compared_at__lt=began))
    oldest_first = left.order_by(F("compared_at").asc(nulls_first=True), "pk")
    while page := list(oldest_first[:PAGE]):
        for entity in page:
            mine = Entity.objects.filter(pk=entity.pk, compared_at=entity.compared_at)
            # One conditional UPDATE: of several runs, one compares. Not before it began, whatever a clock says.
            if mine.update(compared_at=max(timezone.now(), began)):
                yield entity


def _finish(report: Report, ask: _Asking, now: datetime) -> None:
    waiting = ProviderRemoval.objects.filter(backend=report.backend)
    if not report.dry:
        ours = set(waiting.values_list("pk", flat=True))
        for pk in removals.due(now):
            if pk in ours:
                ask.pace.wait()
                report.removed += removals.attempt(pk, now)
    report.outstanding = waiting.count()


def _sweep(report: Report, now: datetime) -> None:
    """Enrollments that were begun here and not finished. Their removal at the provider follows from their deletion."""
    old = Factor.objects.filter(confirmed_at=None, entity__backend=report.backend, created_at__lt=now - LITTER_AGE)
    if report.dry:
        report.litter += old.count()
        return
    for factor in old.iterator(chunk_size=PAGE):
        # SECURITY: as it was read: one that is confirmed at this instant stays.
        report.litter += Factor.objects.filter(pk=factor.pk, confirmed_at=None).delete()[0] and 1


def _compare(report: Report, ask: _Asking, entity: Entity, now: datetime) -> list[Factor]:
    """The factors of a person that are not at the provider."""
    theirs = {one.sid: one for one in ask(lambda backend: backend.factors(entity.identity))}
    ours = {factor.sid: factor for factor in Factor.objects.filter(entity=entity).exclude(sid="")}
    report.factors += sum(factor.confirmed_at is not None for factor in ours.values())
    for sid, factor in ours.items():
        if sid in theirs and factor.lost_at is not None and theirs[sid].verified:
            report.found += 1
            if not report.dry:
                Factor.objects.filter(pk=factor.pk).regain()
    for sid, stranger in theirs.items():
        if sid not in ours and not _on_its_way(report.backend, entity.identity, sid):
            _judge(report, ask, entity, stranger, now)
    return [factor for sid, factor in ours.items() if sid not in theirs and factor.confirmed_at is not None]


def _lose(report: Report, gone: list[Factor], now: datetime, *, force: bool) -> None:
    """Note which factors are lost, unless that is hard to believe."""
    report.lost = [factor.sid for factor in gone]
    news = [factor for factor in gone if factor.lost_at is None]
    none_left = len(gone) == report.factors and len(news) > 1
    many = len(news) > FEW and len(news) * SHARE > report.factors
    report.doubtful = (none_left or many) and not force
    if not (report.dry or report.doubtful):
        for factor in news:
            challenge_rules.lose(factor, now)


def _judge(report: Report, ask: _Asking, entity: Entity, stranger: ProviderFactor, now: datetime) -> None:
    if stranger.verified:
        report.strangers.append(stranger.sid)
    elif stranger.created_at is not None and stranger.created_at < now - LITTER_AGE:
        report.litter += 1
        if not report.dry:
            ask(lambda backend: backend.remove(entity.identity, stranger.sid))


def _on_its_way(alias: str, identity: str, sid: str = "") -> bool:
    """Whether a removal is outstanding, and so nothing new."""
    return ProviderRemoval.objects.filter(backend=alias, identity=identity, factor_sid__in={"", sid}).exists()


def _nobodies(ask: _Asking) -> Iterator[str]:
    """Identities at the provider that are nobody here, page by page."""
    page = ""
    while True:
        got = ask(partial(_page, page))
        theirs = [entity.identity for entity in got.entities]
        known = set(Entity.objects.filter(backend=ask.alias, identity__in=theirs).values_list("identity", flat=True))
        yield from (one for one in theirs if one not in known and not _on_its_way(ask.alias, one))
        if not got.next_page:
            return
        page = got.next_page


def _page(page: str, backend: BaseBackend) -> EntitiesPage:
    return backend.entities(page=page, size=PAGE)
