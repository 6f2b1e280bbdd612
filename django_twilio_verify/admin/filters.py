"""Filters of the ledger that need no look at its rows to be offered.

Django's own would ask for every distinct value, and its ``date_hierarchy`` for every date: seconds at a million rows.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from django.contrib import admin
from django.db.models import Exists, F, OuterRef, Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..choices import FOR_EVERYBODY, LIVE_CONSENT
from ..conf import settings
from ..core import countries
from ..models import ConsentEvent

FEW = 1000


def later_events() -> QuerySet[ConsentEvent]:
    """Of an outer event, the later ones that bear on the same person, recipient and channel. Served by the index."""
    same_place = ConsentEvent.objects.filter(
        recipient_fingerprint=OuterRef("recipient_fingerprint"), channel=OuterRef("channel"), pk__gt=OuterRef("pk")
    )
    return same_place.filter(Q(person_fingerprint=OuterRef("person_fingerprint")) | Q(event__in=FOR_EVERYBODY))


def overdue() -> Q:
    """Requests to stop that were honoured too late, or not at all. All columns share an index."""
    late = Q(honoured_at__gt=F("honour_by")) | Q(honoured_at__isnull=True)
    return Q(honour_by__isnull=False) & late


class FormFilter(admin.ListFilter):
    """A filter with fields to fill in. ``parameters``: their names in the address."""

    template = "admin/twilio_verify/form_filter.html"
    parameters: tuple[str, ...] = ()

    def __init__(self, request: HttpRequest, params: dict[str, Any], model: Any, model_admin: Any) -> None:
        super().__init__(request, params, model, model_admin)
        self.asked: dict[str, str] = {}
        for name in self.parameters:
            given = params.pop(name, [""])
            self.asked[name] = str(given[-1]).replace("\0", "").strip()

    def has_output(self) -> bool:
        return True

    def expected_parameters(self) -> list[str | None]:
        return list(self.parameters)

    def fields(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def choices(self, changelist: Any) -> Iterator[dict[str, Any]]:
        """What the template needs, once."""
        kept = {name: value for name, value in changelist.params.items() if name not in self.parameters}
        yield {
            "fields": self.fields(),
            "kept": kept.items(),
            "clear": changelist.get_query_string(remove=self.parameters) if any(self.asked.values()) else "",
        }


class PeriodFilter(FormFilter):
    """From one day to another, both included, in the site's time zone."""

    title = gettext_lazy("period")
    parameters = ("since", "until")

    def fields(self) -> list[dict[str, Any]]:
        labels = {"since": _("From"), "until": _("To")}
        return [_field(name, labels[name], "date", self.asked[name]) for name in self.parameters]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        try:
            since, until = period(self.asked["since"], self.asked["until"])
        except ValueError:
            return queryset.none()  # what is no day must not look as if nothing had been asked
        if since:
            queryset = queryset.filter(occurred_at__gte=since)
        return queryset.filter(occurred_at__lt=until) if until else queryset


def period(since: str, until: str) -> tuple[datetime | None, datetime | None]:
    """The beginning of the day ``since`` and the end of the day ``until``, ``None`` for an empty one.

    Raises ``ValueError`` for what is no day.
    """
    return _midnight(since, 0) if since else None, _midnight(until, 1) if until else None


def _midnight(text: str, days: int) -> datetime:
    day = parse_date(text)
    if day is None or not 1900 <= day.year <= 9000:
        raise ValueError(text)
    return timezone.make_aware(datetime.combine(day + timedelta(days=days), time.min))


class CountryFilter(FormFilter):
    """The countries that may be sent to, or all."""

    title = gettext_lazy("country")
    parameters = ("country",)

    def fields(self) -> list[dict[str, Any]]:
        codes = settings.countries or countries.NAMES
        options = sorted((str(countries.NAMES.get(code, code)), code) for code in codes)
        chosen = self.asked["country"]
        return [_field("country", _("Country"), "select", chosen, [("", _("All")), *((c, n) for n, c in options)])]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        code = self.asked["country"]
        return queryset.filter(country=code) if code else queryset


class DisclosureFilter(FormFilter):
    """By the first digits of a disclosure's digest: the list of disclosures leads here."""

    title = gettext_lazy("disclosure")
    parameters = ("disclosure",)

    def fields(self) -> list[dict[str, Any]]:
        return [_field("disclosure", _("Its SHA-256 begins with"), "text", self.asked["disclosure"])]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        digits = self.asked["disclosure"].lower()
        return queryset.filter(begins_with("disclosure__digest", digits)) if digits else queryset


def begins_with(field: str, digits: str) -> Q:
    """Whether a hexadecimal ``field`` begins with ``digits``: a range, which every database finds by its index."""
    if not re.fullmatch(r"[0-9a-f]{1,64}", digits):
        return Q(pk__in=[])
    return Q(**{f"{field}__gte": digits, f"{field}__lt": f"{digits}g"})


class StateFilter(admin.SimpleListFilter):
    """Only the latest event of a person, recipient and channel: that which decides now."""

    title = gettext_lazy("where it stands now")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return [("live", _("Live consent")), ("stopped", _("Stopped"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() not in ("live", "stopped"):
            return queryset
        is_live = Q(event__in=LIVE_CONSENT)
        return queryset.filter(is_live if self.value() == "live" else ~is_live).exclude(Exists(later_events()))


class OverdueFilter(admin.SimpleListFilter):
    """Requests to stop and their ten business days."""

    title = gettext_lazy("requests to stop")
    parameter_name = "stop"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Sequence[tuple[str, str]]:
        return [("any", _("All requests")), ("overdue", _("Overdue"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        if self.value() == "any":
            return queryset.filter(received_at__isnull=False)
        return queryset.filter(_narrowed(overdue())) if self.value() == "overdue" else queryset


def _narrowed(rare: Q) -> Q:
    """``rare`` as the few keys that it is, asked for by the deadlines' index.

    Asked for the newest that are overdue, planners walk the table from its end, which is all of it where there are few.
    Where there are many, that is what one wants.
    """
    found = ConsentEvent.objects.filter(rare).order_by("honour_by").values_list("pk", flat=True)
    keys = list(found[: FEW + 1])
    return Q(pk__in=keys) if len(keys) <= FEW else rare


def _field(name: str, label: str, kind: str, value: str, options: Sequence[tuple[str, str]] = ()) -> dict[str, Any]:
    return {"name": name, "label": label, "kind": kind, "value": value, "options": options}
