"""Passkeys: enroll, sign in as somebody, sign in as whoever it is, and what is no answer to what was asked."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from django_twilio_verify.backends.factor_results import ChallengeStatus, ProviderChallenge
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import CheckOutcome, FactorKind, Purpose, VerificationStatus
from django_twilio_verify.exceptions import BackendRejected, RateLimited, VerificationNotFound
from django_twilio_verify.factors import devices
from django_twilio_verify.models import Entity, Factor, Verification
from django_twilio_verify.testing import Browser
from django_twilio_verify.testing.factor_contract import ORIGIN, PARTY
from tests.support.basics import make_client
from tests.support.devices import World

pytestmark = pytest.mark.django_db


@pytest.fixture
def party(request: Any, monkeypatch: Any) -> None:
    """A Service that knows its relying party, as one has to for options that name nobody."""
    world = request.getfixturevalue("local" if "local" in request.fixturenames else "world")
    monkeypatch.setattr(world.simulator, "passkeys", PARTY)


def start(world: World, user: Any, session: str = "session-1", **more: Any) -> Any:
    return world.flow("challenges.start", channel="passkey", client=make_client(session), user=user, **more)


def answer(world: World, started: Any, credential: Any, session: str = "session-1", **more: Any) -> Any:
    return world.flow(
        "challenges.check", started.verification, client=make_client(session), credential=credential, **more
    )


def begin(world: World, session: str = "visitor") -> Any:
    return world.flow("passkeys.begin_sign_in", make_client(session))


def finish(world: World, started: Any, credential: Any, session: str = "visitor") -> Any:
    return world.flow("passkeys.finish_sign_in", make_client(session), started.verification, credential)


def test_enroll_and_sign_in(world: World, ann: Any, clock: Any) -> None:
    factor, browser = world.passkey(ann)
    assert (factor.kind, factor.label, factor.is_default) == (FactorKind.PASSKEY, "Laptop", True)
    started = start(world, ann)
    assert start(world, ann).browser_options == started.browser_options, "the same page, loaded again"
    checked = answer(world, started, browser.get(started.browser_options), user=ann)
    assert checked.approved
    row = Verification.objects.get(pk=started.verification.pk)
    assert (row.status, row.factor, row.browser_options) == (VerificationStatus.APPROVED, factor, "")
    again = answer(world, started, browser.get(started.browser_options))
    assert again.outcome == CheckOutcome.ALREADY_APPROVED


def test_several_for_one_person(world: World, ann: Any, clock: Any) -> None:
    laptop, first = world.passkey(ann, name="Laptop")
    key, second = world.passkey(ann, name="Key")
    started = start(world, ann)
    assert len(started.browser_options["allowCredentials"]) == 2
    assert answer(world, started, second.get(started.browser_options)).verification.factor == key
    only = start(world, ann, factor=laptop)
    assert (
        answer(world, only, second.get({**only.browser_options, "allowCredentials": []})).outcome == CheckOutcome.WRONG
    )
    assert answer(world, only, first.get(only.browser_options)).approved
    assert devices.rename(ann, key.pk, "Yubi") and Factor.objects.get(pk=key.pk).label == "Yubi"


def test_the_same_browser_twice(world: World, ann: Any, clock: Any) -> None:
    _, browser = world.passkey(ann)
    begun = world.flow("devicefactors.begin_passkey", ann, make_client(), name="Again", options=PARTY)
    with pytest.raises(LookupError, match="InvalidStateError"):
        browser.create(begun.browser_options)


@pytest.mark.parametrize(
    "credential",
    [{}, {"id": ""}, {"id": 7, "response": {}}, {"id": "x" * 2000, "response": {}}, {"id": "abc"}, [], "text"],
)
def test_what_is_no_passkeys_answer(world: World, ann: Any, clock: Any, credential: Any) -> None:
    world.passkey(ann)
    checked = answer(world, start(world, ann), credential)
    assert (checked.outcome, checked.reason) == (CheckOutcome.MALFORMED, "not_a_passkey")
    assert checked.checks_left == 5


def test_hostile_answers(world: World, ann: Any, ben: Any, clock: Any) -> None:
    _, browser = world.passkey(ann)
    _, bens = world.passkey(ben)
    started = start(world, ann)
    other = start(world, ann, purpose="step_up")
    phisher = browser.clone()
    phisher.origin = "https://shop.example.evil.test"
    forged = copy.deepcopy(browser.get(started.browser_options))
    forged["response"]["signature"] = bens.get({**started.browser_options, "allowCredentials": []})["response"][
        "signature"
    ]
    hostile = {
        "another origin": phisher.get(started.browser_options),
        "another person": bens.get({**started.browser_options, "allowCredentials": []}),
        "another challenge": browser.get(other.browser_options),
        "a forged signature": forged,
    }
    for name, credential in hostile.items():
        assert answer(world, started, credential).outcome == CheckOutcome.WRONG, name
    with pytest.raises(VerificationNotFound):
        answer(world, started, browser.get(started.browser_options), "session-2")
    assert answer(world, started, browser.get(started.browser_options)).approved


@pytest.mark.parametrize("case", ["another person", "another factor", "another challenge", "another identity"])
def test_a_credulous_provider(local: World, ann: Any, ben: Any, clock: Any, monkeypatch: Any, case: str) -> None:
    """SECURITY: what a provider approves is still compared with who was asked, and with what."""
    (anns_factor, anns), (bens_factor, bens) = local.passkey(ann), local.passkey(ben)
    started = start(local, ann)
    browser = bens if case == "another person" else anns
    credential = browser.get({**started.browser_options, "allowCredentials": []})
    told = ProviderChallenge(
        "YC" + "0" * 32 if case == "another challenge" else started.verification.sid,
        ChallengeStatus.APPROVED,
        factor_sid=bens_factor.sid if case == "another factor" else "",
        identity="somebody-else" if case == "another identity" else "",
    )
    monkeypatch.setattr(backends["default"], "answer", lambda *args, **kwargs: told)
    assert answer(local, started, credential).outcome == CheckOutcome.WRONG
    told = ProviderChallenge(started.verification.sid, ChallengeStatus.APPROVED, factor_sid=anns_factor.sid)
    assert answer(local, started, anns.get(started.browser_options)).approved


def test_a_clone_is_found_out(world: World, ann: Any, clock: Any) -> None:
    _, browser = world.passkey(ann)
    thief = browser.clone()
    started = start(world, ann)
    assert answer(world, started, browser.get(started.browser_options)).approved
    started = start(world, ann)
    assert answer(world, started, thief.get(started.browser_options)).outcome == CheckOutcome.WRONG


def test_too_late(world: World, ann: Any, clock: Any) -> None:
    _, browser = world.passkey(ann)
    started = start(world, ann)
    clock.shift(601)
    assert answer(world, started, browser.get(started.browser_options)).outcome == CheckOutcome.EXPIRED


def test_a_challenge_that_the_provider_has_forgotten_says_nothing_of_the_passkey(
    world: World, ann: Any, clock: Any
) -> None:
    _, browser = world.passkey(ann)
    started = start(world, ann)
    world.simulator.reset()
    assert answer(world, started, browser.get(started.browser_options)).outcome == CheckOutcome.EXPIRED
    assert Verification.objects.get(pk=started.verification.pk).status == VerificationStatus.EXPIRED


def test_removed_on_either_side(world: World, ann: Any, clock: Any) -> None:
    factor, browser = world.passkey(ann)
    started = start(world, ann)
    world.simulator.delete_factor(Entity.objects.get().identity, factor.sid)
    assert answer(world, started, browser.get(started.browser_options)).outcome == CheckOutcome.FACTOR_GONE
    factor, browser = world.passkey(ann)
    started = start(world, ann)
    devices.remove(ann, factor.pk)  # not yet at the provider
    assert answer(world, started, browser.get(started.browser_options)).outcome == CheckOutcome.WRONG


def test_begun_with_a_factor_that_is_gone(world: World, ann: Any, clock: Any) -> None:
    factor, _ = world.passkey(ann)
    world.simulator.delete_factor(Entity.objects.get().identity, factor.sid)
    with pytest.raises(BackendRejected) as caught:
        start(world, ann, factor=factor)
    assert caught.value.code == "device"
    factor.refresh_from_db()
    assert factor.lost_at is not None
    assert Verification.objects.exclude(purpose=Purpose.ENROLL).get().status == VerificationStatus.FAILED


def test_sign_in_without_a_name(world: World, ann: Any, ben: Any, clock: Any, party: None) -> None:
    _, anns = world.passkey(ann)
    _, bens = world.passkey(ben)
    for user, browser in ((ann, anns), (ben, bens)):
        started = begin(world)
        assert started.browser_options["allowCredentials"] == [] and started.verification.user_id is None
        signed_in = finish(world, started, browser.get(started.browser_options))
        assert signed_in.checked.approved and signed_in.user == user
        again = finish(world, started, browser.get(started.browser_options))
        assert again.user is None
        row = Verification.objects.get(pk=started.verification.pk)
        assert (row.user_id, row.status) == (user.pk, VerificationStatus.APPROVED)


def test_hostile_sign_ins_without_a_name(world: World, ann: Any, clock: Any, party: None) -> None:
    _, browser = world.passkey(ann)
    started, other = begin(world), begin(world, "visitor-2")
    with pytest.raises(VerificationNotFound):
        finish(world, started, browser.get(started.browser_options), "visitor-2")
    assert finish(world, started, browser.get(other.browser_options)).user is None  # the challenge of another session
    stranger = Browser(ORIGIN)
    stranger._kept = [copy.copy(one) for one in browser._kept]
    stranger._kept[0].id = b"x" * 16
    assert finish(world, started, stranger.get(started.browser_options)).checked.outcome == CheckOutcome.WRONG
    nobody = answer(world, started, browser.get(started.browser_options), "visitor")
    assert nobody.outcome == CheckOutcome.WRONG_ANSWER_TYPE
    named = start(world, ann, "visitor")
    assert finish(world, named, browser.get(named.browser_options)).checked.outcome == CheckOutcome.WRONG_ANSWER_TYPE
    ann.is_active = False
    ann.save()
    assert finish(world, started, browser.get(started.browser_options)).checked.outcome == CheckOutcome.WRONG


def test_begun_sign_ins_are_counted(local: World, settings: Any, clock: Any, db: Any, party: None) -> None:
    settings.TWILIO_VERIFY_LIMITS = {"passkey_ip_hour": 1}
    first = begin(local)
    assert begin(local).verification == first.verification
    with pytest.raises(RateLimited) as caught:
        begin(local, "visitor-2")
    assert caught.value.code == "passkey_ip_hour"
    with pytest.raises(ValueError, match="session"):
        local.flow("passkeys.begin_sign_in", make_client(""))


def test_hostile_registrations(world: World, ann: Any, ben: Any, clock: Any) -> None:
    _, browser = world.passkey(ann)
    begun = world.flow("devicefactors.begin_passkey", ben, make_client(), name="Phone", options=PARTY)
    thief = Browser(ORIGIN)
    stolen = thief.create(begun.browser_options)
    stolen["id"] = stolen["rawId"] = browser.get({"rpId": "shop.example", "challenge": "x"})["id"]
    outcomes = []
    for credential in (stolen, Browser("https://evil.test").create(begun.browser_options)):
        done = world.flow(
            "devicefactors.confirm", begun.verification, client=make_client(), user=ben, credential=credential
        )
        outcomes.append((done.checked.outcome, done.factor))
    assert outcomes == [(CheckOutcome.WRONG, None)] * 2
    assert world.finish_passkey(begun, Browser(ORIGIN), ben).factor
    wrong_way = world.flow("devicefactors.confirm", begun.verification, client=make_client(), user=ben, code="123456")
    assert wrong_way.checked.outcome == CheckOutcome.WRONG_ANSWER_TYPE
