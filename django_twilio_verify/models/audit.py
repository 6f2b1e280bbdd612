"""What was done with evidence: kept as the evidence is, and never changed."""

from __future__ import annotations

from typing import ClassVar

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..choices import AuditKind
from .primary import FingerprintedQuerySet


class AuditEvent(models.Model):
    """Somebody looked at evidence unmasked, took it out, erased it, or held it. Append-only, as the ledger is.

    ``actor_label`` is a user name or the name of a command; ``recipient_fingerprint`` is filled where it was about one
    recipient; ``details`` is JSON with counts and digests, no personal data (text, because Django's
    JSONField opens the database whenever the site is checked).
    """

    kind = models.CharField(_("what"), max_length=12, choices=AuditKind)
    actor_label = models.CharField(_("by"), max_length=150)
    reason = models.TextField(_("reason"), blank=True)
    recipient_fingerprint = models.CharField(_("recipient"), max_length=56, blank=True, db_index=True)
    details = models.TextField(_("details"), default="{}")
    occurred_at = models.DateTimeField(_("time"), db_index=True)

    class Meta:
        verbose_name = _("audit event")
        verbose_name_plural = _("audit events")

    def __str__(self) -> str:
        return f"{self.kind} by {self.actor_label}"


class LegalHoldQuerySet(FingerprintedQuerySet["LegalHold"]):
    """Holds, which a rotation of the keys writes anew."""

    fingerprint_column = "recipient_fingerprint"


class LegalHold(models.Model):
    """While it is not released, the recipient's evidence is neither erased nor purged."""

    objects: ClassVar[models.Manager[LegalHold]] = models.Manager()

    recipient_fingerprint = models.CharField(_("recipient"), max_length=56, db_index=True)
    reason = models.TextField(_("reason"))
    set_by = models.CharField(_("set by"), max_length=150)
    set_at = models.DateTimeField(_("set"))
    released_at = models.DateTimeField(_("released"), null=True)

    objects = LegalHoldQuerySet.as_manager()

    class Meta:
        verbose_name = _("legal hold")
        verbose_name_plural = _("legal holds")

    def __str__(self) -> str:
        return f"hold of {self.set_at:%Y-%m-%d}"
