"""What the contract does not ask, of the backend in memory and of the one over HTTP alike."""

from __future__ import annotations

from typing import Any

import pytest

from django_twilio_verify.backends.base import BaseBackend
from django_twilio_verify.backends.factor_options import ChallengeDetails, PasskeyOptions, PushOptions
from django_twilio_verify.backends.factor_results import ChallengeStatus, FactorStatus
from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.backends.options import IncompatibleOptions
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.choices import FactorKind
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable
from django_twilio_verify.testing import HttpApi, Phone, VerifyServer

ANN = "ann-00000001"
PARTY = PasskeyOptions("shop.example", "Shop", ("https://shop.example",), "any", "preferred", "preferred")


@pytest.fixture
def phone(server: VerifyServer) -> Phone:
    """For its keys alone."""
    return Phone(HttpApi(server.url), service_sid=server.service_sid, identity=ANN)


def enrolled(keeper: BaseBackend, phone: Phone, platform: str = "apn") -> str:
    token = {} if platform == "none" else {"token": "t" * 64}
    options = PushOptions(phone.public_key, "com.example", platform, sdk_version="1.0", metadata={"os": "x"}, **token)
    made = keeper.enroll(ANN, FactorKind.PUSH, name="phone", options=options)
    assert (made.kind, made.platform, made.status) == (FactorKind.PUSH, platform, FactorStatus.UNVERIFIED)
    phone.sid = made.sid
    return made.sid


def test_a_site_may_register_a_phone_itself(keeper: BaseBackend, phone: Phone) -> None:
    sid = enrolled(keeper, phone)
    stranger = Phone(HttpApi("http://127.0.0.1"), service_sid="VA", identity=ANN)
    stranger.sid = sid
    for wrong in (stranger.proof, "no signature", ""):
        assert keeper.confirm(ANN, sid, wrong).status is FactorStatus.UNVERIFIED
    assert keeper.confirm(ANN, sid, phone.proof).verified
    moved = keeper.update_factor(ANN, sid, options=PushOptions(platform="fcm", token="u" * 64, sdk_version="2.0"))
    assert (moved.platform, moved.verified) == ("fcm", True)


@pytest.mark.parametrize("sid", ["YC" + "0" * 32, "no-sid", "../Services"])
def test_a_push_of_no_challenge(keeper: BaseBackend, sid: str) -> None:
    with pytest.raises(BackendRejected) as caught:
        keeper.notify(ANN, sid)
    assert caught.value.provider_code == 20404


def test_a_push_of_an_app_of_codes(keeper: BaseBackend, phone: Phone) -> None:
    sid = enrolled(keeper, phone, "none")
    assert keeper.challenge(ANN, FactorKind.PUSH, factor_sid=sid).status is ChallengeStatus.GONE, "not confirmed"
    keeper.confirm(ANN, sid, phone.proof)
    with pytest.raises(BackendRejected) as caught:
        keeper.challenge(ANN, FactorKind.PUSH, factor_sid=sid)
    assert caught.value.provider_code == 60306, "a push has to say something"
    asked = keeper.challenge(ANN, FactorKind.PUSH, factor_sid=sid, details=ChallengeDetails("Is it you?"))
    assert keeper.answer(ANN, asked.sid, "123456").status is ChallengeStatus.PENDING


def test_a_passkey_cannot_be_set_otherwise(keeper: BaseBackend) -> None:
    made = keeper.enroll(ANN, FactorKind.PASSKEY, name="key", options=PARTY)
    with pytest.raises(IncompatibleOptions):
        keeper.update_factor(ANN, made.sid, options=PARTY)
    with pytest.raises(BackendRejected):
        keeper.confirm(ANN, made.sid, "123456")


def test_a_passkey_with_answers_of_no_shape(keeper: BaseBackend, exchanges_are_as_described: list[str]) -> None:
    made = keeper.enroll(ANN, FactorKind.PASSKEY, name="key", options=PARTY)
    for answer in ({}, {"response": None}, {"id": 7, "response": {"clientDataJSON": "AAAA"}}):
        assert keeper.confirm(ANN, made.sid, answer).status in (FactorStatus.UNVERIFIED, FactorStatus.GONE)
        assert not keeper.answer(ANN, "YC" + "0" * 32, answer).approved
    # With Twilio's description at hand, the validator has noticed: what it found is meant to be there.
    exchanges_are_as_described.clear()


def fail(keeper: Any, server: VerifyServer, **how: Any) -> None:
    (server if isinstance(keeper, TwilioBackend) else keeper).fail_next(**how)


def test_a_person_that_cannot_be_made(keeper: BaseBackend, server: VerifyServer) -> None:
    fail(keeper, server, code=60328, status=429)
    with pytest.raises(BackendRejected) as caught:
        keeper.create_entity(ANN)
    assert (caught.value.code, caught.value.provider_code) == ("wait", 60328)


def test_an_answer_that_was_lost(keeper: BaseBackend, server: VerifyServer) -> None:
    """It may have been carried out: what stands there, says ``factors``."""
    if isinstance(keeper, LocMemBackend):
        keeper.fail_next(BackendUnavailable(may_have_been_done=True), carried_out=True)
    else:
        server.fail_next(status=503, carried_out=True)
    with pytest.raises(BackendUnavailable) as caught:
        keeper.enroll(ANN, FactorKind.TOTP, name="app")
    assert caught.value.may_have_been_done
    assert [one.status for one in keeper.factors(ANN)] == [FactorStatus.UNVERIFIED]


def test_a_removal_whose_answer_was_lost_can_be_repeated(keeper: BaseBackend, server: VerifyServer) -> None:
    made = keeper.enroll(ANN, FactorKind.TOTP, name="app")
    fail(keeper, server, code=20500, status=500, carried_out=True)
    with pytest.raises(BackendUnavailable):
        keeper.remove(ANN, made.sid)
    assert keeper.remove(ANN, made.sid) is False
    assert keeper.factor(ANN, made.sid).status is FactorStatus.GONE
