"""The ledger's triggers, tried."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connections, transaction

from django_twilio_verify.models import ConsentEvent

REFUSED = "append-only"


def refused(work: Callable[[], Any], using: str = "default") -> None:
    """``work`` is refused by the ledger's triggers, and what surrounds it goes on."""
    with pytest.raises(DatabaseError, match=REFUSED), transaction.atomic(using=using):
        work()


def execute(sql: str, *params: Any, using: str = "default") -> list[Any]:
    with connections[using].cursor() as cursor:
        cursor.execute(sql, params)
        return list(cursor.fetchall()) if cursor.description else []


def still_refuses(using: str = "default") -> None:
    """The triggers stand, and their gate is closed. Needs an event."""
    events = ConsentEvent.objects.using(using)
    assert events.exists()
    refused(lambda: events.update(country="XX"), using)
    refused(lambda: events._raw_delete(using), using)
    if connections[using].vendor == "sqlite":
        assert execute("SELECT COUNT(*) FROM twilio_verify_ledgergate", using=using) == [(0,)]
    if connections[using].vendor == "mysql":
        assert execute("SELECT @twilio_verify_flush", using=using) == [(None,)]
