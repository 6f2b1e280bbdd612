"""Which tables the ledger is made of, and the gate in its triggers, for ``manage.py flush`` alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

LEDGER_MODELS = frozenset(
    {
        "auditevent",
        "consentevent",
        "consentevidence",
        "consentseal",
        "disclosure",
        "fingerprintalias",
        "legalhold",
        "registeredkey",
    }
)
"""The models, in small letters, that stand together where a router keeps the ledger in a database of its own."""
GATE_TABLE = "twilio_verify_ledgergate"


@contextmanager
def flushing(using: str) -> Iterator[None]:
    """Let this connection empty the ledger on database ``using`` while the block runs.

    ``flush`` destroys every row of the site on purpose, and Django's ``TransactionTestCase`` and live-server tests
    call it after every test. PostgreSQL flushes by TRUNCATE, which fires no row trigger; the others delete row by row.
    SECURITY: the gate of SQLite is open inside one transaction only, the one of MySQL in one session only.
    """
    connection = connections[using]
    if connection.vendor == "sqlite":
        with transaction.atomic(using=using):
            has_gate = GATE_TABLE in connection.introspection.table_names()
            if has_gate:
                _execute(using, f"INSERT INTO {GATE_TABLE} VALUES (1)")  # noqa: S608  a constant of ours
            yield
            if has_gate:
                _execute(using, f"DELETE FROM {GATE_TABLE}")  # noqa: S608
    elif connection.vendor == "mysql":
        _execute(using, "SET @twilio_verify_flush = 1")
        try:
            yield
        finally:
            _close_mysql_gate(connection)
    else:
        yield


def _close_mysql_gate(connection: BaseDatabaseWrapper) -> None:
    """SECURITY: also when the flush broke a transaction, in which Django hands out no cursor any more."""
    if connection.connection is None:
        return  # the session is over, and its variables with it
    try:
        with connection.connection.cursor() as cursor:
            cursor.execute("SET @twilio_verify_flush = NULL")
    except Exception:
        connection.close()
        raise


def _execute(using: str, sql: str) -> None:
    with connections[using].cursor() as cursor:
        cursor.execute(sql)
