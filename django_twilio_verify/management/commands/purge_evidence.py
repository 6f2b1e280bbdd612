"""``manage.py purge_evidence``: delete evidence whose time is over."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser

from ...exceptions import KeysDoNotFit
from ...flows import retention
from ...flows.retention import Purged
from ._evidence import EvidenceCommand


class Command(EvidenceCommand):
    help = "Delete the personal half of consent that ended longer ago than TWILIO_VERIFY_RETENTION_DAYS."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Count, delete nothing.")
        parser.add_argument("--reason", default="", help="Why: kept in the audit event.")
        parser.add_argument(
            "--by", default="purge_evidence", metavar="NAME", help="Who does it: kept in the audit event."
        )

    def handle(self, **options: Any) -> None:
        try:
            purged = retention.purge(
                actor=options["by"], reason=options["reason"], dry_run=options["dry_run"], progress=self._show
            )
        except (KeysDoNotFit, ValueError) as error:
            raise CommandError(str(error)) from None
        finally:
            self.progress_done()
        self.stdout.write(_summary(purged))

    def _show(self, purged: Purged) -> None:
        self.progress(f"{purged.looked_at:,} looked at, {purged.over:,} over")


def _summary(purged: Purged) -> str:
    verb = "Would delete" if purged.dry_run else "Deleted"
    others = purged.looked_at - purged.over - purged.held
    return (
        f"{verb} the evidence of {purged.over:,} event(s) of consent that ended before {purged.before:%Y-%m-%d}. "
        f"Kept: {purged.held:,} under a legal hold, {others:,} of consent that is live or ended later."
    )
