"""Factors over HTTP with the real SDK: what a wrong, strange or hostile answer is taken for."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Callable
from typing import Any

import pytest

from django_twilio_verify.backends.factor_options import ChallengeDetails, PasskeyOptions
from django_twilio_verify.backends.factor_results import ChallengeStatus, FactorStatus
from django_twilio_verify.backends.options import IncompatibleOptions
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.choices import FactorKind
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable
from django_twilio_verify.testing import VerifyServer

ANN, BEN = "ann-00000001", "ben-00000001"
FACTOR, OTHER_FACTOR = "YF" + "1" * 32, "YF" + "2" * 32
CHALLENGE, OTHER_CHALLENGE = "YC" + "1" * 32, "YC" + "2" * 32
RESPONSE = {"authenticatorData": "a", "clientDataJSON": "a", "signature": "s3cret", "attestationObject": "s3cret"}
CREDENTIAL = {"id": "a", "rawId": "a", "type": "public-key", "response": RESPONSE}
Ask = Callable[[TwilioBackend], Any]

FACTOR_ANSWER = {"sid": FACTOR, "identity": ANN, "status": "verified", "factor_type": "totp", "config": {}}
CHALLENGE_ANSWER = {
    "sid": CHALLENGE,
    "identity": ANN,
    "factor_sid": FACTOR,
    "status": "approved",
    "factor_type": "totp",
    "options": {},
}

ABOUT_A_FACTOR: dict[str, Ask] = {
    "confirm": lambda backend: backend.confirm(ANN, FACTOR, "123456"),
    "confirm a passkey": lambda backend: backend.confirm(ANN, FACTOR, CREDENTIAL),
    "factor": lambda backend: backend.factor(ANN, FACTOR),
    "update": lambda backend: backend.update_factor(ANN, FACTOR, name="new"),
}
ABOUT_A_CHALLENGE: dict[str, Ask] = {
    "answer": lambda backend: backend.answer(ANN, CHALLENGE, "123456"),
    "answer by passkey": lambda backend: backend.answer(ANN, CHALLENGE, CREDENTIAL),
    "poll": lambda backend: backend.poll(ANN, CHALLENGE),
}
CREATING: dict[str, Ask] = {
    "totp": lambda backend: backend.challenge(ANN, FactorKind.TOTP, factor_sid=FACTOR, code="123456"),
    "push": lambda backend: backend.challenge(
        ANN, FactorKind.PUSH, factor_sid=FACTOR, details=ChallengeDetails("Is it you?")
    ),
    "passkey": lambda backend: backend.challenge(ANN, FactorKind.PASSKEY, factor_sid=FACTOR),
}


def answers(server: VerifyServer, body: dict[str, Any], *, status: int = 200) -> None:
    server.fail_next(status=status, body=json.dumps(body))


@pytest.mark.parametrize("ask", ABOUT_A_FACTOR.values(), ids=ABOUT_A_FACTOR)
@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, FactorStatus.VERIFIED),
        ({"identity": None}, FactorStatus.VERIFIED),
        ({"status": "unverified"}, FactorStatus.UNVERIFIED),
        ({"status": "Verified"}, FactorStatus.UNKNOWN),
        ({"status": "approved"}, FactorStatus.UNKNOWN),
        ({"status": True}, FactorStatus.UNKNOWN),
        ({"status": None}, FactorStatus.UNKNOWN),
        ({"status": ["verified"]}, FactorStatus.UNKNOWN),
        ({"sid": OTHER_FACTOR}, FactorStatus.UNKNOWN),
        ({"sid": None}, FactorStatus.UNKNOWN),
        ({"identity": BEN}, FactorStatus.UNKNOWN),
        ({"factor_type": "palm", "config": "x", "date_created": "long ago"}, FactorStatus.VERIFIED),
    ],
)
def test_only_this_factor_verified_is_verified(
    backend: TwilioBackend, server: VerifyServer, ask: Ask, said: dict[str, Any], status: FactorStatus
) -> None:
    answers(server, {**FACTOR_ANSWER, **said})
    found = ask(backend)
    assert (found.sid, found.status, found.verified) == (FACTOR, status, status is FactorStatus.VERIFIED)


@pytest.mark.parametrize("ask", ABOUT_A_CHALLENGE.values(), ids=ABOUT_A_CHALLENGE)
@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, ChallengeStatus.APPROVED),
        ({"identity": None, "factor_sid": None}, ChallengeStatus.APPROVED),
        ({"status": "pending"}, ChallengeStatus.PENDING),
        ({"status": "denied"}, ChallengeStatus.DENIED),
        ({"status": "expired"}, ChallengeStatus.EXPIRED),
        ({"status": "APPROVED"}, ChallengeStatus.UNKNOWN),
        ({"status": "verified"}, ChallengeStatus.UNKNOWN),
        ({"status": 1}, ChallengeStatus.UNKNOWN),
        ({"status": {}}, ChallengeStatus.UNKNOWN),
        ({"sid": OTHER_CHALLENGE}, ChallengeStatus.UNKNOWN),
        ({"sid": ""}, ChallengeStatus.UNKNOWN),
        ({"identity": BEN}, ChallengeStatus.UNKNOWN),
    ],
)
def test_only_this_challenge_approved_is_proof(
    backend: TwilioBackend, server: VerifyServer, ask: Ask, said: dict[str, Any], status: ChallengeStatus
) -> None:
    answers(server, {**CHALLENGE_ANSWER, **said})
    found = ask(backend)
    assert (found.sid, found.status, found.approved) == (CHALLENGE, status, status is ChallengeStatus.APPROVED)


@pytest.mark.parametrize("ask", CREATING.values(), ids=CREATING)
@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({}, ChallengeStatus.APPROVED),
        ({"identity": BEN}, ChallengeStatus.UNKNOWN),
        ({"factor_sid": OTHER_FACTOR}, ChallengeStatus.UNKNOWN),
        ({"status": "yes"}, ChallengeStatus.UNKNOWN),
    ],
)
def test_a_new_challenge_is_of_whom_it_was_asked(
    backend: TwilioBackend, server: VerifyServer, ask: Ask, said: dict[str, Any], status: ChallengeStatus
) -> None:
    answers(server, {**CHALLENGE_ANSWER, **said}, status=201)
    assert ask(backend).status is status


@pytest.mark.parametrize(
    "ask",
    [
        *CREATING.values(),
        lambda backend: backend.enroll(ANN, FactorKind.TOTP, name="app"),
        lambda backend: backend.enroll(ANN, FactorKind.PASSKEY, name="key"),
        lambda backend: backend.access_token(ANN),
    ],
)
@pytest.mark.parametrize("said", [{}, {"sid": "YF1"}, {"sid": None, "token": ""}])
def test_what_is_no_answer_may_have_been_done(
    backend: TwilioBackend, server: VerifyServer, ask: Ask, said: dict[str, Any]
) -> None:
    answers(server, said, status=201)
    with pytest.raises(BackendUnavailable) as caught:
        ask(backend)
    assert caught.value.may_have_been_done


@pytest.mark.parametrize(
    ("ask", "said"),
    [
        (lambda backend: backend.enroll(ANN, FactorKind.TOTP, name="app"), {**FACTOR_ANSWER, "identity": BEN}),
        (lambda backend: backend.access_token(ANN), {"sid": "YK1", "token": "t0ken", "entity_identity": BEN}),
    ],
)
def test_nothing_is_taken_that_is_somebody_elses(
    backend: TwilioBackend, server: VerifyServer, ask: Ask, said: dict[str, Any]
) -> None:
    answers(server, said, status=201)
    with pytest.raises(BackendUnavailable):
        ask(backend)


FACTOR_ERRORS = [
    (60311, 403, FactorStatus.UNVERIFIED),
    (60324, 403, FactorStatus.UNVERIFIED),
    (60381, 400, FactorStatus.UNVERIFIED),
    (60386, 400, FactorStatus.UNVERIFIED),
    (60310, 429, FactorStatus.EXHAUSTED),
    (60390, 404, FactorStatus.GONE),
    (60392, 404, FactorStatus.GONE),
    (20404, 404, FactorStatus.GONE),
]
CHALLENGE_ERRORS = [
    (60324, 403, ChallengeStatus.PENDING),
    (60378, 400, ChallengeStatus.PENDING),
    (60381, 400, ChallengeStatus.PENDING),
    (60308, 429, ChallengeStatus.EXHAUSTED),
    (60318, 403, ChallengeStatus.GONE),
    (60535, 403, ChallengeStatus.GONE),
    (60322, 403, ChallengeStatus.ANSWERED),
    (60323, 403, ChallengeStatus.EXPIRED),
    (60391, 404, ChallengeStatus.GONE),
    (20404, 404, ChallengeStatus.GONE),
]


@pytest.mark.parametrize("ask", ABOUT_A_FACTOR.values(), ids=ABOUT_A_FACTOR)
@pytest.mark.parametrize(("code", "http", "status"), FACTOR_ERRORS)
def test_errors_that_are_answers_about_a_factor(
    backend: TwilioBackend, server: VerifyServer, ask: Ask, code: int, http: int, status: FactorStatus
) -> None:
    server.fail_next(status=http, code=code)
    found = ask(backend)
    assert (found.sid, found.status, found.provider_code) == (FACTOR, status, code)


@pytest.mark.parametrize("ask", ABOUT_A_CHALLENGE.values(), ids=ABOUT_A_CHALLENGE)
@pytest.mark.parametrize(("code", "http", "status"), CHALLENGE_ERRORS)
def test_errors_that_are_answers_about_a_challenge(
    backend: TwilioBackend, server: VerifyServer, ask: Ask, code: int, http: int, status: ChallengeStatus
) -> None:
    server.fail_next(status=http, code=code)
    found = ask(backend)
    assert (found.sid, found.status, found.provider_code) == (CHALLENGE, status, code)
    assert found.challenge_missing is (code == 60391)


@pytest.mark.parametrize("ask", [*ABOUT_A_FACTOR.values(), *ABOUT_A_CHALLENGE.values(), *CREATING.values()])
@pytest.mark.parametrize(
    ("code", "http", "key"),
    [
        (60312, 429, "wait"),
        (60382, 400, "misconfigured"),
        (60371, 400, "misconfigured"),
        (60393, 400, "misconfigured"),
        (20003, 401, "misconfigured"),
    ],
)
def test_errors_that_are_refusals(
    backend: TwilioBackend, server: VerifyServer, ask: Ask, code: int, http: int, key: str
) -> None:
    server.fail_next(status=http, code=code)
    with pytest.raises(BackendRejected) as caught:
        ask(backend)
    assert (caught.value.code, caught.value.provider_code) == (key, code)


@pytest.mark.parametrize("ask", [*ABOUT_A_FACTOR.values(), *ABOUT_A_CHALLENGE.values(), *CREATING.values()])
def test_a_provider_that_is_down(backend: TwilioBackend, server: VerifyServer, ask: Ask) -> None:
    server.fail_next(status=503)
    with pytest.raises(BackendUnavailable):
        ask(backend)
    server.reset_next()
    with pytest.raises(BackendUnavailable):
        ask(backend)


def test_a_404_without_a_number_is_gone_too(backend: TwilioBackend, server: VerifyServer) -> None:
    server.fail_next(status=404)
    assert backend.poll(ANN, CHALLENGE).status is ChallengeStatus.GONE
    server.fail_next(status=404)
    assert not backend.remove(ANN, FACTOR)


@pytest.mark.parametrize("identity", ["short", "a" * 65, "ann@example.com", "ann/../../x", "-ann-0001", "a nn0001", ""])
def test_an_identity_that_is_none_goes_nowhere(backend: TwilioBackend, server: VerifyServer, identity: str) -> None:
    for ask in (
        lambda: backend.enroll(identity, FactorKind.TOTP, name="app"),
        lambda: backend.access_token(identity),
        lambda: backend.create_entity(identity),
        lambda: backend.notify(identity, CHALLENGE),
    ):
        with pytest.raises(IncompatibleOptions) as caught:
            ask()
        assert not identity or identity not in str(caught.value)
    backend.factor(identity, FACTOR)
    backend.poll(identity, CHALLENGE)
    backend.challenge(identity, FactorKind.TOTP, factor_sid=FACTOR)
    backend.update_factor(identity, FACTOR, name="x")
    assert server.requests == []


@pytest.mark.parametrize("identity", [ANN, "a" * 64, "550e8400-e29b-41d4-a716-446655440000", "12345678"])
def test_an_identity_is_letters_digits_and_dashes(backend: TwilioBackend, identity: str) -> None:
    assert backend.create_entity(identity).identity == identity


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (FactorKind.TOTP, PasskeyOptions()),
        (FactorKind.PHONE, None),
        (FactorKind.EMAIL, None),
    ],
)
def test_options_of_another_kind(backend: TwilioBackend, kind: FactorKind, options: Any) -> None:
    with pytest.raises(IncompatibleOptions):
        backend.enroll(ANN, kind, name="x", options=options)


def test_the_next_page_is_asked_of_the_same_host(backend: TwilioBackend, server: VerifyServer) -> None:
    factor = {**FACTOR_ANSWER, "friendly_name": "x"}
    meta = {"key": "factors", "next_page_url": "http://evil.test/v2/x?PageToken=T&Page=1&PageSize=1"}
    answers(server, {"factors": [factor], "meta": meta})
    answers(server, {"factors": [factor], "meta": {"key": "factors", "next_page_url": None}})
    assert len(backend.factors(ANN)) == 2
    assert dict(server.requests[-1].query) == {"PageToken": "T", "Page": "1", "PageSize": "100"}


def test_a_list_that_never_ends_does(backend: TwilioBackend, server: VerifyServer) -> None:
    meta = {"key": "factors", "next_page_url": "http://x.test/?Page=1"}
    server.fail_next(status=200, body=json.dumps({"factors": [FACTOR_ANSWER], "meta": meta}), times=50)
    assert len(backend.factors(ANN)) == 20


def test_the_optional_is_left_out(backend: TwilioBackend, server: VerifyServer) -> None:
    backend.enroll(ANN, FactorKind.TOTP, name="app")
    assert dict(server.requests[-1].form) == {"FriendlyName": "app", "FactorType": "totp"}
    with pytest.raises(BackendRejected):
        backend.enroll(ANN, FactorKind.PASSKEY, name="key")
    assert json.loads(server.requests[-1].body) == {"friendly_name": "key", "identity": ANN}
    with pytest.raises(BackendRejected):
        backend.challenge("", FactorKind.PASSKEY)
    assert json.loads(server.requests[-1].body) == {}


def test_no_answer_reaches_a_log_or_a_traceback(
    backend: TwilioBackend, server: VerifyServer, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for ask in (ABOUT_A_FACTOR["confirm a passkey"], ABOUT_A_CHALLENGE["answer by passkey"]):
        for plan in (lambda: server.fail_next(status=503), lambda: server.fail_next(status=400, code=60300)):
            plan()
            with pytest.raises((BackendUnavailable, BackendRejected)) as caught:
                ask(backend)
            shown = "".join(traceback.format_exception(caught.value)) + caplog.text
            assert "s3cret" not in shown
            assert ANN not in shown
