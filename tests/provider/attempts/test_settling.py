"""One settling for all that the provider says of a send: late, twice, in any order, by many at once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from itertools import permutations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import given, settings
from hypothesis import strategies as st

from django_twilio_verify import consent
from django_twilio_verify.backends.results import ProviderAttempt
from django_twilio_verify.choices import AttemptStatus
from django_twilio_verify.models import ConsentEvent, Verification
from django_twilio_verify.provider import attempts
from django_twilio_verify.provider.attempts import _STAGES, Outcome, Record
from tests.support.attempts import NOON, fate, lost_attempt, make_attempt, make_verification, news_of, sid
from tests.support.basics import PHONE, agree, make_client, race, release_opt_out

WORDS = [word for words in _STAGES for word in words]


def tell(*news, backends=("default",)):
    """Settle each; what came of them."""
    now = timezone.now()
    return [attempts.settle(one, attempts.find([one], backends=backends, now=now)[0], now) for one in news]


def record(**values) -> Record:
    blank = Record(
        sid="VL1",
        status="sent",
        channel_used="",
        delivery="",
        delivery_at=None,
        error_code=None,
        converted=None,
        price=None,
        currency="",
    )
    return replace(blank, **values)


# Of one provider: one price, one channel for one word at one time.
NEWS = st.builds(
    ProviderAttempt,
    sid=st.just("VL1"),
    verification_sid=st.just("VE1"),
    channel=st.just("sms"),
    converted=st.sampled_from([None, False, True]),
    price=st.sampled_from(["", "0.05"]),
    currency=st.just("USD"),
    message_status=st.sampled_from([*WORDS, "unheard-of"]),
    error_code=st.sampled_from([0, 30003, 30005]),
    at=st.sampled_from([None, *(NOON + timedelta(seconds=number) for number in range(4))]),
)


@given(st.lists(NEWS, max_size=8), st.randoms(use_true_random=False), st.sampled_from(list(AttemptStatus)))
@settings(max_examples=400, deadline=None)
def test_any_order_and_any_repetition_of_the_same_news_ends_in_the_same_record(news, chance, status):
    def after(told):
        known = record(status=status.value, sid="" if status == "perhaps_sent" else "VL1")
        for one in told:
            known = known.told(one)
        return known

    shuffled = [*news, *chance.choices(news, k=3)] if news else []
    chance.shuffle(shuffled)
    assert after(news) == after(shuffled)
    assert after(news) == after([*news, *news])


@given(NEWS, NEWS)
def test_no_news_takes_a_record_back(first, second):
    before = record().told(first)
    after = before.told(second)
    assert after._stands_at >= before._stands_at
    assert not (before.converted and not after.converted)
    assert before.price is None or after.price == before.price


def test_the_words_of_a_message_go_one_way():
    order = ["accepted", "queued", "sending", "sent", "delivered", "read"]
    for told in permutations(order, 3):
        known = record()
        for word in told:
            known = known.told(ProviderAttempt("VL1", "VE1", "sms", None, message_status=word, at=NOON))
        assert known.delivery == max(told, key=order.index)


def test_of_two_ends_the_later_one_stands():
    late, early = NOON + timedelta(minutes=1), NOON
    for one in ((("delivered", early), ("undelivered", late)), (("undelivered", late), ("delivered", early))):
        known = record()
        for word, at in one:
            known = known.told(ProviderAttempt("VL1", "VE1", "sms", None, message_status=word, at=at))
        assert (known.delivery, known.delivery_at) == ("undelivered", late)


@pytest.mark.django_db
def test_all_that_is_told_is_kept():
    ours = make_attempt()
    news = news_of(ours, "delivered", channel="rbm", converted=True, price="0.0501234", currency="usd")
    assert tell(news, news) == [Outcome.CHANGED, Outcome.UNCHANGED]
    assert fate(ours) == {
        "sid": ours.sid,
        "status": "sent",
        "channel_used": "rbm",
        "delivery": "delivered",
        "delivery_at": NOON,
        "error_code": None,
        "converted": True,
        "price": Decimal("0.05012"),
        "currency": "USD",
    }


@pytest.mark.django_db
def test_a_change_is_one_update_and_no_change_is_none():
    ours = make_attempt()
    news, now = news_of(ours, "delivered"), timezone.now()
    with CaptureQueriesContext(
        connection,
    ) as captured:
        attempts.settle(news, ours, now)
    assert [query["sql"].split()[0] for query in captured.captured_queries] == ["UPDATE"]
    ours.refresh_from_db()
    with CaptureQueriesContext(connection) as captured:
        assert attempts.settle(news, ours, now) == Outcome.UNCHANGED
    assert captured.captured_queries == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("price", "kept"),
    [
        ("-0.0075", Decimal("-0.00750")),
        ("", None),
        ("0.00", None),
        ("free", None),
        ("NaN", None),
        ("Infinity", None),
        ("99999999999", None),
        ("1e400000", None),
    ],
)
def test_a_price_is_kept_if_the_column_can_hold_it(price, kept):
    ours = make_attempt()
    tell(news_of(ours, "delivered", price=price, currency="EUR"))
    assert fate(ours)["price"] == kept
    assert fate(ours)["currency"] == ("EUR" if kept else "")


@pytest.mark.django_db
def test_a_price_comes_late_and_stays():
    ours = make_attempt()
    tell(news_of(ours, "delivered"), news_of(ours, "", price="0.05", currency="USD"), news_of(ours, "", price="9"))
    assert (fate(ours)["price"], fate(ours)["currency"]) == (Decimal("0.05000"), "USD")


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("told", "kept"), [("RCS", "rbm"), ("Voice", "call"), ("SMS", "sms"), ("WhatsApp", "whatsapp")]
)
def test_a_channel_has_one_spelling_whichever_source_tells_of_it(told, kept):
    ours = make_attempt(channel_used="")
    tell(news_of(ours, "sent", channel=told))
    assert fate(ours)["channel_used"] == kept


@pytest.mark.django_db
def test_an_attempt_that_is_not_ours_changes_nothing():
    ours = make_attempt()
    before = fate(ours)
    strange = news_of(ours, "delivered", sid=sid("VL"))
    assert tell(strange, replace(strange, verification_sid=sid("VE"))) == [Outcome.STRANGER, Outcome.STRANGER]
    assert fate(ours) == before


@pytest.mark.django_db
def test_another_backends_provider_cannot_settle_our_records():
    ours = make_attempt()
    assert tell(news_of(ours, "delivered"), backends=("other",)) == [Outcome.STRANGER]
    assert fate(ours)["delivery"] == ""


@pytest.mark.django_db
def test_a_send_whose_answer_was_lost_turns_out_to_be_sent():
    verification = make_verification()
    lost = lost_attempt(verification)
    made = sid("VL")
    assert tell(news_of(lost, "sent", sid=made)) == [Outcome.CHANGED]
    told = fate(lost)
    assert (told["sid"], told["status"], told["delivery"], told["error_code"]) == (made, "sent", "sent", None)
    assert tell(news_of(lost, "delivered", sid=made)) == [Outcome.CHANGED]
    assert fate(lost)["delivery"] == "delivered"


@pytest.mark.django_db
def test_a_first_send_whose_answer_was_lost_is_found_by_its_tag_and_names_its_verification():
    verification = make_verification(sid="")
    lost = lost_attempt(verification)
    made, started = sid("VL"), sid("VE")
    news = news_of(lost, "sent", sid=made, verification_sid=started)
    assert tell(news) == [Outcome.STRANGER]
    assert tell(replace(news, tag=str(verification.pk))) == [Outcome.CHANGED]
    assert fate(lost)["sid"] == made
    assert Verification.objects.get().sid == started
    # A tag of another verification's, and one that is no id at all, find nothing.
    other = lost_attempt(make_verification())
    wrong = news_of(other, "sent", sid=sid("VL"))
    assert tell(replace(wrong, tag=str(verification.pk))) == [Outcome.STRANGER]
    assert tell(replace(wrong, tag="x", verification_sid=sid("VE"))) == [Outcome.STRANGER]


@pytest.mark.django_db
def test_of_two_lost_sends_that_would_fit_neither_is_taken():
    verification = make_verification()
    lost = [lost_attempt(verification), lost_attempt(verification)]
    assert tell(news_of(lost[0], "sent", sid=sid("VL"))) == [Outcome.STRANGER]
    assert [fate(one)["status"] for one in lost] == ["perhaps_sent", "perhaps_sent"]


@pytest.mark.django_db
def test_a_lost_send_is_not_taken_for_one_by_another_way():
    lost = lost_attempt(channel="call")
    assert tell(news_of(lost, "sent", sid=sid("VL"), channel="sms")) == [Outcome.STRANGER]
    assert tell(news_of(lost, "sent", sid=sid("VL"), channel="Voice")) == [Outcome.CHANGED]
    whatsapp = lost_attempt(channel="whatsapp")
    assert tell(news_of(whatsapp, "sent", sid=sid("VL"), channel="sms")) == [Outcome.CHANGED]
    assert fate(whatsapp)["channel_used"] == "sms"


@pytest.mark.django_db
def test_a_send_that_is_under_way_waits_for_its_own_answer_unless_its_tag_tells():
    verification = make_verification()
    reserved = {"status": AttemptStatus.RESERVED.value, "error_code": None, "settled_at": None}
    now_sent = lost_attempt(verification, **reserved)
    news = news_of(now_sent, "sent", sid=sid("VL"))
    assert tell(news) == [Outcome.STRANGER]
    assert tell(replace(news, tag=str(verification.pk))) == [Outcome.CHANGED]
    now_sent.refresh_from_db()
    assert (now_sent.status, now_sent.sid) == ("sent", news.sid)
    assert now_sent.settled_at is not None
    cut_short = lost_attempt(make_verification(), **reserved, created_at=timezone.now() - attempts.CUT_SHORT)
    assert tell(news_of(cut_short, "sent", sid=sid("VL"))) == [Outcome.CHANGED]


@pytest.mark.django_db
def test_what_comes_when_the_record_is_gone_or_never_at_rest_is_not_lost_silently(monkeypatch):
    ours, now = make_attempt(), timezone.now()
    with monkeypatch.context() as patched:
        patched.setattr(attempts, "_TRIES", 0)
        with pytest.raises(attempts.Contended):
            attempts.settle(news_of(ours, "delivered"), ours, now)
    Verification.objects.all().delete()
    assert attempts.settle(news_of(ours, "delivered"), ours, now) == Outcome.STRANGER
    assert tell(ProviderAttempt("", "", "", None, message_status="delivered")) == [Outcome.STRANGER]


@pytest.mark.django_db
@pytest.mark.parametrize("status", ["refused", "not_sent"])
def test_what_was_never_sent_stays_so(status):
    never = lost_attempt(status=status)
    assert tell(news_of(never, "delivered", sid=sid("VL"))) == [Outcome.STRANGER]
    assert fate(never)["status"] == status


def opt_outs():
    return [(event.channel, event.origin) for event in ConsentEvent.objects.filter(event="opted_out")]


@pytest.mark.django_db
def test_an_error_that_means_stop_reaches_consent_once():
    agree()
    ours = make_attempt()
    stopped = news_of(ours, "undelivered", error_code=21610)
    tell(stopped, stopped)
    assert opt_outs() == [("sms", ours.sid)]
    assert consent.find(recipient=PHONE, channel="sms", client=make_client()) is None
    # Released, and agreed to anew: the old news, read again in every run, does not stop it.
    release_opt_out()
    agree()
    tell(stopped)
    assert len(opt_outs()) == 1
    assert consent.find(recipient=PHONE, channel="sms", client=make_client()) is not None


@pytest.mark.django_db
def test_a_stop_holds_for_the_way_that_was_really_used():
    ours = make_attempt(channel="whatsapp", channel_used="whatsapp")
    tell(news_of(ours, "failed", error_code=21610, channel="sms"))
    assert [channel for channel, _ in opt_outs()] == ["sms"]
    odd = make_attempt(make_verification("+15017122699"), channel="auto", channel_used="")
    tell(news_of(odd, "failed", error_code=21610, channel="pigeon"))
    assert [channel for channel, _ in opt_outs()] == ["sms", "sms"]


@pytest.mark.django_db
def test_the_stop_of_an_erased_recipient_is_logged_without_it(caplog):
    ours = make_attempt()
    Verification.objects.update(recipient_value="")
    ours.refresh_from_db()
    tell(news_of(ours, "undelivered", error_code=21610))
    assert opt_outs() == []
    assert fate(ours)["error_code"] == 21610
    assert "Opt-out of an erased recipient" in caplog.text


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_many_who_bring_different_news_at_once_the_last_word_stands():
    agree()
    ours = make_attempt(make_verification())
    words = ["queued", "sent", "delivered", "read", "undelivered", "sending", "accepted", "failed"]

    def work(index):
        return tell(news_of(ours, words[index], at=NOON + timedelta(seconds=index), error_code=0))[0]

    results = race(len(words), work)
    assert {type(one) for one in results} == {Outcome}
    assert fate(ours)["delivery"] == "read"


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_many_who_bring_the_same_stop_at_once_one_is_recorded():
    agree()
    ours = make_attempt()
    results = race(8, lambda index: tell(news_of(ours, "undelivered", error_code=21610))[0])
    assert results.count(Outcome.CHANGED) == 1
    assert len(opt_outs()) == 1
