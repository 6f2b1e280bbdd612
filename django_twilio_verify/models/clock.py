"""The database's clock, in UTC on every database."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from django.db import connections
from django.db.models.functions import Now

_NOW = {
    "sqlite": "SELECT strftime('%Y-%m-%d %H:%M:%f', 'now')",
    "mysql": "SELECT UTC_TIMESTAMP(6)",
}


class UtcNow(Now):
    """The database's time now.

    Django's ``Now`` is the session's local time on MySQL and MariaDB, which Django reads back as UTC: hours off
    wherever the server does not run in UTC.
    """

    def as_mysql(self, compiler: Any, connection: Any, **extra_context: Any) -> Any:
        return self.as_sql(compiler, connection, template="UTC_TIMESTAMP(6)", **extra_context)


def database_now(using: str) -> datetime:
    """The time now by the clock of database ``using``, aware, in UTC. One statement, no table needed."""
    connection = connections[using]
    with connection.cursor() as cursor:
        # No parameters are given, so that "%" is not read as a placeholder.
        cursor.execute(_NOW.get(connection.vendor, "SELECT statement_timestamp()"))
        found = cursor.fetchone()[0]
    moment = datetime.fromisoformat(found) if isinstance(found, str) else found
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
