"""No consent, no message; and what is written down of it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from django.db import IntegrityError
from django.test import override_settings
from django.utils import translation

from django_twilio_verify import consent
from django_twilio_verify.choices import Channel, ConsentEventType
from django_twilio_verify.consent import ConsentContext, disclosures
from django_twilio_verify.consent.gate import Gate, NewConsent
from django_twilio_verify.exceptions import ConsentRequired, InvalidRecipient
from django_twilio_verify.ledger import records
from django_twilio_verify.models import ConsentEvent, ConsentEvidence, Disclosure, VerificationAttempt
from django_twilio_verify.signals import consent_recorded
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import lifecycle
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, agree, make_client, make_secret, make_user, release_opt_out

pytestmark = pytest.mark.django_db


def start(recipient: str = PHONE, channel: str = "sms", **values):
    return lifecycle.start(recipient=recipient, channel=channel, **{"client": make_client(), **values})


def test_without_consent_nothing_is_sent_or_recorded():
    with pytest.raises(ConsentRequired):
        start()
    assert outbox == []
    assert VerificationAttempt.objects.count() == 0


def test_consent_lets_a_message_out_and_the_attempt_names_it():
    event = agree()
    started = start()
    assert len(outbox) == 1
    assert started.verification.attempts.get().consent_event == event


@pytest.mark.parametrize(
    ("recipient", "channel"),
    [(OTHER_PHONE, "sms"), (PHONE, "call"), (PHONE, "whatsapp"), (EMAIL, "email")],
    ids=["another number", "call", "whatsapp", "email"],
)
def test_consent_covers_one_recipient_and_one_channel(recipient, channel):
    agree(PHONE, "sms")
    with pytest.raises(ConsentRequired):
        start(recipient, channel)
    assert outbox == []


def test_consent_of_one_person_does_not_serve_another():
    ann, bob = make_user("ann"), make_user("bob")
    agree(user=ann)
    with pytest.raises(ConsentRequired):
        start(user=bob)
    with pytest.raises(ConsentRequired):
        start(user=None)
    assert start(user=ann).verification.user == ann


def test_consent_of_one_visitor_does_not_serve_another():
    agree(client=make_client("one"))
    with pytest.raises(ConsentRequired):
        start(client=make_client("two"))


def test_withdrawal_stops_sending_at_once():
    agree()
    event = consent.withdraw(recipient=PHONE, channel="sms", client=make_client())
    assert event is not None and event.event == ConsentEventType.WITHDRAWN
    with pytest.raises(ConsentRequired):
        start()
    assert consent.withdraw(recipient=PHONE, channel="sms", client=make_client()) is None


def test_withdrawal_by_one_person_leaves_the_others():
    ann, bob = make_user("ann"), make_user("bob")
    agree(user=ann)
    agree(user=bob)
    consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=ann)
    assert consent.find(recipient=PHONE, channel="sms", client=make_client(), user=bob) is not None


def test_opt_out_by_the_recipient_stops_everybody_until_it_is_released_and_agreed_anew():
    ann, bob = make_user("ann"), make_user("bob")
    agree(user=ann)
    agree(user=bob)
    consent.opt_out(recipient=PHONE, channel="sms", client=make_client("carrier"))
    for user in (ann, bob):
        with pytest.raises(ConsentRequired) as refused:
            start(user=user)
        assert refused.value.code == "consent_opted_out"
    with pytest.raises(ConsentRequired) as refused:
        agree(user=ann)
    assert refused.value.code == "consent_opted_out"
    release_opt_out()
    with pytest.raises(ConsentRequired):
        start(user=ann)
    agree(user=ann)
    assert start(user=ann).channel == Channel.SMS
    with pytest.raises(ConsentRequired):
        start(user=bob)


def test_an_opt_out_is_recorded_where_there_was_no_consent_and_once():
    first = consent.opt_out(recipient=PHONE, channel="sms", client=make_client())
    assert first is not None
    assert consent.opt_out(recipient=PHONE, channel="sms", client=make_client()) is None
    assert ConsentEvent.objects.count() == 1


def test_an_opt_out_is_not_escaped_by_other_spelling():
    agree("Ann@Example.org", "email")
    consent.opt_out(recipient="ANN@example.ORG", channel="email", client=make_client("carrier"))
    with pytest.raises(ConsentRequired):
        start("ann@example.org", "email")


def test_the_same_consent_asked_again_adds_no_event():
    assert agree() == agree()
    assert ConsentEvent.objects.count() == 1
    assert ConsentEvidence.objects.count() == 1


def test_changed_words_renew_and_leave_the_old_grant_as_it_was(settings):
    first = agree()
    settings.TWILIO_VERIFY_PROGRAM = {**settings.TWILIO_VERIFY_PROGRAM, "name": "Acme Two"}
    second = agree()
    assert second.event == ConsentEventType.RENEWED
    assert second.previous == first
    assert Disclosure.objects.count() == 2
    first.refresh_from_db()
    assert "Acme Two" not in first.disclosure.text
    assert records.holds(first) and records.holds(second)


def test_a_digest_of_other_words_is_refused_and_nothing_is_recorded():
    with pytest.raises(ConsentRequired) as refused:
        consent.grant(recipient=PHONE, channel="sms", client=make_client(), disclosure="0" * 64)
    assert refused.value.code == "disclosure_changed"
    assert ConsentEvent.objects.count() == 0


def test_a_disclosure_of_another_channel_is_refused():
    shown = disclosures.compose(Channel.EMAIL)
    with pytest.raises(ValueError, match="disclosure"):
        consent.grant(recipient=PHONE, channel="sms", client=make_client(), disclosure=shown)


def test_nobody_cannot_consent():
    with pytest.raises(ValueError, match="session"):
        agree(client=make_client(""))


def test_a_number_that_is_none_is_refused():
    with pytest.raises(InvalidRecipient):
        agree("12")


def test_an_event_says_what_who_where_when_and_how_and_holds_no_personal_data():
    ann = make_user("hildegard")
    before = datetime.now(UTC) - timedelta(seconds=5)
    context = ConsentContext.checkbox(button_label="Send code")
    new = NewConsent(disclosures.compose("sms"), context, purpose="enroll")
    event = Gate.of(PHONE, "sms", client=make_client(), user=ann, new=new).agree()
    assert (event.event, event.channel, event.purpose) == ("granted", "sms", "enroll")
    assert (event.medium, event.control, event.control_default, event.control_final) == ("web", "checkbox", False, True)
    assert event.button_label == "Send code"
    assert event.language == event.disclosure.language == "en"
    assert (event.person_kind, event.recipient_kind, event.country) == ("user", "phone", "US")
    assert before < event.occurred_at < datetime.now(UTC) + timedelta(seconds=5)
    stored = json.dumps({key: str(value) for key, value in vars(event).items()})
    for personal in (PHONE, PHONE[1:], "203.0.113.7", "Test/1", "shop.test", "hildegard"):
        assert personal not in stored


def test_the_personal_half_is_kept_apart_and_committed_to():
    ann = make_user()
    event = agree(user=ann)
    evidence = event.evidence
    assert (evidence.recipient, evidence.ip, evidence.user_agent) == (PHONE, "203.0.113.7", "Test/1")
    assert (evidence.page, evidence.person_label) == ("https://shop.test/enroll/", "ann")
    assert records.commitment(evidence) == event.commitment
    evidence.ip = "203.0.113.8"
    assert records.commitment(evidence) != event.commitment


def test_two_grants_of_the_same_person_have_different_commitments():
    first, second = agree(), agree(OTHER_PHONE)
    assert first.evidence.salt != second.evidence.salt
    assert first.commitment != second.commitment


def test_the_signal_is_sent_once_for_each_event():
    heard = []

    def receiver(sender, event, **kwargs):
        heard.append(event.event)

    consent_recorded.connect(receiver)
    try:
        agree()
        agree()
        consent.withdraw(recipient=PHONE, channel="sms", client=make_client())
    finally:
        consent_recorded.disconnect(receiver)
    assert heard == ["granted", "withdrawn"]


def test_keys_can_be_rotated_without_losing_consent_or_an_opt_out():
    old, new = ("k1", make_secret("a")), ("k2", make_secret("b"))
    with override_settings(TWILIO_VERIFY_FINGERPRINT_KEYS=[old]):
        agree(PHONE)
        consent.opt_out(recipient=OTHER_PHONE, channel="sms", client=make_client("carrier"))
    with override_settings(TWILIO_VERIFY_FINGERPRINT_KEYS=[new, old]):
        assert start().channel == Channel.SMS
        with pytest.raises(ConsentRequired) as refused:
            start(OTHER_PHONE)
        assert refused.value.code == "consent_opted_out"


@pytest.mark.parametrize("channel", ["sms", "call", "whatsapp", "email"])
def test_the_disclosure_names_programme_channel_frequency_and_links(channel):
    shown = disclosures.compose(Channel(channel))
    assert "Acme" in shown.text and "Acme" in shown.checkbox_label
    assert ("One call per request." if channel == "call" else "One message per request.") in shown.text
    assert "help@acme.example" in shown.text
    assert (shown.terms_url, shown.privacy_url) == ("https://acme.example/terms", "https://acme.example/privacy")
    assert "one-time security code" in shown.text


@pytest.mark.parametrize("channel", ["sms", "whatsapp"])
def test_the_rates_sentence_and_help_and_stop_stand_word_for_word(channel):
    text = disclosures.compose(Channel(channel)).text
    assert "Standard message and data rates may apply" in text
    assert "HELP" in text and "STOP" in text


def test_the_rates_sentence_stands_in_english_in_every_language():
    with translation.override("de"):
        shown = disclosures.compose(Channel.SMS)
    assert "Standard message and data rates may apply." in shown.text
    assert shown.language == "de"


def test_words_in_two_languages_are_two_disclosures():
    with translation.override("de"):
        german = disclosures.compose(Channel.SMS)
    assert german.digest != disclosures.compose(Channel.SMS).digest


def test_it_works_without_any_programme_facts(settings):
    del settings.TWILIO_VERIFY_PROGRAM
    assert "This site" in disclosures.compose(Channel.SMS).text


def test_the_ledger_refuses_a_second_event_of_the_same_digest():
    event = agree()
    event.pk = None
    with pytest.raises(IntegrityError):
        event.save(force_insert=True)


def test_what_no_database_keeps_is_left_out_of_the_evidence():
    event = agree(client=make_client(user_agent="Te\0st" * 1000, page="https://shop.test/\0"))
    assert event.evidence.page == "https://shop.test/"
    assert len(event.evidence.user_agent) == 1000
    assert records.holds(event)
