"""Twilio's error numbers in our words."""

from __future__ import annotations

import importlib
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from django_twilio_verify.backends.options import SendOptions
from django_twilio_verify.backends.results import ProviderCheck, ProviderStatus
from django_twilio_verify.backends.twilio.errors import (
    TABLE,
    Reaction,
    Unanswered,
    VerifyError,
    called,
    check_of,
    delivery_meaning,
    error_for,
    in_some_language,
    judged,
    standing,
    status_of,
)
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable, Retry


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
    assert error.may_have_been_done
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
    assert keys <= {*BackendRejected.user_messages}


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
@pytest.mark.parametrize("error", [VerifyError(400, 60200, "To"), Unanswered(may_have_been_done=True)])
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


# ------------------------------------------------------------------------------------ where it leads

NUMBERS = """
20003 20005 20006 20008 20010 20403 20404 20409 20410 20422 20423 20429 20500 20503 21211 21217 21408 21608 21610 21614
30003-30008 30034 575001 60001-60008 60200-60243 60245 60247 60248 60250 60252 60253 60300-60302 60304-60306
60308-60315 60317 60318 60322-60331 60333-60335 60361-60388 60390-60393 60401-60412 60420-60441 60500 60510-60535
60540 60550 60600 60602-60626 63003 63016 63018 63024 63036 68001-68008
"""
"""Every number of Verify's own list of errors, and of the layers below it."""


def documented() -> Iterator[int]:
    for word in NUMBERS.split():
        first, _, last = word.partition("-")
        yield from range(int(first), int(last or first) + 1)


def test_every_number_that_twilio_documents_is_in_the_table() -> None:
    assert [code for code in documented() if code not in TABLE] == []


@pytest.mark.parametrize(
    ("code", "channel", "another", "off", "retry"),
    [
        (20003, "sms", False, False, Retry.NEVER),
        (20404, "sms", False, False, Retry.NOW),
        (20429, "sms", False, False, Retry.AFTER_WAIT),
        (21211, "sms", False, False, Retry.NEVER),
        (21610, "sms", True, False, Retry.NEVER),
        (21614, "sms", True, False, Retry.NEVER),
        (60202, "sms", False, False, Retry.AFTER_EXPIRY),
        (60203, "sms", False, False, Retry.AFTER_EXPIRY),
        (60204, "sms", True, False, Retry.NEVER),
        (60204, "sna", True, True, Retry.NEVER),
        (60204, "auto", True, True, Retry.NEVER),
        (60204, "", True, False, Retry.NEVER),
        (60205, "sms", True, False, Retry.NEVER),
        (60212, "sms", False, False, Retry.AFTER_WAIT),
        (60214, "call", True, True, Retry.NEVER),
        (60217, "email", True, True, Retry.NEVER),
        (60217, "sms", True, False, Retry.NEVER),
        (60223, "sms", True, True, Retry.NEVER),
        (60223, "whatsapp", True, True, Retry.NEVER),
        (60238, "sms", False, False, Retry.NEVER),
        (60242, "whatsapp", True, False, Retry.NEVER),
        (60253, "email", True, True, Retry.NEVER),
        (60329, "sna", True, True, Retry.NEVER),
        (60410, "sms", True, False, Retry.AFTER_WAIT),
        (60500, "sna", True, False, Retry.NEVER),
        (60529, "sna", True, False, Retry.NEVER),
        (60545, "sna", True, False, Retry.NEVER),  # not in the table, and of the family
        (60540, "sna", False, False, Retry.NEVER),
        (60550, "auto", True, False, Retry.NEVER),
        (60603, "email", True, True, Retry.NEVER),
        (60605, "sms", True, False, Retry.NEVER),
        (68008, "whatsapp", True, True, Retry.NEVER),
        (99999, "sms", True, False, Retry.NEVER),
    ],
)
def test_where_a_refusal_leads(code: int, channel: str, another: bool, off: bool, retry: Retry) -> None:
    error = error_for(400, code, channel=channel)
    assert (error.try_another_channel, error.channel_off, error.retry) == (another, off, retry)


def test_two_facts_of_a_refusal_are_named() -> None:
    facts = {
        code: (error.sends_used_up, error.not_found)
        for code in (*TABLE, 99999)
        if isinstance(error := error_for(400, code), BackendRejected)
    }
    assert {code for code, (used_up, _) in facts.items() if used_up} == {60203}
    assert {code for code, (_, not_found) in facts.items() if not_found} == {20404}


@pytest.mark.parametrize(
    ("errors", "failed"),
    [((), False), ((60519,), False), ((60510, 60519), False), ((60519, 60510), False), ((60510,), True)],
)
def test_a_link_has_failed_once_none_is_left_to_open(errors: tuple[int, ...], failed: bool) -> None:
    assert check_of("pending", "VE1", errors) == ProviderCheck(
        ProviderStatus.PENDING, "VE1", link_failed=failed, link_errors=errors
    )


@pytest.mark.parametrize("code", [60500, 60501, 60519, 60525, 60545])
def test_a_silent_check_that_failed_for_whatever_reason_leads_to_a_code(code: int) -> None:
    error = error_for(400, code)
    assert (error.code, error.try_another_channel) == ("silent", True)


def test_a_provider_that_is_down_may_be_asked_again() -> None:
    error = error_for(503, 20503, channel="sms")
    assert (error.try_another_channel, error.channel_off, error.retry) == (True, False, Retry.NOW)


@pytest.mark.parametrize(
    ("message", "key", "another"),
    [("Invalid parameter `To`", "recipient", False), ("Invalid parameter `AppHash`", "cannot_send", True)],
)
def test_the_parameter_decides_whether_another_way_helps(message: str, key: str, another: bool) -> None:
    error = error_for(400, 60200, message)
    assert (error.code, error.try_another_channel) == (key, another)


def test_a_person_is_never_left_without_a_word() -> None:
    for code, row in TABLE.items():
        error = error_for(400, code)
        assert error.user_message
        if error.code in ("misconfigured", "silent", "landline", "undelivered", "device"):
            assert (
                "another way" in error.user_message
                or "Choose" in error.user_message
                or "Get a code" in error.user_message
            )
        if row.off:
            assert row.another_way, f"{code}: the channel is off, and no other is offered"
            assert row.reaction is Reaction.OPERATOR


@pytest.mark.parametrize(
    ("code", "opted_out", "another", "sentence"),
    [
        (21610, True, True, "opted_out"),
        (30003, False, True, "undelivered"),
        (30004, False, True, "undelivered"),
        (30005, False, False, "recipient"),
        (30006, False, True, "landline"),
        (30007, False, True, "undelivered"),
        (30034, False, True, "misconfigured"),
        (60005, False, True, "undelivered"),
        (63018, False, True, "wait"),
        (63024, False, True, "undelivered"),
        (12345, False, True, "undelivered"),
        (0, False, True, "undelivered"),
    ],
)
def test_what_a_report_of_delivery_means(code: int, opted_out: bool, another: bool, sentence: str) -> None:
    meaning = delivery_meaning(code)
    assert (meaning.opted_out, meaning.try_another_channel) == (opted_out, another)
    assert str(meaning.sentence) == str(BackendRejected.user_messages[sentence])
    assert meaning.operator.endswith(".")


def test_only_one_number_is_an_opt_out() -> None:
    assert [code for code in range(100_000) if delivery_meaning(code).opted_out] == [21610]


def test_a_language_is_left_out_once() -> None:
    asked = []

    def send(options: SendOptions) -> str:
        asked.append(options.locale)
        raise VerifyError(400, 60331)

    with pytest.raises(VerifyError):
        in_some_language(send, SendOptions(locale="tlh"))
    assert asked == ["tlh", ""]


# --------------------------------------------------------------------------------------- the reference


def test_the_reference_has_a_line_for_each_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "docs" / "_ext"))
    docs = importlib.import_module("twilio_error_texts")
    for code, row in TABLE.items():
        number, meaning, gets, reads, *others = docs.texts(code, row)
        assert (number, meaning) == (str(code), row.sentence)
        error = error_for(400, code)
        assert reads == error.user_message
        assert gets.startswith(type(error).__name__) and gets.endswith(
            error.code if row.reaction.key else "Unavailable"
        )
        assert all(others)
