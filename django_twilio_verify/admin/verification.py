"""Verifications with their sends and answers."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import Verification, VerificationAttempt, VerificationCheck
from .base import EMPTY, ReadOnlyAdmin, ReadOnlyInline, event_link, name_of_user


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
        "sent_by",
        "delivery",
        "price",
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
        "line_type",
        "channel",
        "amount",
        "payee",
        "user",
        "factor",
        "backend",
        "sid",
        "sends",
        "checks",
        "link_checks",
        "price",
        "created_at",
        "resend_at",
        "expires_at",
        "approved_at",
        "redeemed_at",
    )
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the sends: one statement more, however long the list is."""
        sends = VerificationAttempt.objects.order_by("pk")
        return super().get_queryset(request).prefetch_related(Prefetch("attempts", sends))

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
        if verification.is_challenge:
            return ""
        return verification.recipient.masked if verification.recipient_value else gettext("erased")

    @admin.display(description=_("way"))
    def sent_by(self, verification: Verification) -> str:
        """The ways of the sends, each once: as asked for, and as it went where that was another."""
        return ", ".join(dict.fromkeys(_way(one) for one in verification.attempts.all())) or EMPTY

    @admin.display(description=_("delivery"))
    def delivery(self, verification: Verification) -> str:
        """Of the latest send, as the provider says."""
        sends = [*verification.attempts.all()]
        return (sends[-1].delivery if sends else "") or EMPTY

    @admin.display(description=_("price"))
    def price(self, verification: Verification) -> str:
        """Of all sends whose price is known, by currency."""
        sums: dict[str, Decimal] = {}
        for one in verification.attempts.all():
            if one.price is not None:
                sums[one.currency] = sums.get(one.currency, Decimal()) + one.price
        return ", ".join(f"{amount.normalize():f} {currency}" for currency, amount in sums.items()) or EMPTY


def _way(attempt: VerificationAttempt) -> str:
    asked, used = attempt.channel, attempt.channel_used
    return asked if used in ("", asked) else f"{asked} → {used}"
