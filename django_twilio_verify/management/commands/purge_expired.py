"""``manage.py purge_expired``: delete what each kind's schedule says is over."""

from __future__ import annotations

from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from ...ledger import retention
from ...ledger.retention import Purged
from ...limits import counters
from ...login import trusted_browsers
from ...verifications import claimants
from ..base import EvidenceCommand

EVIDENCE = {"evidence": "over", "held": "held", "looked_at": "looked_at", "before": "before"}
"""Keys of the JSON, and where ``Purged`` has their values."""


class Command(EvidenceCommand):
    help = (
        "Delete trusted browsers, counters of limits and known networks that are over, and the personal half of "
        "consent that ended longer ago than TWILIO_VERIFY_EVIDENCE_RETENTION_DAYS."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--dry-run", action="store_true", help="Count; delete nothing.")
        parser.add_argument("--keep-evidence", action="store_true", help="Leave evidence of consent alone.")
        parser.add_argument("--reason", default="", metavar="TEXT", help="Why; kept in the audit event.")
        parser.add_argument(
            "--by", default="purge_expired", metavar="NAME", help="Who runs it; kept in the audit event."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        dry_run, now = options["dry_run"], timezone.now()
        browsers = trusted_browsers.purge(dry_run=dry_run)
        counts, networks = counters.purge(now, dry_run=dry_run), claimants.purge(now, dry_run=dry_run)
        self.data |= {"dry_run": dry_run, "trusted_browsers": browsers, "counters": counts, "networks": networks}
        verb = "Would delete" if dry_run else "Deleted"
        self.stdout.write(f"{verb} {browsers:,} trusted browser(s) that expired or were revoked.")
        self.stdout.write(f"{verb} {counts:,} counter(s) of limits and {networks:,} network(s).")
        purged = None if options["keep_evidence"] else self._purge_evidence(options)
        self.data |= {key: purged and getattr(purged, name) for key, name in EVIDENCE.items()}
        if purged:
            self.stdout.write(_summary(purged))

    def _purge_evidence(self, options: dict[str, Any]) -> Purged:
        with self.progress("events looked at") as progress:
            return retention.purge(
                actor=options["by"],
                reason=options["reason"],
                dry_run=options["dry_run"],
                progress=lambda purged: progress(purged.looked_at),
            )


def _summary(purged: Purged) -> str:
    verb = "Would delete" if purged.dry_run else "Deleted"
    others = purged.looked_at - purged.over - purged.held
    return (
        f"{verb} the evidence of {purged.over:,} event(s) of consent that ended before {purged.before:%Y-%m-%d}. "
        f"Kept: {purged.held:,} under a legal hold, {others:,} of consent that is live or ended later."
    )
