"""``manage.py purge_browsers``: delete the rows of trusted browsers, limits and networks that are over."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from ...flows import claims, limits, trust


class Command(BaseCommand):
    help = "Deletes trusted browsers that have expired or were revoked, and old counters of limits and known networks."

    def handle(self, **options: Any) -> None:
        self.stdout.write(f"Deleted {trust.purge():,} trusted browser(s) that expired or were revoked.")
        now = timezone.now()
        self.stdout.write(f"Deleted {limits.purge(now):,} counter(s) of limits and {claims.purge(now):,} network(s).")
