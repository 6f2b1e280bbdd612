"""``manage.py purge_expired``: delete what each kind's schedule says is over."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils import timezone

from ...exceptions import KeysDoNotFit
from ...ledger import retention
from ...ledger.retention import Purged
from ...limits import counters
from ...login import trusted_browsers
from ...verifications import claimants
from ._evidence import EvidenceCommand


class Command(EvidenceCommand):
    help = (
        "Delete trusted browsers, counters of limits and known networks that are over, and the personal half of "
        "consent that ended longer ago than TWILIO_VERIFY_RETENTION_DAYS."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Count, delete nothing.")
        parser.add_argument("--keep-evidence", action="store_true", help="Leave evidence of consent alone.")
        parser.add_argument("--reason", default="", help="Why: kept in the audit event.")
        parser.add_argument(
            "--by", default="purge_expired", metavar="NAME", help="Who does it: kept in the audit event."
        )

    def handle(self, **options: Any) -> None:
        dry_run, now = options["dry_run"], timezone.now()
        verb = "Would delete" if dry_run else "Deleted"
        self.stdout.write(
            f"{verb} {trusted_browsers.purge(dry_run=dry_run):,} trusted browser(s) that expired or were revoked."
        )
        self.stdout.write(
            f"{verb} {counters.purge(now, dry_run=dry_run):,} counter(s) of limits and "
            f"{claimants.purge(now, dry_run=dry_run):,} network(s)."
        )
        if not options["keep_evidence"]:
            self.stdout.write(_summary(self._purge_evidence(options)))

    def _purge_evidence(self, options: dict[str, Any]) -> Purged:
        try:
            return retention.purge(
                actor=options["by"], reason=options["reason"], dry_run=options["dry_run"], progress=self._show
            )
        except (KeysDoNotFit, ValueError) as error:
            raise CommandError(str(error)) from None
        finally:
            self.progress_done()

    def _show(self, purged: Purged) -> None:
        self.progress(f"{purged.looked_at:,} looked at, {purged.over:,} over")


def _summary(purged: Purged) -> str:
    verb = "Would delete" if purged.dry_run else "Deleted"
    others = purged.looked_at - purged.over - purged.held
    return (
        f"{verb} the evidence of {purged.over:,} event(s) of consent that ended before {purged.before:%Y-%m-%d}. "
        f"Kept: {purged.held:,} under a legal hold, {others:,} of consent that is live or ended later."
    )
