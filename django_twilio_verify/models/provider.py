"""What the provider tells of itself: channels that are off, events that it pushed, how far its attempts were read."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..choices import Channel
from .primary import PrimaryManager


class ChannelOutage(models.Model):
    """A channel that the provider refuses for every recipient, as switched off or not set up: not offered until then.

    One row for a backend and a channel. ``error_code``: Twilio's number for it.
    """

    backend = models.CharField(_("backend"), max_length=64)
    channel = models.CharField(_("way"), max_length=12, choices=Channel)
    error_code = models.PositiveIntegerField(_("provider's error"))
    seen_at = models.DateTimeField(_("seen"))
    until = models.DateTimeField(_("not offered until"))

    objects: ClassVar[models.Manager[ChannelOutage]] = PrimaryManager()

    class Meta:
        verbose_name = _("channel outage")
        verbose_name_plural = _("channel outages")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["backend", "channel"], name="tv_outage_once")
        ]

    def __str__(self) -> str:
        return f"{self.backend} {self.channel} {self.error_code}"


class ProviderEvent(models.Model):
    """An event that the provider pushed. ``event_id`` is unique: however often it comes, it is applied once.

    ``verification_sid`` and ``attempt_sid``: whom it is about, ``""`` if unknown. ``applied``: whether it changed or
    confirmed a record of ours; one of an unknown type, or about nobody here, is kept and not applied. SECURITY: its
    body is not kept: it holds numbers.
    """

    event_id = models.CharField(_("event"), max_length=64, unique=True)
    kind = models.CharField(_("type"), max_length=128)
    backend = models.CharField(_("backend"), max_length=64)
    verification_sid = models.CharField(_("verification SID"), max_length=34, blank=True, db_index=True)
    attempt_sid = models.CharField(_("attempt SID"), max_length=34, blank=True)
    happened_at = models.DateTimeField(_("happened"), null=True)
    received_at = models.DateTimeField(_("received"), db_index=True)
    applied = models.BooleanField(_("applied"), default=False)

    objects: ClassVar[models.Manager[ProviderEvent]] = PrimaryManager()

    class Meta:
        verbose_name = _("provider event")
        verbose_name_plural = _("provider events")

    def __str__(self) -> str:
        return f"{self.kind} {self.event_id}"


class AttemptSync(models.Model):
    """How far ``sync_attempts`` has read one backend's attempts. One row for a backend.

    ``done_until``: everything before was read. ``window_end`` and ``page``: where an unfinished run stands.
    ``leased_until``: until when a run holds it; another one leaves it alone. ``lease``: which run (host, process and a
    random part).
    """

    backend = models.CharField(_("backend"), max_length=64, unique=True)
    done_until = models.DateTimeField(_("read until"), null=True)
    window_start = models.DateTimeField(_("reads from"), null=True)
    window_end = models.DateTimeField(_("reads until"), null=True)
    page = models.CharField(max_length=1000, blank=True, editable=False)
    leased_until = models.DateTimeField(_("held until"), null=True)
    lease = models.CharField(_("held by"), max_length=36, blank=True)

    objects: ClassVar[models.Manager[AttemptSync]] = PrimaryManager()

    class Meta:
        verbose_name = _("attempt synchronisation")
        verbose_name_plural = _("attempt synchronisations")

    def __str__(self) -> str:
        return self.backend
