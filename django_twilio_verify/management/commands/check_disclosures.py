"""``manage.py check_disclosures``: what reviewers would reject in the words that ask for consent."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...consent import linter


class Command(BaseCommand):
    help = "Looks for what Twilio's and the carriers' reviewers reject, in every language and way. Fetches nothing."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--language", action="append", help="Only this one; may be given again. Default: LANGUAGES."
        )
        parser.add_argument("--terms", type=Path, help="The page of the terms, as text or HTML in English.")
        parser.add_argument("--privacy", type=Path, help="The page of the privacy policy, likewise.")

    def handle(self, *args: Any, **options: Any) -> None:
        found = linter.findings(
            languages=options["language"], terms=_read(options["terms"]), privacy=_read(options["privacy"])
        )
        for name, what, codes in (("terms", "terms", "30560, 30562"), ("privacy", "privacy policy", "30932")):
            if options[name] is None:
                self.stdout.write(f"Not read: the page of the {what} ({codes}). Give it with --{name} FILE.")
        if found:
            self.stdout.write(linter.table(found))
            raise CommandError(f"{len(found)} to mend.")
        self.stdout.write(self.style.SUCCESS("Nothing found that a reviewer is known to reject."))


def _read(path: Path | None) -> str | None:
    try:
        return None if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CommandError(f"{path}: cannot be read ({type(error).__name__}).") from error
