"""What the provider has told of by itself, and how far its attempts were read."""

from __future__ import annotations

from django.contrib import admin

from ..models import AttemptSync, ProviderEvent
from .base import ReadOnlyAdmin


@admin.register(ProviderEvent)
class ProviderEventAdmin(ReadOnlyAdmin):
    """The events that came in by the webhook. Their bodies are not kept."""

    list_display = ("received_at", "kind", "happened_at", "backend", "applied", "verification_sid", "attempt_sid")
    list_filter = ("applied",)
    # Exact, by the indexes: an event of an attempt is found with its verification.
    search_fields = ("event_id__exact", "verification_sid__exact")
    ordering = ("-received_at", "-pk")
    fields = (
        "event_id",
        "kind",
        "backend",
        "verification_sid",
        "attempt_sid",
        "happened_at",
        "received_at",
        "applied",
    )
    readonly_fields = fields


@admin.register(AttemptSync)
class AttemptSyncAdmin(ReadOnlyAdmin):
    """One row for a backend, and who is at it now."""

    list_display = ("backend", "done_until", "window_start", "window_end", "lease", "leased_until")
    ordering = ("backend",)
    fields = list_display
    readonly_fields = fields
