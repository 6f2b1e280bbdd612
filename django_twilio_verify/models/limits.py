"""Counters of the limits. In the database, so that a flushed cache gives nobody a new budget."""

from django.db import models


class LimitCounter(models.Model):
    """How often something happened in the window that begins at ``since``, and in the one before (``previous``).

    ``key``: keyed digest of the rule and of whom it counts.
    """

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    previous = models.PositiveIntegerField(default=0)
    since = models.DateTimeField()

    class Meta:
        verbose_name = "limit counter"
        indexes = (models.Index(fields=["since"], name="tv_limit_since"),)

    def __str__(self) -> str:
        return f"{self.key[:8]} {self.count}"


class KnownNetwork(models.Model):
    """A network from which an account has passed a second factor. ``key``: keyed digest of both."""

    key = models.CharField(max_length=64, primary_key=True)
    seen_at = models.DateTimeField()

    class Meta:
        verbose_name = "known network"
        indexes = (models.Index(fields=["seen_at"], name="tv_network_seen"),)

    def __str__(self) -> str:
        return self.key[:8]
