"""Twenty at the same instant, on the database that the run has chosen."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

import pytest

from django_twilio_verify.backends.factor_results import ChallengeStatus, FactorEvent, ProviderChallenge
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import CheckOutcome, VerificationStatus
from django_twilio_verify.core.client import ClientInfo
from django_twilio_verify.exceptions import RateLimited
from django_twilio_verify.factors import devices, entities, passkey_login
from django_twilio_verify.models import Entity, Factor, ProviderEvent, ProviderRemoval, Verification
from django_twilio_verify.provider import factor_events, removals
from django_twilio_verify.testing import Authenticator
from django_twilio_verify.testing.factor_contract import PARTY
from django_twilio_verify.verifications import challenges
from tests.support.basics import make_client, make_user, race
from tests.support.devices import World

pytestmark = [pytest.mark.race, pytest.mark.django_db(transaction=True)]
MANY = 20


@pytest.fixture
def person(local: World, settings: Any, clock: Any) -> Any:
    settings.TWILIO_VERIFY_LIMITS = {"user_hour": 100}
    return make_user("ann")


def outcomes(results: list[Any]) -> Counter[Any]:
    return Counter(one.outcome if hasattr(one, "outcome") else type(one) for one in results)


def in_a_network(number: int) -> ClientInfo:
    """A client in a session and a network of its own: those of one network wait for each other."""
    return make_client(f"s{number}", ip=f"198.51.{number}.7")


def test_one_code_in_twenty_sessions(local: World, person: Any) -> None:
    """Each session has a challenge of its own, and all twenty codes are right."""
    _, app = local.totp(person)
    code = app.code()
    rows = [challenges.start(channel="totp", client=in_a_network(n), user=person).verification for n in range(MANY)]
    results = race(MANY, lambda n: challenges.check(rows[n], client=in_a_network(n), code=code))
    told = outcomes(results)
    # The provider refuses a code that it has judged right before; then it is a wrong one, if this site has not heard of
    # that so far.
    assert told[CheckOutcome.APPROVED] == 1 and told[CheckOutcome.REPLAYED] + told[CheckOutcome.WRONG] == MANY - 1
    assert Verification.objects.filter(status=VerificationStatus.APPROVED, purpose="login").count() == 1


def test_one_code_in_twenty_sessions_of_a_credulous_provider(local: World, person: Any, monkeypatch: Any) -> None:
    """SECURITY: a code is accepted once even where the provider accepts it every time."""
    factor, app = local.totp(person)
    sid = "YC" + "0" * 32
    told = ProviderChallenge(sid, ChallengeStatus.APPROVED, factor_sid=factor.sid)
    monkeypatch.setattr(backends["default"], "challenge", lambda *args, **kwargs: told)
    rows = [challenges.start(channel="totp", client=in_a_network(n), user=person).verification for n in range(MANY)]
    results = race(MANY, lambda n: challenges.check(rows[n], client=in_a_network(n), code=app.code()))
    assert outcomes(results) == {CheckOutcome.APPROVED: 1, CheckOutcome.REPLAYED: MANY - 1}


def test_one_code_twenty_times_in_one_session(local: World, person: Any) -> None:
    _, app = local.totp(person)
    code = app.code()
    row = challenges.start(channel="totp", client=make_client(), user=person).verification
    results = race(MANY, lambda n: challenges.check(row, client=make_client(), code=code))
    assert outcomes(results) == {CheckOutcome.APPROVED: 1, CheckOutcome.ALREADY_APPROVED: MANY - 1}


def test_twenty_starts_are_one_challenge(local: World, person: Any) -> None:
    local.totp(person)
    results = race(MANY, lambda n: challenges.start(channel="totp", client=make_client(), user=person))
    assert len({one.verification.pk for one in results}) == 1, results


def test_twenty_confirmations_are_one_factor(local: World, person: Any) -> None:
    begun = devices.begin_totp(person, make_client(), name="app")
    code = Authenticator.scan(begun.uri).code()
    results = race(MANY, lambda n: devices.confirm(begun.verification, client=make_client(), user=person, code=code))
    assert outcomes([getattr(one, "checked", one) for one in results]) == {
        CheckOutcome.APPROVED: 1,
        CheckOutcome.ALREADY_APPROVED: MANY - 1,
    }
    assert [one.is_first for one in results].count(True) == 1
    assert Factor.objects.filter(default_for=person).count() == 1


def test_twenty_prompts_are_three(local: World, person: Any) -> None:
    _, phone = local.phone(person)
    results = race(MANY, lambda n: challenges.start(channel="push", client=make_client(f"s{n}"), user=person))
    refused = [one for one in results if isinstance(one, RateLimited)]
    assert len(refused) == MANY - 3 and {one.code for one in refused} == {"push_unanswered"}, results
    assert len(phone.pending()) == 3


def test_twenty_polls_are_one_approval(local: World, person: Any) -> None:
    _, phone = local.phone(person, platform="none")
    row = challenges.start(channel="silent", client=make_client(), user=person).verification
    phone.approve(phone.pending()[0]["sid"])
    results = race(MANY, lambda n: challenges.poll(row, client=make_client()))
    told = outcomes(results)
    assert told[CheckOutcome.APPROVED] == 1
    assert set(told) <= {CheckOutcome.APPROVED, CheckOutcome.WAITING, CheckOutcome.ALREADY_APPROVED}


def test_twenty_assertions_sign_in_once(local: World, person: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(local.simulator, "passkeys", PARTY)
    _, browser = local.passkey(person)
    begun = passkey_login.begin_sign_in(make_client("visitor"))
    credential = browser.get(begun.browser_options)
    results = race(MANY, lambda n: passkey_login.finish_sign_in(make_client("visitor"), begun.verification, credential))
    assert [getattr(one, "user", one) for one in results].count(person) == 1, results


def test_removal_against_login(local: World, person: Any) -> None:
    """Either the code was first, or the factor is gone: never a sign-in with a factor that was removed before."""
    for turn in range(5):
        factor, app = local.totp(person)
        client = make_client(f"s{turn}")
        row = challenges.start(channel="totp", client=client, user=person, factor=factor).verification
        removing = partial(devices.remove, person, factor.pk)
        checking = partial(challenges.check, row, client=client, code=app.code())
        removed, checked = race(2, lambda n, works=(removing, checking): works[n]())
        assert removed is True, removed
        assert checked.outcome in (CheckOutcome.APPROVED, CheckOutcome.FACTOR_GONE), checked
        assert not Factor.objects.filter(pk=factor.pk).exists()
        assert local.simulator.factors(Entity.objects.get().identity) == []
        local.simulator.reset()


def test_one_entity_for_twenty(local: World, person: Any) -> None:
    results = race(MANY, lambda n: entities.entity_for(person, "default").identity)
    assert len(set(results)) == 1 == Entity.objects.count(), results


def test_one_removal_for_twenty(local: World, person: Any, monkeypatch: Any) -> None:
    local.totp(person)
    monkeypatch.setattr(removals, "AT_ONCE", 0)
    person.delete()
    asked: list[str] = []
    backend = backends["default"]
    original = backend.remove_entity
    monkeypatch.setattr(backend, "remove_entity", lambda identity: (asked.append(identity), original(identity))[1])
    removal = ProviderRemoval.objects.get()
    results = race(MANY, lambda n: removals.attempt(removal.pk))
    assert results.count(True) == 1 == len(asked), results
    assert not ProviderRemoval.objects.exists()


def test_one_event_twenty_times(local: World, person: Any) -> None:
    told = FactorEvent(uuid="e-1", type="factor.created")
    results = race(MANY, lambda n: factor_events.receive(told, "default"))
    assert results.count(True) == 1 == ProviderEvent.objects.count(), results
