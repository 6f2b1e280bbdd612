"""Authenticator apps: enroll, sign in, and everything that is not the person's own next code."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.db import connection

from django_twilio_verify import verifications
from django_twilio_verify.backends.factor_options import TotpOptions
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.backends.options import IncompatibleOptions
from django_twilio_verify.choices import Channel, CheckOutcome, FactorKind, VerificationStatus
from django_twilio_verify.conf import settings as our_settings
from django_twilio_verify.exceptions import BackendUnavailable, RateLimited, VerificationNotFound
from django_twilio_verify.factors import devices
from django_twilio_verify.models import Entity, Factor, ProviderRemoval, Verification, VerificationCheck
from django_twilio_verify.signals import factor_added, verification_approved
from django_twilio_verify.testing import Authenticator
from django_twilio_verify.verifications import challenges
from django_twilio_verify.verifications.challenge_rules import FactorNotFound
from tests.support.basics import make_client, make_secret, wrong_code
from tests.support.devices import World

pytestmark = pytest.mark.django_db


def start(world: World, user: Any, session: str = "session-1", **more: Any) -> Verification:
    started = world.flow("challenges.start", channel="totp", client=make_client(session), user=user, **more)
    verification: Verification = started.verification
    return verification


def answer(world: World, verification: Verification, code: str, session: str = "session-1", **more: Any) -> Any:
    return world.flow("challenges.check", verification, client=make_client(session), code=code, **more)


def test_enroll_and_sign_in(world: World, ann: Any, clock: Any) -> None:
    heard: list[Any] = []
    receiver = lambda **kwargs: heard.append(kwargs["factor"])  # noqa: E731
    factor_added.connect(receiver)
    try:
        factor, app = world.totp(ann)
    finally:
        factor_added.disconnect(receiver)
    assert [one.pk for one in heard] == [factor.pk]
    assert (factor.kind, factor.channel, factor.label) == (FactorKind.TOTP, Channel.TOTP, "ann@shop")
    assert factor.is_default and factor.sid == factor.key and factor.sid.startswith("YF")
    verification = start(world, ann)
    checked = answer(world, verification, app.code(), user=ann)
    assert checked.approved
    row = Verification.objects.get(pk=verification.pk)
    assert (row.status, row.pending_key, row.recipient_value) == (VerificationStatus.APPROVED, None, "")
    assert row.sid.startswith("YC")
    factor.refresh_from_db()
    assert factor.last_used_at is not None
    redeemed = verifications.redeem(verification, client=make_client(), user=ann, purpose="login")
    assert (
        redeemed.accepted
        and not verifications.redeem(verification, client=make_client(), user=ann, purpose="login").accepted
    )


def test_the_first_factor_is_told_apart(world: World, ann: Any, clock: Any) -> None:
    client = make_client()
    firsts = []
    for _ in range(2):
        begun = world.flow("devicefactors.begin_totp", ann, client, name="app")
        code = Authenticator.scan(begun.uri).code()
        done = world.flow("devicefactors.confirm", begun.verification, client=client, user=ann, code=code)
        again = world.flow("devicefactors.confirm", begun.verification, client=client, user=ann, code=code)
        firsts.append(done.is_first)
        assert (again.factor, again.is_first) == (done.factor, False)
        assert again.checked.outcome == CheckOutcome.ALREADY_APPROVED
    assert firsts == [True, False]
    assert Factor.objects.filter(default_for=ann).count() == 1


def test_the_secret_is_kept_nowhere(world: World, ann: Any, clock: Any) -> None:
    begun = world.flow("devicefactors.begin_totp", ann, make_client(), name="app")
    assert begun.secret and begun.secret not in repr(begun) and begun.uri not in repr(begun)
    for model in (Factor, Verification, Entity, VerificationCheck):
        for row in model.objects.values():
            assert begun.secret not in str(row)
    app = Authenticator.scan(begun.uri)
    code = app.code()
    world.flow("devicefactors.confirm", begun.verification, client=make_client(), user=ann, code=code)
    with connection.cursor() as cursor:
        cursor.execute("SELECT used_answers FROM twilio_verify_factor")
        kept = cursor.fetchone()[0]
    assert kept and code not in re.split(r"\W+", kept)


@pytest.mark.parametrize(
    ("typed", "outcome", "problem"),
    [
        ("", CheckOutcome.MALFORMED, "missing"),
        ("12345", CheckOutcome.MALFORMED, "too_short"),
        ("1234567", CheckOutcome.MALFORMED, "too_long"),
        ("abcdef", CheckOutcome.MALFORMED, "not_digits"),
        ("wrong", CheckOutcome.WRONG, ""),
        ("late", CheckOutcome.WRONG, ""),
        ("early", CheckOutcome.WRONG, ""),
        ("spaced", CheckOutcome.APPROVED, ""),
        ("before", CheckOutcome.REPLAYED, ""),
        ("next", CheckOutcome.APPROVED, ""),
    ],
)
def test_answers(world: World, ann: Any, clock: Any, typed: str, outcome: CheckOutcome, problem: str) -> None:
    _, app = world.totp(ann)
    right = app.code()
    codes = {
        "wrong": wrong_code(right),
        "late": app.code(steps=-3),
        "early": app.code(steps=3),
        "spaced": f" {right[:3]} {right[3:]} ",
        "before": app.code(steps=-1),  # the code that enrolled
        "next": app.code(steps=1),  # the phone's clock is half a minute ahead
    }
    checked = answer(world, start(world, ann), codes.get(typed, typed))
    assert (checked.outcome, checked.reason) == (outcome, problem)


def test_a_code_is_accepted_once(world: World, ann: Any, clock: Any) -> None:
    _, app = world.totp(ann)
    code, ahead = app.code(), app.code(steps=1)
    assert answer(world, start(world, ann), code).approved
    assert answer(world, start(world, ann), ahead).approved
    for replayed in (code, ahead):
        verification = start(world, ann, "session-2")
        assert answer(world, verification, replayed, "session-2").outcome == CheckOutcome.REPLAYED
    clock.shift(60)
    assert answer(world, verification, app.code(steps=1), "session-2").approved


def test_a_code_that_the_same_session_proved_a_moment_ago_charges_no_guess(world: World, ann: Any, clock: Any) -> None:
    _, app = world.totp(ann)
    code = app.code()
    assert answer(world, start(world, ann), code).approved
    for _ in range(6):
        asked = start(world, ann)
        assert answer(world, asked, code).outcome == CheckOutcome.ALREADY_APPROVED
        assert Verification.objects.get(pk=asked.pk).checks == 0
    clock.shift(61)
    old = answer(world, start(world, ann), code)
    assert (old.outcome, old.checks_left) == (CheckOutcome.REPLAYED, 4)


def test_how_many_answers_a_challenge_takes_is_the_backends(local: World, ann: Any, clock: Any, monkeypatch) -> None:
    monkeypatch.setattr(LocMemBackend, "max_challenge_checks", 2)
    _, app = local.totp(ann)
    verification = start(local, ann)
    told = [answer(local, verification, wrong_code(app.code())) for _ in range(2)]
    assert [(one.outcome, one.checks_left) for one in told] == [
        (CheckOutcome.WRONG, 1),
        (CheckOutcome.NO_CHECKS_LEFT, 0),
    ]


def test_five_answers_and_no_sixth(world: World, ann: Any, clock: Any) -> None:
    _, app = world.totp(ann)
    verification = start(world, ann)
    outcomes = [answer(world, verification, wrong_code(app.code())).outcome for _ in range(6)]
    assert outcomes == [CheckOutcome.WRONG] * 4 + [CheckOutcome.NO_CHECKS_LEFT] * 2
    assert answer(world, verification, app.code()).outcome == CheckOutcome.NO_CHECKS_LEFT
    with pytest.raises(RateLimited) as caught:
        start(world, ann)
    assert caught.value.code == "no_checks_left"
    made = world.simulator.challenges(Entity.objects.get().identity)
    assert len(made) == 1, "wrong codes go to the challenge that is there"


def test_too_late(world: World, ann: Any, clock: Any) -> None:
    _, app = world.totp(ann)
    verification = start(world, ann)
    clock.shift(601)
    assert answer(world, verification, app.code()).outcome == CheckOutcome.EXPIRED
    assert answer(world, start(world, ann), app.code()).approved


def test_of_somebody_else(world: World, ann: Any, ben: Any, clock: Any) -> None:
    (_, anns), (bens_factor, bens) = world.totp(ann), world.totp(ben, session="session-2")
    verification = start(world, ann)
    assert answer(world, verification, bens.code()).outcome == CheckOutcome.WRONG
    with pytest.raises(VerificationNotFound):
        answer(world, verification, anns.code(), "session-2")
    with pytest.raises(VerificationNotFound):
        answer(world, verification, anns.code(), user=ben)
    with pytest.raises(FactorNotFound):
        start(world, ann, factor=bens_factor)
    assert answer(world, verification, anns.code(), user=ann).approved


def test_removed_at_the_provider_behind_our_back(world: World, ann: Any, clock: Any) -> None:
    factor, app = world.totp(ann)
    verification = start(world, ann)
    world.simulator.delete_factor(Entity.objects.get().identity, factor.sid)
    assert answer(world, verification, app.code()).outcome == CheckOutcome.FACTOR_GONE
    factor.refresh_from_db()
    assert factor.lost_at is not None
    assert Verification.objects.get(pk=verification.pk).status == VerificationStatus.CANCELED
    with pytest.raises(FactorNotFound):
        start(world, ann)


def test_removed_here_while_a_code_is_asked_for(
    world: World, ann: Any, clock: Any, django_capture_on_commit_callbacks: Any
) -> None:
    factor, app = world.totp(ann)
    verification = start(world, ann)
    with django_capture_on_commit_callbacks(execute=True):
        assert devices.remove(ann, factor.pk)
    assert not devices.remove(ann, factor.pk)
    assert answer(world, verification, app.code()).outcome == CheckOutcome.FACTOR_GONE
    assert world.simulator.factors(Entity.objects.get().identity) == []
    assert not ProviderRemoval.objects.exists()


def test_the_provider_is_down(ann: Any, local: World, clock: Any) -> None:
    _, app = local.totp(ann)
    verification = start(local, ann)

    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
    with pytest.raises(BackendUnavailable):
        answer(local, verification, app.code())
    assert answer(local, verification, app.code()).approved


def test_enrollment_in_a_second_tab_ends_the_first(world: World, ann: Any, clock: Any) -> None:
    client = make_client()
    first = world.flow("devicefactors.begin_totp", ann, client, name="app")
    second = world.flow("devicefactors.begin_totp", ann, client, name="app")
    code = Authenticator.scan(first.uri).code()
    done = world.flow("devicefactors.confirm", first.verification, client=client, user=ann, code=code)
    assert (done.checked.outcome, done.factor) == (CheckOutcome.CLOSED, None)
    code = Authenticator.scan(second.uri).code()
    kept = world.flow("devicefactors.confirm", second.verification, client=client, user=ann, code=code).factor
    assert [one["sid"] for one in world.simulator.factors(Entity.objects.get().identity)] == [kept.sid]
    assert not ProviderRemoval.objects.exists()


def test_hostile_enrollments(world: World, ann: Any, ben: Any, clock: Any) -> None:
    client = make_client()
    begun = world.flow("devicefactors.begin_totp", ann, client, name="app")
    app = Authenticator.scan(begun.uri)
    with pytest.raises(VerificationNotFound):
        world.flow("devicefactors.confirm", begun.verification, client=client, user=ben, code=app.code())
    with pytest.raises(VerificationNotFound):
        world.flow("devicefactors.confirm", begun.verification, client=make_client("2"), user=ann, code=app.code())
    with pytest.raises(FactorNotFound):
        start(world, ann)
    not_this_way = world.flow("challenges.check", begun.verification, client=client, code=app.code())
    assert not_this_way.outcome == CheckOutcome.WRONG_ANSWER_TYPE
    assert (
        verifications.check(begun.verification, client=client, code=app.code()).outcome
        == CheckOutcome.WRONG_ANSWER_TYPE
    )
    outcomes = [
        world.flow(
            "devicefactors.confirm", begun.verification, client=client, user=ann, code=wrong_code(app.code())
        ).checked.outcome
        for _ in range(5)
    ]
    assert outcomes == [CheckOutcome.WRONG] * 4 + [CheckOutcome.NO_CHECKS_LEFT]
    late = world.flow("devicefactors.confirm", begun.verification, client=client, user=ann, code=app.code())
    assert late.factor is None and not Factor.objects.confirmed_for(ann.pk).exists()


def test_codes_of_other_lengths(ann: Any, local: World, clock: Any) -> None:
    client = make_client()
    begun = devices.begin_totp(ann, client, name="app", options=TotpOptions(code_length=8))
    app = Authenticator.scan(begun.uri)
    done = devices.confirm(begun.verification, client=client, user=ann, code=app.code(steps=-1))
    assert done.factor and done.factor.digits == 8
    assert answer(local, start(local, ann), app.code()).approved


def test_payments_are_bound(world: World, ann: Any, clock: Any) -> None:
    _, app = world.totp(ann)
    verification = start(world, ann, purpose="payment", amount="EUR 10", payee="Shop")
    changed = answer(world, verification, app.code(), amount="EUR 1000", payee="Shop")
    assert changed.outcome == CheckOutcome.PAYMENT_CHANGED
    assert answer(world, verification, app.code(), amount="EUR 10", payee="Shop").approved


@pytest.mark.parametrize("values", [{"channel": "sms"}, {"channel": "totp", "purpose": "enroll"}])
def test_what_asks_no_factor(ann: Any, values: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"no factor|enrolled by"):
        challenges.start(client=make_client(), user=ann, **values)


def test_names_and_backends(ann: Any, local: World) -> None:
    with pytest.raises(IncompatibleOptions):
        devices.begin_totp(ann, make_client(), name="")
    assert not Verification.objects.exists()


def test_starting_twice_is_one_challenge(world: World, ann: Any, clock: Any) -> None:
    world.totp(ann)
    assert start(world, ann) == start(world, ann)
    assert start(world, ann) != start(world, ann, "session-2")


def test_approved_is_told_once(world: World, ann: Any, clock: Any) -> None:
    _, app = world.totp(ann)
    told: list[Any] = []
    receiver = lambda **kwargs: told.append(kwargs["verification"].pk)  # noqa: E731
    verification_approved.connect(receiver)
    try:
        verification = start(world, ann)
        code = app.code()
        outcomes = [answer(world, verification, code).outcome for _ in range(2)]
    finally:
        verification_approved.disconnect(receiver)
    assert outcomes == [CheckOutcome.APPROVED, CheckOutcome.ALREADY_APPROVED]
    assert told == [verification.pk]


def test_a_challenge_keeps_its_place_when_the_key_is_rotated(local: World, ann: Any, settings: Any) -> None:
    local.totp(ann)
    begun = local.flow("challenges.start", channel="totp", client=make_client(), user=ann)
    older = [(key.id, key.secret) for key in our_settings.fingerprint_keys]
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("newer", make_secret("x")), *older]
    again = local.flow("challenges.start", channel="totp", client=make_client(), user=ann)
    assert again.reused and again.verification == begun.verification
