"""Sends: one click, one message; what is counted, reused, refused and recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.db import transaction
from django.test import override_settings

from django_twilio_verify import verifications
from django_twilio_verify.choices import AttemptStatus, Channel, VerificationStatus
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable, InvalidRecipient, RateLimited
from django_twilio_verify.models import Verification, VerificationAttempt
from django_twilio_verify.signals import verification_sent
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import lifecycle
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PHONE,
    agree,
    last_code,
    make_client,
    make_factor,
    make_user,
    wrong_code,
)

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("claimants_have_room")]
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["start", "astart"])
def start(request):
    """Both twins, with the same cases."""

    def call(recipient: str = PHONE, channel: str = "sms", **values):
        twin = getattr(lifecycle, request.param)
        twin = async_to_sync(twin) if request.param == "astart" else twin
        return twin(recipient=recipient, channel=channel, **{"client": make_client(), **values})

    return call


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def attempts() -> list[tuple[str, str]]:
    return list(VerificationAttempt.objects.order_by("id").values_list("channel", "status"))


def test_a_send_is_recorded_with_what_the_provider_said(start, clock):
    agree()
    started = start()
    verification = Verification.objects.get()
    assert started.verification == verification
    assert verification.sid.startswith("VE") and verification.sends == 1
    assert verification.status == VerificationStatus.PENDING
    assert verification.expires_at == NOON + timedelta(minutes=10)
    attempt = verification.attempts.get()
    assert (attempt.status, attempt.channel_used) == (AttemptStatus.SENT, "sms")
    assert attempt.sid.startswith("VL") and attempt.settled_at == NOON
    assert (started.reused, started.delivery_unknown, started.sends_left) == (False, False, 4)
    assert started.resend_at == NOON + timedelta(seconds=30)


def test_a_second_start_in_the_cooldown_is_the_first_one(start, clock):
    agree()
    first = start()
    clock.shift(29)
    second = start()
    assert second.reused and second.verification == first.verification
    assert len(outbox) == 1 and attempts() == [("sms", "sent")]


def test_after_the_cooldown_the_same_code_is_sent_again(start, clock):
    agree()
    first = start()
    clock.shift(30)
    second = start()
    assert not second.reused and second.verification == first.verification
    assert [message.code for message in outbox] == [outbox[0].code] * 2


def test_resends_are_spaced_and_end_after_five(start, clock):
    agree()
    start()
    for wait in (30, 40, 60, 90):
        clock.shift(wait - 1)
        with pytest.raises(RateLimited) as early:
            start(resend=True)
        assert early.value.code == "cooldown"
        assert early.value.retry_at == datetime.now(UTC) + timedelta(seconds=1)
        clock.shift(1)
        start(resend=True)
    clock.shift(120)
    with pytest.raises(RateLimited) as spent:
        start(resend=True)
    assert spent.value.code == "no_sends_left"
    assert spent.value.retry_at == NOON + timedelta(minutes=10)
    assert len(outbox) == 5
    assert start().resend_at is None  # and the page can still ask for the code that was sent


def test_when_it_has_expired_a_new_one_begins(start, clock):
    agree()
    first = start()
    clock.shift(600)
    second = start()
    assert second.verification != first.verification
    first.verification.refresh_from_db()
    assert first.verification.status == VerificationStatus.EXPIRED
    assert outbox[0].code != outbox[1].code or outbox[0].sid != outbox[1].sid


def test_another_way_waits_its_turn_and_then_carries_the_same_code(start, clock):
    agree()
    agree(PHONE, "call")
    first = start()
    with pytest.raises(RateLimited):
        start(channel="call")
    clock.shift(30)
    second = start(channel="voice")
    assert second.verification == first.verification and second.channel == Channel.CALL
    assert outbox[0].code == outbox[1].code
    assert attempts() == [("sms", "sent"), ("call", "sent")]


def test_persons_sessions_and_purposes_do_not_share_a_verification(start):
    ann = make_factor(make_user()).user
    agree()
    agree(client=make_client("session-2"))
    ids = {
        start(user=ann, purpose="enroll").verification.pk,
        start(user=ann, purpose="login").verification.pk,
        start().verification.pk,
        start(client=make_client("session-2")).verification.pk,
    }
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("fault", "status", "raises"),
    [
        ("unreachable", AttemptStatus.NOT_SENT, BackendUnavailable),
        ({"code": 60605, "status": 403}, AttemptStatus.REFUSED, BackendRejected),
        ({"code": 60203, "status": 429}, AttemptStatus.REFUSED, RateLimited),
        ({"code": 20429, "status": 429}, AttemptStatus.REFUSED, RateLimited),
    ],
    ids=["never reached", "country blocked", "sends used up", "busy"],
)
def test_what_was_not_sent_is_recorded_and_leaves_the_place_free(start, clock, server, fault, status, raises):
    agree()
    server.fail(fault)
    with pytest.raises(raises) as told:
        start()
    verification = Verification.objects.get()
    assert verification.status == VerificationStatus.FAILED
    assert verification.attempts.get().status == status
    if raises is RateLimited:
        used_up = fault["code"] == 60203
        assert told.value.retry_at == NOON + (timedelta(minutes=10) if used_up else timedelta(seconds=30))
    server.restart()
    assert not start().reused
    assert Verification.objects.filter(status=VerificationStatus.PENDING).count() == 1


def test_a_failed_resend_may_be_tried_again_at_once_and_costs_no_send(start, clock, server):
    agree()
    start()
    clock.shift(30)
    server.fail({"code": 60410, "status": 403})
    with pytest.raises(BackendRejected):
        start(resend=True)
    verification = Verification.objects.get()
    assert (verification.status, verification.sends) == (VerificationStatus.PENDING, 1)
    assert not start(resend=True).reused
    assert [status for _, status in attempts()] == ["sent", "refused", "sent"]


def test_the_site_spaces_resends_as_it_likes_and_after_the_last_wait_the_code_has_to_expire(start, clock, settings):
    settings.TWILIO_VERIFY_RESEND_COOLDOWN_SECONDS = [10, 200]
    agree()
    started = start()
    for wait in (10, 200):
        clock.shift(wait - 1)
        with pytest.raises(RateLimited) as early:
            start(resend=True)
        assert early.value.code == "cooldown"
        assert early.value.retry_at == datetime.now(UTC) + timedelta(seconds=1)
        clock.shift(1)
        assert start(resend=True).verification == started.verification
    clock.shift(389)
    with pytest.raises(RateLimited) as early:
        start(resend=True)
    assert early.value.retry_at == NOON + timedelta(minutes=10)
    assert len(outbox) == 3
    clock.shift(1)
    assert start(resend=True).verification != started.verification


@pytest.mark.parametrize("fault", ["reset", "500", "503", "garble"])
def test_a_send_that_may_have_gone_out_counts_and_is_not_repeated(start, server, fault):
    agree()
    server.fail(fault)
    started = start()
    assert started.delivery_unknown
    assert attempts() == [("sms", "perhaps_sent")]
    assert start().reused
    with pytest.raises(RateLimited):
        start(resend=True)
    assert server.count == 1


def test_after_a_doubtful_send_the_code_that_came_is_accepted(start, server):
    agree()
    server.fail("reset after")
    started = start()
    assert started.delivery_unknown and started.verification.sid == ""
    checked = verifications.check(started.verification, code=server.last_code, client=make_client())
    assert checked.approved


def test_a_timeout_is_perhaps_sent(settings, server):
    server.restart(timeout=2)
    agree()
    server.fail("slow")
    started = verifications.start(recipient=PHONE, channel="sms", client=make_client())
    assert started.delivery_unknown
    assert attempts() == [("sms", "perhaps_sent")]


@pytest.mark.parametrize(
    ("recipient", "channel", "code"),
    [
        ("+1 23", "sms", "phone_too_short"),
        ("hello", "sms", "phone_invalid"),
        ("", "sms", "phone_missing"),
        ("02 1234 5678", "sms", "phone_country_missing"),
        ("+43 1 58858", "sms", "phone_no_text"),
        (EMAIL, "sms", "wrong_kind"),
        (PHONE, "email", "wrong_kind"),
        ("ann@gmial.com", "email", "email_typo"),
        ("ann@", "email", "email_invalid"),
    ],
)
def test_what_cannot_be_sent_to_is_refused_before_anything_is_written(start, recipient, channel, code):
    with pytest.raises(InvalidRecipient) as refused:
        start(recipient, channel)
    assert refused.value.code == code
    assert Verification.objects.count() == 0


def test_a_country_that_is_not_allowed_is_refused(start):
    with override_settings(TWILIO_VERIFY_COUNTRIES=["AT"]), pytest.raises(InvalidRecipient) as refused:
        start()
    assert refused.value.code == "country_not_allowed"


@pytest.mark.parametrize("channel", ["totp", "passkey", "recovery", "push"])
def test_a_channel_that_carries_no_code_is_a_mistake_of_the_site(start, channel):
    with pytest.raises(ValueError, match="carries no codes"):
        start(channel=channel)


@pytest.mark.parametrize("rule", ["user_hour", "claim_hour", "ip_hour"])
def test_each_limit_of_an_hour_holds_and_says_when_it_ends(start, clock, settings, rule):
    roomy = dict.fromkeys(("claim_ten_minutes", "user_hour", "claim_hour", "ip_hour"), 99)
    settings.TWILIO_VERIFY_LIMITS = {**roomy, rule: 2}
    people = [make_client("same"), make_client("same")] if rule == "user_hour" else []
    numbers = [PHONE, PHONE] if rule == "claim_hour" else []
    for index in range(3):
        client = (
            people[0]
            if people
            else make_client(f"s{index}", ip="203.0.113.7" if rule == "ip_hour" else f"203.0.113.{index}")
        )
        number = numbers[0] if numbers else f"+1501712270{index}"
        agree(number, client=client)
        if index < 2:
            start(number, client=client)
            continue
        with pytest.raises(RateLimited) as refused:
            start(number, client=client)
        assert refused.value.code == rule
        # Of two at the beginning of an hour one has faded by the middle of the next.
        assert refused.value.retry_at == NOON + timedelta(hours=1.5, seconds=3.6)
    assert len(outbox) == 2
    assert Verification.objects.count() == 2  # the refused one left nothing behind
    clock.move_to(refused.value.retry_at)
    start(number, client=client)
    assert len(outbox) == 3


def test_a_refused_send_counts_for_none_of_the_limits(start, clock, settings):
    settings.TWILIO_VERIFY_LIMITS = {"user_hour": 1, "claim_hour": 2, "ip_hour": 99}
    agree()
    start()
    clock.shift(601)
    for _ in range(3):
        with pytest.raises(RateLimited):
            start()
    other = make_client("session-2")
    agree(client=other)
    start(client=other)  # the recipient's second, not its fifth


def test_a_limit_of_zero_closes(start, settings):
    settings.TWILIO_VERIFY_LIMITS = {"ip_hour": 0}
    agree()
    with pytest.raises(RateLimited) as refused:
        start()
    assert refused.value.code == "ip_hour" and outbox == []


def test_without_a_known_address_the_network_is_not_limited(start, settings):
    settings.TWILIO_VERIFY_LIMITS = {"ip_hour": 0}
    client = make_client(ip="")
    agree(client=client)
    start(client=client)
    assert len(outbox) == 1


def test_five_wrong_codes_stop_sends_until_it_would_have_expired(start, clock):
    agree()
    started = start()
    for _ in range(5):
        verifications.check(started.verification, code=wrong_code(), client=make_client())
    clock.shift(60)
    with pytest.raises(RateLimited) as refused:
        start()
    assert refused.value.code == "no_checks_left"
    assert refused.value.retry_at == NOON + timedelta(minutes=10)
    clock.shift(600)
    assert not start().reused


def test_an_approved_one_frees_the_place(start):
    agree()
    started = start()
    assert verifications.check(started.verification, code=last_code(), client=make_client()).approved
    assert start().verification != started.verification


def test_within_a_transaction_of_the_sites_nothing_is_sent(start):
    agree()
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        verifications.start(recipient=PHONE, channel="sms", client=make_client())
    assert outbox == []


@pytest.mark.django_db(transaction=True)
def test_the_signal_comes_after_the_commit(start):
    heard = []

    def receiver(sender, verification, attempt, **kwargs):
        heard.append((verification.pk, attempt.status, transaction.get_connection().in_atomic_block))

    verification_sent.connect(receiver)
    try:
        agree()
        started = start()
    finally:
        verification_sent.disconnect(receiver)
    assert heard == [(started.verification.pk, AttemptStatus.SENT, False)]


def test_the_persons_language_and_our_opaque_id_go_along(start, server):
    client = make_client(language="pt-br")
    agree(client=client)
    started = start(client=client)
    form = server.last_form
    assert form["Locale"] == "pt-BR"
    assert str(started.verification.pk) in form["Tags"]
    assert OTHER_PHONE not in str(form)
