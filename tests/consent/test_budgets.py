"""Limits first, then consent, then the send: a refused request leaves no row, and events have a budget of their own."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.utils import translation

from django_twilio_verify import consent, verifications
from django_twilio_verify.choices import FALLBACKS, Channel, ConsentMedium, RecipientKind
from django_twilio_verify.consent import ConsentContext, disclosures
from django_twilio_verify.consent.carrying_over import carry_over
from django_twilio_verify.consent.gate import Gate, NewConsent
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import ConsentRequired, RateLimited
from django_twilio_verify.models import (
    ConsentEvent,
    ConsentEvidence,
    Disclosure,
    LimitCounter,
    RecipientLock,
    Verification,
    VerificationAttempt,
)
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import holder, lifecycle
from tests.support.basics import OTHER_PHONE, PHONE, agree, make_client, make_factor, make_user, release_opt_out

pytestmark = pytest.mark.django_db
ROWS = (ConsentEvent, ConsentEvidence, Disclosure, Verification, VerificationAttempt)


def rows() -> list[int]:
    return [model.objects.count() for model in ROWS]


def start(channel: str = "sms", *, once: bool = False, recipient: str = PHONE, **values: Any) -> Any:
    """A send with what is agreed to on its page."""
    compose = disclosures.compose_once if once else disclosures.compose
    new = NewConsent(compose(Channel(channel).consent_channel), once=once)
    asked = {"recipient": recipient, "channel": channel, "client": make_client(), "new_consent": new}
    return lifecycle.start(**{**asked, **values})


# --------------------------------------------------------------------------------------------------- no row is left


@pytest.mark.parametrize("rule", ["user_hour", "claim_hour", "ip_hour", "consent_user_day", "consent_ip_day"])
@pytest.mark.parametrize("once", [True, False])
def test_a_send_that_a_limit_refuses_leaves_no_row(settings, rule, once):
    settings.TWILIO_VERIFY_LIMITS = {rule: 0}
    with pytest.raises(RateLimited) as refused:
        start(once=once)
    assert refused.value.code == rule
    assert rows() == [0] * len(ROWS) and outbox == []


def test_nor_does_the_asynchronous_twin(settings):
    settings.TWILIO_VERIFY_LIMITS = {"ip_hour": 0}
    with pytest.raises(RateLimited):
        async_to_sync(lifecycle.astart)(
            recipient=PHONE,
            channel="sms",
            client=make_client(),
            new_consent=NewConsent(disclosures.compose(Channel.SMS)),
        )
    assert rows() == [0] * len(ROWS)


@pytest.mark.parametrize("settled", ["number", "network"])
def test_refused_requests_of_new_sessions_leave_no_counters_and_no_locks(settings, settled):
    """Each by a new visitor: for a number whose budget is used up, or for new numbers from such a network."""
    settings.TWILIO_VERIFY_LIMITS = {"claim_hour": 1, "ip_hour": 2} if settled == "number" else {"ip_hour": 1}
    start(client=make_client("first", ip="203.0.113.9"))
    kept = [LimitCounter.objects.count(), RecipientLock.objects.count(), *rows()]
    for turn in range(5):
        recipient = PHONE if settled == "number" else f"+1501712270{turn}"
        with pytest.raises(RateLimited) as refused:
            start(recipient=recipient, client=make_client(f"visitor-{turn}", ip="203.0.113.9"), once=True)
        assert refused.value.code == ("claim_hour" if settled == "number" else "ip_hour")
    assert [LimitCounter.objects.count(), RecipientLock.objects.count(), *rows()] == kept


def test_a_hundred_posts_of_the_stop_page_write_no_more_events_than_they_send(settings):
    settings.TWILIO_VERIFY_LIMITS = {"ip_hour": 7}
    for number in range(100):
        try:
            holder.ask(
                recipient=Recipient.phone(f"+15017122{number:03}"),
                channel="sms",
                disclosure=disclosures.compose_once(Channel.SMS),
                client=make_client(f"session-{number}"),
                context=ConsentContext(),
            )
        except RateLimited:
            continue
    assert len(outbox) == ConsentEvent.objects.count() == 7


def test_a_digest_of_other_words_leaves_no_row():
    with pytest.raises(ConsentRequired) as refused:
        start(new_consent=NewConsent("0" * 64))
    assert refused.value.code == "disclosure_changed" and rows() == [0] * len(ROWS)


# -------------------------------------------------------------------------------------------------------- the budget


@pytest.mark.parametrize("rule", ["consent_user_day", "consent_ip_day", "consent_recipient_day"])
def test_agreeing_and_stopping_again_and_again_is_counted(settings, rule):
    settings.TWILIO_VERIFY_LIMITS = {rule: 3}
    ann, agreed, stopped, codes = make_user(), 0, 0, set()
    for _ in range(10):
        try:
            agree(user=ann)
            agreed += 1
        except RateLimited as error:
            codes.add(error.code)
        stopped += consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=ann) is not None
    assert codes == {rule}
    assert (agreed, stopped, ConsentEvent.objects.count()) == (3, 3, 6)


def test_stopping_is_never_refused(settings):
    ann = make_user()
    agree(user=ann)
    settings.TWILIO_VERIFY_LIMITS = {f"consent_{name}_day": 0 for name in ("person", "ip", "recipient")}
    assert consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=ann) is not None
    assert consent.opt_out(recipient=PHONE, channel="sms") is not None


def test_other_words_while_a_code_is_pending_renew_nothing():
    start()
    for language in ("de", "fr", "es", "en"):
        with translation.override(language):
            assert start().reused
            agree()
    assert ConsentEvent.objects.count() == 1 and len(outbox) == 1


def test_the_budget_lasts_a_day_and_no_longer(settings, time_machine):
    settings.TWILIO_VERIFY_LIMITS = {"consent_user_day": 1}
    time_machine.move_to("2030-01-01T00:00:00Z")
    agree()
    time_machine.move_to("2030-01-01T23:00:00Z")
    with pytest.raises(RateLimited):
        agree(OTHER_PHONE)
    # What was counted in the day before fades out in the course of the next one.
    time_machine.move_to("2030-01-03T00:00:00Z")
    assert agree(OTHER_PHONE)


# ------------------------------------------------------------------------------------------------------- one message


@pytest.mark.parametrize("language", ["en", "de"])
def test_one_message_is_one_message_in_whatever_language(language):
    started = start(once=True)
    with translation.override(language):
        Verification.objects.update(resend_at=started.verification.created_at)
        for values in ({"resend": True}, {"purpose": "verify"}, {"purpose": "enroll"}):
            with pytest.raises(ConsentRequired) as refused:
                lifecycle.start(recipient=PHONE, channel="sms", client=make_client(), **values)
            assert refused.value.code == "consent_used_up"
        ann = make_user()
        made = carry_over(recipient=Recipient.phone(PHONE), visitor=make_client(), user=ann, purpose="enroll")
    assert made == [] and len(outbox) == 1
    event = ConsentEvent.objects.get()
    assert (event.event, event.purpose, event.is_live) == ("granted_once", "verify", False)


def test_one_message_is_for_the_purpose_that_was_agreed_to():
    Gate.of(
        PHONE, "sms", client=make_client(), user=None, new=NewConsent(disclosures.compose_once("sms"), once=True)
    ).agree()
    with pytest.raises(ConsentRequired):
        lifecycle.start(recipient=PHONE, channel="sms", client=make_client(), purpose="enroll")
    assert verifications.start(recipient=PHONE, channel="sms", client=make_client()).verification
    assert len(outbox) == 1


def test_an_import_does_not_renew_one_message():
    ann = make_user()
    start(once=True, user=ann)
    context = ConsentContext(medium=ConsentMedium.IMPORT, origin="crm")
    event = consent.record(event="imported", recipient=PHONE, channel="sms", context=context, user=ann)
    assert event.event == "granted_once"


# ----------------------------------------------------------------------------------------------------- the fallback


def test_whatsapp_may_become_a_text_message_and_needs_it_not_to_be_stopped():
    ann = make_user()
    agree(channel="whatsapp", user=ann)
    consent.opt_out(recipient=PHONE, channel="sms")
    for values in ({}, {"new_consent": NewConsent(disclosures.compose(Channel.WHATSAPP))}):
        with pytest.raises(ConsentRequired) as refused:
            lifecycle.start(recipient=PHONE, channel="whatsapp", client=make_client(), user=ann, **values)
        assert refused.value.code == "fallback_opted_out"
    assert outbox == []
    release_opt_out()
    assert verifications.start(recipient=PHONE, channel="whatsapp", client=make_client(), user=ann).verification


def test_a_text_message_that_the_user_took_back_since_does_not_come_by_whatsapp():
    ann = make_user()
    agree(user=ann)
    agree(channel="whatsapp", user=ann)
    consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=ann)
    with pytest.raises(ConsentRequired) as refused:
        verifications.start(recipient=PHONE, channel="whatsapp", client=make_client(), user=ann)
    assert refused.value.code == "fallback_opted_out" and outbox == []


def test_auto_is_stopped_with_the_text_message():
    agree()
    consent.opt_out(recipient=PHONE, channel="sms")
    with pytest.raises(ConsentRequired):
        verifications.start(recipient=PHONE, channel="auto", client=make_client())


@pytest.mark.parametrize("ending", ["opted out", "withdrawn"])
def test_auto_is_stopped_with_the_silent_check_that_it_begins_with(ending):
    ann = make_user()
    agree(user=ann)
    if ending == "opted out":
        consent.opt_out(recipient=PHONE, channel="sna")
    else:
        agree(channel="sna", user=ann)
        consent.withdraw(recipient=PHONE, channel="sna", client=make_client(), user=ann)
    with pytest.raises(ConsentRequired) as refused:
        verifications.start(recipient=PHONE, channel="auto", client=make_client(), user=ann)
    assert refused.value.code == "fallback_opted_out" and outbox == []
    assert verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=ann).verification


def agree_to_one(user: Any) -> None:
    holder.ask_to_reopen(
        recipient=Recipient.parse(PHONE),
        channel="sms",
        disclosure=disclosures.compose_once(Channel.SMS),
        client=make_client(),
        user=user,
        context=ConsentContext(),
    )


def opt_out_and_release(user: Any) -> None:
    consent.opt_out(recipient=PHONE, channel="sms")
    release_opt_out()


def invalidate(user: Any) -> None:
    consent.invalidate(recipient=PHONE, channel="sms", reason="The form was broken.")


@pytest.mark.parametrize("since", [agree_to_one, opt_out_and_release, invalidate])
def test_what_came_after_a_withdrawal_without_undoing_it_opens_no_fallback(settings, since):
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "whatsapp"]
    ann = make_user()
    make_factor(ann)
    agree(PHONE, "whatsapp", user=ann)
    consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=ann)
    since(ann)
    before = len(outbox)
    with pytest.raises(ConsentRequired) as refused:
        start("whatsapp", user=ann, client=make_client("another"), new_consent=None)
    assert refused.value.code == "fallback_opted_out" and len(outbox) == before


def test_the_table_of_fallbacks_leads_from_phone_to_phone():
    for channel, others in FALLBACKS.items():
        assert channel not in others
        assert {one.recipient_kind for one in (channel, *others)} == {RecipientKind.PHONE}


# ------------------------------------------------------------------------------------------------------ paper, staff


def test_paper_does_not_undo_an_opt_out_but_a_release_with_a_reason_does():
    consent.opt_out(recipient=PHONE, channel="sms")
    paper = ConsentContext(medium=ConsentMedium.ADMIN, note="Signed.", document_digest="a" * 64)
    values = {"event": "granted", "recipient": PHONE, "channel": "sms", "context": paper, "user": make_user()}
    with pytest.raises(ConsentRequired) as refused:
        consent.record(**values)
    assert refused.value.code == "consent_opted_out"
    release_opt_out()
    assert consent.record(**values).is_live


def test_the_code_that_reopens_is_one_and_only_for_the_factors_owner():
    consent.opt_out(recipient=PHONE, channel="sms")
    with pytest.raises(ConsentRequired):
        start(once=True, user=make_user())
    assert outbox == []
