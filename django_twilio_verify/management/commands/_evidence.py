"""What the commands that look after evidence have in common."""

from __future__ import annotations

import sys
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from ...exceptions import InvalidRecipient
from ...ledger.addressees import Addressee


class EvidenceCommand(BaseCommand):
    """A command that leaves an audit event: it asks by whom and why."""

    requires_migrations_checks = True

    def add_recipient(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "recipient", metavar="NUMBER", help="A phone number or an email address; - reads it from standard input."
        )
        parser.add_argument("--region", default="", help="Country (ISO 3166) of a number written without +.")

    def add_who_and_why(self, parser: ArgumentParser, *, reason_required: bool = True) -> None:
        parser.add_argument("--reason", required=reason_required, default="", help="Why: kept in the audit event.")
        parser.add_argument("--by", required=True, metavar="NAME", help="Who does it: kept in the audit event.")

    def addressee(self, options: dict[str, Any]) -> Addressee:
        """Whom the arguments name. Standard input keeps a number out of the shell's history."""
        raw = options["recipient"]
        text = sys.stdin.readline() if raw == "-" else raw
        try:
            return Addressee.of(text, region=options["region"])
        except InvalidRecipient as error:
            raise CommandError(" ".join(error.messages)) from None

    def progress(self, line: str) -> None:
        """Show ``line`` in place, on a terminal only: a log gets the result alone."""
        if self.stderr.isatty():
            self.stderr.write(f"\r\033[K{line}", ending="")
            self.stderr.flush()

    def progress_done(self) -> None:
        if self.stderr.isatty():
            self.stderr.write("\r\033[K", ending="")
