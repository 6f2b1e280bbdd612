"""What is read fast is what the ledger says it is, to the byte."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_twilio_verify import consent
from django_twilio_verify.ledger import records, stream
from django_twilio_verify.models import ConsentEvent, ConsentEvidence, Disclosure
from tests.support.basics import PHONE, agree, make_client, make_user

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20) | st.sampled_from(
    ["%s", "%", "%%(x)s", '"', "\\", "\n", "\x1f", '","event":"'],
)
zones = st.sampled_from([UTC, UTC, timezone(timedelta(hours=-11)), timezone(timedelta(hours=5, minutes=45))])
moments = st.datetimes(datetime(1000, 1, 2), datetime(9999, 12, 30), timezones=zones)
values = {
    "record_version": st.integers(0, 32767),
    "control_default": st.booleans(),
    "control_final": st.booleans(),
    "occurred_at": moments,
    **dict.fromkeys(("received_at", "honour_by", "honoured_at"), st.none() | moments),
}
events = st.fixed_dictionaries({name: values.get(name, text) for name in (*records._COPIED, *records._TIMES)}).map(
    lambda drawn: ConsentEvent(**drawn)
)
halves = st.fixed_dictionaries(
    {
        "salt": (st.binary(min_size=32, max_size=32) | st.binary(max_size=80)).map(bytes.hex),
        "ip": st.none() | st.ip_addresses().map(str),
        **dict.fromkeys([name for name in records.EVIDENCE_FIELDS if name != "ip"], text),
    }
).map(lambda drawn: ConsentEvidence(**drawn))


def row(event: ConsentEvent, shown: str, previous: str) -> tuple[object, ...]:
    joined = {"disclosure__digest": shown, "previous__digest": previous}
    return tuple(joined.get(name, getattr(event, name, None)) for name in stream.COLUMNS)


@given(st.lists(st.tuples(events, text, text), min_size=1, max_size=4))
def test_canonical_bytes(drawn: list[tuple[ConsentEvent, str, str]]) -> None:
    writer = stream.Writer()
    for event, shown, previous in [*drawn, *drawn]:
        expected = records.canonical(event, disclosure_digest=shown, previous_digest=previous)
        assert writer.canonical(row(event, shown, previous)) == expected
        # Plain JSON, which anybody can write again.
        read = json.loads(expected)
        assert json.dumps(read, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode() == expected


@given(halves)
def test_commitments(half: ConsentEvidence) -> None:
    values = (1, *(getattr(half, name) for name in stream.EVIDENCE_COLUMNS[1:]))
    assert stream.commitment(values) == records.commitment(half)


@given(events, events, text)
def test_different_events_have_different_bytes(one: ConsentEvent, other: ConsentEvent, shown: str) -> None:
    same = all(getattr(one, name) == getattr(other, name) for name in (*records._COPIED, *records._TIMES))
    first = records.canonical(one, disclosure_digest=shown, previous_digest="")
    assert (first == records.canonical(other, disclosure_digest=shown, previous_digest="")) == same


def test_templates_do_not_pile_up() -> None:
    writer = stream.Writer()
    for number in range(2 * stream._MOST_TEMPLATES):
        event = ConsentEvent(
            occurred_at=datetime(2026, 1, 1, tzinfo=UTC), record_version=1, commitment="", button_label=f"{number}"
        )
        assert f'"button_label":"{number}"'.encode() in writer.canonical(row(event, "", ""))
    assert len(writer._templates) <= stream._MOST_TEMPLATES


@pytest.mark.django_db
def test_rows_of_the_database_hold() -> None:
    user = make_user()
    agree(user=user)
    consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=user)
    agree(user=user, context=consent.ConsentContext(button_label="100 % — jetzt"))
    consent.opt_out(recipient=PHONE, channel="sms")
    writer = stream.Writer()
    pages = list(stream.pages(1, 10**9, stream.COLUMNS, 3))
    assert [len(page) for page in pages] == [3, 1]
    rows = [row for page in pages for row in page]
    assert writer.changed(rows) == []
    spoilt = [*rows[1][:-1], "x"]
    assert writer.changed([rows[0], spoilt, (*rows[2][:5], None, *rows[2][6:]), rows[3]]) == [
        spoilt,
        (*rows[2][:5], None, *rows[2][6:]),
    ]
    committed = {row[0]: row[stream.COMMITMENT] for row in rows}
    assert {half[0]: stream.commitment(half) for half in stream.evidence(1, 10**9)} == committed
    assert Disclosure.objects.exists()
