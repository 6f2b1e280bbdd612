"""Who looked after the evidence, and how."""

from __future__ import annotations

import json

from django.contrib import admin
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _

from ..models import AuditEvent, LegalHold
from .base import EMPTY, ReadOnlyAdmin
from .filters import PeriodFilter


def recipient_link(fingerprint: str, site: admin.AdminSite) -> str | SafeString:
    """A link to the evidence page of a recipient, by the first digits of its fingerprint."""
    if not fingerprint:
        return EMPTY
    shown = fingerprint.partition(".")[2][:12]
    try:
        url = reverse("admin:twilio_verify_consentevent_evidence", args=[fingerprint], current_app=site.name)
    except NoReverseMatch:  # a site of the site's own, without the ledger
        return shown
    return format_html('<a href="{}">{}</a>', url, shown)


@admin.register(AuditEvent)
class AuditEventAdmin(ReadOnlyAdmin):
    """Every look at evidence unmasked, every export, erasure, purge, hold and rotation."""

    list_display = ("occurred_at", "kind", "actor_label", "whose", "reason", "what")
    list_filter = (PeriodFilter, "kind")
    # Both exact: by whom, and about whom.
    search_fields = ("actor_label__exact", "recipient_fingerprint__exact")
    search_help_text = _("The user name of who did it, or the fingerprint of a recipient.")
    ordering = ("-id",)
    fields = ("occurred_at", "kind", "actor_label", "whose", "recipient_fingerprint", "reason", "what")
    readonly_fields = fields

    @admin.display(description=_("recipient"))
    def whose(self, event: AuditEvent) -> str | SafeString:
        return recipient_link(event.recipient_fingerprint, self.admin_site)

    @admin.display(description=_("details"))
    def what(self, event: AuditEvent) -> str:
        """The details as text: "evidence: 3, factors: 0"."""
        try:
            details = json.loads(event.details)
        except ValueError:
            return event.details
        if not isinstance(details, dict) or not details:
            return EMPTY
        return ", ".join(f"{name}: {value}" for name, value in details.items())


@admin.register(LegalHold)
class LegalHoldAdmin(ReadOnlyAdmin):
    """The holds, set and released by ``manage.py hold_evidence``."""

    list_display = ("set_at", "set_by", "whose", "reason", "released_at")
    ordering = ("-id",)
    fields = ("set_at", "set_by", "whose", "recipient_fingerprint", "reason", "released_at")
    readonly_fields = fields

    @admin.display(description=_("recipient"))
    def whose(self, hold: LegalHold) -> str | SafeString:
        return recipient_link(hold.recipient_fingerprint, self.admin_site)
