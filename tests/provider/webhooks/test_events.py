"""What each event does to our records: once, in any order, and never a proof."""

from __future__ import annotations

import itertools
import json
import random
from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from django_twilio_verify import verifications
from django_twilio_verify.models import ConsentEvent, ProviderEvent, Verification, VerificationAttempt
from django_twilio_verify.provider import attempts, events
from django_twilio_verify.testing import VerifyServer
from tests.support.attempts import fate, lost_attempt, make_attempt, make_verification, sid
from tests.support.basics import PHONE, agree, make_client, race
from tests.support.cloud_events import LATELY, SERVICE, backend, deliver, event, of_message, of_verification

pytestmark = pytest.mark.django_db
NEW = {"stored": 1, "known": 0, "malformed": 0, "left": 0}
_CONTROL = ("BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT", "RELEASE")


@pytest.fixture
def ours():
    return make_attempt()


def status_of(verification) -> str:
    return Verification.objects.get(pk=verification.pk).status


def take(*batch, trusted=("default",), **values):
    return events.receive(list(batch), trusted=trusted, **values)


@pytest.mark.parametrize("family", ["message", "attempt-dlr", "attempt_dlr"])
@pytest.mark.parametrize("word", ["sent", "delivered", "undelivered", "failed", "read"])
def test_a_message_event_tells_of_delivery(ours, family, word):
    response = deliver([of_message(ours, word, family=family, channel="RCS", error_code="30003", at=LATELY)])
    assert (response.status_code, response.json()) == (200, NEW)
    told = fate(ours)
    assert (told["delivery"], told["delivery_at"], told["channel_used"]) == (word, LATELY, "rbm")
    assert told["error_code"] == 30003
    kept = ProviderEvent.objects.get()
    assert (kept.attempt_sid, kept.verification_sid, kept.applied) == (ours.sid, ours.verification.sid, True)
    assert (kept.backend, kept.happened_at) == ("default", LATELY)


def test_what_is_kept_of_an_event_holds_no_number(ours):
    deliver([of_message(ours, "delivered")])
    assert PHONE not in json.dumps(list(ProviderEvent.objects.values()), default=str)


def test_an_event_alone_needs_no_list(ours):
    assert deliver(of_message(ours, "delivered")).json() == NEW
    assert fate(ours)["delivery"] == "delivered"


def test_an_event_that_comes_again_is_applied_once(ours):
    first = of_message(ours, "delivered")
    assert deliver([first, first]).json() == {**NEW, "known": 1}
    VerificationAttempt.objects.update(delivery="", delivery_at=None)
    assert deliver([first]).json() == {**NEW, "stored": 0, "known": 1}
    assert fate(ours)["delivery"] == ""
    assert ProviderEvent.objects.count() == 1


def test_a_stop_that_an_event_tells_of_reaches_consent_once(ours):
    told = of_message(ours, "undelivered", error_code="21610")
    deliver([told])
    deliver([told])
    deliver([of_message(ours, "failed", error_code="21610")])
    stopped = ConsentEvent.objects.filter(event="opted_out")
    assert [(one.channel, one.actor, one.origin) for one in stopped] == [("sms", "provider", ours.sid)]


def test_an_undelivered_message_that_another_follows_is_no_end(ours):
    first = of_message(ours, "undelivered", channel="RCS", has_fallback=True, error_code="63036", at=LATELY)
    second = of_message(ours, "delivered", is_fallback=True, at=LATELY + timedelta(seconds=5))
    deliver([first])
    assert (fate(ours)["delivery"], fate(ours)["error_code"]) == ("sent", None)
    deliver([second])
    assert (fate(ours)["delivery"], fate(ours)["channel_used"]) == ("delivered", "sms")


@pytest.mark.parametrize("status", ["pending", "canceled", "expired", "max_attempts_reached", "failed", "denied"])
def test_an_event_never_approves(ours, status):
    """SECURITY: promise 4. The session that typed the code proves it, and nobody else does."""
    Verification.objects.update(status=status)
    later = make_attempt(ours.verification)
    deliver([of_verification(ours, later, word="approved", verified_at=LATELY.isoformat())])
    verification = Verification.objects.get()
    assert (verification.status, verification.approved_at) == (status, None)
    assert (verification.pending_key is None) is False
    # The last send is what the provider credits.
    assert [fate(one)["converted"] for one in (ours, later)] == [None, True]
    assert ProviderEvent.objects.get().applied


@pytest.mark.parametrize(
    ("word", "status", "keeps_place"),
    [
        ("canceled", "canceled", False),
        ("expired", "expired", False),
        ("max-attempts-reached", "max_attempts_reached", True),
        ("max_attempts_reached", "max_attempts_reached", True),
    ],
)
def test_an_event_ends_a_pending_verification_as_an_answer_would(ours, word, status, keeps_place):
    others = make_verification("+15017122699")
    assert deliver([of_verification(ours, word=word)]).json() == NEW
    verification = Verification.objects.get(pk=ours.verification_id)
    assert verification.status == status
    assert (verification.pending_key is not None) == keeps_place
    assert ProviderEvent.objects.get().applied
    assert status_of(others) == "pending"


@pytest.mark.parametrize("word", ["canceled", "expired", "max-attempts-reached", "pending", "deleted"])
def test_an_event_ends_nothing_that_is_over(ours, word):
    Verification.objects.update(status="approved", approved_at=LATELY, pending_key=None)
    deliver([of_verification(ours, word=word)])
    verification = Verification.objects.get()
    assert (verification.status, verification.approved_at) == ("approved", LATELY)


def test_both_sessions_that_share_a_verification_of_the_providers_end_with_it(ours):
    other = make_verification(sid=ours.verification.sid)
    deliver([of_verification(ours, word="expired")])
    assert [status_of(one) for one in (ours.verification, other)] == ["expired", "expired"]


def test_a_verification_event_tells_of_its_sends(ours):
    told = of_verification(ours, word="approved")
    told["data"]["send_code_attempts"]["attempts"][0] |= {"delivery_status": "Undelivered", "error_code": "30004"}
    deliver([told])
    assert (fate(ours)["delivery"], fate(ours)["error_code"], fate(ours)["converted"]) == ("undelivered", 30004, True)


def test_the_event_of_a_send_whose_answer_was_lost_finds_it_by_its_tag():
    lost = lost_attempt(make_verification(sid=""))
    lost.sid, lost.verification.sid = made, started = sid("VL"), sid("VE")
    deliver([of_verification(lost, word="pending")])
    assert (fate(lost)["sid"], fate(lost)["status"]) == (made, "sent")
    assert Verification.objects.get().sid == started


@pytest.mark.parametrize(
    "kind",
    [
        "verification.resurrected",
        "message.teleported",
        "factor.created",
        "com.twilio.eventstreams.test-event",
        "com.twilio.messaging.message.delivered",
        PHONE,
    ],
)
def test_an_unknown_type_is_kept_and_ignored(ours, kind):
    before = fate(ours)
    told = of_message(ours, "delivered") | {"type": kind if "." not in kind or kind.startswith("com.") else f"x.{kind}"}
    assert deliver([told]).json() == NEW
    assert fate(ours) == before
    assert ProviderEvent.objects.get().applied is False
    assert status_of(ours.verification) == "pending"


@pytest.mark.parametrize("family", ["verification", "message"])
def test_an_unknown_word_of_a_known_family_changes_no_state(ours, family):
    told = of_verification(ours, word="vanished") if family == "verification" else of_message(ours, "vanished")
    assert deliver([told]).json() == NEW
    assert (fate(ours)["delivery"], fate(ours)["converted"], status_of(ours.verification)) == ("", None, "pending")


@pytest.mark.parametrize("service", ["VA" + "c" * 32, "", None, 7, SERVICE.lower()])
def test_an_event_of_another_service_is_kept_and_not_applied(ours, service):
    told = [
        of_message(ours, "delivered", service_sid=service),
        of_verification(ours, word="expired", service_sid=service),
    ]
    assert deliver(told).json() == {**NEW, "stored": 2}
    assert (fate(ours)["delivery"], status_of(ours.verification)) == ("", "pending")
    assert {(one.applied, one.backend) for one in ProviderEvent.objects.all()} == {(False, "")}


def test_an_event_about_nobody_here_is_kept_and_not_applied(ours):
    strange = make_attempt()
    told = [of_message(strange, "delivered"), of_verification(strange, word="expired")]
    VerificationAttempt.objects.filter(pk=strange.pk).delete()
    Verification.objects.filter(pk=strange.verification_id).delete()
    assert deliver(told).json() == {**NEW, "stored": 2}
    assert set(ProviderEvent.objects.values_list("applied", "backend")) == {(False, "default")}


def test_a_provider_that_is_trusted_for_one_account_settles_nothing_of_another(ours, settings):
    """SECURITY: the secret of one account vouches for that account's Service and no other."""
    theirs = "VA" + "c" * 32
    settings.TWILIO_VERIFY_BACKENDS = {"default": backend(), "other": backend(service_sid=theirs)}
    take(of_message(ours, "delivered"), of_verification(ours, word="expired"), trusted=("other",))
    # Nor by naming its own Service.
    take(of_message(ours, "delivered", service_sid=theirs), trusted=("other",))
    take(of_verification(ours, word="expired", service_sid=theirs), trusted=("other",))
    assert (fate(ours)["delivery"], status_of(ours.verification)) == ("", "pending")


def test_two_aliases_of_one_service_are_both_served(ours, settings):
    settings.TWILIO_VERIFY_BACKENDS = {"first": backend(), "default": backend()}
    take(of_message(ours, "delivered"), trusted=("first", "default"))
    assert fate(ours)["delivery"] == "delivered"


def test_an_event_older_than_any_delivery_is_kept_and_not_applied(ours):
    late, latest = (timezone.now() - timedelta(seconds=seconds) for seconds in (86_000, 86_800))
    assert deliver([of_message(ours, "delivered", at=latest)]).json() == NEW
    assert (fate(ours)["delivery"], ProviderEvent.objects.get().applied) == ("", False)
    deliver([of_verification(ours, word="expired", at=latest)])
    assert status_of(ours.verification) == "pending"
    deliver([of_message(ours, "delivered", at=late)])
    assert fate(ours)["delivery"] == "delivered"


@pytest.mark.parametrize(
    "time", [None, "", "yesterday", "9999-12-31T23:59:59Z", "0001-01-01T00:00:00+14:00", 5, [], "2" * 99]
)
def test_an_event_without_a_time_of_our_days_is_applied_without_it(ours, time):
    assert deliver([of_message(ours, "delivered", time=time)]).json() == NEW
    assert (fate(ours)["delivery"], fate(ours)["delivery_at"]) == ("delivered", None)
    assert ProviderEvent.objects.get().happened_at is None


ODD = [None, 5, "x", [], {}, True, "\u0000", "\ud800", "ü" * 300, {"a": 1}, [[[]]], 10**400]


@pytest.mark.parametrize("where", ["data", "attempts", "attempt", "field"])
@pytest.mark.parametrize("odd", ODD, ids=lambda one: ascii(one)[:12])
def test_whatever_stands_in_an_event_it_is_kept(ours, where, odd):
    told = of_verification(ours, word="approved")
    if where == "data":
        told["data"] = odd
    elif where == "attempts":
        told["data"]["send_code_attempts"]["attempts"] = odd
    elif where == "attempt":
        told["data"]["send_code_attempts"]["attempts"] = [odd, *told["data"]["send_code_attempts"]["attempts"], odd]
    else:
        told = of_message(ours, "delivered")
        told["data"] |= dict.fromkeys(("channel", "error_code", "tags", "message_status", "has_fallback"), odd)
        told |= {"source": odd, "specversion": odd, "datacontenttype": odd}
    assert deliver([told]).json() == NEW


@pytest.mark.parametrize("odd", [one for one in ODD if one not in ("x",)], ids=lambda one: ascii(one)[:12])
def test_what_is_no_event_is_dropped_and_the_others_are_kept(ours, odd, caplog):
    good = of_message(ours, "delivered")
    nameless = [{**good, "type": odd}, {key: value for key, value in good.items() if key != "id"}, odd]
    nameless += [{**good, "id": one} for one in (None, 5, "", [], {})]
    received = deliver([*nameless, good])
    assert received.status_code == 200
    assert received.json() == {**NEW, "malformed": len(nameless)}
    assert fate(ours)["delivery"] == "delivered"
    assert "no event" in caplog.text
    assert deliver(nameless).status_code == 400


@pytest.mark.parametrize("name", ["x" * 5000, "\u0000", "\ud800", "ü", "a b", "EZ" + "0" * 32, "a" * 64])
def test_an_event_is_known_again_by_whatever_name_it_has(ours, name):
    told = of_message(ours, "delivered", id=name)
    assert deliver([told]).json() == NEW
    assert deliver([told]).json() == {**NEW, "stored": 0, "known": 1}


def test_one_event_that_cannot_be_kept_does_not_lose_the_others(monkeypatch, caplog):
    first, second, third = (make_attempt(make_verification(f"+1501712269{number}")) for number in range(3))
    settle = attempts.settle

    def failing(news, attempt, now):
        if news.sid == second.sid:
            raise IntegrityError("the number is +15017122661")
        return settle(news, attempt, now)

    batch = [of_message(one, "delivered") for one in (first, second, third)]
    with monkeypatch.context() as patched:
        patched.setattr(attempts, "settle", failing)
        response = deliver(batch)
    assert (response.status_code, response.json()) == (503, {"stored": 2, "known": 0, "malformed": 0, "left": 1})
    assert [fate(one)["delivery"] for one in (first, second, third)] == ["delivered", "", "delivered"]
    assert ProviderEvent.objects.filter(attempt_sid=second.sid).count() == 0
    assert "IntegrityError" in caplog.text
    assert PHONE not in caplog.text
    # The sink delivers all of it again, and only what was left is done.
    assert deliver(batch).json() == {"stored": 1, "known": 2, "malformed": 0, "left": 0}
    assert fate(second)["delivery"] == "delivered"


def test_what_the_time_is_too_short_for_is_left_for_the_next_delivery():
    agree()
    made = [make_attempt(make_verification(f"+1501712269{number}")) for number in range(4)]
    batch = [of_message(one, "delivered") for one in made]
    seconds = itertools.count(0, 1)
    received = take(*batch, clock=lambda: float(next(seconds)))
    assert (received.stored, received.left) == (3, 1)
    assert take(*batch).stored == 1
    assert {fate(one)["delivery"] for one in made} == {"delivered"}


def test_an_event_costs_few_statements(ours):
    """Figures to keep: the sink waits five seconds for a batch."""

    def cost(told):
        with CaptureQueriesContext(connection) as captured:
            assert take(told).stored == 1
        return len([1 for query in captured.captured_queries if not query["sql"].startswith(_CONTROL)])

    batch = 1  # which of the events are known
    assert cost(of_message(ours, "sent")) - batch == 3
    assert cost(of_message(ours, "delivered")) - batch == 3
    assert cost(of_message(ours, "queued")) - batch == 2  # says nothing new
    assert cost(of_verification(ours, word="pending")) - batch == 2
    assert cost(of_verification(ours, word="approved")) - batch == 3
    assert cost(of_verification(ours, word="expired")) - batch == 4
    strange = make_attempt()
    told = of_message(strange, "sent")
    Verification.objects.filter(pk=strange.verification_id).delete()
    assert cost(told) - batch == 3


def test_old_events_are_pruned():
    now = timezone.now()
    for days in (1, 8, 31):
        ProviderEvent.objects.create(event_id=str(days), kind="x", backend="", received_at=now - timedelta(days=days))
    assert events.prune(30) == 1
    assert events.prune(7) == 1
    assert list(ProviderEvent.objects.values_list("event_id", flat=True)) == ["1"]
    with pytest.raises(ValueError, match="max_age"):
        events.prune(0)


def story(first, second):
    """All that is told of two sends of one verification, and of its end."""
    at = [timezone.now() - timedelta(minutes=5) + timedelta(seconds=number) for number in range(12)]
    return [
        of_verification(first, word="pending", at=at[0]),
        of_message(first, "sent", at=at[1]),
        of_message(first, "undelivered", channel="RCS", has_fallback=True, at=at[2]),
        of_message(first, "sent", is_fallback=True, at=at[3]),
        of_message(first, "undelivered", is_fallback=True, error_code="30005", at=at[4]),
        of_message(second, "sent", at=at[5]),
        of_message(second, "delivered", at=at[6]),
        of_message(second, "read", channel="RCS", at=at[7]),
        of_verification(first, second, word="pending", at=at[5]),
        of_verification(first, second, word="max-attempts-reached", at=at[8]),
        of_verification(first, second, word="approved", at=at[9]),
    ]


@given(st.randoms(use_true_random=False), st.integers(1, 5))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_events_in_any_order_and_number_end_in_the_same_records(chance: random.Random, size):
    ProviderEvent.objects.all().delete()
    Verification.objects.all().delete()
    verification = make_verification()
    first, second = make_attempt(verification), make_attempt(verification)
    told = story(first, second)
    told += chance.choices(told, k=5)
    chance.shuffle(told)
    for start in range(0, len(told), size):
        assert take(*told[start : start + size]).left == 0
    one, two = fate(first), fate(second)
    assert (one["delivery"], one["error_code"], one["channel_used"], one["converted"]) == (
        "undelivered",
        30005,
        "sms",
        None,
    )
    assert (two["delivery"], two["error_code"], two["channel_used"], two["converted"]) == ("read", None, "rbm", True)
    verification.refresh_from_db()
    assert (verification.status, verification.approved_at) == ("max_attempts_reached", None)
    assert verification.pending_key is not None
    assert ProviderEvent.objects.count() == 11


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_the_same_batch_brought_by_eight_at_once_is_applied_once(settings):
    agree()
    made = [make_attempt(make_verification(f"+150171226{number}")) for number in range(10, 16)]
    batch = [of_message(one, "undelivered", error_code="21610") for one in made]
    batch += [of_verification(one, word="expired") for one in made]
    orders = [random.Random(index).sample(batch, len(batch)) for index in range(8)]
    responses = race(8, lambda index: deliver(orders[index]))
    assert [one.status_code for one in responses] == [200] * 8
    assert sum(one.json()["stored"] for one in responses) == len(batch)
    assert sum(one.json()["known"] for one in responses) == 7 * len(batch)
    assert ProviderEvent.objects.count() == len(batch)
    assert {fate(one)["error_code"] for one in made} == {21610}
    assert {status_of(one.verification) for one in made} == {"expired"}
    assert ConsentEvent.objects.filter(event="opted_out").count() == len(made)


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_different_events_of_one_attempt_at_once_end_in_the_last_word():
    agree()
    ours = make_attempt()
    words = ["sent", "delivered", "read", "undelivered", "failed", "sent", "delivered", "undelivered"]
    now = timezone.now()
    told = [of_message(ours, word, at=now + timedelta(seconds=number)) for number, word in enumerate(words)]
    responses = race(8, lambda index: deliver([told[index]]))
    assert [one.json()["left"] for one in responses] == [0] * 8
    assert fate(ours)["delivery"] == "read"


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_an_end_that_comes_while_the_right_code_is_accepted_takes_nothing_back():
    agree()
    ours = make_attempt()
    told = of_verification(ours, word="expired")

    def work(index):
        if index % 2:
            return take({**told, "id": str(index)}).left
        row = Verification.objects.filter(pk=ours.verification_id, status="pending")
        return row.update(status="approved", approved_at=LATELY, pending_key=None)

    race(8, work)
    verification = Verification.objects.get()
    assert (verification.status, verification.approved_at) in {("approved", LATELY), ("expired", None)}
    assert verification.pending_key is None


def test_an_event_that_no_backend_has_a_service_for_is_kept(ours):
    assert take(event("message.delivered", {}), trusted=()).stored == 1


@pytest.mark.django_db(transaction=True)
def test_a_first_send_whose_answer_was_lost_is_found_and_answered_by_its_sid(settings):
    """From the send to the proof, over HTTP: only the event says which verification of the provider's it is."""
    client = make_client()
    agree(client=client)
    with VerifyServer() as server:
        settings.TWILIO_VERIFY_BACKENDS = server.setting()
        server.reset_next(carried_out=True)
        started = verifications.start(recipient=PHONE, channel="sms", client=client)
        assert started.delivery_unknown
        lost, message = started.verification.attempts.get(), server.sent[-1]
        (known,) = server.simulator.attempts()
        told = of_verification(lost, word="pending", service_sid=server.service_sid, verification_sid=message.sid)
        sent = {"attempt_sid": known.sid, "channel": "SMS", "tags": dict(message.options.tags)}
        told["data"]["send_code_attempts"] = {"count": 1, "attempts": [sent]}
        assert deliver([told]).json() == NEW
        assert (fate(lost)["status"], fate(lost)["sid"]) == ("sent", known.sid)
        checked = verifications.check(started.verification.pk, code=message.code, client=client)
        assert checked.approved
        assert dict(server.requests[-1].form)["VerificationSid"] == message.sid


def test_names_that_differ_in_capitals_alone_are_no_trouble(ours):
    """MariaDB calls them the same; nothing breaks, whichever it is."""
    assert deliver([of_message(ours, "sent", id="Event")]).json() == NEW
    answer = deliver([of_message(ours, "delivered", id="EVENT"), of_message(ours, "read", id="event")])
    assert (answer.status_code, answer.json()["left"]) == (200, 0)
