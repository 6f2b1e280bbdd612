"""Consents and opt-outs over time, by channel and by country: drawn on the server, with the same figures beside.

SVG with presentation attributes only: an inline ``style`` would break a strict content policy, and a script is not
needed to draw a bar.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from django.core.exceptions import PermissionDenied
from django.db.models import Count
from django.db.models.functions import Trunc
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _

from ..choices import AGREED, Channel, ConsentEventType
from ..core import countries
from ..models import ConsentEvent
from .filters import period

if TYPE_CHECKING:
    from .base import ReadOnlyAdmin

    _Base = ReadOnlyAdmin
else:
    _Base = object

WEEKS = 26
MONTHS_BEYOND = timedelta(days=731)
COUNTRIES = 15
HEIGHT, LEFT, TOP = 220, 44, 12
CONSENT, STOP = "#3f7fb5", "#c2502e"
"""3:1 and more against the admin's light and dark background alike (WCAG 2.2 SC 1.4.11)."""
STOPS = (ConsentEventType.WITHDRAWN, ConsentEventType.OPTED_OUT)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar, in units of the drawing."""

    x: float
    y: float
    width: float
    height: float
    fill: str


@dataclass(frozen=True, slots=True)
class Label:
    """A text, at its baseline. ``anchor``: an SVG ``text-anchor``."""

    x: float
    y: float
    text: str
    anchor: str = "middle"


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table, and a pair of bars of the chart."""

    name: str
    consents: int
    stops: int


@dataclass(frozen=True, slots=True)
class Chart:
    """A drawing and its figures. ``about``: one sentence that says what it shows."""

    id: str
    title: str
    about: str
    head: str
    rows: list[Row]
    width: int
    height: int
    bars: list[Bar]
    labels: list[Label]
    lines: list[float]


class ChartsView(_Base):
    """The page of the charts."""

    def charts_view(self, request: HttpRequest) -> HttpResponse:
        """One SELECT, over the asked-for period alone."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        since, until, problem = _asked(request)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "media": self.media,
            "title": _("Consents and opt-outs"),
            "since": since.date(),
            "until": (until - timedelta(days=1)).date(),
            "problem": problem,
            "charts": charts(since, until),
            "consent_fill": CONSENT,
            "stop_fill": STOP,
        }
        request.current_app = self.admin_site.name
        return TemplateResponse(request, "admin/twilio_verify/charts.html", context)


def _asked(request: HttpRequest) -> tuple[datetime, datetime, str]:
    """The period asked for, in the site's time zone; half a year if none is, or what was asked for is none."""
    tomorrow = (timezone.localtime() + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
    default = (tomorrow - timedelta(weeks=WEEKS), tomorrow, "")
    try:
        since, until = period(request.GET.get("since", ""), request.GET.get("until", ""))
    except ValueError:
        return (*default[:2], _("That is no day: shown is the last half year."))
    until = until or tomorrow
    since = since or until - timedelta(weeks=WEEKS)
    if since >= until:
        return (*default[:2], _("The period ends before it begins: shown is the last half year."))
    return timezone.localtime(since), timezone.localtime(until), ""


def charts(since: datetime, until: datetime) -> list[Chart]:
    """The three charts of a period."""
    events = ConsentEvent.objects.filter(occurred_at__gte=since, occurred_at__lt=until).order_by()
    unit = "month" if until - since > MONTHS_BEYOND else "week"
    # In UTC: MySQL and MariaDB know other time zones only where somebody loaded their tables.
    bucket = Trunc("occurred_at", unit, tzinfo=UTC)
    groups = events.annotate(bucket=bucket).values_list("bucket", "channel", "country", "event")
    # COUNT(*), which an index alone answers.
    counted = list(groups.annotate(number=Count("*")))
    return [
        _over_time(_tally((moment.date(), event, n) for moment, _way, _where, event, n in counted), since, until, unit),
        _by_channel(_tally((channel, event, n) for _moment, channel, _where, event, n in counted)),
        _by_country(_tally((country, event, n) for _moment, _way, country, event, n in counted)),
    ]


Tally = dict[Any, Counter[str]]


def _tally(rows: Iterable[tuple[Any, str, int]]) -> Tally:
    """By key, how many consents and how many stops."""
    found: Tally = {}
    for key, event, number in rows:
        kind = "consents" if event in AGREED else "stops" if event in STOPS else "others"
        found.setdefault(key, Counter())[kind] += number
    return found


def _row(name: str, counts: Counter[str]) -> Row:
    return Row(name, counts["consents"], counts["stops"])


def _over_time(times: Tally, since: datetime, until: datetime, unit: str) -> Chart:
    days = list(_buckets(since.astimezone(UTC).date(), until.astimezone(UTC), unit))
    pattern = "F Y" if unit == "month" else "SHORT_DATE_FORMAT"
    rows = [_row(date_format(day, pattern), times.get(day, Counter())) for day in days]
    head = _("Month") if unit == "month" else _("Week from")
    about = _("Consents and opt-outs by the time at which they came in (UTC).")
    return _upright("time", _("Over time"), about, head, rows)


def _buckets(first: date, until: datetime, unit: str) -> Iterable[date]:
    """The first days of the weeks (Mondays) or months of the period, as the database truncates to them."""
    day = first.replace(day=1) if unit == "month" else first - timedelta(days=first.weekday())
    while datetime(day.year, day.month, day.day, tzinfo=UTC) < until:
        yield day
        day = (day + timedelta(days=32)).replace(day=1) if unit == "month" else day + timedelta(days=7)


def _by_channel(channels: Tally) -> Chart:
    rows = [_row(str(channel.label), channels[channel.value]) for channel in Channel if channel.value in channels]
    about = _("Consents and opt-outs by the way in which codes are sent.")
    return _lying("channel", _("By way"), about, _("Way"), rows)


def _by_country(tally: Tally) -> Chart:
    ordered = sorted(tally.items(), key=lambda item: (-sum(item[1].values()), item[0]))
    rows = [_row(_country(code), counts) for code, counts in ordered[:COUNTRIES]]
    if rest := ordered[COUNTRIES:]:
        rows.append(_row(_("all others"), sum((counts for _code, counts in rest), Counter())))
    about = _("Consents and opt-outs by the number's country, the %(number)d largest.") % {"number": COUNTRIES}
    return _lying("country", _("By country"), about, _("Country"), rows)


def _country(code: str) -> str:
    return str(countries.NAMES.get(code, code)) if code else _("none (email)")


# ------------------------------------------------------------------------------------------------- drawing


def _upright(id: str, title: str, about: str, head: str, rows: list[Row]) -> Chart:
    """A pair of upright bars for each row, with a scale at the left."""
    step = max(14, min(40, 820 // max(len(rows), 1)))
    width, plot = LEFT + step * len(rows) + 8, HEIGHT - TOP - 24
    top = _ceiling(rows)
    bars, labels = [], []
    for place, row in enumerate(rows):
        x, thick = LEFT + place * step, (step - 4) / 2
        for shift, number, fill in ((0.0, row.consents, CONSENT), (thick, row.stops, STOP)):
            high = plot * number / top
            bars.append(Bar(_r(x + 2 + shift), _r(TOP + plot - high), _r(thick - 1), _r(high), fill))
        if place % (90 // step + 1) == 0:
            labels.append(Label(_r(x + 2), HEIGHT - 8, row.name, "start"))
    scale = [Label(LEFT - 6, _r(TOP + plot - plot * part + 4), f"{top * part:.0f}", "end") for part in (0, 0.5, 1)]
    lines = [_r(TOP + plot - plot * part) for part in (0, 0.5, 1)]
    return Chart(id, title, about, head, rows, max(width, 320), HEIGHT, bars, labels + scale, lines)


def _lying(id: str, title: str, about: str, head: str, rows: list[Row]) -> Chart:
    """A pair of lying bars for each row, its name above them and its figure behind."""
    width, each = 340, 52
    top = _ceiling(rows)
    bars, labels = [], []
    for place, row in enumerate(rows):
        y = TOP + place * each
        labels.append(Label(4, y + 12, row.name, "start"))
        for shift, number, fill in ((18, row.consents, CONSENT), (32, row.stops, STOP)):
            long = (width - 90) * number / top
            bars.append(Bar(4, y + shift, _r(max(long, 1)), 12, fill))
            labels.append(Label(_r(long + 10), y + shift + 10, f"{number:,}", "start"))
    return Chart(id, title, about, head, rows, width, TOP + each * max(len(rows), 1), bars, labels, [])


def _ceiling(rows: list[Row]) -> int:
    """The scale's top: the next even number above the largest figure, so that its half is whole."""
    largest = max((max(row.consents, row.stops) for row in rows), default=0)
    return max(2, largest + largest % 2)


def _r(number: float) -> float:
    return round(number, 1)
