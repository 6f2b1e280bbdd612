"""Django's ``flush``, which may empty the append-only ledger too."""

from __future__ import annotations

from typing import Any

from django.core.management.commands import flush

from ...models.append_only import flushing


class Command(flush.Command):
    """Remove all data of a database. The consent ledger's triggers would refuse their part of it."""

    def handle(self, **options: Any) -> None:
        with flushing(options["database"]):
            super().handle(**options)
