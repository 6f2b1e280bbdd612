"""A session engine whose store is out of order: sessions are kept and cannot be read."""

from __future__ import annotations

from typing import Any

from django.contrib.sessions.backends.db import SessionStore as DatabaseStore


class OutOfOrder(Exception):
    """As a driver's own error, which nobody else knows."""


class SessionStore(DatabaseStore):
    """Raises on each read while ``is_out`` is set."""

    is_out = False

    def load(self) -> Any:
        if SessionStore.is_out:
            raise OutOfOrder("redis://:secret@cache/")
        return super().load()

    async def aload(self) -> Any:
        if SessionStore.is_out:
            raise OutOfOrder("redis://:secret@cache/")
        return await super().aload()
