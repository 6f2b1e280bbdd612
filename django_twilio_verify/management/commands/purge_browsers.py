"""``manage.py purge_browsers``: delete the rows of trusted browsers that excuse nobody any more."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from ...flows import trust


class Command(BaseCommand):
    help = "Deletes trusted browsers that have expired or were revoked."

    def handle(self, **options: Any) -> None:
        self.stdout.write(f"Deleted {trust.purge():,} trusted browser(s) that expired or were revoked.")
