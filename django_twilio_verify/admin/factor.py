"""What people have enrolled."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from ..models import Factor
from .base import ReadOnlyAdmin, name_of_user


@admin.register(Factor)
class FactorAdmin(ReadOnlyAdmin):
    """Factors, their addresses masked."""

    list_display = ("user", "kind", "masked", "channel", "default", "confirmed_at", "last_used_at")
    list_filter = ("kind", "channel")
    list_select_related = ("user",)
    ordering = ("-id",)
    fields = (
        "user",
        "kind",
        "masked",
        "channel",
        "default",
        "label",
        "sid",
        "platform",
        "lost_at",
        "created_at",
        "confirmed_at",
        "last_used_at",
    )
    readonly_fields = fields

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never here. But whoever may delete an account, on the account's page, deletes its factors with it."""
        match = request.resolver_match
        page = (match.url_name if match else "") or ""
        of_another_model = not page.startswith("twilio_verify_") and page.endswith(("_delete", "_changelist"))
        return of_another_model and admin.ModelAdmin.has_delete_permission(self, request, obj)

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return (name_of_user(), "sid__exact")

    @admin.display(description=_("recipient"))
    def masked(self, factor: Factor) -> str:
        return factor.masked

    @admin.display(description=_("default"), boolean=True)
    def default(self, factor: Factor) -> bool:
        return factor.is_default
