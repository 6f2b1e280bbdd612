"""What a backend says of its provider is what flows go by: sends, answers, codes of a resend, and lost answers."""

from __future__ import annotations

import pytest

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import CheckOutcome, VerificationStatus
from django_twilio_verify.exceptions import BackendUnavailable, RateLimited
from django_twilio_verify.models import Verification
from django_twilio_verify.testing import outbox
from tests.support.basics import PHONE, agree, last_code, make_client, wrong_code

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("claimants_have_room")]


@pytest.fixture(autouse=True)
def _strict(settings) -> None:
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "tests.support.strict_backend.StrictBackend"}}


def begin(verbs, **values):
    agree()
    return verbs.start(recipient=PHONE, channel="sms", client=make_client(), **values)


def test_no_more_is_sent_than_the_provider_takes(verbs, clock):
    started = begin(verbs)
    assert started.sends_left == 1 and not started.code_replaced
    clock.shift(30)
    again = verbs.resend(started.verification, client=make_client())
    assert (again.sends_left, again.resend_at, again.code_replaced) == (0, None, True)
    clock.shift(100)
    with pytest.raises(RateLimited) as caught:
        verbs.resend(started.verification, client=make_client())
    assert caught.value.code == "no_sends_left" and len(outbox) == 2
    assert verbs.check(started.verification, code=last_code(), client=make_client()).approved


def test_no_more_is_judged_than_the_provider_judges(verbs):
    verification = begin(verbs).verification
    told = [verbs.check(verification, code=wrong_code(), client=make_client()) for _ in range(3)]
    assert [(one.outcome.value, one.checks_left) for one in told] == [("wrong", 2), ("wrong", 1), ("no_checks_left", 0)]


def test_claimants_have_no_more_answers_than_their_own_budget(verbs, settings):
    settings.TWILIO_VERIFY_LIMITS = {"claim_check_ten_minutes": 2}
    verification = begin(verbs).verification
    told = [verbs.check(verification, code=wrong_code(), client=make_client()) for _ in range(2)]
    assert [one.outcome for one in told] == [CheckOutcome.WRONG, CheckOutcome.NO_CHECKS_LEFT]


def test_a_verification_whose_name_was_lost_ends_and_a_new_one_may_begin(verbs):
    """The provider sent the code, its answer did not arrive, and it finds nothing by the recipient."""
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=True), carried_out=True)
    started = begin(verbs)
    assert started.delivery_unknown and len(outbox) == 1
    checked = verbs.check(started.verification, code=last_code(), client=make_client())
    assert checked.outcome == CheckOutcome.EXPIRED
    assert Verification.objects.get().status == VerificationStatus.EXPIRED
    backends["default"].reset()
    fresh = begin(verbs)
    assert fresh.verification != started.verification and not fresh.reused
    assert verbs.check(fresh.verification, code=last_code(), client=make_client()).approved


def test_a_new_custom_code_replaces_the_first_one_where_a_resend_brings_a_new_code(verbs, clock):
    verification = begin(verbs, options={"custom_code": "first1"}).verification
    clock.shift(30)
    begin(verbs, options={"custom_code": "second2"}, resend=True)
    assert verbs.check(verification, code="first1", client=make_client()).outcome == CheckOutcome.WRONG
    assert verbs.check(verification, code="second2", client=make_client()).approved
