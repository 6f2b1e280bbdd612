"""``manage.py sync_factors``: what the provider keeps of people's devices, against what is enrolled here."""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...backends.handler import backends
from ...exceptions import BackendError
from ...provider import factor_sync
from ...provider.attempt_sync import REQUESTS_PER_MINUTE, Pace
from ...provider.factor_sync import Report, UnknownService
from ..progress import Progress

SHOWN = 20


class Command(BaseCommand):
    """Finishes removals, cleans up unfinished enrollments, reports differences. Safe to run twice, in parallel, to
    kill.

    Exit code 0 if nothing differs, 1 if something does, 3 if the provider did not answer, or seems to be the wrong one.
    """

    help = "Removes at the provider what was removed here, cleans up unfinished enrollments, and reports what differs."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--backend", metavar="ALIAS", help="One backend; without it, all that keep factors.")
        parser.add_argument("--dry-run", action="store_true", help="Look and report; change nothing, here or there.")
        parser.add_argument("--force", action="store_true", help="Note factors as lost, however many they are.")
        parser.add_argument(
            "--per-minute",
            metavar="N",
            type=_rate,
            default=REQUESTS_PER_MINUTE,
            help="Questions; default: %(default)s.",
        )

    def handle(self, **options: Any) -> None:
        pace = Pace(options["per_minute"])  # one for all: the limits are the account's
        chosen = {"dry": options["dry_run"], "force": options["force"], "pace": pace}
        reports = [self._sync(alias, chosen) for alias in _aliases(options["backend"])]
        if doubtful := [report for report in reports if report.doubtful]:
            raise CommandError(" ".join(_doubt(report) for report in doubtful), returncode=3)
        if any(report.differs for report in reports):
            raise CommandError("Something differs: see above.")

    def _sync(self, alias: str, chosen: dict[str, Any]) -> Report:
        progress = Progress(self.stderr, "people", factor_sync.people(alias))
        try:
            report = factor_sync.sync(alias, progress=progress, **chosen)
        except UnknownService:
            progress.clear()
            raise CommandError(
                f"{alias}: the provider knows no Service by its service_sid. Nothing was changed.", returncode=3
            ) from None
        except BackendError as error:
            progress.clear()
            raise CommandError(f"{alias}: {error}. What was done is kept; run it again.", returncode=3) from None
        progress.clear()
        for line in _lines(report):
            self.stdout.write(line)
        return report


def _aliases(alias: str | None) -> list[str]:
    try:
        found = [backends[alias].alias] if alias is not None else list(backends)
        kept = [one for one in found if backends[one].factor_kinds]
    except ImproperlyConfigured as error:
        raise CommandError(str(error)) from None
    if not kept:
        raise CommandError("No backend keeps factors.")
    return kept


def _doubt(report: Report) -> str:
    return (
        f"{report.backend}: {len(report.lost):,} of {report.factors:,} factors are unknown to the provider. Is it the "
        "right Service? None was noted as lost; --force does."
    )


def _rate(text: str) -> int:
    rate = int(text)
    if not 0 < rate <= 100_000:
        raise ValueError(text)
    return rate


def _lines(report: Report) -> list[str]:
    would = "would be " if report.dry else ""
    return [
        f"{report.backend}: {report.seen:,} people compared.",
        f"  Removals done: {report.removed:,}, outstanding: {report.outstanding:,}.",
        f"  Unfinished enrollments {would}removed: {report.litter:,}.",
        *([f"  Lost, and there after all: {report.found:,}."] if report.found else []),
        *_listed("Enrolled here, unknown to the provider", report.lost),
        *_listed("Confirmed at the provider, unknown here", report.strangers),
        *_listed("People at the provider who are nobody here", report.nobodies),
    ]


def _listed(title: str, found: list[str]) -> list[str]:
    if not found:
        return []
    more = f" and {len(found) - SHOWN:,} more" if len(found) > SHOWN else ""
    return [f"  {title}: {len(found):,}: {', '.join(found[:SHOWN])}{more}"]
