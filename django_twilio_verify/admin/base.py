"""What all admin pages of this app have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.contrib import admin
from django.contrib.auth import get_user_model
from django.db import models
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.html import format_html
from django.utils.safestring import SafeString

if TYPE_CHECKING:
    _ModelAdmin = admin.ModelAdmin[models.Model]
    _TabularInline = admin.TabularInline[models.Model, models.Model]
else:
    _ModelAdmin, _TabularInline = admin.ModelAdmin, admin.TabularInline


EMPTY = "–"


def event_link(event_id: int | None, site: admin.AdminSite) -> str | SafeString:
    """A link to the page of a consent event, made of its id alone.

    Django's own would read each event for its name: one more statement a row, in what may be another database.
    """
    if event_id is None:
        return EMPTY
    try:
        url = reverse("admin:twilio_verify_consentevent_change", args=[event_id], current_app=site.name)
    except NoReverseMatch:  # a site of the site's own, without the ledger
        return str(event_id)
    return format_html('<a href="{}">{}</a>', url, event_id)


def name_of_user() -> str:
    """The search field for the name that people sign in by."""
    return f"user__{get_user_model().USERNAME_FIELD}"


class NoWriting:
    """Records are evidence: nobody adds, changes or deletes them here."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class ReadOnlyAdmin(NoWriting, _ModelAdmin):
    """A list and a page, newest first. Lists are not counted in full: that is slow at a million rows."""

    actions: Any = None
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER  # they would count every row once for each choice
    list_per_page = 50

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        # SECURITY: Django lets the address of a list filter by any field of the model, and so by the first digits of
        # a number, then by one more … until it is known.
        filters = self.get_list_filter(request)
        # A filter of our own asks for its parameters by these names only, and decides itself what they look up.
        if any(lookup in getattr(one, "parameters", (getattr(one, "parameter_name", ""),)) for one in filters):
            return True
        return lookup.partition("__")[0] in filters and super().lookup_allowed(lookup, value, request)


class PersonAdmin(ReadOnlyAdmin):
    """Records that go with their person's account."""

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Never here. But whoever may delete an account, on the account's page, deletes its records with it."""
        match = request.resolver_match
        page = (match.url_name if match else "") or ""
        of_another_model = not page.startswith("twilio_verify_") and page.endswith(("_delete", "_changelist"))
        return of_another_model and admin.ModelAdmin.has_delete_permission(self, request, obj)


class ReadOnlyInline(NoWriting, _TabularInline):
    """Rows that belong to the page's record."""

    extra = 0
    can_delete = False
    show_change_link = False
