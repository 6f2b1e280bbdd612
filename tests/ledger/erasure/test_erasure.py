"""Erasure: who it was is gone, the proof holds, and a stop stays a stop."""

from __future__ import annotations

import io
import json
import sys
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.utils import timezone

from django_twilio_verify import consent, verifications
from django_twilio_verify.exceptions import ConsentRequired
from django_twilio_verify.factors import erasure
from django_twilio_verify.ledger import records, retention
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.models import AuditEvent, ConsentEvent, ConsentEvidence, Factor, LegalHold, Verification
from django_twilio_verify.verifications import lifecycle
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PHONE,
    agree,
    last_code,
    make_client,
    make_factor,
    make_secret,
    make_user,
    release_opt_out,
)

pytestmark = pytest.mark.django_db


def erase(number: str = PHONE, **options: Any) -> str:
    out = io.StringIO()
    call_command("erase_recipient", number, **{"reason": "Art. 17 request 12", "by": "dpo", "stdout": out, **options})
    return out.getvalue()


def prove(recipient: str = PHONE, channel: str = "sms", user: Any = None) -> Verification:
    """A verification that was approved, and so is closed."""
    client = make_client()
    started = verifications.start(recipient=recipient, channel=channel, user=user, client=client)
    assert verifications.check(started.verification, code=last_code(), user=user, client=client).approved
    return Verification.objects.get(pk=started.verification.pk)


def texts() -> str:
    """Every value of every row that could name somebody."""
    rows: list[Any] = []
    for model in (ConsentEvent, ConsentEvidence, Verification, AuditEvent, LegalHold):
        rows += model._default_manager.values_list()
    return repr(rows)


def test_the_personal_half_goes_and_the_proof_stays() -> None:
    user = make_user()
    agree(user=user)
    agree(OTHER_PHONE, user=user)
    prove(user=user)
    assert PHONE in texts()
    assert "the evidence of 1 event(s), the address in 1 verification(s), 0 factor(s)" in erase()
    assert PHONE not in texts()
    assert ConsentEvidence.objects.count() == 1
    assert all(records.holds(event) for event in ConsentEvent.objects.all())
    assert str(Verification.objects.get()) == "verify erased"


def test_it_leaves_an_audit_event_that_names_nobody() -> None:
    agree()
    erase("+1 (501) 712-2661")
    event = AuditEvent.objects.get()
    assert (event.kind, event.actor_label, event.reason) == ("erased", "dpo", "Art. 17 request 12")
    assert json.loads(event.details) == {"evidence": 1, "verifications": 0, "factors": 0}
    assert event.recipient_fingerprint == ConsentEvent.objects.get().recipient_fingerprint


def test_again_does_no_harm() -> None:
    agree()
    erase()
    assert "Nothing was left to erase." in erase()
    assert [json.loads(event.details)["evidence"] for event in AuditEvent.objects.order_by("id")] == [1, 0]


def test_an_erased_opt_out_still_stops_every_send() -> None:
    user, other = make_user(), make_user("bob")
    agree(user=user)
    agree(user=other)
    consent.opt_out(recipient=PHONE, channel="sms")
    erase()
    for person in (user, other):
        with pytest.raises(ConsentRequired) as refused:
            verifications.start(recipient=PHONE, channel="sms", user=person, client=make_client())
        assert refused.value.code == "consent_opted_out"
    with pytest.raises(ConsentRequired):
        agree(user=user)
    release_opt_out()
    agree(user=user)  # a release, and a fresh grant, are the way back
    assert verifications.start(recipient=PHONE, channel="sms", user=user, client=make_client())


def test_other_addresses_are_left_alone() -> None:
    agree()
    agree(EMAIL, "email")
    erase(EMAIL.upper().replace("EXAMPLE.ORG", "example.org"))
    assert ConsentEvidence.objects.get().recipient == PHONE


def test_factors_go_only_when_asked_for() -> None:
    make_factor(make_user())
    make_factor(make_user("bob"), OTHER_PHONE)
    assert "Kept: 1 factor(s)" in erase()
    assert Factor.objects.count() == 2
    assert "1 factor(s)." in erase(factors=True)
    assert Factor.objects.get().recipient_value == OTHER_PHONE


def test_who_was_paid_is_erased_with_the_address() -> None:
    ann = make_factor(make_user()).user
    payment = {"purpose": "payment", "amount": "49.90 EUR", "payee": "Ann Smith"}
    lifecycle.start(recipient=PHONE, channel="sms", client=make_client(), user=ann, **payment)
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        erase()
    paid = Verification.objects.get()
    assert (paid.payee, paid.amount, paid.recipient_value) == ("", "49.90 EUR", "")


def test_a_code_under_way_is_left_until_it_is_over() -> None:
    agree()
    verifications.start(recipient=PHONE, channel="sms", client=make_client())
    with pytest.raises(CommandError, match=r"1 verification\(s\) still open") as kept:
        erase()
    assert kept.value.returncode == 1
    assert Verification.objects.get().recipient_value == PHONE
    with time_machine.travel(timezone.now() + timedelta(minutes=11)):
        assert "the address in 1 verification(s)" in erase()
    assert PHONE not in texts()


def test_rows_under_an_older_key_are_found(settings: Any) -> None:
    old, new = ("k1", make_secret("1")), ("k2", make_secret("2"))
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [old]
    agree()
    prove()
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [new, old]
    erase()
    assert PHONE not in texts()


def test_the_number_can_be_kept_out_of_the_shells_history(monkeypatch: Any) -> None:
    agree()
    monkeypatch.setattr(sys, "stdin", io.StringIO("0501 7122661 x\n"))
    with pytest.raises(CommandError) as refused:
        erase("-")
    assert "7122661" not in str(refused.value)
    monkeypatch.setattr(sys, "stdin", io.StringIO("(501) 712-2661\n"))
    assert "1 event" in erase("-", region="US")


@pytest.mark.parametrize("number", ["", "12", "no number", "\0", "ann@", "+1501712266112345678"])
def test_what_is_no_address_is_refused(number: str) -> None:
    with pytest.raises(CommandError):
        erase(number)
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("values", [{"reason": " "}, {"by": "\0"}])
def test_it_asks_by_whom_and_why(values: dict[str, str]) -> None:
    agree()
    with pytest.raises(CommandError):
        erase(**values)
    assert ConsentEvidence.objects.exists()


# ----------------------------------------------------------------------------------------------- legal hold


def hold(number: str = PHONE, **options: Any) -> str:
    out = io.StringIO()
    call_command("hold_evidence", number, **{"reason": "case 7", "by": "counsel", "stdout": out, **options})
    return out.getvalue()


def test_a_legal_hold_forbids_erasing() -> None:
    agree()
    make_factor(make_user(), agreed=False)
    assert "Held since" in hold()
    with pytest.raises(CommandError, match="A legal hold of"):
        erase(factors=True)
    assert ConsentEvidence.objects.exists()
    assert Factor.objects.exists()
    assert "Released: 1" in hold(release=True)
    assert "1 event" in erase()
    assert [*AuditEvent.objects.order_by("id").values_list("kind", flat=True)] == ["held", "released", "erased"]


def test_held_twice_is_one_hold() -> None:
    hold()
    assert "Held already since" in hold(reason="another")
    assert LegalHold.objects.count() == 1
    assert AuditEvent.objects.count() == 1
    assert "Released: 1" in hold(release=True)
    assert "no hold" in hold(release=True)
    hold()
    assert LegalHold.objects.filter(released_at=None).count() == 1


def test_a_hold_of_an_older_key_counts(settings: Any) -> None:
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k1", make_secret("1"))]
    agree()
    hold()
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k2", make_secret("2")), ("k1", make_secret("1"))]
    with pytest.raises(erasure.LegallyHeld):
        erasure.erase(Addressee.of(PHONE), reason="asked", actor="dpo")


@pytest.mark.parametrize("values", [{"reason": ""}, {"by": " "}, {"reason": " ", "release": True}])
def test_a_hold_asks_by_whom_and_why(values: dict[str, Any]) -> None:
    with pytest.raises(CommandError):
        hold(**values)
    assert not LegalHold.objects.exists()
    assert not AuditEvent.objects.exists()


def test_an_erased_recipient_is_known_by_its_fingerprint_alone() -> None:
    event = agree()
    assert Addressee.by_fingerprint(event.recipient_fingerprint).recipient is not None
    erase()
    gone = Addressee.by_fingerprint(event.recipient_fingerprint)
    assert (gone.recipient, gone.fingerprints) == (None, (event.recipient_fingerprint,))
    retention.hold(gone, reason="case", actor="counsel")
    assert retention.hold_on(Addressee.of(PHONE)) is not None
