"""Run by ``test_elsewhere.py``: the site whose router keeps the ledger in the database ``ledger``."""

from __future__ import annotations

import io
import zipfile

import pytest
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import connections
from django.test import Client, TransactionTestCase, override_settings

from django_twilio_verify import consent, verifications
from django_twilio_verify.checks import configuration
from django_twilio_verify.choices import Channel
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import ConsentRequired, KeysDoNotFit
from django_twilio_verify.factors import erasure, own_factors
from django_twilio_verify.ledger import records, retention, sealing
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.ledger.export import bundle, evidence
from django_twilio_verify.models import (
    AuditEvent,
    ConsentEvent,
    ConsentEvidence,
    ConsentSeal,
    Disclosure,
    FingerprintAlias,
    VerificationAttempt,
)
from tests.models.router import LEDGER
from tests.support.basics import PASSWORD, PHONE, agree, last_code, make_client, make_secret, make_user
from tests.support.ledger import execute, refused, still_refuses

BOTH = ["default", "ledger"]
pytestmark = pytest.mark.django_db(databases=BOTH, transaction=True)


def tables(using: str) -> set[str]:
    names = connections[using].introspection.table_names()
    return {name.removeprefix("twilio_verify_") for name in names if name.startswith("twilio_verify_")}


def test_each_table_stands_where_the_router_wants_it() -> None:
    ours = {
        model._meta.db_table.removeprefix("twilio_verify_")
        for model in apps.get_app_config("twilio_verify").get_models()
    }
    assert tables("ledger") == LEDGER | {"ledgergate"}
    assert tables("default") == ours - LEDGER


def test_the_triggers_stand_beside_the_ledger() -> None:
    agree()
    still_refuses("ledger")
    named = {name for (name,) in execute("SELECT name FROM sqlite_master WHERE type = 'trigger'", using="ledger")}
    assert {
        f"twilio_verify_{table}_no_{verb}"
        for table in ("disclosure", "consentevent", "consentseal", "auditevent", "registeredkey")
        for verb in ("update", "delete", "replace")
    } == named


def test_consent_is_kept_there() -> None:
    event = agree(user=make_user())
    assert event._state.db == "ledger"
    for model in (ConsentEvent, ConsentEvidence, Disclosure):
        assert model._default_manager.using("ledger").count() == 1
    assert records.holds(ConsentEvent.objects.get())


def test_a_proof_goes_from_start_to_end() -> None:
    user, client = make_user(), make_client()
    with pytest.raises(ConsentRequired):
        verifications.start(recipient=PHONE, channel="sms", user=user, client=client)
    event = agree(user=user)
    started = verifications.start(recipient=PHONE, channel="sms", user=user, purpose="enroll", client=client)
    attempt = VerificationAttempt.objects.get()
    assert attempt._state.db == "default"
    assert attempt.consent_event == event
    checked = verifications.check(started.verification, code=last_code(), user=user, client=client)
    assert checked.approved
    assert own_factors.confirm(checked.verification).created
    consent.withdraw(recipient=PHONE, channel="sms", user=user, client=client)
    assert consent.find(recipient=PHONE, channel="sms", user=user, client=client) is None


def test_a_visitors_consent_is_carried_over_to_the_account() -> None:
    client = make_client()
    agree(client=client)
    started = verifications.start(recipient=PHONE, channel="sms", client=client)
    verifications.check(started.verification, code=last_code(), client=client)
    user = make_user()
    assert own_factors.attach(started.verification.pk, user=user, client=client).created
    carried = consent.find(recipient=PHONE, channel=Channel.SMS, user=user, client=client)
    assert carried is not None
    assert records.holds(carried)


def test_it_is_sealed_verified_and_proved_there() -> None:
    event = agree(user=make_user())
    assert call_command("seal_ledger", verbosity=0, stdout=io.StringIO()) is None
    assert ConsentSeal.objects.get()._state.db == "ledger"
    assert [*sealing.verify()] == []
    assert sealing.inclusion(event.pk) is not None
    refused(lambda: ConsentSeal.objects.update(count=7), "ledger")
    stream = io.BytesIO()
    selection = evidence.Selection(recipients=(Recipient.parse(PHONE),))
    bundle.write(stream, selection, reason="asked for", actor="ann")
    assert zipfile.ZipFile(stream).testzip() is None
    refused(lambda: AuditEvent.objects.update(reason="another"), "ledger")


def test_it_is_held_erased_and_purged_there() -> None:
    agree(user=make_user())
    whom = Addressee.of(PHONE)
    assert retention.hold(whom, reason="suit", actor="ann")._state.db == "ledger"
    with pytest.raises(erasure.LegallyHeld):
        erasure.erase(whom, reason="asked for", actor="ann")
    retention.release(whom, reason="over", actor="ann")
    assert erasure.erase(whom, reason="asked for", actor="ann").evidence == 1
    call_command("purge_expired", stdout=io.StringIO())
    kinds = [*AuditEvent.objects.using("ledger").order_by("pk").values_list("kind", flat=True)]
    assert kinds == ["held", "released", "erased", "purged"]


def test_fingerprint_keys_are_rotated_across_both() -> None:
    user, client = make_user(), make_client()
    one, two = ("k1", make_secret("1")), ("k2", make_secret("2"))
    with override_settings(TWILIO_VERIFY_FINGERPRINT_KEYS=[one]):
        event = agree(user=user)
        consent.opt_out(recipient=PHONE, channel="call", client=client)
        retention.hold(Addressee.of(PHONE), reason="suit", actor="ann")
    with override_settings(TWILIO_VERIFY_FINGERPRINT_KEYS=[two]):
        assert [one.id for one in configuration.check_ledger_keys(databases=BOTH)] == ["twilio_verify.E021"]
        assert [one.id for one in configuration.check_key_register()] == ["twilio_verify.E023"]
        with pytest.raises(KeysDoNotFit):
            consent.opt_out(recipient=PHONE, channel="sms", client=client)
        assert configuration.check_ledger_keys(databases=["default"]) == []
    with override_settings(TWILIO_VERIFY_FINGERPRINT_KEYS=[two, one]):
        call_command("rotate_fingerprint_keys", stdout=io.StringIO())
    assert FingerprintAlias.objects.using("ledger").count() == 2
    with override_settings(TWILIO_VERIFY_FINGERPRINT_KEYS=[two, ("k1", "retired")]):
        assert consent.find(recipient=PHONE, channel="sms", user=user, client=client) == event
        assert consent.find(recipient=PHONE, channel="call", user=user, client=client) is None
        assert retention.hold_on(Addressee.of(PHONE)) is not None


def test_deleting_the_account_touches_none_of_it() -> None:
    user, client = make_user(), make_client()
    agree(user=user)
    verifications.start(recipient=PHONE, channel="sms", user=user, client=client)
    get_user_model().objects.all().delete()
    assert records.holds(ConsentEvent.objects.get())


def test_the_admin_shows_both() -> None:
    user, client = make_user(), make_client()
    event = agree(user=user)
    started = verifications.start(recipient=PHONE, channel="sms", user=user, client=client)
    get_user_model().objects.create_superuser("root", password=PASSWORD)
    browser = Client()
    assert browser.login(username="root", password=PASSWORD)
    for path in (
        "consentevent/",
        f"consentevent/{event.pk}/change/",
        "disclosure/",
        f"disclosure/{event.disclosure_id}/change/",
        "verification/",
        f"verification/{started.verification.pk}/change/",
        "factor/",
    ):
        answer = browser.get(f"/admin/twilio_verify/{path}")
        assert answer.status_code == 200, path
        assert PHONE not in answer.content.decode()


@pytest.mark.parametrize("using", BOTH)
def test_each_database_can_be_flushed(using: str) -> None:
    agree(user=make_user())
    call_command("flush", database=using, interactive=False, verbosity=0)
    assert ConsentEvent.objects.exists() is (using == "default")
    agree(client=make_client("session-2"))
    still_refuses("ledger")


def test_the_ledger_can_be_migrated_away_and_back() -> None:
    try:
        call_command("migrate", "twilio_verify", "zero", database="ledger", verbosity=0)
        assert tables("ledger") == set()
        assert "verification" in tables("default")
    finally:
        call_command("migrate", "twilio_verify", database="ledger", verbosity=0)
    agree()
    still_refuses("ledger")


class SiteTests(TransactionTestCase):
    databases = {*BOTH}

    def test_one(self) -> None:
        assert not ConsentEvent.objects.exists()
        agree(user=make_user())
        still_refuses("ledger")

    test_two = test_one
