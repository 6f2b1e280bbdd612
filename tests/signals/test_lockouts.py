"""``locked_out``: sent once for each window and subject of a limit."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_twilio_verify.choices import CheckOutcome
from django_twilio_verify.exceptions import RateLimited
from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.models import LimitCounter, Verification
from django_twilio_verify.signals import locked_out
from django_twilio_verify.verifications import challenges, lifecycle
from tests.support.basics import (
    OTHER_PHONE,
    PHONE,
    agree,
    last_code,
    make_client,
    make_factor,
    make_user,
    race,
    wrong_code,
)
from tests.support.devices import World
from tests.support.races import first
from tests.support.receivers import Heard, listening

pytestmark = pytest.mark.django_db

WRONG = "abcd-efgh-jkmn-pqrs"
AUSTRIAN = "+436641234567"


@pytest.fixture
def heard() -> Iterator[Heard]:
    with listening([locked_out]) as found:
        yield found


def told(heard: Heard) -> list[tuple[Any, ...]]:
    return [(one["reason"], one["user"], one["recipient_country"]) for one in heard.of("locked_out")]


def refused(user: Any, client: Any = None) -> RateLimited:
    """A recovery code over the limit."""
    with pytest.raises(RateLimited) as limited:
        recovery_codes.redeem(user, WRONG, client or make_client())
    return limited.value


def over(user: Any, settings: Any, most: int = 2) -> None:
    """Use up what there is."""
    settings.TWILIO_VERIFY_LIMITS = {"recovery_hour": most}
    for _ in range(most):
        assert not recovery_codes.redeem(user, WRONG, make_client())


def test_once_a_window_and_again_in_the_next(ann: Any, clock: Any, settings: Any, heard: Heard) -> None:
    over(ann, settings)
    limits = [refused(ann) for _ in range(3)]
    (one,) = heard.of("locked_out")
    assert (one["reason"], one["until"], one["sender"]) == ("recovery_hour", limits[0].retry_at, get_user_model())
    assert (one["user"], one["client"], one["recipient_country"], one["factor"]) == (ann, make_client(), "", None)
    clock.shift(timedelta(hours=2))
    over(ann, settings)
    refused(ann)
    refused(ann)
    assert len(heard.told) == 2


def test_each_subject_by_itself(ann: Any, ben: Any, clock: Any, settings: Any, heard: Heard) -> None:
    over(ann, settings)
    over(ben, settings)
    for user in (ann, ben, ann, ben):
        refused(user)
    assert [one["user"] for one in heard.of("locked_out")] == [ann, ben]


def test_of_two_refusals_at_one_instant_one_is_told(ann: Any, clock: Any, settings: Any, heard: Heard) -> None:
    over(ann, settings)
    with first("limitcounter", "locked_out_since", lambda: refused(ann)) as came:
        refused(ann)
    assert isinstance(came[0], RateLimited) and len(heard.told) == 1


@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_is_told(settings: Any, heard: Heard) -> None:
    ann = make_user("ann")
    over(ann, settings)
    came = race(6, lambda index: recovery_codes.redeem(ann, WRONG, make_client()))
    assert {type(one) for one in came} == {RateLimited} and len(heard.told) == 1


def test_the_limit_costs_no_write_until_it_is_reached_and_one_then(ann: Any, clock: Any, settings: Any) -> None:
    def writes() -> int:
        rows = [one["sql"] for one in queries.captured_queries if "limitcounter" in one["sql"]]
        return sum("locked_out_since" in sql.partition("WHERE")[0] for sql in rows if sql.startswith("UPDATE"))

    with CaptureQueriesContext(
        connection,
    ) as queries:
        over(ann, settings)
    assert writes() == 0
    for expected in (1, 0, 0):
        with CaptureQueriesContext(connection) as queries:
            refused(ann)
        assert writes() == expected


def test_a_limit_of_none_is_no_lockout(ann: Any, settings: Any, heard: Heard) -> None:
    """Nobody used anything up: the site has switched it off."""
    settings.TWILIO_VERIFY_LIMITS = {"recovery_hour": 0}
    refused(ann)
    assert heard.told == [] and not LimitCounter.objects.exists()


@pytest.mark.usefixtures("claimants_have_room")
def test_of_a_send_the_country_is_told(verbs: Any, settings: Any, clock: Any, heard: Heard) -> None:
    settings.TWILIO_VERIFY_LIMITS = {"user_hour": 1}
    user = make_user()
    for number in (AUSTRIAN, PHONE, OTHER_PHONE):
        agree(number, user=user)
    verbs.start(recipient=AUSTRIAN, channel="sms", client=make_client(), user=user)
    for number in (PHONE, AUSTRIAN.replace("4567", "4568"), OTHER_PHONE):
        agree(number, user=user)
        with pytest.raises(RateLimited):
            verbs.start(recipient=number, channel="sms", client=make_client(), user=user)
    assert told(heard) == [("user_hour", user, "US")]


@pytest.mark.usefixtures("claimants_have_room")
def test_the_sends_of_a_verification(verbs: Any, settings: Any, clock: Any, heard: Heard) -> None:
    settings.TWILIO_VERIFY_LIMITS = {**settings.TWILIO_VERIFY_LIMITS, "user_hour": 100}
    agree()
    verbs.start(recipient=PHONE, channel="sms", client=make_client())
    for _ in range(4):
        clock.move_to(Verification.objects.get().resend_at)
        verbs.start(recipient=PHONE, channel="sms", client=make_client(), resend=True)
    for _ in range(2):
        with pytest.raises(RateLimited) as limited:
            verbs.start(recipient=PHONE, channel="sms", client=make_client(), resend=True)
        assert limited.value.code == "no_sends_left"
    assert told(heard) == [("no_sends_left", None, "US")]
    assert heard.told[0][1]["until"] == limited.value.retry_at


@pytest.mark.usefixtures("claimants_have_room")
def test_the_answers_of_a_verification(verbs: Any, clock: Any, heard: Heard) -> None:
    agree()
    started = verbs.start(recipient=PHONE, channel="sms", client=make_client())
    for number in range(7):
        checked = verbs.check(started.verification, code=wrong_code(last_code()), client=make_client())
        assert (checked.outcome == CheckOutcome.NO_CHECKS_LEFT) is (number >= 4)
    assert told(heard) == [("no_checks_left", None, "US")]
    assert heard.told[0][1]["until"] == started.verification.expires_at


def test_of_the_claimants_answers_together_one_limit_is_told(verbs: Any, clock: Any, heard: Heard) -> None:
    agree()
    started = [
        verbs.start(recipient=PHONE, channel="sms", client=make_client(name))
        for name in ("one", "two")
        if agree(client=make_client(name))
    ]
    for number in range(4):
        client = make_client(("one", "two")[number % 2])
        checked = verbs.check(started[number % 2].verification, code=wrong_code(last_code()), client=client)
    assert checked.outcome == CheckOutcome.NO_CHECKS_LEFT
    assert told(heard) == [("claim_check_ten_minutes", None, "US")]


def test_prompts_that_nobody_answers(world: World, ann: Any, clock: Any, settings: Any, heard: Heard) -> None:
    settings.TWILIO_VERIFY_LIMITS = {"push_unanswered": 2}
    factor, _ = world.phone(ann)
    for number in range(2):
        clock.shift(1)
        world.flow("challenges.start", channel="push", client=make_client(f"s-{number}"), user=ann, factor=factor)
    for number in range(2):
        with pytest.raises(RateLimited) as limited:
            world.flow("challenges.start", channel="push", client=make_client(f"t-{number}"), user=ann, factor=factor)
    assert told(heard) == [("push_unanswered", ann, "")]
    (one,) = heard.of("locked_out")
    assert (one["until"], one["factor"], one["client"]) == (limited.value.retry_at, factor, make_client("t-0"))


def test_a_network_that_has_to_wait_for_a_factor(ann: Any, clock: Any, heard: Heard) -> None:
    """Once for each wait, which grows with each failure."""
    world = World("sync", None)
    factor, app = world.totp(ann)

    def fail_from(session: str, times: int) -> None:
        started = challenges.start(channel="totp", client=make_client(session), user=ann)
        answer = {"code": wrong_code(app.code()), "client": make_client(session), "user": ann}
        for _ in range(times):
            challenges.check(started.verification, **answer)

    def refused_at(session: str) -> RateLimited:
        with pytest.raises(RateLimited) as limited:
            challenges.start(channel="totp", client=make_client(session), user=ann)
        assert limited.value.code == "guesses"
        return limited.value

    fail_from("one", 4)
    fail_from("two", 1)
    waits = [refused_at("three"), refused_at("four")]
    clock.shift(61)
    fail_from("five", 1)
    waits.append(refused_at("six"))
    assert told(heard) == [("guesses", ann, "")] * 2
    assert [one["until"] for one in heard.of("locked_out")] == [waits[0].retry_at, waits[2].retry_at]
    assert {one["factor"] for one in heard.of("locked_out")} == {factor}


def test_what_the_provider_refuses_for_now(verbs: Any, server: Any, heard: Heard) -> None:
    agree()
    server.fail({"status": 429, "code": 60203})
    with pytest.raises(RateLimited) as limited:
        verbs.start(recipient=PHONE, channel="sms", client=make_client())
    assert limited.value.code == "provider" and told(heard) == [("provider", None, "US")]


def test_who_was_not_proved_is_not_named(settings: Any, clock: Any, heard: Heard) -> None:
    """A login by a code alone names the account of a number that a visitor typed."""
    settings.TWILIO_VERIFY_LIMITS = {"claim_hour": 1}
    ann = make_user("ann")
    factor = make_factor(ann)

    def start(session: str) -> None:
        client = make_client(session)
        agree(user=ann, client=client)
        asked = {"client": client, "user": ann, "purpose": "login", "factor": factor}
        lifecycle.start(recipient=PHONE, channel="sms", unproved=True, **asked)

    start("one")
    for session in ("two", "three"):
        with pytest.raises(RateLimited) as limited:
            start(session)
        assert limited.value.code == "claim_hour"
    assert told(heard) == [("claim_hour", None, "US")]
