"""The consent ledger."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.db.models import Exists, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from ..choices import RecipientKind
from ..core.recipients import Recipient
from ..ledger import records
from ..models import ConsentEvent, Disclosure
from .base import EMPTY, ReadOnlyAdmin, event_link
from .charts import ChartsView
from .evidence_page import EvidencePages
from .filters import CountryFilter, DisclosureFilter, OverdueFilter, PeriodFilter, StateFilter, later_events
from .paging import ReckonedList, ReckoningPaginator
from .search import matching, terms_for


class LedgerList(ReckonedList):
    """The list of events, with what its templates link to."""

    @property
    def find_url(self) -> str:
        return self._url("find")

    @property
    def charts_url(self) -> str:
        return self._url("charts")

    @property
    def stop_url(self) -> str:
        return self._url("stop")

    def _url(self, name: str) -> str:
        site = self.model_admin.admin_site.name
        return reverse(f"admin:twilio_verify_consentevent_{name}", current_app=site)


@admin.register(ConsentEvent)
class ConsentEventAdmin(EvidencePages, ChartsView, ReadOnlyAdmin):
    """Events, with the masked address of those whose personal half was not erased."""

    list_display = ("occurred_at", "event", "channel", "masked", "country", "state", "honoured")
    list_filter = (PeriodFilter, "event", "channel", StateFilter, OverdueFilter, CountryFilter, DisclosureFilter)
    list_select_related = ("evidence",)
    paginator = ReckoningPaginator
    # Named so that Django offers a search at all; what is asked for is decided by get_search_results.
    search_fields = ("digest",)
    sortable_by = ()
    ordering = ("-id",)
    fields = (
        "occurred_at",
        "event",
        "channel",
        "purpose",
        "masked",
        "country",
        "person_kind",
        "person_fingerprint",
        "recipient_fingerprint",
        "wording",
        "language",
        "medium",
        "control",
        "control_default",
        "control_final",
        "button_label",
        "actor",
        "origin",
        "document_digest",
        "received_at",
        "honour_by",
        "honoured_at",
        "follows_from",
        "record_version",
        "commitment",
        "digest",
        "intact",
    )
    readonly_fields = fields

    def get_urls(self) -> list[Any]:
        wrap = self.admin_site.admin_view
        name = "twilio_verify_consentevent_{}".format
        acts = {"unmask": self.unmask_view, "export": self.export_view, "erase": self.erase_view}
        acts |= {"opt_out": self.opt_out_view, "release": self.release_view}
        own = [
            path("find/", wrap(self.answered(self.find_view)), name=name("find")),
            path("charts/", wrap(self.charts_view), name=name("charts")),
            path("stop/", wrap(self.answered(self.stop_view)), name=name("stop")),
            path("evidence/<str:fingerprint>/", wrap(self.evidence_view), name=name("evidence")),
            *(
                path(f"evidence/<str:fingerprint>/{act.replace('_', '-')}/", wrap(self.answered(view)), name=name(act))
                for act, view in acts.items()
            ),
        ]
        return [*own, *super().get_urls()]

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[LedgerList]:
        return LedgerList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        annotated: QuerySet[Any] = super().get_queryset(request).annotate(superseded=Exists(later_events()))
        return annotated

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """By fingerprints and digests only, exact and by index: whole numbers never stand in an address."""
        return (queryset.filter(matching(search_term)) if search_term else queryset), False

    def find_view(self, request: HttpRequest) -> HttpResponse:
        """Take what the officer looks for, and lead to the list under its fingerprints.

        SECURITY: POST, so that a number or an email address stands in no log, no history and no ``Referer``.
        """
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        target = reverse("admin:twilio_verify_consentevent_changelist", current_app=self.admin_site.name)
        terms = terms_for(request.POST.get("term", ""))
        if not terms:
            said = gettext("Nothing on record is known by that. Numbers are written with + and the country's code.")
            self.message_user(request, said, messages.WARNING)
            return HttpResponseRedirect(target)
        return HttpResponseRedirect(f"{target}?{urlencode({'q': ','.join(terms)})}")

    @admin.display(description=_("recipient"))
    def masked(self, event: ConsentEvent) -> str | SafeString:
        evidence = getattr(event, "evidence", None)
        text = gettext("erased")
        if evidence is not None:
            text = Recipient(RecipientKind(event.recipient_kind), evidence.recipient).masked
        return format_html('<a href="{}">{}</a>', self.page_of(event.recipient_fingerprint), text)

    @admin.display(description=_("now"))
    def state(self, event: ConsentEvent) -> str:
        """Whether the event still decides, and what."""
        if getattr(event, "superseded", False):
            return EMPTY
        return gettext("live") if event.is_live else gettext("stopped")

    @admin.display(description=_("honoured"))
    def honoured(self, event: ConsentEvent) -> str | SafeString:
        """Of a request to stop, whether its time was kept."""
        if event.honour_by is None:
            return EMPTY
        if event.honoured_at is not None and event.honoured_at <= event.honour_by:
            return gettext("in time")
        if event.honoured_at is None and timezone.now() <= event.honour_by:
            return gettext("to do by %(day)s") % {"day": f"{event.honour_by:%Y-%m-%d}"}
        return format_html('<strong class="tv-late">{}</strong>', gettext("overdue"))

    @admin.display(description=_("disclosure"))
    def wording(self, event: ConsentEvent) -> str:
        return str(event.disclosure) if event.disclosure else EMPTY

    @admin.display(description=_("follows from"))
    def follows_from(self, event: ConsentEvent) -> str:
        return event_link(event.previous_id, self.admin_site)

    @admin.display(description=_("unchanged since written"), boolean=True)
    def intact(self, event: ConsentEvent) -> bool:
        return records.holds(event)


@admin.register(Disclosure)
class DisclosureAdmin(ReadOnlyAdmin):
    """The words that were shown."""

    list_display = ("first_used_at", "channel", "language", "short_digest", "checkbox_label", "events")
    list_filter = ("channel",)
    ordering = ("-id",)
    fields = (
        "digest",
        "channel",
        "language",
        "as_shown",
        "checkbox_label",
        "terms_url",
        "privacy_url",
        "first_used_at",
        "record_version",
    )
    readonly_fields = fields

    @admin.display(description=_("SHA-256"))
    def short_digest(self, disclosure: Disclosure) -> str:
        return disclosure.digest[:12]

    @admin.display(description=_("consent events"))
    def events(self, disclosure: Disclosure) -> SafeString:
        url = reverse("admin:twilio_verify_consentevent_changelist", current_app=self.admin_site.name)
        return format_html('<a href="{}?disclosure={}">{}</a>', url, disclosure.digest[:16], gettext("Show"))

    @admin.display(description=_("text as shown"))
    def as_shown(self, disclosure: Disclosure) -> str:
        # Escaped by format_html: the text may have come from a site's own code.
        return format_html("<pre>{}</pre>", disclosure.text)
