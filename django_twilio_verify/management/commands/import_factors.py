"""``manage.py import_factors``: from the two-factor app that the site used before."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from ...factors import importing
from ...factors.import_sources import NAMES, Source, SourceMissing
from ...factors.importing import Report
from ..progress import Progress


class Command(BaseCommand):
    """Reads and counts; writes with ``--commit``. Exit code 0, or 1 if a row could not be read."""

    help = (
        "Makes factors of the numbers and addresses that people proved to another app. Whether they agreed to messages "
        "is unknown, so the first send to each asks. Without --commit nothing is written."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", required=True, choices=NAMES, dest="source", help="The app to read.")
        parser.add_argument("--commit", action="store_true", help="Write; without it, only read and count.")
        parser.add_argument("--region", default="", help="Country (ISO 3166) of numbers written without +.")
        parser.add_argument(
            "--user-field", default="", metavar="NAME", help="For phone_verify: the user model's field with the number."
        )

    def handle(self, **options: Any) -> None:
        progress = Progress(self.stderr, "rows")
        try:
            report = importing.run(
                Source(options["source"], options["user_field"]),
                region=options["region"].upper(),
                dry_run=not options["commit"],
                progress=progress,
            )
        except SourceMissing as error:
            raise CommandError(str(error)) from None
        finally:
            progress.clear()
        self._tell(report)

    def _tell(self, report: Report) -> None:
        for error in report.errors:
            self.stderr.write(f"{error.where}: {error.sentence}")
        verb = "Would import" if report.dry_run else "Imported"
        self.stdout.write(
            f"{report.seen:,} row(s). {verb}: {report.new:,}. Enrolled already: {report.known:,}. Never proved there: "
            f"{report.unproved:,}. Of kinds that Verify does not carry: {report.others:,}. Bad: {report.bad:,}."
        )
        if report.dry_run and report.new:
            self.stdout.write("Nothing was written. These people will owe a second factor; write with --commit.")
        if report.bad:
            raise CommandError("Some rows could not be read: see above. The others are not touched by that.")
