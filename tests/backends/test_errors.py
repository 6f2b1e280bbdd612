"""Twilio's error numbers in our words."""

from __future__ import annotations

import logging

import pytest

from django_twilio_verify.backends.errors import (
    TABLE,
    Reaction,
    Unanswered,
    VerifyError,
    called,
    error_for,
    judged,
    standing,
    status_of,
)
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable
from django_twilio_verify.results import ProviderCheck, ProviderStatus


@pytest.mark.parametrize(
    ("status", "code", "key", "level"),
    [
        (401, 20003, "misconfigured", logging.ERROR),
        (403, 20008, "misconfigured", logging.ERROR),
        (404, 20404, "misconfigured", logging.ERROR),  # raised only for a send
        (400, 20423, "cannot_send", logging.ERROR),
        (429, 20429, "wait", logging.WARNING),
        (400, 21211, "recipient", logging.INFO),
        (400, 21608, "misconfigured", logging.ERROR),
        (400, 21610, "opted_out", logging.INFO),
        (429, 60202, "wait", logging.WARNING),
        (429, 60203, "wait", logging.WARNING),
        (403, 60205, "landline", logging.INFO),
        (429, 60212, "wait", logging.WARNING),
        (400, 60217, "misconfigured", logging.ERROR),
        (400, 60223, "misconfigured", logging.ERROR),
        (400, 60237, "recipient", logging.INFO),
        (403, 60238, "cannot_send", logging.WARNING),
        (403, 60410, "cannot_send", logging.WARNING),
        (403, 60605, "cannot_send", logging.WARNING),
        (400, 68008, "misconfigured", logging.ERROR),
        # Not in the table: judged by the status
        (400, 69999, "cannot_send", logging.ERROR),
        (401, 0, "misconfigured", logging.ERROR),
        (403, 69999, "misconfigured", logging.ERROR),
        (404, 0, "misconfigured", logging.ERROR),
        (429, 0, "wait", logging.WARNING),
        (301, 0, "cannot_send", logging.ERROR),
    ],
)
def test_refusals(status: int, code: int, key: str, level: int, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    error = error_for(status, code)
    assert isinstance(error, BackendRejected)
    assert (error.code, error.provider_code) == (key, code)
    (record,) = caplog.records
    assert (record.name, record.levelno) == ("django_twilio_verify", level)
    assert str(status) in record.getMessage()


@pytest.mark.parametrize(("status", "code"), [(500, 20500), (503, 20503), (502, 0), (500, 69999)])
def test_an_error_of_the_provider_may_have_been_carried_out(status: int, code: int) -> None:
    error = error_for(status, code)
    assert isinstance(error, BackendUnavailable)
    assert error.perhaps_done
    assert error.provider_code == code


@pytest.mark.parametrize(
    ("message", "key"),
    [
        ("Invalid parameter `To`: +12025550143", "recipient"),
        ("Invalid parameter: To", "recipient"),
        ("Invalid parameter `Code`: 123", "code"),
        ("Invalid parameter: Channel", "cannot_send"),
        ("Invalid parameter to something", "cannot_send"),
        ("", "cannot_send"),
    ],
)
def test_the_parameter_is_read_from_the_message(message: str, key: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    assert error_for(400, 60200, message).code == key
    assert "2025550143" not in caplog.text
    assert "123" not in caplog.text


def test_every_row_has_a_sentence_for_both(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for code, row in TABLE.items():
        assert row.sentence.endswith(".")
        error = error_for(400, code)
        assert str(error)
        assert f"Twilio error {code} (HTTP status 400): {row.sentence}" in caplog.text
    keys = {reaction.key for reaction in Reaction} - {""}
    assert keys <= {*BackendRejected.sentences}


def test_a_fraud_block_reads_like_any_refusal() -> None:
    sentences = {str(error_for(400, code)) for code in (60410, 60605, 60238, 69999)}
    assert len(sentences) == 1


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("pending", ProviderStatus.PENDING),
        ("approved", ProviderStatus.APPROVED),
        ("canceled", ProviderStatus.CANCELED),
        ("max_attempts_reached", ProviderStatus.EXHAUSTED),
        ("expired", ProviderStatus.GONE),
        ("deleted", ProviderStatus.GONE),
        ("failed", ProviderStatus.GONE),
        ("APPROVED", ProviderStatus.UNKNOWN),
        (" approved", ProviderStatus.UNKNOWN),
        ("verified", ProviderStatus.UNKNOWN),
        ("", ProviderStatus.UNKNOWN),
        (None, ProviderStatus.UNKNOWN),
        (True, ProviderStatus.UNKNOWN),
        (["approved"], ProviderStatus.UNKNOWN),
    ],
)
def test_only_the_very_word_is_proof(word: object, status: ProviderStatus) -> None:
    assert status_of(word) is status


@pytest.mark.parametrize(
    ("status", "code", "answer"),
    [
        (404, 20404, ProviderStatus.GONE),
        (404, 0, ProviderStatus.GONE),
        (400, 60623, ProviderStatus.GONE),
        (429, 60202, ProviderStatus.EXHAUSTED),
        (429, 60203, None),
        (500, 0, None),
    ],
)
def test_some_errors_are_answers(status: int, code: int, answer: ProviderStatus | None) -> None:
    assert standing(status, code) is answer


@pytest.mark.parametrize("around", [called, judged])
@pytest.mark.parametrize("error", [VerifyError(400, 60200, "To"), Unanswered(perhaps_done=True)])
def test_the_chain_ends_at_our_own_exception(around: object, error: Exception) -> None:
    def fail() -> ProviderCheck:
        raise error

    with pytest.raises((BackendRejected, BackendUnavailable)) as caught:
        around(fail)  # type: ignore[operator]
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


def test_an_answer_names_the_verification_and_the_error() -> None:
    def fail() -> ProviderCheck:
        raise VerifyError(404, 20404)

    assert judged(fail, "VE1") == ProviderCheck(ProviderStatus.GONE, "VE1", 20404)


def test_a_refusal_does_not_show_the_message() -> None:
    error = VerifyError(400, 60200, "Invalid parameter `To`: +12025550143")
    assert "2025550143" not in f"{error} {error!r} {error.args}"
