"""Counters of the limits. In the database, so that a flushed cache gives nobody a new budget."""

from django.db import models


class LimitCounter(models.Model):
    """How often something happened since ``since``. ``key``: keyed digest of the rule and of whom it counts."""

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    since = models.DateTimeField()

    class Meta:
        verbose_name = "limit counter"
        indexes = (models.Index(fields=["since"], name="tv_limit_since"),)

    def __str__(self) -> str:
        return f"{self.key[:8]} {self.count}"
