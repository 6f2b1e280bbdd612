"""A router as sites write it: the ledger in a database of its own, and nothing else in there.

Strict on purpose: it has no ``allow_relation``, so Django relates no objects across the two, and it answers "no" for
whatever names no model of the ledger.
"""

from __future__ import annotations

from typing import Any

from django_twilio_verify.models.append_only import LEDGER_MODELS as LEDGER


class LedgerRouter:
    def _is_ledger(self, app_label: str, model_name: str | None) -> bool:
        return app_label == "twilio_verify" and model_name in LEDGER

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "ledger" if self._is_ledger(model._meta.app_label, model._meta.model_name) else None

    db_for_write = db_for_read

    def allow_migrate(self, db: str, app_label: str, model_name: str | None = None, **hints: Any) -> bool | None:
        if db == "ledger":
            return self._is_ledger(app_label, model_name)
        return False if self._is_ledger(app_label, model_name) else None
