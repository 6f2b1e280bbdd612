"""Reading what decides from the database that is written to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

from django.db import models, router
from django.db.models import Case, F, Value, When

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


class FingerprintedQuerySet(models.QuerySet[Row]):
    """Rows that a keyed fingerprint names, which a rotation of the keys writes anew."""

    fingerprint_column: ClassVar[str]

    def rewrite_fingerprints(self, newer: Mapping[str, str]) -> int:
        """Put the newer fingerprint in the place of each older one that still stands. Returns how many rows."""
        column = self.fingerprint_column
        cases = [When(**{column: old}, then=Value(new)) for old, new in newer.items()]
        values = {column: Case(*cases, default=F(column))}
        return self.filter(**{f"{column}__in": list(newer)}).update(**values)
