"""The other formats: a CSV that no spreadsheet misreads, rows of Twilio's consent API, receipts."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connection

from django_twilio_verify import consent
from django_twilio_verify.choices import Actor, Channel, ConsentMedium
from django_twilio_verify.consent import disclosures
from django_twilio_verify.factors import erasure
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.ledger.export import receipts, spreadsheet
from django_twilio_verify.ledger.export.evidence import Selection
from django_twilio_verify.models import AuditEvent, ConsentEvent
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, agree, make_client, make_user
from tests.support.evidence import exported, json_lines, selected

pytestmark = pytest.mark.django_db
EVER = datetime(2020, 1, 1, tzinfo=UTC)


def table(content: bytes) -> list[dict[str, str]]:
    assert content.startswith(b"\xef\xbb\xbf")
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline="")))


def sheet(selection: Selection | None = None) -> list[dict[str, str]]:
    return table(exported(selection or Selection(since=EVER), spreadsheet.write))


# ---------------------------------------------------------------------------------------------------------- CSV


def test_a_row_for_each_event(ann: User) -> None:
    order = [*ConsentEvent.objects.order_by("pk").values_list("digest", flat=True)]
    rows = sorted(sheet(), key=lambda row: order.index(row["digest"]))  # COPY gives them in no order
    assert [row["digest"] for row in rows] == order
    first, last = rows[0], rows[-1]
    event = ConsentEvent.objects.order_by("pk")[0]
    assert first["recipient"] == f"tel:{PHONE}"
    assert first["occurred_at_utc"] == f"{event.occurred_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"
    assert (first["event"], first["channel"], first["country"], first["person"]) == ("granted", "sms", "US", "ann")
    assert first["disclosure"] == disclosures.compose(Channel.SMS).digest
    assert (first["received_at_utc"], last["event"]) == ("", "withdrawn")
    assert last["honour_by_utc"].endswith(" 23:59:59") or last["honour_by_utc"]


@pytest.mark.parametrize("sign", spreadsheet.DANGEROUS)
def test_no_cell_starts_with_what_a_spreadsheet_runs(sign: str) -> None:
    context = consent.ConsentContext(origin=f"{sign}cmd|' /C calc'!A0")
    user = make_user(f"{sign}HYPERLINK(1)")  # Django makes signs in full width ordinary ones
    agree(user=user, context=context)
    rows = sheet()
    assert rows[0]["person"] == f"'{user.username}"
    assert rows[0]["origin"] == f"'{sign}cmd|' /C calc'!A0"
    assert [cell for row in rows for cell in row.values() if cell and cell[0] in spreadsheet.DANGEROUS] == []


@pytest.mark.parametrize(
    "name", ['quo"te', "com,ma", "line\nbreak", "ünï 中 📱", " space ", "a=b", "semi;=1+1", "100%", "%s"]
)
def test_any_name_comes_back_as_it_was(name: str) -> None:
    agree(user=make_user(name))
    assert sheet()[0]["person"] == name


def test_an_email_address_that_looks_like_a_formula_is_guarded() -> None:
    agree("=1+1@example.org", "email")
    assert sheet()[0]["recipient"] == "'=1+1@example.org"


def test_erased_rows_say_so(ann: User) -> None:
    erasure.erase(Addressee.of(PHONE), reason="asked", actor="root")
    rows = sheet()
    assert {row["recipient"] for row in rows} == {"erased", f"tel:{OTHER_PHONE}", EMAIL}
    assert {row["person"] for row in rows} == {"", "bob"}


def test_only_those_who_were_asked_for(ann: User) -> None:
    assert {row["recipient"] for row in sheet(selected(EMAIL))} == {EMAIL}


def test_copy_and_rows_say_the_same(ann: User, monkeypatch: pytest.MonkeyPatch) -> None:
    assert spreadsheet._can_copy("default") == (connection.vendor == "postgresql")
    agree("+12025550100", user=make_user('=quo"te,\n'), context=consent.ConsentContext(origin="\tx"))
    consent.opt_out(recipient=OTHER_PHONE, channel="sms")
    erasure.erase(Addressee.of(OTHER_PHONE), reason="asked", actor="root")
    copied = [exported(one, spreadsheet.write) for one in (Selection(since=EVER), selected(PHONE, EMAIL))]
    monkeypatch.setattr(spreadsheet, "_can_copy", lambda using: False)
    selected_too = [exported(one, spreadsheet.write) for one in (Selection(since=EVER), selected(PHONE, EMAIL))]
    for one, other in zip(copied, selected_too, strict=True):
        assert sorted(map(str, table(one))) == sorted(map(str, table(other)))


# ------------------------------------------------------------------------------------------------------- Twilio


def items(selection: Selection | None = None, **options: Any) -> list[dict[str, str]]:
    return json_lines(exported(selection or Selection(since=EVER), receipts.write_twilio, **options))


def test_rows_of_the_consent_api(ann: User) -> None:
    rows = items(sender_id="MG" + "0" * 32)
    events = ConsentEvent.objects.filter(channel="sms").order_by("pk")
    assert [row["status"] for row in rows] == ["opt-in", "opt-in", "opt-out"]
    for row, event in zip(rows, events, strict=True):
        assert {*row} == {"contact_id", "correlation_id", "sender_id", "status", "source", "date_of_consent"}
        assert row["correlation_id"] == event.digest[:32] and len(row["correlation_id"]) == 32
        assert row["contact_id"] == event.evidence.recipient
        assert datetime.fromisoformat(row["date_of_consent"]) == event.occurred_at
    assert rows[0]["source"] == "website"
    assert "sender_id" not in items()[0]


@pytest.mark.parametrize(
    ("medium", "source"),
    [
        ("web", "website"),
        ("admin", "offline"),
        ("import", "others"),
        ("api", "others"),
        ("provider", "opt-out-message"),
    ],
)
def test_where_an_opt_out_came_from(medium: str, source: str) -> None:
    context = consent.ConsentContext(medium=ConsentMedium(medium), actor=Actor.PROVIDER)
    consent.opt_out(recipient=PHONE, channel="sms", context=context)
    assert [(row["status"], row["source"]) for row in items()] == [("opt-out", source)]


def test_other_ways_and_erased_ones_have_no_row(ann: User) -> None:
    agree(PHONE, "call", user=ann)
    erasure.erase(Addressee.of(PHONE), reason="asked", actor="root")
    assert {row["contact_id"] for row in items()} == {OTHER_PHONE}


# ------------------------------------------------------------------------------------------------------ receipts


def test_a_receipt_for_each_consent_given(ann: User) -> None:
    made = json_lines(exported(selected(), receipts.write_receipts))
    assert len(made) == 1
    (receipt,) = made
    event = ConsentEvent.objects.order_by("pk")[0]
    assert receipt["receipt_metadata"]["record_id"] == event.digest
    assert receipt["receipt_metadata"]["schema_version"] == "ISO/IEC TS 27560:2023"
    processing = receipt["pii_processing"]
    assert event.disclosure is not None
    assert processing["notice"] == event.disclosure.text
    assert processing["privacy_notice"] == "https://acme.example/privacy"
    assert processing["purposes"][0]["pii_information"][0]["pii_type"] == "phone"
    assert receipt["party_identification"][0]["party_name"] == "Acme"
    assert [each["event_type"] for each in receipt["events"]] == ["granted", "withdrawn"]


def test_a_receipt_names_nobody(ann: User) -> None:
    content = exported(Selection(since=EVER), receipts.write_receipts)
    secrets = (PHONE, OTHER_PHONE, EMAIL, "203.0.113.7", '"ann"', '"bob"')
    assert [text for text in secrets if text.encode() in content] == []


# ------------------------------------------------------------------------------------------------------ the trace


@pytest.mark.parametrize("write", [spreadsheet.write, receipts.write_twilio, receipts.write_receipts])
def test_every_export_leaves_an_event_without_personal_data(ann: User, write: Any) -> None:
    content = exported(selected(PHONE), write)
    audited = AuditEvent.objects.get()
    details = json.loads(audited.details)
    assert (audited.kind, audited.actor_label, audited.reason) == ("exported", "ann", "a carrier asked")
    assert audited.recipient_fingerprint == ConsentEvent.objects.order_by("pk")[0].recipient_fingerprint
    assert details["sha256"] == hashlib.sha256(content).hexdigest()
    assert details["bytes"] == len(content)
    assert details["rows"] == len(content.splitlines()) - (write is spreadsheet.write)
    assert details["filter"] == {"by": "recipients", "asked_for": 1}
    assert details["complete"] is True
    assert PHONE not in audited.details


def test_an_export_that_breaks_off_leaves_its_event_too(ann: User) -> None:
    class Full:
        def write(self, data: bytes) -> int:
            raise OSError("No space left on device")

    with pytest.raises(OSError, match="No space"):
        spreadsheet.write(Full(), selected(), "why", "ann")  # type: ignore[arg-type]
    assert json.loads(AuditEvent.objects.get().details)["complete"] is False


def test_a_client_with_a_session_of_its_own(db: None) -> None:
    agree(client=make_client("visitor"))
    assert sheet()[0]["person_kind"] == "session"
