"""Sentences about answers in the site's own words (``TWILIO_VERIFY_ERROR_MESSAGES``), and about codes of any length."""

from __future__ import annotations

from typing import Any

import pytest

from django_twilio_verify.choices import CheckOutcome, RedeemProblem
from django_twilio_verify.models import Verification
from django_twilio_verify.verifications import messages
from django_twilio_verify.verifications.results import Checked


def checked(channel: str, outcome: CheckOutcome, problem: str = "", backend: str = "default") -> Checked:
    verification = Verification(channel=channel, backend=backend)
    return Checked(verification=verification, outcome=outcome, checks_left=3, reason=problem)


@pytest.fixture(autouse=True)
def words(settings: Any) -> None:
    settings.TWILIO_VERIFY_ERROR_MESSAGES = {
        "wrong": "No: %(left)s more.",
        "passkey.wrong": "Not that passkey.",
        "malformed": "All %(length)s digits, please.",
        "expired": "Too late, 100%.",
        "too_late": "Approve it again, please.",
        "factor_held": "Held.",
        "factor_gone": "Gone.",
        "push.factor_gone": "The phone is gone.",
    }


@pytest.mark.parametrize("channel", ["sms", "call", "email"])
def test_a_code_is_spoken_of_in_the_words_of_the_site(channel: str) -> None:
    said = {one: messages.sentence_for(checked(channel, one, "too_short")) for one in CheckOutcome}
    assert said[CheckOutcome.WRONG] == "No: 3 more."
    assert said[CheckOutcome.MALFORMED] == "All 6 digits, please."
    assert said[CheckOutcome.EXPIRED] == "Too late, 100%."
    assert said[CheckOutcome.HELD] == "Held."
    assert said[CheckOutcome.FACTOR_GONE] == "Gone."
    assert said[CheckOutcome.APPROVED] == ""
    assert said[CheckOutcome.CLOSED].startswith("This code is no longer valid")


@pytest.mark.parametrize(
    ("channel", "outcome", "sentence"),
    [
        ("totp", CheckOutcome.WRONG, "No: 3 more."),
        ("totp", CheckOutcome.MALFORMED, "All 6 digits, please."),
        ("push", CheckOutcome.MALFORMED, "All 2 digits, please."),
        ("push", CheckOutcome.FACTOR_GONE, "The phone is gone."),
        ("passkey", CheckOutcome.WRONG, "Not that passkey."),
        ("passkey", CheckOutcome.FACTOR_GONE, "Gone."),
        ("passkey", CheckOutcome.EXPIRED, "Too late, 100%."),
        ("passkey", CheckOutcome.APPROVED, ""),
    ],
)
def test_a_device_is_spoken_of_by_its_channel_first(channel: str, outcome: CheckOutcome, sentence: str) -> None:
    assert messages.challenge_sentence_for(checked(channel, outcome)) == sentence


def test_a_passkey_has_no_digits_to_speak_of(settings: Any) -> None:
    answer = checked("passkey", CheckOutcome.MALFORMED)
    assert "did not hand over a passkey" in messages.challenge_sentence_for(answer)
    settings.TWILIO_VERIFY_ERROR_MESSAGES["passkey.malformed"] = "No passkey came."
    assert messages.challenge_sentence_for(answer) == "No passkey came."


def test_links_enrollment_devices_and_payments_too() -> None:
    assert messages.link_sentence_for(checked("sna", CheckOutcome.EXPIRED)) == "Too late, 100%."
    enrolled = messages.app_enrollment_sentence(checked("totp", CheckOutcome.MALFORMED, "too_long"), length=8)
    assert enrolled == "All 8 digits, please."
    assert messages.lost_sentence("totp") == "Gone."
    assert messages.lost_sentence("push") == "The phone is gone."
    assert messages.redeem_sentence(RedeemProblem.TOO_LATE) == "Approve it again, please."
    assert messages.redeem_sentence(RedeemProblem.USED).startswith("This approval has been used")


def test_the_length_is_that_of_the_service_that_made_the_code(settings: Any) -> None:
    settings.TWILIO_VERIFY_ERROR_MESSAGES = {}
    config = settings.TWILIO_VERIFY_BACKENDS["default"]
    settings.TWILIO_VERIFY_BACKENDS = {"default": config, "shop": {**config, "CODE_LENGTH": 8}}
    for backend, length in (("default", 6), ("shop", 8), ("removed", 6)):
        sentence = messages.sentence_for(checked("sms", CheckOutcome.MALFORMED, "too_short", backend))
        assert f"The code has {length} digits" in sentence
