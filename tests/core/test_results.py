"""Results have named fields, describe themselves to programs, and have no truth value."""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from django_twilio_verify.choices import Channel, CheckOutcome, RedeemProblem, VerificationStatus
from django_twilio_verify.consent import ConsentState
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.core.results import Result, json_time
from django_twilio_verify.factors.results import Enrolled, RecoveryChecked, Setup, SetupChecked
from django_twilio_verify.models import ConsentEvent, Factor, Verification
from django_twilio_verify.verifications.results import Checked, Redeemed, Started, VerificationState

NOW = datetime(2030, 1, 1, 12, tzinfo=UTC)
SENT = Verification(recipient_kind="phone", recipient_value="+15017122661", channel="sms", expires_at=NOW)
ASKED = Verification(channel="totp", expires_at=NOW)
CHECKED = Checked(SENT, CheckOutcome.WRONG, checks_left=4)

RESULTS = [
    Started(SENT, Channel.SMS, resend_at=NOW, sends_left=4, link="https://carrier.example/1"),
    Started(ASKED, Channel.PASSKEY, browser_options={"challenge": "abc", "allowCredentials": []}),
    CHECKED,
    Checked(ASKED, CheckOutcome.APPROVED),
    Checked(SENT, CheckOutcome.LINK_FAILED, next_channel=Channel.SMS, retry_at=NOW),
    VerificationState(SENT, VerificationStatus.PENDING, is_open=True, other_channels=(Channel.CALL,)),
    Redeemed(SENT),
    Redeemed(None, RedeemProblem.NOT_APPROVED),
    Enrolled(Factor(), created=True),
    Setup(ASKED, Channel.TOTP, secret="JBSWY3DPEHPK3PXP", uri="otpauth://totp/x"),
    SetupChecked(CHECKED),
    RecoveryChecked(approved=True, remaining=9),
    ConsentState(
        recipient=Recipient.phone("+15017122661"),
        channel=Channel.SMS,
        is_live=True,
        granted_at=NOW,
        ended_at=None,
        disclosure=None,
        event=ConsentEvent(),
    ),
    RecoveryChecked(approved=False, remaining=10),
]


def subclasses(kind: type[Result]) -> set[type[Result]]:
    found = set(kind.__subclasses__())
    return found.union(*(subclasses(one) for one in found))


def test_this_file_knows_every_result() -> None:
    # A dataclass with slots is made anew, so that the plain class of the same name lives on.
    assert {one.__name__ for one in subclasses(Result)} | {"Started"} == {type(one).__name__ for one in RESULTS}


def test_what_was_started_is_true_since_the_other_outcome_is_none() -> None:
    assert all(bool(one) for one in RESULTS if isinstance(one, Started))


@pytest.mark.parametrize(
    "result", [one for one in RESULTS if isinstance(one, Result)], ids=lambda result: type(result).__name__
)
def test_a_result_has_no_truth_value_and_says_what_to_read(result: Any) -> None:
    with pytest.raises(TypeError, match=rf"A {type(result).__name__} has no truth value: read \.{result.answer} "):
        bool(result)
    assert hasattr(result, result.answer)


@pytest.mark.parametrize("result", RESULTS, ids=lambda result: type(result).__name__)
def test_a_result_is_frozen_and_shows_no_secret(result: Any) -> None:
    name = dataclasses.fields(result)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(result, name, None)
    assert not any(secret in repr(result) for secret in ("JBSWY3DP", "otpauth", "carrier.example", "+15017122661"))


@pytest.mark.parametrize(
    "result", [one for one in RESULTS if hasattr(one, "as_dict")], ids=lambda result: type(result).__name__
)
def test_a_result_describes_itself_as_json(result: Any) -> None:
    told = result.as_dict()
    assert json.loads(json.dumps(told)) == told
    assert "+15017122661" not in json.dumps(told)


def test_what_is_told_of_a_wrong_answer() -> None:
    assert CHECKED.as_dict() == {
        "verification": str(SENT.pk),
        "code": "wrong",
        "detail": "This is not the code that we sent. You have 4 tries left.",
        "approved": False,
        "already_approved": False,
        "is_waiting": False,
        "checks_left": 4,
        "retry_at": None,
        "reason": "",
        "next_channel": None,
    }


def test_a_wrong_recovery_code_tells_nobody_how_many_there_are() -> None:
    assert "remaining" not in RecoveryChecked(approved=False, remaining=10).as_dict()


@pytest.mark.parametrize(
    ("moment", "told"),
    [
        (None, None),
        (NOW, "2030-01-01T12:00:00Z"),
        (NOW.astimezone(timezone(timedelta(hours=5, minutes=30))), "2030-01-01T12:00:00Z"),
    ],
)
def test_times_are_told_in_utc(moment: datetime | None, told: str | None) -> None:
    assert json_time(moment) == told
