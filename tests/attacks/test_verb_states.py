"""Every purpose that opens an account, by every verb, in every state of its factor; both twins."""

from __future__ import annotations

import threading
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.db import connections

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import CheckOutcome, RedeemProblem
from django_twilio_verify.core import derived_keys
from django_twilio_verify.exceptions import FactorNotFound, VerificationNotFound
from django_twilio_verify.models import Factor, Verification, VerificationAttempt
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import challenges, lifecycle
from tests.attacks.states import FACTOR_STATES, NOON, Stage
from tests.support.basics import PHONE, agree, last_code, make_client, make_factor, make_secret, make_user

pytestmark = pytest.mark.django_db

PURPOSES = ("login", "step_up", "payment")
BREAD = {"amount": "49.90 EUR", "payee": "The Corner Shop"}


class Verbs:
    """The verbs of the verbs for Ann, in one session."""

    def __init__(self, twin: str, user: Any, purpose: str) -> None:
        self.twin, self.purpose, self.user = twin, purpose, user
        self.own = {"client": make_client(), "user": user}
        self.paid = BREAD if purpose == "payment" else {}

    def __call__(self, verb: str, *args: Any, place: Any = lifecycle, **kwargs: Any) -> Any:
        found = getattr(place, verb if self.twin == "sync" else f"a{verb}")
        return (found if self.twin == "sync" else async_to_sync(found))(*args, **self.own, **kwargs)

    def start(self, channel: str = "sms", **values: Any) -> Verification:
        started = self("start", recipient=PHONE, channel=channel, purpose=self.purpose, **self.paid, **values)
        found: Verification = started.verification
        return found

    def ask(self) -> Verification:
        asked = self("start", place=challenges, channel="push", purpose=self.purpose, **self.paid)
        found: Verification = asked.verification
        return found

    def approved(self, verification: Verification) -> bool:
        return bool(self("check", verification, code=last_code(), **self.paid).approved)


@pytest.fixture(params=["sync", "async"])
def twin(request: Any) -> str:
    return str(request.param)


@pytest.fixture
def clock() -> Any:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def stage(clock: Any) -> Stage:
    return Stage(clock).with_phone()


@pytest.fixture
def verbs(twin: str, stage: Stage, purpose: str) -> Verbs:
    return Verbs(twin, stage.ann, purpose)


def sends() -> tuple[int, int]:
    return len(outbox), VerificationAttempt.objects.count()


@pytest.mark.parametrize("state", FACTOR_STATES)
@pytest.mark.parametrize("purpose", PURPOSES)
class TestGone:
    def test_start(self, verbs, stage, state):
        FACTOR_STATES[state](stage)
        before = sends()
        with pytest.raises(FactorNotFound) as refused:
            verbs.start()
        assert refused.value.code == "factor_not_found" and sends() == before
        assert not Verification.objects.exclude(purpose="enroll").exists()

    def test_the_row_that_the_caller_holds_is_no_proof(self, verbs, stage, state):
        FACTOR_STATES[state](stage)
        stage.attacked.confirmed_at = stage.attacked.created_at  # whatever it says of itself
        with pytest.raises(FactorNotFound):
            verbs("start", recipient=PHONE, channel="sms", purpose=verbs.purpose, factor=None, **verbs.paid)
        assert outbox == []

    @pytest.mark.parametrize("channel", [None, "call"])
    def test_resend_and_another_channel(self, verbs, stage, clock, state, channel):
        verification = verbs.start()
        FACTOR_STATES[state](stage)
        # As if the row had been changed behind the back of our signals: the verification is still open.
        Verification.objects.filter(pk=verification.pk).update(status="pending")
        clock.shift(60)
        before = sends()
        with pytest.raises(FactorNotFound):
            verbs("resend", verification, channel=channel)
        with pytest.raises(FactorNotFound):
            verbs.start(channel or "sms", resend=True)
        assert sends() == before

    def test_check(self, verbs, stage, state):
        verification = verbs.start(factor=stage.attacked)
        FACTOR_STATES[state](stage)
        checked = verbs("check", verification, code=last_code(), **verbs.paid)
        assert checked.outcome in (CheckOutcome.FACTOR_GONE, CheckOutcome.CLOSED)
        assert Verification.objects.get(pk=verification.pk).status == "canceled"

    def test_check_of_what_is_still_open(self, verbs, stage, state):
        verification = verbs.start()
        FACTOR_STATES[state](stage)
        kept = Verification.objects.filter(pk=verification.pk)
        kept.update(status="pending")
        checked = verbs("check", verification, code=last_code(), **verbs.paid)
        assert (checked.outcome, kept.get().status, kept.get().approved_at) == (
            CheckOutcome.FACTOR_GONE,
            "canceled",
            None,
        )
        again = verbs("check", verification, code=last_code(), **verbs.paid)
        assert again.outcome == CheckOutcome.CLOSED

    def test_check_link(self, verbs, stage, state):
        if verbs.purpose == "payment":
            with pytest.raises(ValueError, match="approved by a code"):
                verbs.start("sna")
            return
        verification = verbs.start("sna")
        backends["default"].simulator.open_link(outbox[-1].link)
        FACTOR_STATES[state](stage)
        kept = Verification.objects.filter(pk=verification.pk)
        kept.update(status="pending", link=verification.link)
        assert verbs("check_link", verification).outcome == CheckOutcome.FACTOR_GONE
        assert kept.get().status == "canceled"

    def test_redeem(self, verbs, stage, state):
        verification = verbs.start()
        assert verbs.approved(verification)
        FACTOR_STATES[state](stage)
        redeemed = verbs("redeem", verification, purpose=verbs.purpose, **verbs.paid)
        assert not redeemed.accepted and redeemed.problem == RedeemProblem.FACTOR_GONE
        assert Verification.objects.get(pk=verification.pk).redeemed_at is None


@pytest.mark.parametrize("state", FACTOR_STATES)
@pytest.mark.parametrize("purpose", PURPOSES)
class TestDeviceGone:
    @pytest.fixture
    def stage(self, clock):
        return Stage(clock).with_device("push")

    def test_poll(self, verbs, stage, state):
        verification = verbs.ask()
        stage.with_number()
        typed = verbs("check", verification, place=challenges, number="00", **verbs.paid)
        assert typed.outcome == CheckOutcome.WRONG  # and ends it
        verification = verbs.ask()
        stage.with_number()
        Verification.objects.filter(pk=verification.pk).update(matched_at=verification.created_at)
        FACTOR_STATES[state](stage)
        assert verbs("poll", verification, place=challenges).outcome == CheckOutcome.FACTOR_GONE
        assert Verification.objects.get(pk=verification.pk).status == "canceled"

    def test_the_number(self, verbs, stage, state):
        verification = verbs.ask()
        number = stage.with_number().data["number"]
        FACTOR_STATES[state](stage)
        checked = verbs("check", verification, place=challenges, number=number, **verbs.paid)
        assert checked.outcome == CheckOutcome.FACTOR_GONE

    def test_redeem(self, verbs, stage, state):
        verification = verbs.ask()
        number = stage.with_number().data["number"]
        assert verbs("check", verification, place=challenges, number=number, **verbs.paid).approved
        FACTOR_STATES[state](stage)
        redeemed = verbs("redeem", verification, purpose=verbs.purpose, **verbs.paid)
        assert redeemed.problem == RedeemProblem.FACTOR_GONE

    def test_redeem_while_it_is_there(self, verbs, stage, state):
        verification = verbs.ask()
        number = stage.with_number().data["number"]
        assert verbs("check", verification, place=challenges, number=number, **verbs.paid).approved
        assert verbs("redeem", verification, purpose=verbs.purpose, **verbs.paid).accepted


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("purpose", PURPOSES)
def test_removed_while_the_provider_judges(verbs, stage, monkeypatch):
    """The owner is a moment faster than the provider's answer."""
    verification = verbs.start(factor=stage.attacked)
    _meanwhile(monkeypatch, lambda: FACTOR_STATES["removed"](stage))
    checked = verbs("check", verification, code=last_code(), **verbs.paid)
    assert checked.outcome == CheckOutcome.FACTOR_GONE
    assert Verification.objects.get(pk=verification.pk).approved_at is None


@pytest.mark.parametrize("resend", [False, True])
@pytest.mark.parametrize("purpose", PURPOSES)
def test_removed_while_a_send_is_made_ready(verbs, stage, settings, clock, resend):
    """The site's own options are asked for after the first look at the factor, and before the send is reserved."""
    verification = verbs.start() if resend else None
    clock.shift(60)
    before = sends()

    def options(request: Any) -> None:
        if Factor.objects.filter(pk=stage.attacked.pk).exists():
            FACTOR_STATES["removed"](stage)
            agree(PHONE, user=stage.ann)

    settings.TWILIO_VERIFY_SEND_OPTIONS = options
    # Of a pending one, removing has ended it already.
    with pytest.raises(VerificationNotFound if resend else FactorNotFound):
        _ = verbs("resend", verification) if resend else verbs.start()
    assert sends() == before


def _meanwhile(monkeypatch: Any, work: Any) -> None:
    """Have ``work`` done once, after the provider has judged a code and before its answer is back."""
    backend = backends["default"]
    original, left = backend.check, [work]

    def check(*args: Any, **kwargs: Any) -> Any:
        judged = original(*args, **kwargs)
        if left:
            left.pop()()
            if threading.current_thread() is not threading.main_thread():
                connections.close_all()
        return judged

    monkeypatch.setattr(backend, "check", check)  # ``acheck`` runs it in a thread


@pytest.mark.parametrize("purpose", PURPOSES)
def test_the_same_number_enrolled_again_is_a_factor_again(verbs, stage, clock):
    verification = verbs.start(factor=stage.attacked)
    FACTOR_STATES["removed"](stage)
    make_factor(stage.ann, PHONE)
    assert verbs("check", verification, code=last_code(), **verbs.paid).outcome == CheckOutcome.CLOSED
    clock.shift(60)
    agree(PHONE, user=stage.ann)
    verification = verbs.start()
    assert verbs.approved(verification) and verbs("redeem", verification, purpose=verbs.purpose, **verbs.paid).accepted


@pytest.mark.parametrize("purpose", PURPOSES)
def test_nobody_and_not_confirmed(verbs, stage):
    agree(PHONE)
    verbs.own["user"] = None
    with pytest.raises(FactorNotFound):
        verbs.start()
    Factor.objects.filter(pk=stage.attacked.pk).update(confirmed_at=None)
    verbs.own["user"] = stage.ann
    with pytest.raises(FactorNotFound):
        verbs.start()
    assert outbox == [] and not Verification.objects.exists()


@pytest.mark.parametrize("purpose", PURPOSES)
def test_a_number_that_was_not_used_for_long_opens_nothing_beside_another(verbs, stage, settings, clock):
    settings.TWILIO_VERIFY_REVERIFY_DAYS = 30
    verification = verbs.start()
    code = last_code()
    Factor.objects.filter(pk=stage.attacked.pk).update(confirmed_at="2025-01-01T00:00:00Z")
    with pytest.raises(FactorNotFound):  # the address beside it was used lately
        verbs.start(resend=True)
    assert verbs("check", verification, code=code, **verbs.paid).outcome == CheckOutcome.FACTOR_GONE
    Factor.objects.exclude(pk=stage.attacked.pk).delete()
    stage.ann.twilio_recovery_codes.all().delete()
    clock.shift(60)
    assert verbs.approved(verbs.start()), "where nothing else opens the account, it does"


@pytest.mark.parametrize("purpose", PURPOSES)
def test_under_a_newer_key(verbs, stage, settings, clock):
    """A factor that an older fingerprint key named is the same one."""
    # The ledger has records under the key that is made of SECRET_KEY: it stays listed.
    old, derived = ("k1", make_secret("old")), derived_keys.fingerprint_key("tests-only")
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [old, derived]
    Factor.objects.all().delete()
    make_factor(stage.ann, PHONE)
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k2", make_secret("new")), old, derived]
    agree(PHONE, user=stage.ann)
    verification = verbs.start()
    assert verbs.approved(verification)
    assert verbs("redeem", verification, purpose=verbs.purpose, **verbs.paid).accepted


@pytest.mark.parametrize("purpose", ["enroll", "verify"])
@pytest.mark.parametrize("over", ["expired", "canceled", "approved", "failed", "denied"])
def test_what_is_over_takes_no_send(twin, stage, clock, purpose, over):
    """Not even where no factor is asked for."""
    verbs = Verbs(twin, stage.ann, purpose)
    verification = verbs.start()
    clock.shift(601 if over == "expired" else 60)
    if over != "expired":
        Verification.objects.update(status=over, pending_key=None)
    before = sends()
    for channel in (None, "call"):
        with pytest.raises(VerificationNotFound) as refused:
            verbs("resend", verification, channel=channel)
        assert refused.value.code == "verification_closed"
    assert sends() == before and Verification.objects.count() == 1


def test_what_another_one_has_taken_the_place_of_takes_no_send(twin, stage, clock):
    verbs = Verbs(twin, stage.ann, "enroll")
    old = verbs.start()
    clock.shift(601)
    new = verbs.start()
    Verification.objects.filter(pk=old.pk).update(status="pending", expires_at=new.expires_at)
    clock.shift(60)
    with pytest.raises(VerificationNotFound):
        verbs("resend", old)
    assert verbs("resend", new).verification == new


def test_a_resend_is_of_whom_it_was_for(twin, stage, clock):
    verbs = Verbs(twin, stage.ann, "enroll")
    verification = verbs.start()
    clock.shift(60)
    for values in ({"user": None}, {"user": make_user("bob")}, {"client": make_client("another")}):
        verbs.own = {"client": make_client(), "user": stage.ann, **values}
        with pytest.raises(VerificationNotFound):
            verbs("resend", verification)
    assert len(outbox) == 1
