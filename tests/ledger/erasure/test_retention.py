"""Retention: evidence goes when its time is over, and not before."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from django_twilio_verify import consent
from django_twilio_verify.conf import settings as ours
from django_twilio_verify.consent import gate, recording
from django_twilio_verify.ledger import records, retention
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.models import AuditEvent, ConsentEvent, ConsentEvidence
from tests.support.basics import OTHER_PHONE, PHONE, agree, make_client, make_secret, make_user
from tests.support.races import first

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


@pytest.fixture
def clock(monkeypatch: Any) -> Any:
    """The database's clock, set by hand: events get the time that it shows."""

    class Clock:
        now = NOW

        def __call__(self, using: str) -> datetime:
            return self.now

        def days_ago(self, days: float) -> None:
            self.now = NOW - timedelta(days=days)

    clock = Clock()
    for module in (recording, retention):
        monkeypatch.setattr(module, "database_now", clock)
    # With words on record the time comes with them, from the database itself.
    for module in (consent.api, gate):
        monkeypatch.setattr(module, "read_disclosure", _without_time(recording.read_disclosure))
    return clock


def _without_time(read: Any) -> Any:
    return lambda digest: (None, read(digest)[1])


def ended(clock: Any, days: float, recipient: str = PHONE, user: Any = None) -> None:
    clock.days_ago(days + 100)
    agree(recipient, user=user)
    clock.days_ago(days)
    consent.withdraw(recipient=recipient, channel="sms", user=user, client=make_client())
    clock.days_ago(0)


def purge(**options: Any) -> str:
    out = io.StringIO()
    call_command("purge_expired", stdout=out, **options)
    return out.getvalue()


def test_evidence_goes_five_years_after_the_consent_ended(clock: Any) -> None:
    ended(clock, 1827)
    ended(clock, 1825, OTHER_PHONE)
    assert "Deleted the evidence of 2 event(s)" in purge(by="nightly")
    assert {*ConsentEvidence.objects.values_list("recipient", flat=True)} == {OTHER_PHONE}
    assert all(records.holds(event) for event in ConsentEvent.objects.all())
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor_label) == ("purged", "nightly")
    assert json.loads(event.details) | {"before": ""} == {
        "before": "",
        "days": 1826,
        "evidence": 2,
        "held": 0,
        "looked_at": 3,
    }


def test_a_dry_run_counts_and_leaves_nothing_behind(clock: Any) -> None:
    ended(clock, 2000)
    assert "Would delete the evidence of 2 event(s)" in purge(dry_run=True)
    assert ConsentEvidence.objects.count() == 2
    assert not AuditEvent.objects.exists()


def test_evidence_of_live_consent_is_never_taken(clock: Any) -> None:
    clock.days_ago(9000)
    agree()
    clock.days_ago(0)
    assert "Deleted the evidence of 0" in purge()
    assert ConsentEvidence.objects.count() == 1


def test_consent_given_anew_keeps_what_came_before(clock: Any) -> None:
    ended(clock, 4000)
    agree()
    purge()
    assert ConsentEvidence.objects.count() == 3


def test_an_opt_out_ends_everybodys_consent(clock: Any) -> None:
    clock.days_ago(5000)
    for name in ("ann", "bob"):
        agree(user=make_user(name))
    clock.days_ago(3000)
    consent.opt_out(recipient=PHONE, channel="sms")
    clock.days_ago(0)
    assert "Deleted the evidence of 3 event(s)" in purge()
    assert consent.find(recipient=PHONE, channel="sms", user=make_user("cy"), client=make_client()) is None


def test_one_person_keeps_nobody_elses(clock: Any) -> None:
    ann, bob = make_user(), make_user("bob")
    ended(clock, 3000, user=ann)
    agree(user=bob)
    assert "Deleted the evidence of 2 event(s)" in purge()
    assert ConsentEvidence.objects.get().person_label == "bob"


def test_a_hold_is_respected(clock: Any) -> None:
    ended(clock, 3000)
    ended(clock, 3000, OTHER_PHONE)
    retention.hold(Addressee.of(PHONE), reason="case 7", actor="counsel")
    assert "2 under a legal hold" in purge()
    assert {*ConsentEvidence.objects.values_list("recipient", flat=True)} == {PHONE}
    retention.release(Addressee.of(PHONE), reason="over", actor="counsel")
    purge()
    assert not ConsentEvidence.objects.exists()


def test_an_older_keys_end_is_no_end_while_a_newer_ones_consent_lives(clock: Any, settings: Any) -> None:
    old, new = ("k1", make_secret("1")), ("k2", make_secret("2"))
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [old]
    ended(clock, 3000)
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [new, old]
    agree()
    purge()
    assert ConsentEvidence.objects.filter(event__person_fingerprint__startswith="k2").count() == 1


def test_it_goes_on_in_batches(clock: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "BATCH", 3)
    for number in range(5):
        ended(clock, 3000, f"+1501712300{number}")
    seen: list[int] = []
    purged = retention.purge(actor="test", progress=lambda state: seen.append(state.looked_at))
    assert (purged.over, seen) == (10, [3, 6, 9, 10])
    assert not ConsentEvidence.objects.exists()
    assert retention.purge(actor="test").looked_at == 0


def test_the_time_can_be_set(clock: Any, settings: Any) -> None:
    ended(clock, 31)
    settings.TWILIO_VERIFY_EVIDENCE_RETENTION_DAYS = "30"
    assert ours.evidence_retention_days == 30
    purge()
    assert not ConsentEvidence.objects.exists()


@pytest.mark.parametrize("days", [0, -5])
def test_a_time_that_keeps_nothing_is_refused(clock: Any, settings: Any, days: int) -> None:
    ended(clock, 3000)
    settings.TWILIO_VERIFY_EVIDENCE_RETENTION_DAYS = days
    with pytest.raises(CommandError):
        purge()
    assert ConsentEvidence.objects.count() == 2


def test_a_time_that_is_no_number_is_refused(settings: Any) -> None:
    settings.TWILIO_VERIFY_EVIDENCE_RETENTION_DAYS = "five years"
    with pytest.raises(CommandError, match="RETENTION_DAYS"):
        purge()


def test_it_asks_by_whom() -> None:
    with pytest.raises(CommandError):
        purge(by=" ")


def test_two_runs_at_once_delete_and_count_once(clock: Any) -> None:
    """The other run purges right before this one locks what it is about to delete."""
    ended(clock, 3000)

    def purged() -> int:
        out = io.StringIO()
        call_command("purge_expired", "--json", stdout=out, stderr=io.StringIO())
        return int(json.loads(out.getvalue())["evidence"])

    with first("recipientlock", "turns", purged) as came:
        mine = purged()
    assert (mine, came) == (0, [2])
    assert not ConsentEvidence.objects.exists()
    details = [json.loads(each) for each in AuditEvent.objects.order_by("id").values_list("details", flat=True)]
    assert [each["evidence"] for each in details] == [2, 0]
