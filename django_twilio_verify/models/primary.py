"""Reading what decides from the database that is written to."""

from __future__ import annotations

from typing import Any, TypeVar

from django.db import models, router

Row = TypeVar("Row", bound=models.Model)


class PrimaryManager(models.Manager[Row]):
    """Reads from ``db_for_write``, unless a database is named.

    SECURITY: a replica that lags still has the factor that was removed, and not yet the wrong code, the send or the
    end of trust of a moment ago. All that reads these tables decides something by them, so that it is the manager's to
    know, and no query can forget it.
    """

    def get_queryset(self) -> models.QuerySet[Row]:
        found = super().get_queryset()
        named: Any = self._db
        return found if named else found.using(router.db_for_write(self.model))
