"""By when a request to stop must have been honoured.

47 CFR 64.1200(a)(10): within a reasonable time, ten business days at most. Business days are those that are neither
Saturdays, Sundays nor legal holidays of the United States (5 USC 6103).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta

BUSINESS_DAYS = 10
_SATURDAY, _SUNDAY = 5, 6
_FIXED = ((1, 1), (6, 19), (7, 4), (11, 11), (12, 25))
# Month, weekday (Monday is 0), which one of the month (-1 the last).
_FLOATING = ((1, 0, 3), (2, 0, 3), (5, 0, -1), (9, 0, 1), (10, 0, 2), (11, 3, 4))


def honour_by(received: datetime) -> datetime:
    """The end, in UTC, of the tenth business day after the aware time ``received``."""
    day = received.astimezone(UTC).date()
    left = BUSINESS_DAYS
    while left:
        day += timedelta(days=1)
        left -= is_business_day(day)
    return datetime.combine(day, time.max, tzinfo=UTC)


def is_business_day(day: date) -> bool:
    """Whether ``day`` is neither of a weekend nor a federal holiday, as observed."""
    return day.weekday() < _SATURDAY and day not in set(_near(day))


def _near(day: date) -> Iterator[date]:
    # New Year's Day may be observed on the last day of the year before.
    for year in (day.year, day.year + 1):
        yield from federal_holidays(year)


def federal_holidays(year: int) -> Iterator[date]:
    """The days on which the holidays of ``year`` are observed: Friday for a Saturday, Monday for a Sunday."""
    for month, number in _FIXED:
        holiday = date(year, month, number)
        shift = {_SATURDAY: -1, _SUNDAY: 1}.get(holiday.weekday(), 0)
        yield holiday + timedelta(days=shift)
    for month, weekday, which in _FLOATING:
        yield _nth(year, month, weekday, which)


def _nth(year: int, month: int, weekday: int, which: int) -> date:
    if which > 0:
        first = date(year, month, 1)
        return first + timedelta(days=(weekday - first.weekday()) % 7 + 7 * (which - 1))
    last = date(year, month + 1, 1) - timedelta(days=1)
    return last - timedelta(days=(last.weekday() - weekday) % 7)
