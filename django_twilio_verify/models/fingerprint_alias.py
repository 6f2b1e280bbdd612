"""What finds the ledger's fingerprints once the key that made them is gone."""

from __future__ import annotations

from typing import ClassVar

from django.db import models


class FingerprintAlias(models.Model):
    """``earlier``, as it stands in the ledger, and ``current``, under a newer key, are of one recipient or one person.

    The events cannot be written anew: their digests are over their fingerprints. Rows are only added, by
    ``ledger.fingerprint_aliases``; they are not guarded by triggers, for a false one does harm and must be easy to
    take away (``check_ledger`` names it). They hold nothing that the events do not, and outlive the personal half.
    """

    current = models.CharField(max_length=56, db_index=True)
    earlier = models.CharField(max_length=56)

    class Meta:
        verbose_name = "fingerprint alias"
        verbose_name_plural = "fingerprint aliases"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["earlier", "current"], name="tv_alias_once"),
        ]

    def __str__(self) -> str:
        return f"{self.earlier[:12]} is {self.current[:12]}"
