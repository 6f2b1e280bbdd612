"""Counters of the limits. In the database, so that a flushed cache gives nobody a new budget."""

from __future__ import annotations

from typing import ClassVar

from django.db import models

from ..choices import Channel
from .primary import PrimaryManager


class LimitCounter(models.Model):
    """How often something happened in the window that begins at ``since``, and in the one before (``previous``).

    ``key``: keyed digest of the rule and of whom it counts. ``locked_out_since``: the window in which the site was last
    told that nothing more is counted.
    """

    key = models.CharField(max_length=64, primary_key=True)
    count = models.PositiveIntegerField(default=0)
    previous = models.PositiveIntegerField(default=0)
    since = models.DateTimeField()
    locked_out_since = models.DateTimeField(null=True)

    objects: ClassVar[models.Manager[LimitCounter]] = PrimaryManager()

    class Meta:
        verbose_name = "limit counter"
        indexes = (models.Index(fields=["since"], name="tv_limit_since"),)

    def __str__(self) -> str:
        return f"{self.key[:8]} {self.count}"


class RecipientLock(models.Model):
    """The lock of one recipient: whoever reserves a send to it, or ends consent for it, updates this row first.

    ``key``: the recipient's fingerprint. There is a row for each configured key, so that processes of which one does
    not know the newest key still share one. ``turns`` counts: the UPDATE has to change the row, or a database that
    works on snapshots would not notice that somebody else held the lock in between.
    """

    key = models.CharField(max_length=56, primary_key=True)
    turns = models.PositiveBigIntegerField(default=0)

    objects: ClassVar[models.Manager[RecipientLock]] = PrimaryManager()

    class Meta:
        verbose_name = "recipient lock"

    def __str__(self) -> str:
        return self.key[:8]


class OptOutAttempt(models.Model):
    """How often somebody tried to agree to messages for a recipient that has opted out, for staff to see.

    A row counts and is not a record of its own: whoever tries again and again fills no table.
    """

    recipient_fingerprint = models.CharField(max_length=56)
    channel = models.CharField(max_length=12, choices=Channel)
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()

    objects: ClassVar[models.Manager[OptOutAttempt]] = PrimaryManager()

    class Meta:
        verbose_name = "attempt against an opt-out"
        verbose_name_plural = "attempts against opt-outs"
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["recipient_fingerprint", "channel"], name="tv_opt_out_attempt_once"),
        ]

    def __str__(self) -> str:
        return f"{self.channel} {self.count}"


class KnownNetwork(models.Model):
    """A network from which an account has passed a second factor. ``key``: keyed digest of both."""

    key = models.CharField(max_length=64, primary_key=True)
    seen_at = models.DateTimeField()

    objects: ClassVar[models.Manager[KnownNetwork]] = PrimaryManager()

    class Meta:
        verbose_name = "known network"
        indexes = (models.Index(fields=["seen_at"], name="tv_network_seen"),)

    def __str__(self) -> str:
        return self.key[:8]
