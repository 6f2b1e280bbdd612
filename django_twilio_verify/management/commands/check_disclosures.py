"""``manage.py check_disclosures``: what carrier reviewers reject in the words that ask for consent."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from ...consent import linter
from ..base import CouldNotLook, Found, VerifyCommand


class Command(VerifyCommand):
    help = "Look for what carrier reviewers reject in every disclosure, language and channel. Fetches no page."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--language", action="append", metavar="TAG", help="Only this language; repeatable. Default: LANGUAGES."
        )
        parser.add_argument("--terms", type=Path, metavar="FILE", help="Page of the terms: English text or HTML.")
        parser.add_argument("--privacy", type=Path, metavar="FILE", help="Page of the privacy policy, likewise.")

    def handle(self, *args: Any, **options: Any) -> None:
        terms, privacy = _read(options["terms"]), _read(options["privacy"])
        languages = options["language"] or linter.every_language()
        with self.progress("languages", len(languages)) as progress:
            found = linter.findings(languages=languages, terms=terms, privacy=privacy, progress=progress)
        self.data["findings"] = [
            {"code": one.code, "where": one.where, "problem": one.problem, "remedy": one.remedy} for one in found
        ]
        self.data["not_read"] = [name for name in ("terms", "privacy") if options[name] is None]
        for name, what, codes in (
            ("terms", "terms", "contact_missing, terms_without_rates"),
            ("privacy", "privacy policy", "privacy_policy_incomplete"),
        ):
            if options[name] is None:
                self.stdout.write(f"Not read: the page of the {what} ({codes}). Give it with --{name} FILE.")
        if found:
            self.stdout.write(linter.table(found))
            raise Found(f"{len(found)} to mend.")
        self.stdout.write(self.style.SUCCESS("Nothing found that a reviewer is known to reject."))


def _read(path: Path | None) -> str | None:
    try:
        return None if path is None else path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise CouldNotLook(f"{path}: cannot be read ({type(error).__name__}).") from error
