"""How an event is written down, to the byte, and what shows when it was changed."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from django.utils import timezone as django_timezone

from django_twilio_verify import consent
from django_twilio_verify.ledger import records
from django_twilio_verify.models import ConsentEvent, ConsentEvidence, Disclosure
from tests.support.basics import OTHER_PHONE, PHONE, agree, make_client, make_user

MOMENT = datetime(2026, 3, 4, 5, 6, 7, 89, tzinfo=UTC)
EVIDENCE = {
    "salt": "0f" * 32,
    "recipient": "+15017122661",
    "person_label": "änn",
    "ip": "203.0.113.7",
    "user_agent": "Test/1",
    "page": "https://shop.test/enrol/",
}
COMMITMENT = "9bca15e0f1bb06f2321e3077ff6ad0680e4c87dd9c35576f728c6cdf37dfbb1e"
CANONICAL = (
    '{"actor":"person","actor_fingerprint":"","button_label":"Senden — jetzt","channel":"sms",'
    '"commitment":"COMMITMENT","control":"checkbox","control_default":false,"control_final":true,"country":"US",'
    '"disclosure":"' + "d" * 64 + '","document_digest":"","event":"granted","honour_by":"","honoured_at":"",'
    '"language":"de","medium":"web","occurred_at":"2026-03-04T05:06:07.000089Z","origin":"",'
    '"person_fingerprint":"k1.p","person_kind":"user","previous":"","purpose":"enroll","received_at":"","recipient_fingerprint":"k1.r","recipient_kind":"phone",'
    '"record_version":1}'
)
FIELDS = [field.attname for field in ConsentEvent._meta.concrete_fields if field.name not in ("id", "digest", "place")]


def unsaved(**changed: Any) -> ConsentEvent:
    values = {
        "event": "granted",
        "channel": "sms",
        "purpose": "enroll",
        "language": "de",
        "medium": "web",
        "control": "checkbox",
        "control_default": False,
        "control_final": True,
        "button_label": "Senden — jetzt",
        "person_kind": "user",
        "person_fingerprint": "k1.p",
        "recipient_kind": "phone",
        "recipient_fingerprint": "k1.r",
        "country": "US",
        "occurred_at": MOMENT,
        "record_version": 1,
        "commitment": records.commitment(ConsentEvidence(**EVIDENCE)),
    }
    return ConsentEvent(**{**values, **changed})


def canonical(event: ConsentEvent) -> bytes:
    return records.canonical(event, disclosure_digest="d" * 64, previous_digest="")


# ------------------------------------------------------------------------------------------- golden vectors


def test_the_commitment_of_record_format_1_never_changes() -> None:
    assert records.commitment(ConsentEvidence(**EVIDENCE)) == COMMITMENT


def test_the_commitment_is_what_its_description_says() -> None:
    # By hand, as a stranger would: a salt for each field out of the row's, a keyed digest for each field, one over all.
    parts = b""
    for name in ("recipient", "person_label", "ip", "user_agent", "page", "actor_label", "note"):
        salt = hmac.digest(bytes.fromhex(EVIDENCE["salt"]), name.encode(), "sha256")
        parts += hmac.digest(salt, EVIDENCE.get(name, "").encode(), "sha256")
    assert hashlib.sha256(parts).hexdigest() == COMMITMENT


def test_the_canonical_bytes_of_record_format_1_never_change() -> None:
    assert canonical(unsaved()).decode() == CANONICAL.replace("COMMITMENT", COMMITMENT)


def test_the_digest_is_sha_256_over_the_canonical_bytes() -> None:
    digest = records.digest(unsaved(), disclosure_digest="d" * 64, previous_digest="")
    assert digest == hashlib.sha256(canonical(unsaved())).hexdigest()
    assert digest == "859dc53615d26eba8dfa7850f2b16930a0042d690fd88beb64d17749fa256e35"


def test_the_canonical_bytes_are_plain_json_that_anybody_can_make_again() -> None:
    read = json.loads(canonical(unsaved()))
    again = json.dumps(read, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
    assert again == canonical(unsaved())


@pytest.mark.parametrize("offset", [-11, 0, 5.75, 14])
def test_the_clock_of_the_reader_does_not_matter(offset: float) -> None:
    elsewhere = MOMENT.astimezone(timezone(timedelta(hours=offset)))
    assert canonical(unsaved(occurred_at=elsewhere)) == canonical(unsaved())
    assert records.timestamp(elsewhere) == "2026-03-04T05:06:07.000089Z"


def test_borders_between_fields_cannot_be_moved() -> None:
    one = unsaved(control='checkbox","control_default":true,"x":"', button_label="y")
    assert json.loads(canonical(one))["control_default"] is False
    a = ConsentEvidence(**{**EVIDENCE, "person_label": "ab", "page": ""})
    b = ConsentEvidence(**{**EVIDENCE, "person_label": "a", "page": "b"})
    assert records.commitment(a) != records.commitment(b)


def test_the_same_address_is_committed_to_differently_each_time() -> None:
    other = ConsentEvidence(**{**EVIDENCE, "salt": "0e" * 32})
    assert records.commitment(other) != COMMITMENT


# ---------------------------------------------------------------------------------------- what was changed


@pytest.fixture
def event(db: None) -> ConsentEvent:
    """One with everything filled, as the database gives it back."""
    user = make_user()
    agree(user=user)
    consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=user)
    context = consent.ConsentContext(control="checkbox", checked_on_submit=True, button_label="Go")
    made = agree(user=user, context=context)
    return ConsentEvent.objects.get(pk=made.pk)


def other_disclosure() -> Disclosure:
    event = agree(OTHER_PHONE, "call")
    assert event.disclosure is not None
    return event.disclosure


def changed(event: ConsentEvent, name: str) -> Any:
    """Another value for the field."""
    value = getattr(event, name)
    if name == "disclosure_id":
        return other_disclosure().pk
    if name == "previous_id":
        return agree(OTHER_PHONE).pk
    if isinstance(value, bool):
        return not value
    if isinstance(value, datetime):
        return value + timedelta(microseconds=1)
    if value is None and name in ("received_at", "honour_by", "honoured_at"):
        return MOMENT
    return value + 1 if isinstance(value, int) else f"{value}x"


def test_an_event_holds_as_it_was_written(event: ConsentEvent) -> None:
    assert records.holds(event)
    assert all(records.holds(each) for each in ConsentEvent.objects.all())


@pytest.mark.parametrize("name", FIELDS)
def test_changing_any_field_shows(event: ConsentEvent, name: str) -> None:
    setattr(event, name, changed(event, name))
    assert not records.holds(event)


@pytest.mark.parametrize("name", ["disclosure_id", "previous_id"])
def test_taking_a_reference_away_shows(event: ConsentEvent, name: str) -> None:
    setattr(event, name, None)
    assert not records.holds(event)


def test_putting_another_digest_shows(event: ConsentEvent) -> None:
    event.digest = "0" * 64
    assert not records.holds(event)


@pytest.mark.parametrize("name", ["salt", *records.EVIDENCE_FIELDS])
def test_changing_the_personal_half_shows(event: ConsentEvent, name: str) -> None:
    other = {"salt": "00" * 32, "ip": "203.0.113.8"}.get(name, "changed")
    ConsentEvidence.objects.filter(event=event).update(**{name: other})
    assert not records.holds(event)


def test_giving_the_personal_half_of_another_event_shows(event: ConsentEvent) -> None:
    theirs = ConsentEvidence.objects.exclude(event=event).first()
    assert theirs is not None
    ConsentEvidence.objects.filter(event=event).delete()
    theirs.event = event
    theirs.save(force_insert=True)
    assert not records.holds(event)


def test_every_personal_field_is_committed_to() -> None:
    personal = {field.name for field in ConsentEvidence._meta.concrete_fields} - {"event", "salt"}
    assert {*records.EVIDENCE_FIELDS} == personal


# ----------------------------------------------------------------------- whatever the other end may send


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("ip", "kept"),
    [
        ("203.0.113.7", "203.0.113.7"),
        ("2001:DB8:0:0:0:0:0:1", "2001:db8::1"),
        ("::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:cb00:7107", "203.0.113.7"),
        ("fe80::1%eth0", "fe80::1"),
        ("", None),
        ("unknown", None),
        ("203.0.113.7:443", None),
        ("203.0.113.7\0", None),
    ],
)
def test_an_address_is_kept_as_the_database_gives_it_back(ip: str, kept: str | None) -> None:
    made = agree(client=make_client(ip=ip))
    event = ConsentEvent.objects.get(pk=made.pk)
    assert event.evidence.ip == kept
    assert records.holds(event)


@pytest.mark.django_db
@pytest.mark.parametrize(
    "text",
    [
        "",
        "Mozilla/5.0 (ünï 📱 中文)",
        " padded ",
        "tab\tand\nline",
        "x" * 5000,
        "100% 'quoted' \\ \"twice\"",
        "e\u0301",
    ],
)
def test_whatever_the_browser_calls_itself_the_event_holds(text: str) -> None:
    user = make_user(username=f"ann{text.strip()[:40]}")
    context = consent.ConsentContext(button_label=text)
    made = agree(user=user, client=make_client(user_agent=text, page=f"https://shop.test/{text}"), context=context)
    event = ConsentEvent.objects.get(pk=made.pk)
    assert records.holds(event)
    assert event.evidence.user_agent == text[:1000]


@pytest.mark.django_db
def test_events_have_the_time_of_the_database_in_utc() -> None:
    event = ConsentEvent.objects.get(pk=agree().pk)
    assert abs(event.occurred_at - django_timezone.now()) < timedelta(minutes=1)
    assert event.occurred_at.utcoffset() == timedelta(0)
