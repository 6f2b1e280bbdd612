"""``manage.py check_ledger``: look for what was changed in the consent ledger."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from ...ledger import sealing
from ..base import Found, VerifyCommand


class Command(VerifyCommand):
    help = "Look for consent events and seals that were changed, deleted, inserted or reordered, and name them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since", metavar="TIME", type=_moment, help="Only seals made since, and unsealed events (2026-01-31)."
        )
        parser.add_argument("--quick", action="store_true", help="Only the seals and the stored digests under them.")
        parser.add_argument("--no-personal", action="store_true", help="Leave out the personal halves.")
        parser.add_argument(
            "--expect-seal", metavar="DIGEST", action="append", default=[], help="A seal that must exist; repeatable."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        extent = sealing.Extent(
            contents=not options["quick"],
            personal=not options["no_personal"],
            since=options["since"],
            expected=options["expect_seal"],
        )
        self.data["findings"] = []
        tally = sealing.Verified()
        certain = self._findings(extent, tally)
        self.data |= {name: getattr(tally, name) for name in ("events", "personal_halves", "seals", "unsealed")}
        self.stdout.write(
            f"{tally.events} events, {tally.personal_halves} personal halves and {tally.seals} seals checked; "
            f"{tally.unsealed} events are not sealed yet."
        )
        if certain:
            raise Found(f"{certain} findings: the ledger is not what was written.")

    def _findings(self, extent: sealing.Extent, tally: sealing.Verified) -> int:
        """Write each finding as it comes. Returns how many are certain."""
        certain = 0
        with self.progress("events") as progress:
            tally.progress = progress
            for finding in sealing.verify(extent, tally=tally):
                progress.clear()
                self.stdout.write(str(finding) if finding.is_certain else f"note: {finding.text}")
                self.data["findings"].append(asdict(finding))
                certain += finding.is_certain
        return certain


def _moment(text: str) -> datetime:
    """A date or time of the command line, in the site's time zone. Raises ``ValueError``, which argparse reports."""
    moment = parse_datetime(text)
    if moment is None:
        day = parse_date(text)
        if day is None:
            raise ValueError(text)
        moment = datetime(day.year, day.month, day.day)
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
