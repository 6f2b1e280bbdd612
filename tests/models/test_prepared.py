"""Statements that are written once and run with other values."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from django_twilio_verify.models import LimitCounter, prepared

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _nothing_written_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prepared, "_statements", {})


@pytest.fixture
def counters() -> None:
    LimitCounter.objects.bulk_create(
        LimitCounter(key=name, since=NOON + timedelta(hours=hour), count=hour) for hour, name in enumerate("abc")
    )


def since(values: prepared.Values):
    return LimitCounter.objects.filter(since__gte=values["from"], count__lt=values["below"]).order_by("key")


def renamed(values: prepared.Values):
    return LimitCounter.objects.filter(key=values["key"]), {"count": F("count") + values["more"]}


def found(hour: int, below: int) -> list[str]:
    values = {"from": NOON + timedelta(hours=hour), "below": below}
    return [row.key for row in prepared.fetch(since, values, using="default")]


def test_the_same_statement_answers_for_other_values(counters) -> None:
    assert found(0, 10) == ["a", "b", "c"]
    assert found(1, 10) == ["b", "c"]
    assert found(0, 2) == ["a", "b"]
    assert len(prepared._statements) == 1


def test_rows_are_instances_with_what_was_joined() -> None:
    person = User.objects.create(username="ann")
    person.groups.create(name="staff")

    def of(values: prepared.Values):
        return User.groups.through.objects.select_related("user").filter(user__username=values["name"])

    with CaptureQueriesContext(connection) as queries:
        (row,) = prepared.fetch(of, {"name": "ann"}, using="default")
        assert row.user == person
        assert prepared.fetch(of, {"name": "bob"}, using="default") == []
    assert len(queries) == 2


def test_an_update_tells_how_many_rows_matched(counters) -> None:
    for key, rows in (("a", 1), ("b", 1), ("nobody", 0)):
        assert prepared.update(renamed, {"key": key, "more": 5}, using="default") == rows
    assert dict(LimitCounter.objects.values_list("key", "count")) == {"a": 5, "b": 6, "c": 2}
    assert len(prepared._statements) == 1


def test_another_shape_is_another_statement(counters) -> None:
    def these(values: prepared.Values):
        return LimitCounter.objects.filter(key__in=[*values.values()])

    assert len(prepared.fetch(these, {"1": "a"}, using="default")) == 1
    assert len(prepared.fetch(these, {"1": "a", "2": "b"}, using="default")) == 2
    assert len(prepared.fetch(these, {"1": "a"}, using="default", shape="other")) == 1
    assert len(prepared._statements) == 3


def test_a_value_that_is_no_parameter_is_refused(counters) -> None:
    def fixed(values: prepared.Values):
        return LimitCounter.objects.filter(key=values["key"].upper())

    with pytest.raises(ValueError, match="key"):
        prepared.fetch(fixed, {"key": "a"}, using="default")
    with pytest.raises(TypeError, match="float"):
        prepared.fetch(since, {"from": NOON, "below": 1.5}, using="default")


def test_no_more_is_kept_than_a_process_can_hold(counters, monkeypatch) -> None:
    monkeypatch.setattr(prepared, "_KEPT", 2)
    for shape in range(5):
        prepared.fetch(since, {"from": NOON, "below": 9}, using="default", shape=shape)
        assert len(prepared._statements) <= 2
