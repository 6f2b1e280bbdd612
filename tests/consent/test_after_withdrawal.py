"""After consent has ended, nothing is sent, whatever was under way. The rival acts when the test says."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, connections, transaction
from django.db.models.signals import post_save
from django.utils import timezone

from django_twilio_verify import consent, verifications
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import AttemptStatus
from django_twilio_verify.consent import carrying_over, opt_outs
from django_twilio_verify.exceptions import ConsentRequired
from django_twilio_verify.factors import erasure, own_factors
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.limits import counters
from django_twilio_verify.models import ConsentEvent, Verification, VerificationAttempt, locks
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import lifecycle, sending
from tests.support.basics import OTHER_PHONE, PHONE, agree, last_code, make_client, make_factor, make_user

pytestmark = pytest.mark.django_db(transaction=True)


def withdraw(user: Any) -> None:
    consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=user)


def opt_out(user: Any) -> None:
    consent.opt_out(recipient=PHONE, channel="sms")


def stop_at_the_provider(user: Any) -> None:
    opt_outs.opted_out(recipient=PHONE, channel="sms", origin="webhook")


def ask_staff(user: Any) -> None:
    opt_outs.record_request(recipient=PHONE, words="Stop.", received_at=timezone.now(), staff=user)


def invalidate(user: Any) -> None:
    consent.invalidate(recipient=PHONE, channel="sms", reason="A new holder.")


def expire(user: Any) -> None:
    consent.expire(ConsentEvent.objects.get(event="granted"))


def erase(user: Any) -> None:
    erasure.erase(Addressee.of(PHONE), reason="Asked by letter.", actor="carla")


ENDINGS = [withdraw, opt_out, stop_at_the_provider, ask_staff, invalidate, expire, erase]


@pytest.fixture(params=["sync", "async"])
def start(request) -> Callable[..., Any]:
    return lifecycle.start if request.param == "sync" else async_to_sync(lifecycle.astart)


@pytest.fixture
def ann() -> Any:
    return make_user()


def elsewhere(work: Callable[[], Any]) -> threading.Thread:
    """``work`` in another process, as far as the database can tell."""

    def run() -> None:
        try:
            work()
        finally:
            connections.close_all()

    thread = threading.Thread(target=run)
    thread.start()
    return thread


def to_its_end(work: Callable[[], Any]) -> None:
    thread = elsewhere(work)
    thread.join(60)
    assert not thread.is_alive()


def refused(start: Callable[..., Any], user: Any) -> None:
    with pytest.raises(ConsentRequired):
        start(recipient=PHONE, channel="sms", client=make_client(), user=user)
    assert outbox == []
    assert not VerificationAttempt.objects.filter(status=AttemptStatus.SENT).exists()
    assert not Verification.objects.filter(status="pending").exists()


def before_the_first_call(monkeypatch: Any, module: Any, name: str, work: Callable[[], Any]) -> None:
    """Have ``work`` done right before the first call of ``module.name``."""
    original, done = getattr(module, name), []

    def seam(*args: Any, **kwargs: Any) -> Any:
        if not done:
            done.append(True)
            work()
        return original(*args, **kwargs)

    monkeypatch.setattr(module, name, seam)


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("moment", ["before the counters", "between the counters and the lock"])
def test_consent_that_ends_after_the_first_look_is_seen(monkeypatch, start, ann, moment, ending):
    agree(user=ann)
    # SQLite has one writer: nobody else writes once the counters are written.
    is_first = moment == "before the counters" or connection.vendor == "sqlite"
    module, name = (counters, "within") if is_first else (locks, "take")
    before_the_first_call(monkeypatch, module, name, lambda: to_its_end(lambda: ending(ann)))
    refused(start, ann)
    assert not VerificationAttempt.objects.exists()


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_send_that_is_being_reserved_is_waited_for_and_recalled(monkeypatch, start, ann, ending):
    """The rival begins inside a receiver, with the recipient locked, and ends before the provider is called."""
    agree(user=ann)
    rival: list[threading.Thread] = []

    def receiver(sender: Any, instance: Any, **kwargs: Any) -> None:
        rival.append(elsewhere(lambda: ending(ann)))

    post_save.connect(receiver, sender=VerificationAttempt)
    before_the_first_call(monkeypatch, sending, "hand_over", lambda: rival[0].join(60))
    try:
        refused(start, ann)
    finally:
        post_save.disconnect(receiver, sender=VerificationAttempt)
    assert VerificationAttempt.objects.get().status == AttemptStatus.NOT_SENT


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_send_that_is_reserved_is_recalled(monkeypatch, start, ann, ending):
    agree(user=ann)
    before_the_first_call(monkeypatch, sending, "hand_over", lambda: to_its_end(lambda: ending(ann)))
    refused(start, ann)
    attempt = VerificationAttempt.objects.get()
    assert (attempt.status, attempt.claimed_at) == (AttemptStatus.NOT_SENT, None)


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_send_that_is_claimed_and_held_up_reads_consent_again(monkeypatch, start, ann, ending):
    agree(user=ann)
    original = sending.hand_over
    claims = []

    def seam(reserved: Any) -> float:
        until = original(reserved)
        if not claims:
            to_its_end(lambda: ending(ann))  # which waits until the claim has run out
        claims.append(until)
        return until

    monkeypatch.setattr(sending, "hand_over", seam)
    refused(start, ann)
    assert len(claims) == 1


@pytest.mark.parametrize("ending", [withdraw, opt_out])
def test_so_does_one_that_may_fall_back_to_what_has_ended(monkeypatch, start, ann, settings, ending):
    """The provider makes a text message of a WhatsApp message that it cannot deliver."""
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "whatsapp"]
    agree(PHONE, "whatsapp", user=ann)
    agree(user=ann)
    original = sending.hand_over
    claims = []

    def seam(reserved: Any) -> float:
        until = original(reserved)
        if not claims:
            to_its_end(lambda: ending(ann))
        claims.append(until)
        return until

    monkeypatch.setattr(sending, "hand_over", seam)
    with pytest.raises(ConsentRequired):
        start(recipient=PHONE, channel="whatsapp", client=make_client(), user=ann)
    assert outbox == [] and len(claims) == 1


@pytest.mark.parametrize("ending", [withdraw, opt_out, erase])
def test_what_the_provider_has_is_the_last(monkeypatch, start, ann, ending):
    agree(user=ann)
    backend = backends["default"]
    entered = []

    def calling(name: str) -> None:
        original = getattr(type(backend), name)

        def sync(self: Any, *args: Any) -> Any:
            entered.append(name)
            to_its_end(lambda: ending(ann))
            return original(self, *args)

        async def asyncly(self: Any, *args: Any) -> Any:
            entered.append(name)
            to_its_end(lambda: ending(ann))
            return await original(self, *args)

        monkeypatch.setattr(type(backend), name, sync if name == "start" else asyncly)

    calling("start")
    calling("astart")
    start(recipient=PHONE, channel="sms", client=make_client(), user=ann)
    assert len(outbox) == 1 and entered
    with pytest.raises(ConsentRequired):
        start(recipient=PHONE, channel="sms", client=make_client(), user=ann, resend=True)
    assert len(outbox) == 1


@pytest.mark.parametrize("ending", [withdraw, opt_out, erase])
def test_nothing_is_sent_after_the_provider_was_slow_to_cancel_another_verification(monkeypatch, start, ann, ending):
    """An owner's code goes out after a claimant's was canceled, which may take longer than a claim lasts."""
    make_factor(ann)
    agree(client=make_client("claimant"))
    verifications.start(recipient=PHONE, channel="sms", client=make_client("claimant"))
    outbox.clear()
    backend = type(backends["default"])
    original, canceled = backend.cancel, []

    def cancel(self: Any, sid: str) -> Any:
        canceled.append(sid)
        to_its_end(lambda: ending(ann))
        return original(self, sid)

    monkeypatch.setattr(backend, "cancel", cancel)
    with pytest.raises(ConsentRequired):
        start(recipient=PHONE, channel="sms", client=make_client(), user=ann)
    assert (len(canceled), outbox) == (1, [])
    assert VerificationAttempt.objects.latest("pk").status == AttemptStatus.NOT_SENT


def test_a_resend_that_is_recalled_leaves_the_code_before_it(monkeypatch, ann):
    agree(user=ann)
    first = verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=ann)
    Verification.objects.update(resend_at=first.verification.created_at)
    before_the_first_call(monkeypatch, sending, "hand_over", lambda: to_its_end(lambda: withdraw(ann)))
    with pytest.raises(ConsentRequired):
        lifecycle.start(recipient=PHONE, channel="sms", client=make_client(), user=ann, resend=True)
    row = Verification.objects.get()
    assert (row.status, row.sends, len(outbox)) == ("pending", 1, 1)


def test_sends_of_others_are_not_recalled_by_a_withdrawal(monkeypatch, ann):
    bob = make_user("bob")
    agree(user=ann)
    agree(user=bob)
    before_the_first_call(monkeypatch, sending, "hand_over", lambda: to_its_end(lambda: withdraw(bob)))
    assert verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=ann).verification
    assert [message.to for message in outbox] == [PHONE]


def test_sends_to_others_are_not_recalled_by_an_opt_out(monkeypatch, ann):
    agree(OTHER_PHONE, user=ann)
    before_the_first_call(monkeypatch, sending, "hand_over", lambda: to_its_end(lambda: opt_out(ann)))
    assert verifications.start(recipient=OTHER_PHONE, channel="sms", client=make_client(), user=ann).verification
    assert len(outbox) == 1


def test_a_withdrawal_within_a_transaction_of_the_callers_holds_new_sends_until_it_commits(ann):
    """As under ATOMIC_REQUESTS: the other process waits for the lock and then sees what was committed."""
    agree(user=ann)
    told: list[Any] = []

    def send() -> None:
        try:
            told.append(verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=ann))
        except ConsentRequired as error:
            told.append(error)

    with transaction.atomic():
        withdraw(ann)
        other = elsewhere(send)
        other.join(1)
        assert told == [] or isinstance(told[0], ConsentRequired)
        assert outbox == []
    other.join(60)
    assert isinstance(told[0], ConsentRequired) and outbox == []


def test_a_withdrawal_that_is_rolled_back_ends_nothing(ann):
    agree(user=ann)
    with transaction.atomic():
        withdraw(ann)
        transaction.set_rollback(True)
    assert verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=ann).verification


def test_erasing_the_evidence_ends_the_consent(ann):
    agree(user=ann)
    erase(ann)
    assert consent.find(recipient=PHONE, channel="sms", client=make_client(), user=ann) is None
    refused(lifecycle.start, ann)
    agree(user=ann)
    assert verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=ann).verification


def test_a_sender_that_died_holds_nobody_up(ann):
    """A claim of long ago is not waited for."""
    agree(user=ann)
    verifications.start(recipient=PHONE, channel="sms", client=make_client(), user=ann)
    before = timezone.now() - timedelta(minutes=5)
    VerificationAttempt.objects.update(status=AttemptStatus.RESERVED, claimed_at=before)
    withdraw(ann)
    assert ConsentEvent.objects.filter(event="withdrawn").count() == 1


# ------------------------------------------------------------------------------------------------- carried over


def prove(visitor: Any) -> Verification:
    agree()
    started = verifications.start(recipient=PHONE, channel="sms", client=visitor)
    assert verifications.check(started.verification, code=last_code(), client=visitor).approved
    return started.verification


def live(user: Any) -> ConsentEvent | None:
    return consent.find(recipient=PHONE, channel="sms", client=make_client("elsewhere"), user=user)


@pytest.mark.parametrize("ending", [withdraw, invalidate, opt_out])
def test_what_ended_since_is_not_carried_over_from_before(ann, ending):
    """The visitor agrees, the account then ends its consent, and takes the visitor's number over."""
    agree(user=ann)
    proof = prove(make_client())
    ending(ann)
    own_factors.attach(proof.pk, user=ann, client=make_client())
    assert live(ann) is None


def test_what_ended_before_the_visitor_agreed_is_renewed(ann):
    agree(user=ann)
    withdraw(ann)
    proof = prove(make_client())
    own_factors.attach(proof.pk, user=ann, client=make_client())
    assert live(ann) is not None


@pytest.mark.parametrize("ending", [withdraw, invalidate])
def test_consent_that_ends_while_it_is_carried_over_has_ended(monkeypatch, ann, ending):
    """The rival begins between the look and the event."""
    agree(user=ann)
    proof = prove(make_client())
    rival: list[threading.Thread] = []

    def end() -> None:
        rival.append(elsewhere(lambda: ending(ann)))
        rival[0].join(1)

    before_the_first_call(monkeypatch, carrying_over, "_carried", end)
    own_factors.attach(proof.pk, user=ann, client=make_client())
    rival[0].join(60)
    assert live(ann) is None
