"""What people have enrolled."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..models import Factor, FactorReset
from .base import PersonAdmin, name_of_user
from .reset import PERMISSION


@admin.register(Factor)
class FactorAdmin(PersonAdmin):
    """Factors, their addresses masked."""

    list_display = ("user", "kind", "masked", "channel", "default", "confirmed_at", "last_used_at")
    list_filter = ("kind", "channel")
    list_select_related = ("user",)
    ordering = ("-id",)
    actions = ("reset_factors",)
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
        "failures",
        "held_at",
        "created_at",
        "confirmed_at",
        "last_used_at",
    )
    readonly_fields = fields

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return (name_of_user(), "sid__exact")

    def has_reset_permission(self, request: HttpRequest) -> bool:
        """As the page that it leads to: seeing resets, and the permission of its own."""
        resets = self.admin_site._registry.get(FactorReset)
        return resets is not None and resets.has_view_permission(request) and request.user.has_perm(PERMISSION)

    @admin.action(description=_("Reset all factors of the person …"), permissions=["reset"])
    def reset_factors(self, request: HttpRequest, queryset: QuerySet[Any]) -> HttpResponse | None:
        """On to the page that asks why. One person at a time: each has a reason of their own."""
        people = list(queryset.order_by().values_list("user", flat=True).distinct()[:2])
        if len(people) != 1:
            self.message_user(request, gettext("Choose the factors of one person."), messages.ERROR)
            return None
        page = "admin:twilio_verify_factorreset_request"
        return HttpResponseRedirect(reverse(page, args=people, current_app=self.admin_site.name))

    @admin.display(description=_("recipient"))
    def masked(self, factor: Factor) -> str:
        return factor.masked

    @admin.display(description=_("default"), boolean=True)
    def default(self, factor: Factor) -> bool:
        return factor.is_default
