"""``manage.py import_factors``: from the two-factor app that the site used before."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser

from ...factors import importing
from ...factors.import_sources import NAMES, Source, SourceMissing
from ...factors.importing import Report
from ..base import Found, VerifyCommand

COUNTS = ("dry_run", "seen", "new", "known", "unproved", "others", "bad")


class Command(VerifyCommand):
    help = (
        "Import factors from another app: the phone numbers and email addresses that users verified there. Consent to "
        "messages is not imported, so the first send asks for it. Writes nothing without --commit."
    )
    could_not = (SourceMissing,)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--from", required=True, choices=NAMES, dest="source", help="The app to read.")
        parser.add_argument("--commit", action="store_true", help="Write; without it, only read and count.")
        parser.add_argument("--region", default="", metavar="CODE", help="Country (ISO 3166) of numbers without +.")
        parser.add_argument(
            "--user-field", default="", metavar="NAME", help="For phone_verify: the user model's field with the number."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        with self.progress("rows") as progress:
            report = importing.run(
                Source(options["source"], options["user_field"]),
                region=options["region"].upper(),
                dry_run=not options["commit"],
                progress=progress,
            )
        self.data |= {name: getattr(report, name) for name in COUNTS}
        self.data["errors"] = [{"where": error.where, "problem": error.sentence} for error in report.errors]
        self._show(report)
        if report.bad:
            raise Found("Some rows could not be read: see above. The others are not touched by that.")

    def _show(self, report: Report) -> None:
        for error in report.errors:
            self.stderr.write(f"{error.where}: {error.sentence}")
        verb = "Would import" if report.dry_run else "Imported"
        self.stdout.write(
            f"{report.seen:,} row(s). {verb}: {report.new:,}. Enrolled already: {report.known:,}. Never proved there: "
            f"{report.unproved:,}. Of kinds that Verify does not carry: {report.others:,}. Bad: {report.bad:,}."
        )
        if report.dry_run and report.new:
            self.stdout.write("Nothing was written. These people will owe a second factor; write with --commit.")
