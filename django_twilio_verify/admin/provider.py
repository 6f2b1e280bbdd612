"""What the provider has told of by itself, and how far its attempts were read."""

from __future__ import annotations

from django.contrib import admin
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from ..backends.twilio.errors import row_for
from ..models import AttemptSync, ChannelOutage, ProviderEvent, ProviderRemoval
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


@admin.register(ChannelOutage)
class ChannelOutageAdmin(ReadOnlyAdmin):
    """The channels that the provider refused for everybody. Pages leave them out for an hour from then."""

    list_display = ("channel", "backend", "is_out", "reason", "error_code", "seen_at", "until")
    list_filter = ("channel",)
    ordering = ("-seen_at",)
    fields = list_display
    readonly_fields = fields

    @admin.display(description=_("out now"), boolean=True)
    def is_out(self, outage: ChannelOutage) -> bool:
        return outage.until > timezone.now()

    @admin.display(description=_("reason"))
    def reason(self, outage: ChannelOutage) -> str:
        """What Twilio's number means, for the operator."""
        return row_for(400, outage.error_code).sentence


@admin.register(AttemptSync)
class AttemptSyncAdmin(ReadOnlyAdmin):
    """One row for a backend, and who is at it now."""

    list_display = ("backend", "done_until", "window_start", "window_end", "lease", "leased_until")
    ordering = ("backend",)
    fields = list_display
    readonly_fields = fields


@admin.register(ProviderRemoval)
class ProviderRemovalAdmin(ReadOnlyAdmin):
    """What was removed here and the provider has yet to remove: ``sync_factors`` sees to it."""

    list_display = ("created_at", "identity", "factor_sid", "backend", "tries", "next_try_at", "last_error_code")
    search_fields = ("identity__exact", "factor_sid__exact")
    ordering = ("-pk",)
    fields = list_display
    readonly_fields = fields
