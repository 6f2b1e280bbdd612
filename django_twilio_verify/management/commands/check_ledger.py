"""``manage.py check_ledger``: whether anybody changed the consent ledger behind its back."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date, parse_datetime

from ...ledger import sealing
from ..progress import Progress


class Command(BaseCommand):
    """Prints each finding on a line of its own and ends with status 1 if there is any."""

    help = "Looks for consent events and seals that were changed, deleted, inserted or reordered, and names them."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--since", metavar="TIME", type=_moment, help="only seals made since, and what is not sealed (2026-01-31)"
        )
        parser.add_argument("--quick", action="store_true", help="only the seals and the stored digests under them")
        parser.add_argument("--no-personal", action="store_true", help="leave the personal halves out")
        parser.add_argument(
            "--expect-seal", metavar="DIGEST", action="append", default=[], help="a seal that must be there"
        )

    def handle(self, **options: Any) -> None:
        tally = sealing.Verified(progress=Progress(self.stderr, "events"))
        extent = sealing.Extent(
            contents=not options["quick"],
            personal=not options["no_personal"],
            since=options["since"],
            expected=options["expect_seal"],
        )
        try:
            found = self._told(extent, tally)
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from error
        self.stdout.write(
            f"{tally.events} events, {tally.personal_halves} personal halves and {tally.seals} seals checked; "
            f"{tally.unsealed} events are not sealed yet."
        )
        if found:
            raise CommandError(f"{found} findings: the ledger is not what was written.")

    def _told(self, extent: sealing.Extent, tally: sealing.Verified) -> int:
        """Print the findings. Returns how many of them are certain."""
        progress: Any = tally.progress
        found = 0
        try:
            for finding in sealing.verify(extent, tally=tally):
                progress.clear()
                self.stdout.write(str(finding) if finding.is_certain else f"note: {finding.text}")
                found += finding.is_certain
        finally:
            progress.clear()
        return found


def _moment(text: str) -> datetime:
    """A date or time of the command line, in the site's time zone. Raises ``ValueError``, which argparse reports."""
    moment = parse_datetime(text)
    if moment is None:
        day = parse_date(text)
        if day is None:
            raise ValueError(text)
        moment = datetime(day.year, day.month, day.day)
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
