"""What is kept of people beside their factors: how the provider names them, browsers, and what they put off."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..login import grace, trusted_browsers
from ..models import Entity, TrustedBrowser, UserState
from .base import EMPTY, PersonAdmin, name_of_user


@admin.register(Entity)
class EntityAdmin(PersonAdmin):
    """People as the provider knows them."""

    list_display = ("user", "backend", "identity", "factor_count", "created_at", "compared_at")
    list_select_related = ("user",)
    ordering = ("-pk",)
    fields = list_display
    readonly_fields = fields

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """With the number of factors, in the same statement."""
        counted: QuerySet[Any] = super().get_queryset(request).annotate(_factors=Count("factors"))
        return counted

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return (name_of_user(), "identity__exact")

    @admin.display(description=_("factors"))
    def factor_count(self, entity: Any) -> int:
        return int(entity._factors)


@admin.register(TrustedBrowser)
class TrustedBrowserAdmin(PersonAdmin):
    """Browsers that are excused from the second factor, and those that were. What is in their cookie is not kept."""

    list_display = ("user", "browser", "ip", "state", "created_at", "last_used_at", "expires_at", "revoked_at")
    list_select_related = ("user",)
    ordering = ("-pk",)
    actions = ("revoke",)
    fields = list_display
    readonly_fields = fields

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return (name_of_user(),)

    def has_revoke_permission(self, request: HttpRequest) -> bool:
        """Whoever may see them, and "can change trusted browser"."""
        return self.has_view_permission(request) and request.user.has_perm("twilio_verify.change_trustedbrowser")

    @admin.display(description=_("trusted now"), boolean=True)
    def state(self, browser: TrustedBrowser) -> bool:
        return browser.revoked_at is None and browser.expires_at > timezone.now()

    @admin.action(description=_("Trust the selected browsers no more"), permissions=["revoke"])
    def revoke(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """Each asks for the second factor from now on."""
        count = trusted_browsers.revoke_each(list(queryset.order_by().values_list("pk", flat=True)))
        said = ngettext(
            "%(count)d browser is not trusted any more.", "%(count)d browsers are not trusted any more.", count
        )
        self.message_user(request, said % {"count": count}, messages.SUCCESS if count else messages.WARNING)


@admin.register(UserState)
class UserStateAdmin(PersonAdmin):
    """Grace periods, session cutoffs and dismissed suggestions, one row per user."""

    list_display = ("user", "grace_period_ends", "sessions_ended_at", "suggestion_dismissed_at")
    list_select_related = ("user",)
    ordering = ("-pk",)
    fields = list_display
    readonly_fields = fields

    def get_search_fields(self, request: HttpRequest) -> tuple[str, ...]:
        return (name_of_user(),)

    @admin.display(description=_("grace period ends"), ordering="grace_started_at", empty_value=EMPTY)
    def grace_period_ends(self, state: UserState) -> datetime | None:
        """By the setting of today, also where it is over."""
        return grace.end_of(state.grace_started_at)
