"""Push and silent approval: the number, the yes, the no, and whoever is asked too often."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from django_twilio_verify.backends.factor_results import FactorStatus, ProviderFactor
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import Channel, CheckOutcome, FactorKind, Purpose, VerificationStatus
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable, RateLimited, VerificationNotFound
from django_twilio_verify.factors import devices
from django_twilio_verify.models import Entity, Factor, Verification, VerificationCheck
from django_twilio_verify.signals import login_denied
from django_twilio_verify.testing.phone import DeviceRefused
from django_twilio_verify.verifications.challenge_rules import FactorNotFound
from tests.support.basics import make_client
from tests.support.devices import World
from tests.support.push import poll, shown, start, type_number

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)


def test_enroll_and_sign_in(world: World, ann: Any, clock: Any) -> None:
    factor, phone = world.phone(ann)
    assert (factor.channel, factor.platform, factor.sid, factor.label) == (Channel.PUSH, "fcm", phone.sid, "Pixel")
    started = start(world, ann)
    assert started.needs_number and not started.reused
    assert start(world, ann).reused
    assert poll(world, started).outcome == CheckOutcome.WAITING
    [challenge] = phone.pending()
    assert challenge["details"]["message"] == "Sign in to Acme?"
    clock.shift(3)
    assert type_number(world, started, shown(challenge)).outcome == CheckOutcome.WAITING
    phone.approve(challenge["sid"])
    assert poll(world, started).outcome == CheckOutcome.WAITING, "not asked again within three seconds"
    clock.shift(3)
    checked = poll(world, started, user=ann)
    assert checked.approved
    assert poll(world, started).outcome == CheckOutcome.ALREADY_APPROVED
    row = Verification.objects.get(pk=started.verification.pk)
    assert (row.status, row.match_number) == (VerificationStatus.APPROVED, "")


def test_a_yes_without_the_number_is_not_enough(world: World, ann: Any, clock: Any) -> None:
    _, phone = world.phone(ann)
    started = start(world, ann)
    [challenge] = phone.pending()
    phone.approve(challenge["sid"])
    checked = poll(world, started)
    assert (checked.outcome, checked.reason) == (CheckOutcome.WAITING, "number")
    assert type_number(world, started, shown(challenge)).approved


def test_a_wrong_number_ends_it(world: World, ann: Any, clock: Any) -> None:
    _, phone = world.phone(ann)
    started = start(world, ann)
    [challenge] = phone.pending()
    right = shown(challenge)
    assert type_number(world, started, "x").outcome == CheckOutcome.MALFORMED
    wrong = type_number(world, started, f"{(int(right) - 9) % 90 + 10:02}")
    assert (wrong.outcome, wrong.checks_left) == (CheckOutcome.WRONG, 0)
    phone.approve(challenge["sid"])
    assert type_number(world, started, right).outcome == CheckOutcome.CLOSED
    assert poll(world, started).outcome == CheckOutcome.CLOSED


def test_denied_is_told_once(world: World, ann: Any, clock: Any) -> None:
    _, phone = world.phone(ann)
    told: list[Any] = []
    receiver = lambda **kwargs: told.append((kwargs["verification"].pk, kwargs["user"]))  # noqa: E731
    login_denied.connect(receiver)
    try:
        started = start(world, ann)
        [challenge] = phone.pending()
        phone.deny(challenge["sid"])
        outcomes = [poll(world, started).outcome for _ in range(2)]
        typed = type_number(world, started, shown(challenge))
    finally:
        login_denied.disconnect(receiver)
    assert outcomes == [CheckOutcome.DENIED] * 2 and typed.outcome == CheckOutcome.DENIED
    assert told == [(started.verification.pk, ann)]
    assert VerificationCheck.objects.filter(outcome=CheckOutcome.DENIED).count() == 1


def test_answered_twice_and_late(world: World, ann: Any, clock: Any) -> None:
    _, phone = world.phone(ann)
    started = start(world, ann)
    [challenge] = phone.pending()
    phone.approve(challenge["sid"])
    with pytest.raises(DeviceRefused):
        phone.deny(challenge["sid"])
    clock.shift(301)
    assert type_number(world, started, shown(challenge)).outcome == CheckOutcome.EXPIRED
    started = start(world, ann)
    [challenge] = phone.pending()
    clock.shift(301)
    with pytest.raises(DeviceRefused):
        phone.approve(challenge["sid"])
    assert poll(world, started).outcome == CheckOutcome.EXPIRED


def test_of_somebody_else(world: World, ann: Any, ben: Any, clock: Any) -> None:
    _, _ = world.phone(ann)
    bens_factor, bens = world.phone(ben)
    started = start(world, ann)
    assert bens.pending() == []
    with pytest.raises(VerificationNotFound):
        poll(world, started, "session-2")
    with pytest.raises(VerificationNotFound):
        poll(world, started, user=ben)
    with pytest.raises(FactorNotFound):
        start(world, ann, factor=bens_factor)


def test_too_many_prompts(world: World, ann: Any, clock: Any) -> None:
    _, phone = world.phone(ann)
    for number in range(3):
        start(world, ann, f"thief-{number}")
        clock.shift(60)
    with pytest.raises(RateLimited) as caught:
        start(world, ann, "thief-4")
    assert caught.value.code == "push_unanswered"
    assert len(phone.pending()) == 3
    clock.shift((caught.value.retry_at - Verification.objects.latest("created_at").created_at).total_seconds())
    assert not start(world, ann, "thief-5").reused


def test_silent_approval(world: World, ann: Any, clock: Any) -> None:
    factor, phone = world.phone(ann, platform="none")
    assert factor.channel == Channel.SILENT
    with pytest.raises(FactorNotFound):
        start(world, ann)
    started = start(world, ann, channel="silent")
    assert not started.needs_number
    phone.approve(phone.pending()[0]["sid"])
    assert poll(world, started).approved
    started = start(world, ann, channel="silent")
    with pytest.raises(BackendRejected):
        world.flow("challenges.remind", started.verification, client=make_client())


def test_reminders(world: World, ann: Any, clock: Any) -> None:
    world.phone(ann)
    started = start(world, ann)
    for _ in range(3):
        world.flow("challenges.remind", started.verification, client=make_client())
    with pytest.raises(BackendRejected):
        world.flow("challenges.remind", started.verification, client=make_client())


def test_removed_at_the_provider(world: World, ann: Any, clock: Any) -> None:
    factor, phone = world.phone(ann)
    started = start(world, ann)
    phone.remove()
    # A challenge outlives its factor there, so the page waits until the time is up; the next one tells.
    assert poll(world, started).outcome == CheckOutcome.WAITING
    with pytest.raises(BackendRejected) as caught:
        start(world, ann, "session-2")
    assert caught.value.code == "device"
    factor.refresh_from_db()
    assert factor.lost_at is not None


def test_removed_here_while_the_phone_is_asked(world: World, ann: Any, clock: Any) -> None:
    factor, phone = world.phone(ann)
    started = start(world, ann)
    [challenge] = phone.pending()
    phone.approve(challenge["sid"])
    devices.remove(ann, factor.pk)
    assert type_number(world, started, shown(challenge)).outcome == CheckOutcome.FACTOR_GONE


def test_the_answer_to_the_request_is_lost(local: World, ann: Any, clock: Any) -> None:
    _, phone = local.phone(ann)
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=True), carried_out=True)
    started = start(local, ann)
    assert started.delivery_unknown and started.verification.sid == ""
    [challenge] = phone.pending()
    phone.approve(challenge["sid"])
    assert type_number(local, started, shown(challenge)).approved
    assert Verification.objects.get(pk=started.verification.pk).sid == challenge["sid"]


def test_never_reached(local: World, ann: Any, clock: Any) -> None:
    local.phone(ann)
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
    with pytest.raises(BackendUnavailable):
        start(local, ann)
    assert Verification.objects.exclude(purpose=Purpose.ENROLL).get().status == VerificationStatus.FAILED
    assert not start(local, ann).reused


def test_the_provider_is_asked_ever_more_rarely(local: World, ann: Any, clock: Any, monkeypatch: Any) -> None:
    local.phone(ann)
    started = start(local, ann)
    asked: list[int] = []
    backend = backends["default"]
    original = backend.poll
    monkeypatch.setattr(backend, "poll", lambda *args: (asked.append(1), original(*args))[1])
    for _ in range(299):
        poll(local, started)
        clock.shift(1)
    assert 40 <= len(asked) <= 60  # of Twilio's limits the narrowest for one page: 60 in a minute, 180 in an hour


def test_phones_that_are_not_the_persons_new_one(world: World, ann: Any, clock: Any) -> None:
    world.phone(ann)
    clock.shift(300)
    begun = world.flow("devicefactors.begin_push", ann, make_client(), name="Other")
    done = world.flow("devicefactors.confirm", begun.verification, client=make_client(), user=ann)
    assert (done.checked.outcome, done.factor) == (CheckOutcome.WAITING, None)
    assert begun.access_token not in repr(begun)
    assert Factor.objects.count() == Entity.objects.count() == 1


@pytest.mark.parametrize(
    ("values", "is_enrolled"),
    [
        ({}, True),
        ({"status": FactorStatus.UNVERIFIED}, False),
        ({"status": FactorStatus.UNKNOWN}, False),
        ({"kind": FactorKind.TOTP}, False),
        ({"kind": None}, False),
        ({"created_at": None}, False),
        ({"created_at": datetime(2026, 11, 20, 11, 50, tzinfo=UTC)}, False),
    ],
)
def test_what_counts_as_the_new_phone(
    local: World, ann: Any, clock: Any, monkeypatch: Any, values: dict[str, Any], is_enrolled: bool
) -> None:
    """SECURITY: nothing but a push factor that showed its key, and that was made since the access token was."""
    begun = local.flow("devicefactors.begin_push", ann, make_client(), name="Pixel")
    made = ProviderFactor(
        "YF" + "0" * 32, FactorStatus.VERIFIED, kind=FactorKind.PUSH, name="Pixel", platform="apn", created_at=NOW
    )
    told = (dataclasses.replace(made, **values),)
    monkeypatch.setattr(backends["default"], "factors", lambda identity: told)
    done = local.flow("devicefactors.confirm", begun.verification, client=make_client(), user=ann)
    assert (done.factor is not None, Factor.objects.exists()) == (is_enrolled, is_enrolled)
    assert done.checked.outcome == (CheckOutcome.APPROVED if is_enrolled else CheckOutcome.WAITING)
