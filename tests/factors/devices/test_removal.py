"""What is removed here is removed at the provider, at once or later; and what differs is told."""

from __future__ import annotations

import logging
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from django.utils import timezone

from django_twilio_verify import factors
from django_twilio_verify.backends.factor_options import is_identity
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import FactorKind
from django_twilio_verify.exceptions import BackendUnavailable
from django_twilio_verify.factors import devices, entities
from django_twilio_verify.models import Entity, Factor, ProviderRemoval
from django_twilio_verify.provider import factor_sync, removals
from django_twilio_verify.signals import factor_removed
from django_twilio_verify.testing import Authenticator
from tests.support.basics import make_client, make_factor, make_user
from tests.support.devices import World

pytestmark = pytest.mark.django_db
DOWN = BackendUnavailable(may_have_been_done=False)


def sync(**options: Any) -> str:
    out = StringIO()
    try:
        call_command("sync_factors", stdout=out, stderr=StringIO(), **{"per_minute": 100_000, **options})
    except CommandError as error:
        out.write(f"error: {error}")
    return out.getvalue()


def identities(world: World) -> list[str]:
    return [one["identity"] for one in world.simulator.entities()]


def test_an_identity_tells_nothing(ann: Any, ben: Any) -> None:
    first, again = entities.entity_for(ann, "default"), entities.entity_for(ann, "default")
    other, elsewhere = entities.entity_for(ben, "default"), entities.entity_for(ann, "other")
    assert first == again and len({first.identity, other.identity, elsewhere.identity}) == 3
    assert is_identity(first.identity) and len(first.identity) == 36


def test_a_factor(world: World, ann: Any, clock: Any, django_capture_on_commit_callbacks: Any) -> None:
    totp, _ = world.totp(ann)
    passkey, _ = world.passkey(ann)
    assert Factor.objects.get(default_for=ann) == passkey
    told: list[Any] = []
    receiver = lambda **kwargs: told.append((kwargs["factor"].pk, kwargs["user"]))  # noqa: E731
    factor_removed.connect(receiver)
    try:
        with django_capture_on_commit_callbacks(execute=True):
            assert devices.remove(ann, passkey.pk)
    finally:
        factor_removed.disconnect(receiver)
    assert told == [(passkey.pk, ann)]
    assert [one["sid"] for one in world.simulator.factors(Entity.objects.get().identity)] == [totp.sid]
    assert Factor.objects.get(default_for=ann) == totp
    assert not ProviderRemoval.objects.exists()


def test_a_phone_number_has_nothing_to_remove(ann: Any) -> None:
    factor = make_factor(ann)
    assert devices.remove(ann, factor.pk) and not factors.has_factor(ann)
    assert not ProviderRemoval.objects.exists()


def test_somebody_elses(local: World, ann: Any, ben: Any, clock: Any) -> None:
    factor, _ = local.totp(ann)
    assert not devices.remove(ben, factor.pk) and not devices.rename(ben, factor.pk, "mine")
    assert Factor.objects.get(pk=factor.pk).label == "ann@shop"


def test_a_person(world: World, ann: Any, clock: Any, django_capture_on_commit_callbacks: Any) -> None:
    world.totp(ann)
    assert len(identities(world)) == 1
    with django_capture_on_commit_callbacks(execute=True):
        ann.delete()
    assert identities(world) == [] and not ProviderRemoval.objects.exists()


def test_rolled_back_is_not_removed(local: World, ann: Any, clock: Any) -> None:
    local.totp(ann)
    with transaction.atomic():
        ann.delete()
        transaction.set_rollback(True)
    assert not ProviderRemoval.objects.exists() and len(identities(local)) == 1


def test_retried_until_it_is_gone(
    local: World, ann: Any, clock: Any, caplog: Any, django_capture_on_commit_callbacks: Any
) -> None:
    local.totp(ann)
    backends["default"].fail_next(DOWN, times=4)
    with caplog.at_level(logging.WARNING), django_capture_on_commit_callbacks(execute=True):
        ann.delete()
    removal = ProviderRemoval.objects.get()
    assert removal.factor_sid == "" and removal.tries == 1
    assert "Not removed at the provider yet" in caplog.text and removal.identity not in caplog.text
    waits = []
    for _ in range(3):
        assert not removals.attempt(removal.pk), "not before it is due"
        waits.append((removal.next_try_at - timezone.now()).total_seconds())
        clock.move_to(removal.next_try_at)
        assert not removals.attempt(removal.pk)
        removal.refresh_from_db()
    assert waits == [60, 120, 240]
    clock.move_to(removal.next_try_at)
    assert "Removals done: 1, outstanding: 0" in sync()
    assert identities(local) == [] and not ProviderRemoval.objects.exists()


def test_never_rarer_than_daily(db: Any, clock: Any, settings: Any) -> None:
    now = timezone.now()
    removal = ProviderRemoval.objects.create(
        backend="unknown", identity="a" * 36, created_at=now, next_try_at=now, tries=40
    )
    assert not removals.attempt(removal.pk)
    removal.refresh_from_db()
    assert (removal.next_try_at - now, removal.tries) == (timedelta(days=1), 41)


def test_a_mass_is_left_to_the_command(
    local: World, clock: Any, db: Any, django_capture_on_commit_callbacks: Any
) -> None:
    people = [make_user(f"user{number}") for number in range(15)]
    for person in people:
        entity = entities.entity_for(person, "default")
        backends["default"].create_entity(entity.identity)
    with django_capture_on_commit_callbacks(execute=True):
        type(people[0]).objects.all().delete()
    assert ProviderRemoval.objects.count() == 5
    assert "Removals done: 5, outstanding: 0" in sync()
    assert identities(local) == []


def test_unfinished_enrollments(world: World, ann: Any, clock: Any, django_capture_on_commit_callbacks: Any) -> None:
    kept, _ = world.totp(ann)
    begun = world.flow("devicefactors.begin_totp", ann, make_client(), name="app")
    identity = Entity.objects.get().identity
    backends["default"].enroll(identity, FactorKind.TOTP, name="lost with its answer")
    assert "enrollments removed: 0" in sync(), "may still be finished"
    clock.shift(3601)
    assert "enrollments would be removed: 2" in sync(dry_run=True)
    assert len(world.simulator.factors(identity)) == 3
    with django_capture_on_commit_callbacks(execute=True):
        assert "enrollments removed: 2" in sync()
    assert [one["sid"] for one in world.simulator.factors(identity)] == [kept.sid]
    code = Authenticator.scan(begun.uri).code()
    late = world.flow("devicefactors.confirm", begun.verification, client=make_client(), user=ann, code=code)
    assert late.factor is None


def test_what_differs(world: World, ann: Any, ben: Any, clock: Any) -> None:
    lost, _ = world.totp(ann)
    world.totp(ben, session="session-2")
    bens = Entity.objects.get(user=ben)
    world.simulator.delete_factor(Entity.objects.get(user=ann).identity, lost.sid)
    stranger = backends["default"].enroll(bens.identity, FactorKind.TOTP, name="by hand")
    code = Authenticator(stranger.secret).code()
    backends["default"].confirm(bens.identity, stranger.sid, code)
    backends["default"].create_entity("nobody-of-ours")
    dry = factor_sync.sync("default", dry=True)
    lost.refresh_from_db()
    assert lost.lost_at is None
    told = factor_sync.sync("default")
    for report in (dry, told):
        assert (report.lost, report.strangers, report.nobodies) == ([lost.sid], [stranger.sid], ["nobody-of-ours"])
        assert report.seen == 2 and report.differs
    lost.refresh_from_db()
    assert lost.lost_at is not None and factors.has_factor(ann), "SECURITY: nobody gets in without their factor"
    clock.shift(1)
    said = sync()
    assert lost.sid in said and stranger.sid in said and "nobody-of-ours" in said and "Something differs" in said


def test_lost_by_mistake_is_found_again(world: World, ann: Any, clock: Any) -> None:
    factor, _ = world.totp(ann)
    Factor.objects.update(lost_at=timezone.now())
    assert factor_sync.sync("default", dry=True).found == 1
    factor.refresh_from_db()
    assert factor.lost_at is not None
    assert "there after all: 1" in sync()
    factor.refresh_from_db()
    assert factor.lost_at is None
    assert "after all" not in sync()


def test_nothing_differs(world: World, ann: Any, clock: Any) -> None:
    world.totp(ann)
    assert "error" not in sync()
    clock.shift(1)
    assert "1 people compared" in sync(backend="default")


def test_the_provider_is_down(local: World, ann: Any, clock: Any) -> None:
    local.totp(ann)
    backends["default"].fail_next(DOWN)
    assert "What was done is kept" in sync()
    assert "error" in sync(backend="unknown")
