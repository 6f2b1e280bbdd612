"""Answers: a right one is accepted once, a wrong one is counted, a late one is told apart."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.db import transaction

from django_twilio_verify import verifications
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import CheckOutcome, VerificationStatus
from django_twilio_verify.exceptions import BackendUnavailable, VerificationNotFound
from django_twilio_verify.models import Verification, VerificationCheck
from django_twilio_verify.signals import check_failed, verification_approved
from django_twilio_verify.verifications import lifecycle
from tests.support.basics import PHONE, agree, last_code, make_client, make_user, wrong_code

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("claimants_have_room")]
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture(params=["check", "acheck"])
def check(request):
    """Both twins, with the same cases."""

    def call(verification, code, **values):
        twin = getattr(lifecycle, request.param)
        twin = async_to_sync(twin) if request.param == "acheck" else twin
        return twin(verification, code=code, **{"client": make_client(), **values})

    return call


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


def begin(**values) -> Verification:
    agree(user=values.get("user"))
    return lifecycle.start(recipient=PHONE, channel="sms", client=make_client(), **values).verification


def outcomes() -> list[str]:
    return list(VerificationCheck.objects.order_by("id").values_list("outcome", flat=True))


def test_a_right_code_is_accepted_and_the_proof_is_kept(check, clock):
    verification = begin()
    checked = check(verification, last_code())
    assert checked.approved and checked.outcome == CheckOutcome.APPROVED
    verification.refresh_from_db()
    assert (verification.status, verification.approved_at) == (VerificationStatus.APPROVED, NOON)
    assert (verification.pending_key, verification.checking_until, verification.checks) == (None, None, 1)
    assert outcomes() == ["approved"]


def test_the_same_code_again_is_already_verified_and_no_proof(check):
    verification = begin()
    check(verification, last_code())
    again = check(verification, last_code())
    assert again.outcome == CheckOutcome.ALREADY_APPROVED and not again.approved
    assert outcomes() == ["approved"]


def test_wrong_codes_are_counted_down_to_the_end(check, clock):
    verification = begin()
    told = [check(verification, wrong_code()) for _ in range(6)]
    assert [one.outcome for one in told] == [CheckOutcome.WRONG] * 4 + [CheckOutcome.NO_CHECKS_LEFT] * 2
    assert [one.checks_left for one in told] == [4, 3, 2, 1, 0, 0]
    assert told[-1].retry_at == NOON + timedelta(minutes=10)
    verification.refresh_from_db()
    assert verification.status == VerificationStatus.MAX_ATTEMPTS_REACHED
    assert check(verification, last_code()).outcome == CheckOutcome.NO_CHECKS_LEFT


@pytest.mark.parametrize("typed", ["{} ", " {}", "{0:.3}-{1}", "{0:.3} {1}", "G-{}", "{0:.3}\u2009{1}", "wide"])
def test_a_code_is_read_however_it_is_typed(check, typed):
    verification = begin()
    code = last_code()
    if typed == "wide":
        typed = "".join(chr(0xFF10 + int(digit)) for digit in code)
    elif "{1}" in typed:
        typed = typed.replace("{0:.3}", code[:3]).replace("{1}", code[3:])
    else:
        typed = typed.format(code)
    assert check(verification, typed).approved


@pytest.mark.parametrize(
    ("typed", "problem"),
    [
        ("", "missing"),
        ("   ", "missing"),
        ("abcdef", "not_digits"),
        ("12a456", "not_digits"),
        ("123", "too_short"),
        ("1" * 40, "too_long"),
    ],
)
def test_what_is_no_code_reaches_nobody_and_costs_no_try(check, server, typed, problem):
    verification = begin()
    before = server.count
    checked = check(verification, typed)
    assert (checked.outcome, checked.reason, checked.checks_left) == (CheckOutcome.MALFORMED, problem, 5)
    assert server.count == before and outcomes() == []


def test_a_code_with_leading_zeros_counts_every_digit(check):
    verification = begin()
    code = last_code()
    assert check(verification, code.lstrip("0") if code.startswith("0") else code[1:]).outcome == CheckOutcome.MALFORMED


def test_an_expired_code_is_told_apart(check, clock):
    verification = begin()
    clock.shift(600)
    assert check(verification, last_code()).outcome == CheckOutcome.EXPIRED
    verification.refresh_from_db()
    assert (verification.status, verification.pending_key) == (VerificationStatus.EXPIRED, None)


def test_one_that_the_provider_no_longer_knows_has_expired(check, server):
    verification = begin()
    backends["default"].cancel(verification.sid)
    assert check(verification, "123456").outcome in (CheckOutcome.EXPIRED, CheckOutcome.CLOSED)
    assert not Verification.objects.filter(status=VerificationStatus.PENDING).exists()


def test_one_that_was_used_up_at_the_provider_is_used_up_here(check, server):
    verification = begin()
    server.fail({"status": 429, "code": 60202})
    checked = check(verification, "123456")
    assert checked.outcome == CheckOutcome.NO_CHECKS_LEFT
    assert VerificationCheck.objects.get().error_code == 60202


def test_a_status_nobody_has_heard_of_is_never_proof(check, server):
    verification = begin()
    code = server.last_code
    body = f'{{"sid": "{verification.sid}", "status": "approvedish", "valid": true}}'
    server.server.fail_next(status=200, body=body)
    assert check(verification, code).outcome == CheckOutcome.WRONG


@pytest.mark.parametrize("other", ["session", "no session", "person", "unknown"])
def test_other_peoples_verifications_are_not_there(check, other):
    ann, bob = make_user("ann"), make_user("bob")
    verification = begin(user=ann)
    target = uuid.uuid4() if other == "unknown" else verification
    values = {
        "session": {"client": make_client("stolen")},
        "no session": {"client": make_client("")},
        "person": {"user": bob},
        "unknown": {},
    }[other]
    with pytest.raises(VerificationNotFound):
        check(target, last_code(), **values)
    assert outcomes() == []
    verification.refresh_from_db()
    assert verification.checks == 0


def test_a_provider_that_was_not_reached_costs_no_try(check, server):
    verification = begin()
    server.fail("unreachable")
    with pytest.raises(BackendUnavailable):
        check(verification, "123456")
    verification.refresh_from_db()
    assert (verification.checks, verification.checking_until) == (0, None)
    assert outcomes() == ["unanswered"]
    server.restart()
    assert check(verification, server.last_code).approved


@pytest.mark.parametrize("fault", ["reset", "500", "garble"])
def test_a_check_that_may_have_counted_counts(check, server, fault):
    verification = begin()
    server.fail(fault)
    with pytest.raises(BackendUnavailable):
        check(verification, wrong_code(server.last_code))
    verification.refresh_from_db()
    assert (verification.checks, verification.status) == (1, VerificationStatus.PENDING)


def test_an_approval_whose_answer_was_lost_is_not_lost_as_a_dead_end(check, server):
    verification = begin()
    server.fail("reset after")
    with pytest.raises(BackendUnavailable):
        check(verification, server.last_code)
    assert check(verification, server.last_code).outcome == CheckOutcome.EXPIRED
    agree()
    assert not verifications.start(recipient=PHONE, channel="sms", client=make_client()).reused


def test_a_last_try_that_was_cut_short_ends_it(check, clock):
    verification = begin()
    Verification.objects.filter(pk=verification.pk).update(checks=5, checking_until=NOON - timedelta(seconds=1))
    assert check(verification, last_code()).outcome == CheckOutcome.NO_CHECKS_LEFT


def test_an_answer_waits_for_the_one_before_it_and_gives_up_politely(check, settings):
    settings.TWILIO_VERIFY_BACKENDS = {
        "default": {
            "BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend",
            "OPTIONS": {"timeout": 0.1},
        }
    }
    verification = begin()
    Verification.objects.filter(pk=verification.pk).update(checking_until=datetime.now(UTC) + timedelta(minutes=1))
    assert check(verification, last_code()).outcome == CheckOutcome.IN_PROGRESS
    verification.refresh_from_db()
    assert verification.checks == 0


def test_a_verification_that_failed_to_send_takes_no_answer(check, clock):
    verification = begin()
    Verification.objects.update(status=VerificationStatus.FAILED)
    assert check(verification, last_code()).outcome == CheckOutcome.CLOSED


def test_within_a_transaction_of_the_sites_nothing_is_checked():
    verification = begin()
    with transaction.atomic(), pytest.raises(RuntimeError, match="durable"):
        verifications.check(verification, code=last_code(), client=make_client())
    assert verifications.check(verification, code=last_code(), client=make_client()).approved  # it was not used up


def test_signals_tell_approval_once_and_refusals_each():
    heard = []

    def approved(sender, verification, **kwargs):
        heard.append("approved")

    def refused(sender, verification, outcome, **kwargs):
        heard.append(outcome.value)

    verification_approved.connect(approved)
    check_failed.connect(refused)
    try:
        verification = begin()
        verifications.check(verification, code=wrong_code(), client=make_client())
        verifications.check(verification, code=last_code(), client=make_client())
        verifications.check(verification, code=last_code(), client=make_client())
    finally:
        verification_approved.disconnect(approved)
        check_failed.disconnect(refused)
    assert heard == ["wrong", "approved"]


def with_sid_of(verification, status) -> None:
    """Another session's row of the same verification at the provider, which has one for each recipient."""
    other = verifications.start(recipient=PHONE, channel="sms", client=make_client("session-2")).verification
    assert other.sid == verification.sid
    Verification.objects.filter(pk=other.pk).update(status=status)


# A 404 of the provider's, by what our own record has of it.
@pytest.mark.parametrize(
    ("status", "outcome", "ends"),
    [
        (None, CheckOutcome.EXPIRED, VerificationStatus.EXPIRED),
        (VerificationStatus.EXPIRED, CheckOutcome.EXPIRED, VerificationStatus.EXPIRED),
        (VerificationStatus.APPROVED, CheckOutcome.CLOSED, VerificationStatus.CANCELED),
        (VerificationStatus.CANCELED, CheckOutcome.CLOSED, VerificationStatus.CANCELED),
        (VerificationStatus.MAX_ATTEMPTS_REACHED, CheckOutcome.NO_CHECKS_LEFT, VerificationStatus.MAX_ATTEMPTS_REACHED),
    ],
)
def test_a_404_is_told_apart_by_our_own_record(check, server, status, outcome, ends):
    verification = begin()
    if status is not None:
        agree(client=make_client("session-2"))
        with_sid_of(verification, status)
    server.fail({"status": 404, "code": 20404})
    assert check(verification, server.last_code).outcome == outcome
    verification.refresh_from_db()
    assert verification.status == ends


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        (VerificationStatus.APPROVED, CheckOutcome.ALREADY_APPROVED),
        (VerificationStatus.EXPIRED, CheckOutcome.EXPIRED),
        (VerificationStatus.MAX_ATTEMPTS_REACHED, CheckOutcome.NO_CHECKS_LEFT),
        (VerificationStatus.CANCELED, CheckOutcome.CLOSED),
        (VerificationStatus.DENIED, CheckOutcome.CLOSED),
        (VerificationStatus.FAILED, CheckOutcome.CLOSED),
    ],
)
def test_what_is_over_here_is_not_asked_for_there(check, server, status, outcome):
    verification = begin()
    Verification.objects.update(status=status)
    before = server.count
    assert check(verification, server.last_code).outcome == outcome
    assert server.count == before
