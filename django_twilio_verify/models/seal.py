"""Checkpoints over the ledger."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _


class ConsentSeal(models.Model):
    """A checkpoint over all events since the last: one Merkle root (RFC 6962), chained to the seal before, signed.

    It covers the events with ``first_event <= id <= last_event`` but those of ``gaps``, and those of ``late``: ids
    below ``first_event`` whose transactions were committed only after the earlier seal was made. The first begins at 1,
    each later one behind the last event of the one before. Append-only, as the ledger is.
    """

    number = models.PositiveBigIntegerField(_("number"), unique=True)
    first_event = models.BigIntegerField(_("first event"))
    last_event = models.BigIntegerField(_("last event"))
    late = models.TextField(_("late events"), blank=True)
    """Ids in ascending order, with commas between."""
    gaps = models.TextField(_("unused numbers"), blank=True)
    """Ids of the range that no event had when it was sealed (their writes were rolled back, or not yet committed), as
    ``7,12-15``: what tells a deleted event from a number that was never used."""
    count = models.PositiveBigIntegerField(_("events"))
    root = models.CharField(_("Merkle root"), max_length=64)
    previous_digest = models.CharField(_("previous seal"), max_length=64, blank=True)
    created_at = models.DateTimeField(_("sealed"))
    record_version = models.PositiveSmallIntegerField(_("record format"))
    algorithm = models.CharField(_("signature algorithm"), max_length=16)
    key_id = models.CharField(_("key"), max_length=16)
    digest = models.CharField(_("SHA-256"), max_length=64, unique=True)
    signature = models.CharField(_("signature"), max_length=128)
    timestamp_token = models.TextField(_("RFC 3161 time-stamp, base64"), blank=True)

    class Meta:
        verbose_name = _("seal")
        verbose_name_plural = _("seals")

    def __str__(self) -> str:
        return f"seal {self.number} {self.digest[:12]}"
