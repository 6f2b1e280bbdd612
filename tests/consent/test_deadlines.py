"""By when a request to stop must have been honoured."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_twilio_verify.consent import deadlines

OBSERVED = {
    2024: ["01-01", "01-15", "02-19", "05-27", "06-19", "07-04", "09-02", "10-14", "11-11", "11-28", "12-25"],
    2025: ["01-01", "01-20", "02-17", "05-26", "06-19", "07-04", "09-01", "10-13", "11-11", "11-27", "12-25"],
    2026: ["01-01", "01-19", "02-16", "05-25", "06-19", "07-03", "09-07", "10-12", "11-11", "11-26", "12-25"],
    2027: ["01-01", "01-18", "02-15", "05-31", "06-18", "07-05", "09-06", "10-11", "11-11", "11-25", "12-24", "12-31"],
    2028: ["01-17", "02-21", "05-29", "06-19", "07-04", "09-04", "10-09", "11-10", "11-23", "12-25"],
    2029: ["01-01", "01-15", "02-19", "05-28", "06-19", "07-04", "09-03", "10-08", "11-12", "11-22", "12-25"],
    2030: ["01-01", "01-21", "02-18", "05-27", "06-19", "07-04", "09-02", "10-14", "11-11", "11-28", "12-25"],
}
"""The days off of the Office of Personnel Management's calendars (5 USC 6103), by the year they fall in.

2027 has two New Year's Days: that of 2028 is a Saturday, kept on the Friday before.
"""

moments = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def off(year: int) -> list[str]:
    """The Mondays to Fridays of ``year`` that are no business days."""
    days = (date(year, 1, 1) + timedelta(days=number) for number in range(366))
    return [
        f"{day:%m-%d}" for day in days if day.year == year and day.weekday() < 5 and not deadlines.is_business_day(day)
    ]


@pytest.mark.parametrize("year", OBSERVED)
def test_the_holidays_are_those_of_the_federal_calendar(year):
    assert off(year) == OBSERVED[year]


@pytest.mark.parametrize(
    ("received", "due"),
    [
        (datetime(2026, 3, 2, 9), date(2026, 3, 16)),  # a Monday: two weeks
        (datetime(2026, 3, 6, 23, 59), date(2026, 3, 20)),  # a Friday
        (datetime(2026, 3, 7, 9), date(2026, 3, 20)),  # a Saturday counts from Monday
        (datetime(2026, 11, 20, 9), date(2026, 12, 7)),  # Thanksgiving in between
        (datetime(2026, 12, 18, 9), date(2027, 1, 5)),  # Christmas and New Year
        (datetime(2027, 12, 17, 9), date(2028, 1, 4)),  # both on a Friday before
        (datetime(2026, 6, 26, 9), date(2026, 7, 13)),  # Independence Day, a Saturday, on the Friday
        (datetime(2027, 6, 25, 9), date(2027, 7, 12)),  # … and a Sunday, on the Monday
    ],
)
def test_ten_business_days_later(received, due):
    honour_by = deadlines.honour_by(received.replace(tzinfo=UTC))
    assert (honour_by.date(), honour_by.tzinfo) == (due, UTC)
    assert honour_by.time().isoformat() == "23:59:59.999999"


def test_the_day_is_that_of_utc_wherever_the_request_came_in():
    vienna = datetime(2026, 3, 3, 0, 30, tzinfo=timezone(timedelta(hours=1)))  # still Monday in UTC
    assert deadlines.honour_by(vienna).date() == date(2026, 3, 16)


@given(moments)
def test_exactly_ten_business_days_lie_between(received):
    due = deadlines.honour_by(received).date()
    days = [received.date() + timedelta(days=number) for number in range(1, (due - received.date()).days + 1)]
    assert sum(map(deadlines.is_business_day, days)) == deadlines.BUSINESS_DAYS
    assert deadlines.is_business_day(due)


@given(moments)
def test_it_takes_twelve_days_at_least_and_eighteen_at_most(received):
    took = (deadlines.honour_by(received).date() - received.date()).days
    # The least: a Sunday's request, due on the second Friday. The most: before Christmas and New Year.
    assert 12 <= took <= 18


@given(moments, moments)
def test_a_later_request_is_never_due_earlier(one, other):
    first, second = sorted((one, other))
    assert deadlines.honour_by(first) <= deadlines.honour_by(second)


@given(st.integers(1990, 2200))
def test_holidays_are_never_on_a_weekend(year):
    holidays = list(deadlines.federal_holidays(year))
    assert len(set(holidays)) == 11
    assert all(day.weekday() < 5 for day in holidays)
