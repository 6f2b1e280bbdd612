"""Django's engine, whose ``flush`` between two tests deletes rows where Django's truncates tables.

TRUNCATE gives each of some fifty tables and indices a new file and waits for the disk: half a second a test, twenty
times what the test takes. What a site's ``flush`` really does is still shown: ``tests/models/test_flush.py`` asks for
Django's own way.
"""

from __future__ import annotations

from typing import Any

from django.db.backends.postgresql import base, operations


class DatabaseOperations(operations.DatabaseOperations):
    """``truncates``: as Django does it."""

    truncates = False

    def sql_flush(self, style: Any, tables: Any, *, reset_sequences: bool = False, allow_cascade: bool = False) -> Any:
        if self.truncates or reset_sequences or not tables:
            return super().sql_flush(style, tables, reset_sequences=reset_sequences, allow_cascade=allow_cascade)
        # A replica fires no triggers: neither the ledger's nor those of foreign keys, of which none is left to break.
        deletes = [f"DELETE FROM {self.quote_name(table)}" for table in tables]  # noqa: S608  names of models
        role = "SET LOCAL session_replication_role"
        return [f"{role} = replica", *deletes, f"{role} = DEFAULT"]


class DatabaseWrapper(base.DatabaseWrapper):
    """Django's, with the operations above."""

    ops_class = DatabaseOperations
