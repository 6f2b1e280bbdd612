"""Webhooks about factors and challenges: hints, applied once, proofs never."""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from django_twilio_verify.backends.factor_results import FactorEvent
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import CheckOutcome, VerificationStatus
from django_twilio_verify.exceptions import BackendUnavailable
from django_twilio_verify.models import Entity, ProviderEvent, Verification, VerificationCheck
from django_twilio_verify.provider import factor_events
from django_twilio_verify.signals import login_denied
from tests.support.basics import make_client
from tests.support.devices import World
from tests.support.push import poll, shown, start, type_number

pytestmark = pytest.mark.django_db


def event(kind: str, **values: str) -> FactorEvent:
    return FactorEvent(uuid=str(uuid.uuid4()), type=kind, **values)


def test_one_makes_the_next_poll_ask(world: World, ann: Any, clock: Any) -> None:
    factor, phone = world.phone(ann)
    started = start(world, ann)
    [challenge] = phone.pending()
    assert type_number(world, started, shown(challenge)).outcome == CheckOutcome.WAITING
    phone.approve(challenge["sid"])
    assert poll(world, started).outcome == CheckOutcome.WAITING
    told = event("challenge.approved", challenge_sid=challenge["sid"], factor_sid=factor.sid)
    assert factor_events.receive(told, "default")
    assert Verification.objects.get(pk=started.verification.pk).status == VerificationStatus.PENDING
    assert poll(world, started).approved
    assert not factor_events.receive(told, "default")
    assert ProviderEvent.objects.filter(applied=True, verification_sid=challenge["sid"]).count() == 1


def test_a_lie_approves_nothing(world: World, ann: Any, clock: Any) -> None:
    factor, phone = world.phone(ann)
    started = start(world, ann)
    [challenge] = phone.pending()
    type_number(world, started, shown(challenge))
    factor_events.receive(event("challenge.approved", challenge_sid=challenge["sid"], factor_sid=factor.sid), "default")
    assert poll(world, started).outcome == CheckOutcome.WAITING
    factor_events.receive(event("factor.deleted", factor_sid=factor.sid), "default")
    factor.refresh_from_db()
    assert factor.lost_at is None


def test_one_that_comes_before_its_request_has_returned(local: World, ann: Any, clock: Any, monkeypatch: Any) -> None:
    factor, phone = local.phone(ann)
    backend = backends["default"]
    original = backend.challenge

    def challenge(*args: Any, **kwargs: Any) -> Any:
        made = original(*args, **kwargs)
        phone.approve(made.sid)
        told = event("challenge.approved", challenge_sid=made.sid, factor_sid=factor.sid)
        assert factor_events.receive(told, "default")
        return made

    monkeypatch.setattr(backend, "challenge", challenge)
    started = start(local, ann)
    assert ProviderEvent.objects.get().applied
    assert poll(local, started).reason == "number"
    number = Verification.objects.get(pk=started.verification.pk).match_number
    assert type_number(local, started, number).approved


def test_a_factor_deleted_there(world: World, ann: Any, clock: Any) -> None:
    factor, _ = world.totp(ann)
    world.simulator.delete_factor(Entity.objects.get().identity, factor.sid)
    gone = event("factor.deleted", factor_sid=factor.sid, identity=Entity.objects.get().identity)
    assert factor_events.receive(gone, "default")
    factor.refresh_from_db()
    assert factor.lost_at is not None


def test_a_phone_that_registers_is_found_at_once(world: World, ann: Any, clock: Any) -> None:
    begun = world.flow("devicefactors.begin_push", ann, make_client(), name="Pixel")
    ask = lambda: world.flow("devicefactors.confirm", begun.verification, client=make_client(), user=ann)  # noqa: E731
    assert ask().checked.outcome == CheckOutcome.WAITING
    factor_events.receive(event("factor.verified", identity=begun.identity), "default")
    assert Verification.objects.get().poll_after is None
    assert ask().factor is None


@pytest.mark.parametrize(
    "told",
    [
        event("factor.created", factor_sid="YF" + "0" * 32),
        event("factor.deleted", factor_sid="YF" + "0" * 32),
        event("challenge.approved", challenge_sid="YC" + "0" * 32),
        event("challenge.approved"),
        event("factor.verified", identity="nobody-of-ours"),
        event("something.new"),
    ],
)
def test_about_nobody_here(db: Any, told: FactorEvent) -> None:
    assert factor_events.receive(told, "default")
    assert not ProviderEvent.objects.get().applied


def test_while_the_provider_is_down_it_may_come_again(local: World, ann: Any, clock: Any) -> None:
    factor, _ = local.totp(ann)
    gone = event("factor.deleted", factor_sid=factor.sid)
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
    with pytest.raises(BackendUnavailable):
        factor_events.receive(gone, "default")
    assert not ProviderEvent.objects.exists()
    assert factor_events.receive(gone, "default")


@pytest.fixture
def denials() -> Any:
    told: list[Any] = []
    receiver = lambda **values: told.append((values["verification"].pk, values["user"]))  # noqa: E731
    login_denied.connect(receiver)
    yield told
    login_denied.disconnect(receiver)


@pytest.mark.parametrize("before", ["nothing", "wrong number", "expired"])
def test_a_no_that_nobody_waits_for(world: World, ann: Any, clock: Any, denials: list[Any], before: str) -> None:
    factor, phone = world.phone(ann)
    started = start(world, ann)
    [challenge] = phone.pending()
    if before == "wrong number":
        assert type_number(world, started, wrong(challenge)).outcome == CheckOutcome.WRONG
    phone.deny(challenge["sid"])
    if before == "expired":
        clock.shift(3600)
        assert poll(world, started).outcome == CheckOutcome.EXPIRED
    for _ in range(2):  # each is news, and told once
        told = event("challenge.denied", challenge_sid=challenge["sid"], factor_sid=factor.sid)
        assert factor_events.receive(told, "default")
    assert denials == [(started.verification.pk, ann)]
    assert Verification.objects.get(pk=started.verification.pk).status == VerificationStatus.DENIED
    assert poll(world, started).outcome == CheckOutcome.DENIED
    assert VerificationCheck.objects.filter(outcome=CheckOutcome.DENIED).count() == 1


@pytest.mark.parametrize("before", ["nothing", "wrong number", "approved"])
def test_a_no_that_is_a_lie(world: World, ann: Any, clock: Any, denials: list[Any], before: str) -> None:
    factor, phone = world.phone(ann)
    started = start(world, ann)
    [challenge] = phone.pending()
    if before == "approved":
        phone.approve(challenge["sid"])
        assert type_number(world, started, shown(challenge)).approved
    if before == "wrong number":
        type_number(world, started, wrong(challenge))
    factor_events.receive(event("challenge.denied", challenge_sid=challenge["sid"], factor_sid=factor.sid), "default")
    assert denials == []
    left = {"nothing": "pending", "wrong number": "canceled", "approved": "approved"}[before]
    assert Verification.objects.get(pk=started.verification.pk).status == left


def test_a_no_after_a_wrong_number_is_learnt_by_a_poll(world: World, ann: Any, clock: Any, denials: list[Any]) -> None:
    _, phone = world.phone(ann)
    started = start(world, ann)
    [challenge] = phone.pending()
    type_number(world, started, wrong(challenge))
    assert poll(world, started).outcome == CheckOutcome.CLOSED
    phone.deny(challenge["sid"])
    clock.shift(5)
    assert [poll(world, started).outcome for _ in range(2)] == [CheckOutcome.DENIED] * 2
    assert denials == [(started.verification.pk, ann)]
    assert type_number(world, started, shown(challenge)).outcome == CheckOutcome.DENIED


def wrong(challenge: dict[str, Any]) -> str:
    return f"{(int(shown(challenge)) - 9) % 90 + 10:02}"
