"""Whose evidence an export is about: exactly those, and nobody by a slip."""

from __future__ import annotations

import io
from copy import copy
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.contrib.auth.models import User

from django_twilio_verify import consent
from django_twilio_verify.choices import PersonKind
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.ledger.export import bundle, evidence, receipts, spreadsheet
from django_twilio_verify.ledger.export.evidence import NothingToExport, Selection, read_numbers
from django_twilio_verify.ledger.persons import Person
from django_twilio_verify.models import AuditEvent, ConsentEvent
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, agree, make_client, make_user
from tests.support.evidence import exported, selected

pytestmark = pytest.mark.django_db
WRITERS = [bundle.write, spreadsheet.write, receipts.write_twilio, receipts.write_receipts]


def found(selection: Selection, **options: Any) -> list[int]:
    return [event.pk for events in evidence.chunks(selection, **options) for event in events]


def test_a_selection_that_says_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="Say whose evidence"):
        Selection()
    with pytest.raises(ValueError, match="not by both"):
        Selection(recipients=(), person=Person(PersonKind.USER, "1"))


def test_an_empty_list_is_nobody_even_with_a_period(ann: User) -> None:
    assert found(Selection(recipients=(), since=datetime(2020, 1, 1, tzinfo=UTC))) == []


def test_recipients_are_found_whichever_way_they_were_written(ann: User) -> None:
    assert found(selected("(501) 712-2661".replace("(501)", "+1 501"))) == found(selected(PHONE))
    assert found(selected(EMAIL.upper())) == found(selected(EMAIL))
    assert len(found(selected(PHONE, EMAIL))) == 3


def test_a_period_takes_in_its_start_and_leaves_out_its_end(ann: User) -> None:
    events = list(ConsentEvent.objects.order_by("pk"))
    first, last = events[0].occurred_at, events[-1].occurred_at
    assert found(Selection(since=last)) == [event.pk for event in events if event.occurred_at >= last]
    assert found(Selection(until=last)) == [event.pk for event in events if event.occurred_at < last]
    assert found(Selection(since=first, until=first)) == []
    assert found(Selection(recipients=selected(PHONE).recipients, since=last + timedelta(seconds=1))) == []


@pytest.mark.parametrize("size", [1, 2, 3, 100])
def test_every_event_comes_once_whatever_the_size_of_the_chunks(ann: User, size: int) -> None:
    everything = [*ConsentEvent.objects.order_by("pk").values_list("pk", flat=True)]
    assert found(Selection(since=datetime(2020, 1, 1, tzinfo=UTC)), size=size) == everything
    assert sorted(found(selected(PHONE, OTHER_PHONE, EMAIL), size=size)) == everything


def test_gaps_between_ids_are_passed_over(ann: User) -> None:
    event = copy(ConsentEvent.objects.order_by("pk")[0])
    event.pk, event.digest, event.place = event.pk + 10_000_000, "0" * 64, "0" * 40
    event.save(force_insert=True)
    assert found(Selection(since=datetime(2020, 1, 1, tzinfo=UTC)), size=2)[-1] == event.pk


def test_many_recipients_are_asked_for_in_slices(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evidence, "RECIPIENTS_A_SLICE", 1)
    assert sorted(found(selected(PHONE, OTHER_PHONE, EMAIL))) == sorted(
        found(Selection(since=datetime(2020, 1, 1, tzinfo=UTC)))
    )


def test_a_person_is_found_with_what_the_holders_said(ann: User) -> None:
    opted_out = consent.opt_out(recipient=PHONE, channel="sms")
    agree(PHONE, "call", user=make_user("carol"))
    consent.opt_out(recipient=OTHER_PHONE, channel="sms")
    assert opted_out is not None
    mine = ConsentEvent.objects.filter(evidence__person_label="ann").values_list("pk", flat=True)
    assert found(Selection.of_user(ann)) == [*sorted(mine), opted_out.pk]


def test_events_that_come_while_an_export_runs_are_left_out(ann: User) -> None:
    fixed = selected().fixed()
    agree(user=ann)
    assert len(found(fixed)) == 2


def test_one_statement_reads_a_chunk(ann: User, django_assert_num_queries: Any) -> None:
    with django_assert_num_queries(3):
        assert len(found(selected(PHONE), size=1)) == 2  # 2 chunks, and 1 that is empty


@pytest.mark.parametrize("write", WRITERS)
def test_an_export_over_nobody_says_so_and_writes_nothing(ann: User, write: Any) -> None:
    with pytest.raises(NothingToExport, match="No evidence is on record"):
        exported(selected("+12025550100"), write)
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(("reason", "actor"), [("", "ann"), ("why", " "), ("\0", "ann")])
def test_an_export_needs_a_reason_and_a_name(ann: User, reason: str, actor: str) -> None:
    stream = io.BytesIO()
    with pytest.raises(ValueError, match="reason"):
        bundle.write(stream, selected(), reason, actor)
    assert stream.getvalue() == b""


def test_a_list_of_numbers_is_read() -> None:
    lines = ["\ufeff+15017122661\n", "\n", "# a comment\n", " tel:+1 501 712 2661 \r\n", "ann@example.org"]
    assert read_numbers(lines) == (Recipient.parse(PHONE), Recipient.parse(EMAIL))
    assert read_numbers(["501 712 2661"], region="US") == (Recipient.parse(PHONE),)


def test_a_list_with_bad_lines_names_them_all_and_shows_none() -> None:
    with pytest.raises(ValueError, match="line 2") as caught:
        read_numbers([PHONE, "5551234567", "", "nobody@"])
    assert "line 4" in str(caught.value)
    assert "5551234567" not in str(caught.value) and "nobody" not in str(caught.value)


def test_the_filter_is_described_without_personal_data(ann: User) -> None:
    moment = datetime(2026, 1, 2, tzinfo=UTC)
    assert selected(PHONE, since=moment).described == {
        "by": "recipients",
        "asked_for": 1,
        "since": "2026-01-02T00:00:00.000000Z",
    }
    assert Selection(until=moment).described == {"by": "period", "until": "2026-01-02T00:00:00.000000Z"}
    person = Selection.of_user(ann).described
    assert person["by"] == "person" and "ann" not in str(person)


def test_a_visitor_is_a_person_too(db: None) -> None:
    event = agree(client=make_client("visitor"))
    assert found(Selection(person=Person(PersonKind.SESSION, "visitor"))) == [event.pk]
