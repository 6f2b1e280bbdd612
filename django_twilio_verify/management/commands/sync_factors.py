"""``manage.py sync_factors``: compare the provider's factors with those that are enrolled here."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from ...backends.handler import backends
from ...exceptions import BackendError
from ...provider import factor_sync
from ...provider.attempt_sync import REQUESTS_PER_MINUTE, Pace
from ...provider.factor_sync import Report, UnknownService
from ..base import CouldNotLook, Found, VerifyCommand

SHOWN = 20


class Command(VerifyCommand):
    help = "Remove at the provider what was removed here, clean up unfinished enrollments, and report differences."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--backend", metavar="ALIAS", help="Only this backend. Default: all that keep factors.")
        parser.add_argument("--dry-run", action="store_true", help="Report; change nothing, here or at the provider.")
        parser.add_argument("--force", action="store_true", help="Mark factors as lost, however many they are.")
        parser.add_argument(
            "--per-minute",
            metavar="N",
            type=_rate,
            default=REQUESTS_PER_MINUTE,
            help="Requests to the provider. Default: %(default)s.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        pace = Pace(options["per_minute"])  # one for all: the limits are the account's
        chosen = {"dry": options["dry_run"], "force": options["force"], "pace": pace}
        self.data |= {"dry_run": options["dry_run"], "backends": []}
        reports = [self._sync(alias, chosen) for alias in _aliases(options["backend"])]
        if doubtful := [report for report in reports if report.doubtful]:
            raise CouldNotLook(" ".join(_doubt(report) for report in doubtful))
        if any(report.differs for report in reports):
            raise Found("Something differs: see above.")

    def _sync(self, alias: str, chosen: dict[str, Any]) -> Report:
        try:
            with self.progress("people", factor_sync.people(alias)) as progress:
                report = factor_sync.sync(alias, progress=progress, **chosen)
        except UnknownService:
            message = f"{alias}: the provider knows no Service by its service_sid. Nothing was changed."
            raise CouldNotLook(message) from None
        except BackendError as error:
            raise CouldNotLook(f"{alias}: {error}. What was done is kept; run it again.") from error
        for line in _lines(report):
            self.stdout.write(line)
        self.data["backends"].append(_as_data(report))
        return report


def _aliases(alias: str | None) -> list[str]:
    found = [backends[alias].alias] if alias is not None else list(backends)
    kept = [one for one in found if backends[one].factor_kinds]
    if not kept:
        raise CouldNotLook("No backend keeps factors.")
    return kept


def _as_data(report: Report) -> dict[str, Any]:
    """``report`` with the documented keys."""
    return {
        "backend": report.backend,
        "compared": report.seen,
        "factors": report.factors,
        "removed": report.removed,
        "outstanding": report.outstanding,
        "unfinished": report.litter,
        "found_again": report.found,
        "is_doubtful": report.doubtful,
        "lost": report.lost,
        "unknown_factors": report.strangers,
        "unknown_entities": report.nobodies,
    }


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
