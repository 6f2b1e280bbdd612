"""What people have enrolled."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.contrib.auth import get_user_model
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..choices import FactorKind
from ..ledger.persons import is_account_address
from ..models import Factor, FactorReset
from .base import PersonAdmin, name_of_user
from .reset import PERMISSION


class OneMailboxFilter(admin.SimpleListFilter):
    """Email factors that are the account's own address: one mailbox opens the account."""

    title = _("account’s own mailbox")
    parameter_name = "one_mailbox"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [("1", _("Yes"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() != "1":
            return queryset
        field = get_user_model().get_email_field_name()
        same = queryset.filter(kind=FactorKind.EMAIL)
        return same.filter(recipient_value__iexact=F(f"user__{field}")) if field else queryset.none()


@admin.register(Factor)
class FactorAdmin(PersonAdmin):
    """Factors, their addresses masked."""

    list_display = ("user", "kind", "masked", "channel", "default", "one_mailbox", "confirmed_at", "last_used_at")
    list_filter = ("kind", "channel", OneMailboxFilter)
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

    @admin.display(description=_("account’s own mailbox"), boolean=True)
    def one_mailbox(self, factor: Factor) -> bool:
        """Whether password resets go to the same address."""
        return is_account_address(factor.user, factor.recipient_value)

    @admin.display(description=_("default"), boolean=True)
    def default(self, factor: Factor) -> bool:
        return factor.is_default
