"""A site that reads from a replica."""

from __future__ import annotations

from typing import Any

APPS = ("twilio_verify", "twilio_verify_otp", "twilio_verify_rest_framework")


class ReplicaRouter:
    """Sends what reads of our tables name no database to one without tables: whoever asks it fails at once.

    The records of the ledger aside, which pages list.
    """

    def db_for_read(self, model: Any, **hints: Any) -> str | None:
        return "replica" if model._meta.app_label in APPS else None

    def db_for_write(self, model: Any, **hints: Any) -> str | None:
        return "default" if model._meta.app_label in APPS else None

    def allow_relation(self, *args: Any, **hints: Any) -> bool:
        return True
