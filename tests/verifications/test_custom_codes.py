"""Codes that the site makes itself: judged here, kept as a hash, and told to the provider once they were right."""

from __future__ import annotations

import logging
from collections import Counter

import pytest

from django_twilio_verify import verifications
from django_twilio_verify.backends.options import IncompatibleOptions
from django_twilio_verify.choices import CheckOutcome, VerificationStatus
from django_twilio_verify.exceptions import RateLimited
from django_twilio_verify.models import Verification, VerificationCheck
from django_twilio_verify.verifications import lifecycle
from django_twilio_verify.verifications.results import Checked
from tests.support.basics import PHONE, agree, make_client, race

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("claimants_have_room")]

CODE = "ab47Xy"


def begin(verbs=lifecycle, code=CODE, **values):
    agree()
    options = {"custom_code": code} if code else None
    return verbs.start(recipient=PHONE, channel="sms", client=make_client(), options=options, **values)


def endpoints(server) -> list[tuple[str, str | None]]:
    return [(one.endpoint, dict(one.form).get("Status")) for one in server.server.requests]


def test_a_custom_code_is_judged_here_and_reported(verbs, server):
    verification = begin(verbs).verification
    assert server.last_form["CustomCode"] == CODE
    kept = Verification.objects.get()
    assert kept.code_digest and CODE.lower() not in kept.code_digest.lower()
    assert verbs.check(verification, code=CODE, client=make_client()).approved
    assert endpoints(server) == [("Verifications", None), ("Verification", "approved")]
    assert server.server.requests[-1].path.endswith(verification.sid)
    kept.refresh_from_db()
    assert (kept.status, kept.code_digest) == (VerificationStatus.APPROVED, "")
    assert verbs.check(verification, code=CODE, client=make_client()).outcome == CheckOutcome.ALREADY_APPROVED


@pytest.mark.parametrize("typed", ["AB47XY", "ab47xy", " ab47 xy ", "ab-47-Xy", "Ab47Xy"])
def test_it_is_read_however_it_is_typed(verbs, typed):
    assert verbs.check(begin(verbs).verification, code=typed, client=make_client()).approved


def test_one_that_begins_with_g_keeps_its_letter(verbs):
    assert verbs.check(begin(verbs, "G123").verification, code="g123", client=make_client()).approved


@pytest.mark.parametrize(
    ("typed", "problem"),
    [("", "missing"), ("12", "not_like_ours"), ("x" * 11, "not_like_ours"), ("äöü12", "not_like_ours")],
)
def test_what_is_no_such_code_costs_no_try(verbs, typed, problem):
    checked = verbs.check(begin(verbs).verification, code=typed, client=make_client())
    assert (checked.outcome, checked.reason, checked.checks_left) == (CheckOutcome.MALFORMED, problem, 5)


def test_five_wrong_ones_are_the_last(verbs, server):
    verification = begin(verbs).verification
    told = [verbs.check(verification, code="wrong1", client=make_client()) for _ in range(6)]
    assert [one.outcome for one in told] == [CheckOutcome.WRONG] * 4 + [CheckOutcome.NO_CHECKS_LEFT] * 2
    assert verbs.check(verification, code=CODE, client=make_client()).outcome == CheckOutcome.NO_CHECKS_LEFT
    assert endpoints(server) == [("Verifications", None)]  # the provider was asked nothing
    with pytest.raises(RateLimited, match="wrong codes"):
        begin(verbs)
    assert Verification.objects.get().code_digest == ""


@pytest.mark.parametrize("fault", ["unreachable", "500", "reset", {"status": 404, "code": 20404}])
def test_a_report_that_fails_undoes_nothing(verbs, server, caplog, fault):
    verification = begin(verbs).verification
    server.fail(fault)
    with caplog.at_level(logging.WARNING, logger="django_twilio_verify"):
        assert verbs.check(verification, code=CODE, client=make_client()).approved
    assert Verification.objects.get().status == VerificationStatus.APPROVED
    assert "Approval not" in caplog.text and CODE not in caplog.text and PHONE not in caplog.text


def test_one_whose_send_was_doubtful_is_still_judged_here(verbs, server, caplog):
    server.fail("reset after")
    started = begin(verbs)
    assert started.delivery_unknown
    with caplog.at_level(logging.WARNING, logger="django_twilio_verify"):
        assert verbs.check(started.verification, code=CODE, client=make_client()).approved
    assert "has no SID" in caplog.text


def test_a_resend_carries_the_first_code(verbs, server, clock):
    first = begin(verbs)
    clock.shift(30)
    with pytest.raises(IncompatibleOptions, match="sent first"):
        begin(verbs, "zz99zz", resend=True)
    assert len(server.server.requests) == 1 and Verification.objects.get().sends == 1
    assert begin(verbs, CODE, resend=True).verification == first.verification
    clock.shift(40)
    begin(verbs, "", resend=True)  # not named: Verify sends the first one again all the same
    assert "CustomCode" not in server.last_form
    assert {message.code for message in server.server.sent} == {CODE}
    assert verbs.check(first.verification, code=CODE, client=make_client()).approved


def test_a_setting_that_makes_a_new_code_each_time_changes_nothing_of_a_resend(verbs, server, settings, clock):
    codes = iter(["first1", "second2", "third3"])
    settings.TWILIO_VERIFY_SEND_OPTIONS = {"custom_code": lambda request: next(codes)}
    verification = begin(verbs, "").verification
    clock.shift(30)
    begin(verbs, "", resend=True)
    assert "CustomCode" not in server.last_form
    assert verbs.check(verification, code="second2", client=make_client()).outcome == CheckOutcome.WRONG
    assert verbs.check(verification, code="first1", client=make_client()).approved
    begin(verbs, "")
    assert server.last_form["CustomCode"] == "third3"


def test_a_code_of_verifys_own_is_not_replaced_by_one_of_ours(verbs, server, clock):
    verification = begin(verbs, "").verification
    clock.shift(30)
    with pytest.raises(IncompatibleOptions):
        begin(verbs, CODE, resend=True)
    assert verbs.check(verification, code=server.last_code, client=make_client()).approved


def test_a_refused_send_keeps_no_hash(verbs, server):
    server.fail({"status": 403, "code": 60410})
    with pytest.raises(Exception, match="cannot send"):
        begin(verbs)
    assert Verification.objects.get().code_digest == ""


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_twenty_right_ones_one_is_accepted_and_reported(server):
    verification = begin().verification
    results = race(20, lambda index: verifications.check(verification, code=CODE, client=make_client()))
    outcomes = Counter(result.outcome.value for result in results if isinstance(result, Checked))
    assert outcomes == {"approved": 1, "already_approved": 19}
    assert endpoints(server).count(("Verification", "approved")) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_never_more_than_five_are_judged(server):
    verification = begin().verification
    results = race(20, lambda index: verifications.check(verification, code=f"wrong{index}", client=make_client()))
    outcomes = Counter(result.outcome.value for result in results if isinstance(result, Checked))
    assert outcomes == {"wrong": 4, "no_checks_left": 16}
    assert VerificationCheck.objects.count() == 5
