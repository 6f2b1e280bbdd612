"""Wrong answers are bounded across sessions, verifications and days, and the owner still gets in."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.test import Client

from django_twilio_verify import factors, verifications
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.checks.configuration import check_code
from django_twilio_verify.choices import (
    CODE_CHANNELS,
    FACTOR_CHANNELS,
    VERIFICATION_CHANNELS,
    Channel,
    CheckOutcome,
    FactorKind,
)
from django_twilio_verify.core.client import ClientInfo
from django_twilio_verify.exceptions import BackendUnavailable, FactorHeld, RateLimited
from django_twilio_verify.factors import own_factors, recovery_codes
from django_twilio_verify.models import Factor, LimitCounter, Verification, VerificationCheck
from django_twilio_verify.signals import locked_out, notice_sent
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import challenges, lifecycle, throttling
from tests.support.basics import (
    EMAIL,
    PHONE,
    code_path,
    last_code,
    make_client,
    make_factor,
    make_user,
    sign_in,
    wrong_code,
)
from tests.support.devices import World
from tests.support.services import set_service

pytestmark = pytest.mark.django_db

NEVER_GUESSED = {
    Channel.SNA: "the mobile network judges it, and nobody types anything",
    Channel.AUTO: "becomes sna or sms",
    Channel.SILENT: "the phone answers, and nobody types anything",
    Channel.PASSKEY: "a signature cannot be guessed",
    Channel.RECOVERY: "80 random bits; limited by network",
}
COUNTED = sorted({*CODE_CHANNELS, Channel.TOTP, Channel.PUSH})
PURPOSES = ["login", "step_up", "payment"]


@pytest.fixture
def ann() -> Any:
    return make_user(email=EMAIL)


@pytest.fixture
def told() -> Any:
    """How many wrong codes each email of this kind spoke of."""
    counts: list[int] = []

    def hear(sender: Any, notice: str, emails_sent: int, **kwargs: Any) -> None:
        if notice == "wrong_codes":
            counts.append(emails_sent)

    notice_sent.connect(hear)
    yield counts
    notice_sent.disconnect(hear)


def at(number: int) -> ClientInfo:
    """A client in a network and a session of its own."""
    return make_client(f"thief-{number}", ip=f"198.51.{number}.7")


class Guesser:
    """Answers wrongly to a factor of ``user`` by ``channel``, in whichever session."""

    def __init__(self, world: World, user: Any, channel: str, purpose: str) -> None:
        self.world, self.user, self.channel, self.purpose = world, user, channel, purpose
        self.paid = {"amount": "5 EUR", "payee": "Shop"} if purpose == "payment" else {}
        if channel == Channel.TOTP:
            self.factor, self.app = world.totp(user)
        elif channel == Channel.PUSH:
            self.factor, self.phone = world.phone(user)
        else:
            self.factor = make_factor(user, EMAIL if channel == Channel.EMAIL else PHONE, channel=channel)

    def start(self, client: ClientInfo) -> Any:
        asked = {"client": client, "user": self.user, "purpose": self.purpose, "factor": self.factor, **self.paid}
        if self.channel in FACTOR_CHANNELS:
            return self.world.flow("challenges.start", channel=self.channel, **asked).verification
        sent = {"recipient": self.factor.recipient, "channel": self.channel, **asked}
        return self.world.flow("verifications.start", **sent).verification

    def wrong(self, verification: Any, client: ClientInfo) -> Any:
        own = {"client": client, "user": self.user, **self.paid}
        if self.channel == Channel.TOTP:
            return self.world.flow("challenges.check", verification, code=wrong_code(self.app.code()), **own)
        if self.channel == Channel.PUSH:
            number = "11" if verification.match_number != "11" else "12"
            return self.world.flow("challenges.check", verification, number=number, **own)
        sent = self.world.server.sent if self.world.server else outbox
        return self.world.flow("verifications.check", verification, code=wrong_code(sent[-1].code), **own)


def set_failures(factor: Factor, count: int) -> None:
    Factor.objects.filter(pk=factor.pk).update(failures=count, failures_told=25 if count >= 25 else 0)


def test_every_channel_is_counted_or_says_why_not() -> None:
    assert {*COUNTED} | {*NEVER_GUESSED} == {*Channel}
    assert not {*COUNTED} & {*NEVER_GUESSED} and {*VERIFICATION_CHANNELS, *FACTOR_CHANNELS} <= {*Channel}


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("channel", COUNTED)
def test_a_wrong_answer_counts_and_the_fiftieth_holds_the_factor(
    world: World, ann: Any, clock: Any, channel: str, purpose: str, told: list[int]
) -> None:
    held: list[Factor] = []

    def hear(sender: Any, reason: str, until: Any, factor: Any, **kwargs: Any) -> None:
        if reason == "factor_held":
            assert until is None and (kwargs["user"], kwargs["client"]) == (ann, at(2))
            held.append(factor)

    locked_out.connect(hear)
    guesser = Guesser(world, ann, channel, purpose)
    verification = guesser.start(at(1))
    assert guesser.wrong(verification, at(1)).outcome == CheckOutcome.WRONG
    guesser.factor.refresh_from_db()
    assert (guesser.factor.failures, guesser.factor.held_at, held) == (1, None, [])
    clock.shift(700)
    set_failures(guesser.factor, 49)
    verification = guesser.start(at(2))
    assert guesser.wrong(verification, at(2)).outcome == CheckOutcome.WRONG
    guesser.factor.refresh_from_db()
    assert guesser.factor.failures == 50 and guesser.factor.held_at is not None and held == [guesser.factor]
    assert told == [1] and "blocked" in mail.outbox[-1].body and mail.outbox[-1].to == [EMAIL]
    messages = len(outbox)
    clock.shift(700)
    with pytest.raises(FactorHeld):
        guesser.start(at(3))
    assert len(outbox) == messages and own_factors.challenge_options(own_factors.usable(ann), user=ann) == []
    assert factors.has_factor(ann)  # enforcement stays
    locked_out.disconnect(hear)


def test_a_right_answer_begins_anew(local: World, ann: Any, clock: Any) -> None:
    guesser = Guesser(local, ann, "sms", "login")
    set_failures(guesser.factor, 30)
    client = make_client()
    assert verifications.check(guesser.start(client), code=last_code(), client=client, user=ann).approved
    guesser.factor.refresh_from_db()
    assert (guesser.factor.failures, guesser.factor.failures_told, guesser.factor.held_at) == (0, 0, None)


def test_answers_that_were_not_judged_are_given_back(local: World, ann: Any, clock: Any) -> None:
    guesser = Guesser(local, ann, "sms", "login")
    client = make_client()
    verification = guesser.start(client)
    assert verifications.check(verification, code="12", client=client).outcome == CheckOutcome.MALFORMED
    clock.shift(601)
    assert verifications.check(verification, code=wrong_code(), client=client).outcome == CheckOutcome.EXPIRED
    guesser.factor.refresh_from_db()
    assert guesser.factor.failures == 0


def test_of_two_answers_at_the_bound_one_is_judged(local: World, ann: Any, clock: Any, monkeypatch: Any) -> None:
    """The rival's guess comes while the provider judges the first one."""
    guesser = Guesser(local, ann, "totp", "login")
    set_failures(guesser.factor, 49)
    first, second = guesser.start(at(1)), guesser.start(at(2))
    seen: list[str] = []
    backend = backends["default"]
    challenge = type(backend).challenge

    def rival(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not seen:
            seen.append("rival")
            seen.append(guesser.wrong(second, at(2)).outcome)
        return challenge(self, *args, **kwargs)

    monkeypatch.setattr(type(backend), "challenge", rival)
    assert guesser.wrong(first, at(1)).outcome == CheckOutcome.WRONG
    assert seen == ["rival", CheckOutcome.HELD]
    assert VerificationCheck.objects.filter(verification=second).count() == 0


@pytest.mark.parametrize("end", ["answer lost", "process died"])
@pytest.mark.parametrize("channel", ["sms", "totp"])
def test_the_fiftieth_holds_though_nobody_heard_of_it_and_is_released_all_the_same(
    local: World, ann: Any, clock: Any, channel: str, end: str, monkeypatch: Any, told: list[int]
) -> None:
    guesser = Guesser(local, ann, channel, "login")
    other = make_factor(ann, EMAIL, channel="email")
    set_failures(guesser.factor, 49)
    verification = guesser.start(at(1))
    backend = type(backends["default"])
    method = "challenge" if channel == "totp" else "check"
    error = BackendUnavailable(may_have_been_done=True) if end == "answer lost" else SystemExit()

    def breaks(*args: Any, **kwargs: Any) -> Any:
        raise error

    with monkeypatch.context() as patched:
        patched.setattr(backend, method, breaks)
        with pytest.raises(type(error)):
            guesser.wrong(verification, at(1))
    guesser.factor.refresh_from_db()
    assert guesser.factor.failures == 50 and throttling.is_held(guesser.factor)
    assert told == ([1] if end == "answer lost" else [])
    clock.shift(700)
    owner = make_client("owner", ip="203.0.113.7")
    with pytest.raises(FactorHeld):
        guesser.start(owner)
    asked = {"client": owner, "user": ann}
    sent = lifecycle.start(recipient=EMAIL, channel="email", purpose="login", factor=other, **asked).verification
    assert lifecycle.check(sent, code=last_code(), **asked).approved
    clock.shift(60)
    assert guesser.start(owner).user_id == ann.pk


def test_the_fiftieth_that_was_not_judged_holds_nothing(local: World, ann: Any, clock: Any) -> None:
    guesser = Guesser(local, ann, "sms", "login")
    set_failures(guesser.factor, 49)
    verification = guesser.start(at(1))
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
    with pytest.raises(BackendUnavailable):
        guesser.wrong(verification, at(1))
    guesser.factor.refresh_from_db()
    assert (guesser.factor.failures, guesser.factor.held_at) == (49, None)
    assert verifications.check(verification, code=last_code(), client=at(1), user=ann).approved


def test_the_last_answer_may_be_right(local: World, ann: Any, clock: Any) -> None:
    guesser = Guesser(local, ann, "sms", "login")
    set_failures(guesser.factor, 49)
    assert verifications.check(guesser.start(at(1)), code=last_code(), client=at(1), user=ann).approved
    guesser.factor.refresh_from_db()
    assert (guesser.factor.failures, guesser.factor.held_at) == (0, None)


def test_a_network_waits_and_others_do_not(local: World, ann: Any, clock: Any) -> None:
    guesser = Guesser(local, ann, "totp", "login")
    thief, neighbour = at(1), make_client("thief-b", ip="198.51.1.200")
    verification = guesser.start(thief)
    for _ in range(4):
        assert guesser.wrong(verification, thief).outcome == CheckOutcome.WRONG
    assert guesser.wrong(verification, thief).outcome == CheckOutcome.NO_CHECKS_LEFT
    with pytest.raises(RateLimited) as caught:
        guesser.start(neighbour)
    assert caught.value.code == "guesses"
    # The owner, in another network, is not slowed down.
    owner = make_client("owner", ip="203.0.113.7")
    mine = guesser.start(owner)
    assert challenges.check(mine, code=guesser.app.code(), client=owner, user=ann).approved


@pytest.mark.parametrize("channel", ["sms", "totp"])
def test_the_owners_sign_ins_give_a_thiefs_network_no_new_tries(
    local: World, ann: Any, clock: Any, channel: str, settings: Any
) -> None:
    settings.TWILIO_VERIFY_LIMITS = {"login_network_hour": 50, "login_new_hour": 50, "login_new_day": 500}
    guesser = Guesser(local, ann, channel, "login")
    owner, judged = make_client("owner", ip="203.0.113.7"), 0
    for day in range(10):
        for turn in range(3):
            thief = make_client(f"thief-{day}-{turn}", ip="198.51.1.7")
            try:
                verification = guesser.start(thief)
            except RateLimited:
                break
            for _ in range(5):
                judged += guesser.wrong(verification, thief).outcome in throttling.FAILED
        clock.shift(700)
        mine = guesser.start(owner)
        code = guesser.app.code() if channel == "totp" else last_code()
        flow = challenges if channel == "totp" else verifications
        assert flow.check(mine, code=code, client=owner, user=ann).approved
        clock.shift(700)
    # Five, and then one for each time that the owner was there, and one an hour.
    assert judged <= 5 + 2 * 10


def test_who_gets_in_has_all_tries_again(local: World, ann: Any, clock: Any) -> None:
    guesser = Guesser(local, ann, "totp", "login")
    owner = make_client("owner", ip="203.0.113.7")
    for _ in range(5):
        verification = guesser.start(owner)
        for _ in range(3):
            assert guesser.wrong(verification, owner).outcome == CheckOutcome.WRONG
        assert challenges.check(verification, code=guesser.app.code(), client=owner, user=ann).approved
        clock.shift(60)


def test_the_wait_doubles_up_to_an_hour(local: World, ann: Any, clock: Any) -> None:
    guesser = Guesser(local, ann, "totp", "login")
    set_failures(guesser.factor, 5)
    waits = []
    for count in range(5, 13):
        LimitCounter.objects.all().delete()
        now = guesser.factor.created_at
        key = throttling._key(guesser.factor.pk, at(1))
        LimitCounter.objects.create(key=key, count=count, since=now)
        guesser.factor.failures = 5
        with pytest.raises(RateLimited) as limited:
            throttling.require(guesser.factor, at(1), now)
        waits.append(int((limited.value.retry_at - now).total_seconds()) // 60)
    assert waits == [1, 2, 4, 8, 16, 32, 60, 60]


@pytest.mark.parametrize("release", ["another factor", "recovery code"])
def test_a_held_factor_is_released_by_getting_in_another_way(local: World, ann: Any, clock: Any, release: str) -> None:
    guesser = Guesser(local, ann, "totp", "login")
    codes = recovery_codes.issue(ann)
    make_factor(ann)
    set_failures(guesser.factor, 49)
    guesser.wrong(guesser.start(at(1)), at(1))
    clock.shift(60)
    owner = make_client("owner", ip="203.0.113.7")
    with pytest.raises(FactorHeld):
        guesser.start(owner)
    if release == "recovery code":
        assert recovery_codes.redeem(ann, codes[0], owner)
    else:
        phone = Factor.objects.get(kind=FactorKind.PHONE)
        asked = {"client": owner, "user": ann}
        sent = lifecycle.start(recipient=PHONE, channel="sms", purpose="login", factor=phone, **asked).verification
        assert lifecycle.check(sent, code=last_code(), **asked).approved
    clock.shift(60)
    assert challenges.check(guesser.start(owner), code=guesser.app.code(), client=owner, user=ann).approved


def test_fifty_guesses_for_real(local: World, ann: Any, clock: Any, told: list[int]) -> None:
    """From many networks, over days: no more than fifty are judged, and the owner is told three times."""
    guesser = Guesser(local, ann, "totp", "login")
    outcomes = []
    for number in range(1, 40):
        client = at(number)
        try:
            verification = guesser.start(client)
        except FactorHeld:
            break
        outcomes += [guesser.wrong(verification, client).outcome for _ in range(4)]
        clock.shift(7200)
    judged = [one for one in outcomes if one in throttling.FAILED]
    assert len(judged) == 50 and told == [1, 1, 1]
    assert VerificationCheck.objects.filter(outcome=CheckOutcome.WRONG).count() == 50


def test_a_thief_does_not_use_up_the_owners_recovery_codes(ann: Any, clock: Any, told: list[int]) -> None:
    make_factor(ann)
    codes = recovery_codes.issue(ann)
    assert {len(code) for code in codes} == {19}
    thief, owner = at(1), make_client("owner", ip="203.0.113.7")
    for _ in range(10):
        assert not recovery_codes.redeem(ann, "0000-0000-0000-0000", thief)
    with pytest.raises(RateLimited) as caught:
        recovery_codes.redeem(ann, codes[0], thief)
    assert caught.value.code == "recovery_hour" and told == [1]
    assert recovery_codes.redeem(ann, codes[0], owner)


def test_the_pages_say_it_and_lead_to_a_recovery_code(ann: Any, client: Client, clock: Any) -> None:
    factor = make_factor(ann)
    codes = recovery_codes.issue(ann)
    set_failures(factor, 49)
    sign_in(client)
    page = code_path(client.post("/verify/challenge/"))
    client.post(page, {"code": wrong_code()})
    answer = client.post(page, {"code": last_code()})
    assert b"is blocked after too many wrong codes" in answer.content
    led = client.get("/verify/challenge/", follow=True)
    assert led.redirect_chain[-1][0].startswith("/verify/challenge/recovery/")
    assert b"is blocked after too many wrong codes" in led.content
    assert client.get("/whoami/").status_code == 302
    clock.shift(60)
    client.post("/verify/challenge/recovery/", {"code": codes[0]})
    assert client.get("/whoami/").status_code == 200
    assert Verification.objects.exclude(status="approved").exists()


def test_prompts_of_a_day_are_bounded(local: World, ann: Any, clock: Any) -> None:
    local.phone(ann)
    for number in range(10):
        local.flow("challenges.start", channel="push", client=at(number), user=ann, purpose="step_up")
        clock.shift(700)
    with pytest.raises(RateLimited) as caught:
        local.flow("challenges.start", channel="push", client=at(11), user=ann, purpose="step_up")
    assert caught.value.code == "push_unanswered_day"


@pytest.mark.parametrize(("length", "ids"), [(4, ["twilio_verify.W006"]), (5, ["twilio_verify.W006"]), (6, [])])
def test_short_codes_are_warned_of(settings: Any, length: int, ids: list[str]) -> None:
    set_service(settings, CODE_LENGTH=length)
    assert [message.id for message in check_code()] == ids
