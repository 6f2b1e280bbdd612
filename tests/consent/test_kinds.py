"""Every kind of consent event: what it stops, what it records, and what two at the same instant come to."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection, transaction
from django.utils import timezone, translation

from django_twilio_verify import consent, verifications
from django_twilio_verify.choices import Actor, Channel, ConsentMedium
from django_twilio_verify.consent import ConsentContext, deadlines, disclosures, opt_outs, self_service
from django_twilio_verify.consent.carrying_over import carry_over
from django_twilio_verify.exceptions import BackendRejected, ConsentRequired, InvalidRecipient
from django_twilio_verify.ledger import records
from django_twilio_verify.models import ConsentEvent, ConsentEvidence, VerificationAttempt
from django_twilio_verify.signals import consent_recorded
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import holder, lifecycle
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PHONE,
    agree,
    last_code,
    make_client,
    make_secret,
    make_user,
    race,
    release_opt_out,
)

pytestmark = pytest.mark.django_db
THREADS = 20
REASON = "The number has a new holder."
PAPER = ConsentContext(
    medium=ConsentMedium.ADMIN,
    actor=Actor.STAFF,
    note="Signed at the counter.",
    document_digest="a" * 64,
)
IMPORT = ConsentContext(medium=ConsentMedium.IMPORT, actor=Actor.SYSTEM, origin="crm-2026-11")


def kinds() -> list[str]:
    return list(ConsentEvent.objects.order_by("id").values_list("event", flat=True))


def live(user=None, channel: str = "sms", recipient: str = PHONE):
    return consent.find(recipient=recipient, channel=channel, client=make_client(), user=user)


def withdraw(user=None, **values):
    return consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=user, **values)


def opt_out(**values):
    return consent.opt_out(recipient=PHONE, channel="sms", **values)


def all_hold() -> bool:
    return all(records.holds(event) for event in ConsentEvent.objects.select_related("disclosure", "previous"))


# ------------------------------------------------------------------------------------------------ at the same instant


def written(results) -> list[ConsentEvent]:
    broken = [result for result in results if isinstance(result, Exception)]
    assert not broken, broken[0]
    return [result for result in results if result is not None]


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
@pytest.mark.parametrize("known", [True, False], ids=["after a grant", "of an unknown number"])
def test_of_twenty_opt_outs_one_is_written(known):
    if known:
        agree()
    assert len(written(race(THREADS, lambda index: opt_out()))) == 1
    assert kinds().count("opted_out") == 1 and all_hold()


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_twenty_withdrawals_one_is_written_and_told_once():
    ann = make_user()
    agree(user=ann)
    heard = []

    def receiver(sender, event, **kwargs):
        heard.append(event.event)

    consent_recorded.connect(receiver)
    try:
        assert len(written(race(THREADS, lambda index: withdraw(ann)))) == 1
    finally:
        consent_recorded.disconnect(receiver)
    assert kinds() == ["granted", "withdrawn"] and heard == ["withdrawn"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_twenty_grants_one_is_written():
    results = written(race(THREADS, lambda index: agree()))
    assert len({event.pk for event in results}) == 1 and kinds() == ["granted"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_twenty_expiries_invalidations_and_records_one_of_each_is_written():
    event = agree()
    assert len(written(race(THREADS, lambda index: consent.expire(event)))) == 1
    assert (
        len(written(race(THREADS, lambda index: consent.invalidate(recipient=PHONE, channel="sms", reason=REASON))))
        == 1
    )
    race(THREADS, lambda index: consent.record(event="imported", recipient=OTHER_PHONE, channel="sms", context=IMPORT))
    assert kinds() == ["granted", "expired", "invalidated", "imported"] and all_hold()


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_withdrawals_by_twenty_people_are_twenty():
    people = [make_user(f"p{index}") for index in range(THREADS)]
    for person in people:
        agree(user=person)
    race(THREADS, lambda index: withdraw(people[index]))
    assert kinds().count("withdrawn") == THREADS


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_grants_withdrawals_and_opt_outs_together_leave_one_chain():
    ann = make_user()
    agree(user=ann)
    work = [lambda: agree(user=ann), lambda: withdraw(ann), opt_out]
    # An agreement that comes after the opt-out is refused.
    results = race(THREADS, lambda index: work[index % 3]())
    written([result for result in results if getattr(result, "code", "") != "consent_opted_out"])
    places = ConsentEvent.objects.values_list("place", flat=True)
    assert len(set(places)) == len(places) and all_hold()
    # Whatever came last, the gate and the ledger say the same.
    assert (live(ann) is not None) is ConsentEvent.objects.order_by("id").last().is_live


def test_a_clash_within_a_transaction_of_the_sites_leaves_it_whole():
    agree()
    with transaction.atomic():
        assert withdraw() is not None
        assert withdraw() is None
        assert agree().event == "granted"
    assert kinds() == ["granted", "withdrawn", "granted"]


# ----------------------------------------------------------------------------------------------------- who is stopped


def test_a_grant_after_a_released_opt_out_serves_who_gave_it_and_a_second_opt_out_is_written_again():
    ann, bob = make_user("ann"), make_user("bob")
    agree(user=ann)
    agree(user=bob)
    first = opt_out()
    released = release_opt_out()
    assert released.previous == first and live(ann) is None
    again = agree(user=ann)
    assert again.previous == released
    assert live(ann) == again and live(bob) is None
    second = opt_out()
    assert second is not None and second.previous == again
    assert live(ann) is None and opt_out() is None


def test_a_withdrawal_after_an_opt_out_is_nothing_to_take_back():
    ann = make_user()
    agree(user=ann)
    opt_out()
    assert withdraw(ann) is None


def test_an_invalidation_stops_everybody_and_says_why():
    ann, bob = make_user("ann"), make_user("bob")
    agree(user=ann)
    agree(user=bob)
    event = consent.invalidate(recipient=PHONE, channel="sms", reason=REASON)
    assert event is not None and event.evidence.note == REASON
    for user in (ann, bob):
        with pytest.raises(ConsentRequired) as refused:
            verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=user)
        assert refused.value.code == "consent_required"  # nobody opted out: each may agree anew
    assert event.received_at is None and event.honour_by is None
    assert consent.invalidate(recipient=PHONE, channel="sms", reason=REASON) is None
    assert live(agree(user=ann) and ann) is not None


def test_an_invalidation_needs_a_reason():
    with pytest.raises(ValueError, match="reason"):
        consent.invalidate(recipient=PHONE, channel="sms", reason=" ")


def test_consent_expires_only_while_it_still_stands():
    ann = make_user()
    first = agree(user=ann)
    withdraw(ann)
    assert consent.expire(first) is None
    second = agree(user=ann)
    assert consent.expire(first) is None and live(ann) == second
    expired = consent.expire(second)
    assert expired is not None and (expired.event, expired.previous) == ("expired", second)
    assert expired.actor == "system" and live(ann) is None
    assert consent.expire(second) is None
    assert agree(user=ann).event == "granted"


def test_consent_that_others_gave_does_not_expire_with_it():
    ann, bob = make_user("ann"), make_user("bob")
    first = agree(user=ann)
    agree(user=bob)
    consent.expire(first)
    assert live(ann) is None and live(bob) is not None


def test_consent_whose_personal_half_was_erased_has_ended_already():
    event = agree()
    ConsentEvidence.objects.all().delete()
    assert consent.expire(event) is None and kinds() == ["granted"]


# ------------------------------------------------------------------------------------------------ paper and imports


@pytest.mark.parametrize(
    "context",
    [
        ConsentContext(medium=ConsentMedium.ADMIN),
        ConsentContext(medium=ConsentMedium.ADMIN, note="Signed at the counter."),
        ConsentContext(medium=ConsentMedium.ADMIN, document_digest="a" * 64),
    ],
    ids=["nothing", "no document", "no reason"],
)
def test_consent_on_paper_needs_a_reason_and_the_papers_digest(context):
    with pytest.raises(ValueError, match="paper"):
        consent.record(event="granted", recipient=PHONE, channel="sms", context=context, user=make_user())
    assert not ConsentEvent.objects.exists()


def test_consent_on_paper_lets_messages_out_for_that_person():
    ann = make_user()
    event = consent.record(event="granted", recipient=PHONE, channel="sms", context=PAPER, user=ann)
    assert (event.medium, event.actor, event.document_digest) == ("admin", "staff", "a" * 64)
    assert event.evidence.note == PAPER.note and records.holds(event)
    assert verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=ann).verification
    assert consent.record(event="granted", recipient=PHONE, channel="sms", context=PAPER, user=ann) == event


def test_an_import_needs_an_origin_and_says_how_much_is_known():
    ann = make_user()
    with pytest.raises(ValueError, match="origin"):
        consent.record(
            event="imported",
            recipient=PHONE,
            channel="sms",
            context=ConsentContext(medium="import"),
            user=ann,
        )
    event = consent.record(event="imported", recipient=PHONE, channel="sms", context=IMPORT, user=ann)
    assert (event.event, event.origin, event.disclosure) == ("imported", "crm-2026-11", None)
    assert live(ann) == event and live(make_user("bob")) is None


@pytest.mark.parametrize("event", ["withdrawn", "opted_out", "renewed", "expired", "invalidated"])
def test_nothing_else_is_recorded_that_way(event):
    with pytest.raises(ValueError, match="event must be"):
        consent.record(event=event, recipient=PHONE, channel="sms", context=PAPER, user=make_user())


def test_what_a_visitor_carried_over_is_carried_once_and_not_brought_to_life_again():
    ann = make_user()
    agree()
    visitor, phone = make_client(), agree().evidence.recipient
    parsed = lifecycle.validate(recipient=phone, channel="sms")
    assert len(carry_over(recipient=parsed, visitor=visitor, user=ann, purpose="enroll")) == 1
    withdraw(ann)
    assert carry_over(recipient=parsed, visitor=visitor, user=ann, purpose="enroll") == []
    assert live(ann) is None


# ------------------------------------------------------------------------------------------- how fast it was honoured


def test_a_request_carries_received_due_and_honoured():
    ann = make_user()
    agree(user=ann)
    event = withdraw(ann)
    assert event.received_at == event.honoured_at == event.occurred_at
    assert event.honour_by == deadlines.honour_by(event.received_at)
    received = timezone.now() - timedelta(days=30)
    late = opt_out(context=ConsentContext(received_at=received))
    late.refresh_from_db()
    assert (late.received_at, late.honour_by) == (received, deadlines.honour_by(received))
    assert late.honoured_at == late.occurred_at > late.honour_by
    assert all_hold()


# --------------------------------------------------------------------------------------------------- by the provider


def refused_send(server, **values) -> None:
    server.fail({"code": 21610, "status": 400})
    with pytest.raises(BackendRejected) as told:
        lifecycle.start(recipient=PHONE, channel="sms", client=make_client(), **values)
    assert told.value.code == "opted_out"


def test_a_stop_that_the_provider_knows_of_is_put_on_record_and_stops_everybody(server):
    ann, bob = make_user("ann"), make_user("bob")
    agree(user=ann)
    agree(user=bob)
    refused_send(server, user=ann)
    event = ConsentEvent.objects.get(event="opted_out")
    assert (event.actor, event.medium, event.person_kind) == ("provider", "provider", "holder")
    assert event.origin == f"attempt:{VerificationAttempt.objects.get().pk}"
    assert event.honoured_at is not None
    for user in (ann, bob):
        with pytest.raises(ConsentRequired):
            verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=user)
    assert server.count == 1


def test_it_is_written_once_and_again_after_a_release(server):
    agree()
    refused_send(server)
    assert opt_outs.opted_out(recipient=PHONE, channel="sms", origin="webhook-1") is None
    release_opt_out()
    agree()
    refused_send(server)
    assert kinds() == ["granted", "opted_out", "released", "granted", "opted_out"]


def test_another_refusal_is_no_opt_out(server):
    agree()
    server.fail({"code": 60410, "status": 403})
    with pytest.raises(BackendRejected):
        verifications.start(recipient=PHONE, channel="sms", client=make_client())
    assert kinds() == ["granted"]


def test_a_later_signal_says_when_the_holder_asked():
    received = datetime(2026, 3, 2, 9, tzinfo=UTC)
    event = opt_outs.opted_out(recipient=PHONE, channel="rcs", origin="VL" + "0" * 32, received_at=received)
    assert event is not None
    assert (event.channel, event.origin, event.received_at) == ("sms", "VL" + "0" * 32, received)


# --------------------------------------------------------------------------------------------------------- by staff


def request(**values):
    staff = values.pop("staff", None) or make_user("carla", is_staff=True)
    defaults = {
        "recipient": "(501) 712-2661",
        "region": "US",
        "words": "Please leave me alone.",
        "received_at": timezone.now() - timedelta(days=2),
        "staff": staff,
        "asked_by": "Hildegard",
        "came_by": "letter",
    }
    return opt_outs.record_request(**{**defaults, **values})


def test_staff_records_a_request_in_its_own_words():
    ann = make_user()
    agree(user=ann)
    events = request()
    assert [event.channel for event in events] == ["sms", "call", "whatsapp", "sna"]
    event = events[0]
    event.refresh_from_db()
    assert (event.actor, event.medium, event.control, event.event) == ("staff", "admin", "letter", "opted_out")
    assert event.evidence.note == "Hildegard: Please leave me alone." and event.evidence.actor_label == "carla"
    assert event.actor_fingerprint and "carla" not in event.actor_fingerprint
    assert event.received_at < event.honoured_at == event.occurred_at < event.honour_by
    assert live(ann) is None and all_hold()


def test_a_request_can_be_for_one_way_and_recorded_again_it_adds_nothing():
    carla = make_user("carla")
    assert [event.channel for event in request(staff=carla, channels=["call"])] == ["call"]
    assert request(staff=carla, channels=["voice"]) == []
    assert [event.channel for event in request(staff=carla)] == ["sms", "whatsapp", "sna"]
    assert [event.channel for event in request(staff=carla, recipient=EMAIL)] == ["email"]


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_a_clash_of_staff_holder_and_provider_is_one_event():
    carla = make_user("carla")
    agree()
    work = [
        lambda: request(staff=carla, channels=["sms"]),
        opt_out,
        lambda: opt_outs.opted_out(recipient=PHONE, channel="sms", origin="webhook"),
    ]
    results = race(THREADS, lambda index: work[index % 3]())
    assert not [result for result in results if isinstance(result, Exception)]
    assert kinds() == ["granted", "opted_out"]


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"words": "  "}, ValueError),
        ({"received_at": timezone.now() + timedelta(days=365)}, ValueError),
        ({"received_at": datetime(2026, 3, 2, 9)}, ValueError),
        ({"channels": ["email"]}, ValueError),
        ({"recipient": "12"}, InvalidRecipient),
    ],
    ids=["no words", "to come", "naive", "a way that does not lead there", "no number"],
)
def test_a_request_that_cannot_be_is_refused_and_nothing_is_written(values, error):
    with pytest.raises(error):
        request(**values)
    assert not ConsentEvent.objects.exists()


# ------------------------------------------------------------------------------------------------- the person's list


def test_the_list_has_what_stands_and_what_ended_by_whoever():
    ann, bob = make_user("ann"), make_user("bob")
    agree(user=ann)
    agree(PHONE, "call", user=ann)
    agree(OTHER_PHONE, user=ann)
    agree(EMAIL, "email", user=ann)
    agree(PHONE, "whatsapp", user=bob)
    withdraw(ann)
    consent.opt_out(recipient=OTHER_PHONE, channel="sms")
    standing = {(one.recipient.value, one.channel.value): one for one in consent.list_consents(ann)}
    assert {place: one.is_live for place, one in standing.items()} == {
        (PHONE, "sms"): False,
        (PHONE, "call"): True,
        (OTHER_PHONE, "sms"): False,
        (EMAIL, "email"): True,
    }
    assert standing[(OTHER_PHONE, "sms")].event.event == "opted_out"
    assert standing[(PHONE, "sms")].ended_at is not None
    assert standing[(EMAIL, "email")].disclosure == consent.get_disclosure("email")
    for one in standing.values():  # the gate says the same
        assert (live(ann, one.channel.value, one.recipient.value) is not None) is one.is_live


def test_two_spellings_of_an_address_are_one_and_an_agreement_after_a_release_is_live():
    ann = make_user()
    agree("Ann@example.org", "email", user=ann)
    consent.opt_out(recipient="ANN@example.org", channel="email")
    assert [one.is_live for one in consent.list_consents(ann)] == [False]
    release_opt_out("ann@example.org", "email")
    assert [one.is_live for one in consent.list_consents(ann)] == [False]
    agree("ann@example.org", "email", user=ann)
    assert [one.is_live for one in consent.list_consents(ann)] == [True]


def test_what_was_erased_is_not_on_the_list():
    ann = make_user()
    event = agree(user=ann)
    ConsentEvidence.objects.all().delete()
    assert consent.list_consents(ann) == []
    with pytest.raises(LookupError):
        self_service.withdraw(event.pk, user=ann, client=make_client(), button="Stop")


def test_the_list_costs_four_statements_however_long(django_assert_num_queries):
    ann = make_user()
    for index in range(5):
        agree(f"+1501712270{index}", user=ann)
    with django_assert_num_queries(4):  # one is for the register of keys
        assert len(consent.list_consents(ann)) == 5


def test_the_list_survives_a_change_of_keys(settings):
    old, new = ("k1", make_secret("a")), ("k2", make_secret("b"))
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [old]
    ann = make_user()
    agree(user=ann)
    consent.opt_out(recipient=PHONE, channel="sms")
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [new, old]
    assert [one.is_live for one in consent.list_consents(ann)] == [False]
    release_opt_out()
    agree(user=ann)
    assert [one.is_live for one in consent.list_consents(ann)] == [True]


# ---------------------------------------------------------------------------------------------- one code, to stop


def prove(channel: str = "sms"):
    visitor = make_client()
    started = holder.ask(
        recipient=lifecycle.validate(recipient=PHONE, channel=channel),
        channel=channel,
        disclosure=disclosures.compose_once(Channel(channel)),
        client=visitor,
        context=ConsentContext(),
    )
    assert verifications.check(started.verification, code=last_code(), client=visitor).approved
    return started.verification


def test_agreeing_to_one_code_is_no_agreement_to_more():
    verification = prove()
    made = holder.stop(verification.pk, channels=["call"], client=make_client(), button="Stop")
    assert [event.channel for event in made] == ["call"]
    assert live() is None  # the one code was sent; the way was not stopped, but nobody agreed to more
    assert kinds() == ["granted_once", "opted_out"]


def test_the_proof_for_stopping_brings_an_account_no_consent():
    ann, verification = make_user(), prove()
    made = carry_over(recipient=verification.recipient, visitor=make_client(), user=ann, purpose="enroll")
    assert made == [] and live(ann) is None


@pytest.mark.parametrize("channel", ["sms", "call", "whatsapp", "email"])
@pytest.mark.parametrize("language", ["en", "de"])
def test_the_words_for_one_code_promise_no_more_than_one(channel, language):
    with translation.override(language):
        shown = consent.get_disclosure(channel, one_time=True)
        assert shown.digest != consent.get_disclosure(channel).digest
    assert shown.language == language and "Acme" in shown.checkbox_label
    assert ("Standard message and data rates may apply." in shown.text) is (channel in ("sms", "whatsapp"))


def test_no_message_goes_out_by_recording_any_of_it():
    agree()
    opt_out()
    request()
    consent.invalidate(recipient=PHONE, channel="sms", reason=REASON)
    assert outbox == []


@pytest.mark.django_db(transaction=True)
def test_a_row_cannot_be_replaced_through_its_place():
    """SQLite's INSERT OR REPLACE would take the row away without firing its DELETE trigger."""
    verb = "INSERT OR REPLACE" if connection.vendor == "sqlite" else "INSERT"
    event = agree()
    columns = [field.column for field in ConsentEvent._meta.concrete_fields]
    chosen = ["id + 1000" if name == "id" else "'other'" if name == "digest" else name for name in columns]
    table = ConsentEvent._meta.db_table
    with pytest.raises(Exception, match=r"append-only|unique|Duplicate"), connection.cursor() as cursor:
        cursor.execute(
            f"{verb} INTO {table} ({', '.join(columns)}) SELECT {', '.join(chosen)} FROM {table}"  # noqa: S608
        )
    assert ConsentEvent.objects.get() == event


@pytest.mark.parametrize("stop", [opt_out, withdraw], ids=["opted out", "withdrawn"])
def test_an_import_never_undoes_a_stop(stop):
    ann = make_user()
    agree(user=ann)
    stopped = stop() if stop is opt_out else withdraw(ann)
    recorded = consent.record(event="imported", recipient=PHONE, channel="sms", context=IMPORT, user=ann)
    assert recorded == stopped
    assert live(ann) is None
