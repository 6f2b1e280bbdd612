"""``manage.py import_consents``: consents that the site already has."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import CommandParser

from ...consent import importing
from ...consent.importing import Report
from ..base import EvidenceCommand, Found

COUNTS = ("dry_run", "lines", "new", "known", "stopped", "without_user", "bad", "ignored")


class Command(EvidenceCommand):
    help = "Import consents from a CSV file. A file with a bad line imports nothing, unless --skip-bad is given."
    could_not = (ValueError, OSError)

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, metavar="FILE.csv", help="First line: names of the columns.")
        parser.add_argument("--origin", required=True, metavar="NAME", help="Names the import in every event.")
        parser.add_argument("--by", default="", metavar="NAME", help="Who imports; kept in every event's evidence.")
        parser.add_argument("--region", default="", metavar="CODE", help="Country (ISO 3166) of numbers without +.")
        parser.add_argument("--dry-run", action="store_true", help="Read and count; write nothing.")
        parser.add_argument("--skip-bad", action="store_true", help="Import the good lines of a file with bad ones.")

    def handle(self, *args: Any, **options: Any) -> None:
        source = importing.Source(options["file"], options["origin"], options["by"], options["region"])
        with self.progress("lines read") as progress:
            report = importing.run(
                source,
                dry_run=options["dry_run"],
                skip_bad=options["skip_bad"],
                progress=lambda report: progress(report.lines),
            )
        self.data |= {name: getattr(report, name) for name in COUNTS}
        self.data["errors"] = [{"line": error.line, "problem": error.sentence} for error in report.errors]
        self._show(report)
        if report.bad and not options["skip_bad"]:
            raise Found("Nothing was imported. Mend the bad lines, or leave them out with --skip-bad.")

    def _show(self, report: Report) -> None:
        for error in report.errors:
            self.stderr.write(f"Line {error.line}: {error.sentence}")
        if report.bad > len(report.errors):
            self.stderr.write(f"… and {report.bad - len(report.errors):,} bad lines more.")
        if report.ignored:
            self.stdout.write(f"Columns that are not read: {', '.join(report.ignored)}.")
        verb = "Would import" if report.dry_run else "Imported"
        self.stdout.write(
            f"{report.lines:,} line(s). {verb}: {report.new:,}. Already on record: {report.known:,}. Left out, because "
            f"it was stopped since: {report.stopped:,}. Bad: {report.bad:,}."
        )
        if report.without_user:
            note = "line(s) name no account: kept as proof, but nobody is sent codes by them."
            self.stdout.write(f"{report.without_user:,} {note}")
