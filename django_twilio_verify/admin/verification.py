"""Verifications with their sends and answers."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import Verification, VerificationAttempt, VerificationCheck
from .base import ReadOnlyAdmin, ReadOnlyInline, event_link, name_of_user


class AttemptInline(ReadOnlyInline):
    """The sends."""

    model = VerificationAttempt
    fields = (
        "created_at",
        "channel",
        "channel_used",
        "status",
        "delivery",
        "delivery_at",
        "error_code",
        "converted",
        "price",
        "currency",
        "sid",
        "consent",
        "settled_at",
    )
    readonly_fields = fields
    ordering = ("id",)

    @admin.display(description=_("consent relied on"))
    def consent(self, attempt: VerificationAttempt) -> str:
        return event_link(attempt.consent_event_id, self.admin_site)


class CheckInline(ReadOnlyInline):
    """The answers."""

    model = VerificationCheck
    fields = ("created_at", "outcome", "error_code")
    readonly_fields = fields
    ordering = ("id",)


@admin.register(Verification)
class VerificationAdmin(ReadOnlyAdmin):
    """One proof, whatever it was for."""

    list_display = (
        "created_at",
        "purpose",
        "masked",
        "country",
        "channel",
        "status",
        "sends",
        "checks",
        "user",
    )
    list_filter = ("status", "purpose", "channel")
    list_select_related = ("user",)
    ordering = ("-created_at",)
    inlines = (AttemptInline, CheckInline)
    fields = (
        "id",
        "purpose",
        "status",
        "masked",
        "country",
        "channel",
        "user",
        "factor",
        "backend",
        "sid",
        "sends",
        "checks",
        "created_at",
        "resend_at",
        "expires_at",
        "approved_at",
    )
    readonly_fields = fields

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return (name_of_user(), "sid__exact", "attempts__sid__exact", "recipient_fingerprint__exact")

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """The id too, as it stands in the URL of the code page: a search field would compare text, past the index."""
        try:
            return queryset.filter(pk=UUID(search_term.strip())), False
        except ValueError:
            return super().get_search_results(request, queryset, search_term)

    @admin.display(description=_("recipient"))
    def masked(self, verification: Verification) -> str:
        return verification.recipient.masked if verification.recipient_value else gettext("erased")
