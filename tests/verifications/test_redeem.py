"""A proof is used once, soon, by whose it is, and only for what it was made for; a payment only as it was approved."""

from __future__ import annotations

import uuid
from collections import Counter
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import transaction

from django_twilio_verify.backends.options import IncompatibleOptions
from django_twilio_verify.choices import CheckOutcome, RedeemProblem, VerificationStatus
from django_twilio_verify.exceptions import BackendRejected, VerificationNotFound
from django_twilio_verify.models import Factor, Verification, VerificationCheck
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import lifecycle
from tests.support.basics import PHONE, agree, last_code, make_client, make_factor, make_user, race
from tests.support.services import set_service

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("claimants_have_room")]

AMOUNT, PAYEE = "49.90 EUR", "The Corner Shop"
PAYMENT = {"amount": AMOUNT, "payee": PAYEE}


def payer(username="ann"):
    """Somebody with a confirmed phone: only such a one approves anything."""
    user = get_user_model().objects.filter(username=username).first() or make_user(username)
    if not Factor.objects.filter(user=user).exists():
        make_factor(user)
    return user


def pay(verbs=lifecycle, **values):
    values.setdefault("user", payer())
    agree(channel=values.get("channel", "sms").replace("auto", "sna"), user=values["user"])
    given = {"recipient": PHONE, "channel": "sms", "client": make_client(), "purpose": "payment", **PAYMENT, **values}
    return verbs.start(**given).verification


def paid(verbs=lifecycle, **values) -> Verification:
    verification = pay(verbs, **values)
    assert verbs.check(verification, code=last_code(), client=make_client(), **PAYMENT).approved
    return verification


def redeem(verbs, verification, **values):
    if "user" not in values:
        values["user"] = payer()
    given = {"client": make_client(), "purpose": "payment", **PAYMENT, **values}
    return verbs.redeem(verification, **given)


def test_a_payment_is_bound_and_used_once(verbs):
    ann = payer()
    verification = paid(verbs, user=ann)
    assert (verification.amount, verification.payee) == (AMOUNT, PAYEE)
    redeemed = redeem(verbs, verification.pk, user=ann)
    assert redeemed.accepted and redeemed.verification == verification and redeemed.problem is None
    again = redeem(verbs, verification, user=ann)
    assert not again.accepted and again.problem == RedeemProblem.USED
    verification.refresh_from_db()
    assert verification.redeemed_at is not None


# What is asked for, and why not.
PROBLEMS = [
    ({"amount": "49.91 EUR"}, RedeemProblem.PAYMENT_CHANGED),
    ({"amount": "4990 EUR"}, RedeemProblem.PAYMENT_CHANGED),
    ({"amount": ""}, RedeemProblem.PAYMENT_CHANGED),
    ({"payee": "Another Shop"}, RedeemProblem.PAYMENT_CHANGED),
    ({"payee": "the corner shop"}, RedeemProblem.PAYMENT_CHANGED),
    ({"purpose": "login"}, RedeemProblem.OTHER_PURPOSE),
    ({"purpose": "step_up", "amount": "", "payee": ""}, RedeemProblem.OTHER_PURPOSE),
    ({"within": timedelta(0)}, RedeemProblem.TOO_LATE),
]


@pytest.mark.parametrize(("values", "problem"), PROBLEMS)
def test_it_is_good_for_nothing_else(verbs, values, problem):
    verification = paid(verbs)
    refused = redeem(verbs, verification, **values)
    assert not refused.accepted and refused.problem == problem
    assert redeem(verbs, verification).accepted  # and a refusal costs nothing


def test_spaces_do_not_make_another_payment(verbs):
    verification = paid(verbs)
    assert redeem(verbs, verification, amount=" 49.90  EUR ", payee="The  Corner Shop\n").accepted


@pytest.mark.parametrize("status", [one for one in VerificationStatus if one != VerificationStatus.APPROVED])
def test_what_is_not_approved_is_no_proof(verbs, status):
    verification = pay(verbs)
    Verification.objects.update(status=status)
    assert redeem(verbs, verification).problem == RedeemProblem.NOT_APPROVED


def test_a_proof_is_used_within_ten_minutes(verbs, clock):
    verification = paid(verbs)
    clock.shift(600)
    assert redeem(verbs, verification).problem == RedeemProblem.TOO_LATE
    assert redeem(verbs, verification, within=timedelta(minutes=11)).accepted


@pytest.mark.parametrize("other", ["session", "person", "nobody", "unknown"])
def test_other_peoples_proofs_are_not_there(verbs, other):
    ann, bob = payer(), make_user("bob")
    verification = paid(verbs, user=ann)
    values = {"session": {"client": make_client("stolen"), "user": ann}, "person": {"user": bob}}
    values = values.get(other, {"user": None})
    if other == "unknown":
        values["user"] = ann
    with pytest.raises(VerificationNotFound):
        redeem(verbs, uuid.uuid4() if other == "unknown" else verification, **values)
    assert redeem(verbs, verification, user=ann).accepted


@pytest.mark.parametrize("purpose", ["login", "step_up", "verify", "enroll"])
def test_every_purpose_can_be_redeemed(verbs, purpose):
    own = {"client": make_client(), "user": payer()}
    verification = verbs.start(recipient=PHONE, channel="sms", purpose=purpose, **own).verification
    assert verbs.check(verification, code=last_code(), **own).approved
    assert verbs.redeem(verification, purpose=purpose, **own).accepted
    assert not verbs.redeem(verification, purpose=purpose, **own).accepted


def test_with_a_site_that_rolls_back_it_was_not_used():
    verification = paid()

    with transaction.atomic():
        assert redeem(lifecycle, verification).accepted
        transaction.set_rollback(True)
    assert redeem(lifecycle, verification).accepted


def test_it_costs_two_statements(django_assert_num_queries):
    verification = paid()
    ann = payer()
    with django_assert_num_queries(2):
        assert redeem(lifecycle, verification, user=ann).accepted


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_twenty_one_may_go_ahead():
    verification = paid()
    results = race(20, lambda index: redeem(lifecycle, verification))
    assert Counter(result.accepted for result in results) == {True: 1, False: 19}
    assert {result.problem for result in results if not result.accepted} == {RedeemProblem.USED}


# ---- start


@pytest.mark.parametrize(
    ("values", "why"),
    [
        ({"amount": ""}, "needs amount and payee"),
        ({"payee": "  "}, "needs amount and payee"),
        ({"amount": "1" * 33}, "amount takes 32"),
        ({"payee": "x" * 129}, "payee takes 128"),
        ({"purpose": "login"}, "belong to purpose='payment'"),
    ],
)
def test_a_payment_says_what_and_to_whom(verbs, values, why):
    with pytest.raises(ValueError, match=why):
        pay(verbs, **values)
    assert Verification.objects.count() == 0 and outbox == []


@pytest.mark.parametrize("channel", ["sna", "auto"])
def test_a_link_approves_no_amount(verbs, channel):
    with pytest.raises(ValueError, match="approved by a code"):
        pay(verbs, channel=channel)
    assert Verification.objects.count() == 0


def test_another_amount_is_another_verification(verbs):
    first = pay(verbs)
    second = pay(verbs, amount="59.90 EUR")
    third = pay(verbs, amount=" 49.90 EUR ")
    assert second != first and third == first


# ---- check


@pytest.mark.parametrize(
    "values", [{}, {"amount": AMOUNT}, {"payee": PAYEE}, {**PAYMENT, "amount": "59.90 EUR"}, {**PAYMENT, "payee": "X"}]
)
def test_a_payment_that_changed_reaches_nobody_and_costs_no_try(verbs, server, values):
    verification = pay(verbs)
    before = server.count
    checked = verbs.check(verification, code=server.last_code, client=make_client(), **values)
    assert (checked.outcome, checked.checks_left) == (CheckOutcome.PAYMENT_CHANGED, 5)
    assert server.count == before and VerificationCheck.objects.count() == 0
    assert verbs.check(verification, code=server.last_code, client=make_client(), **PAYMENT).approved


def test_other_purposes_have_nothing_to_change(verbs):
    agree()
    verification = verbs.start(recipient=PHONE, channel="sms", client=make_client()).verification
    assert verbs.check(verification, code=last_code(), client=make_client(), **PAYMENT).approved


# ---- PSD2 at Twilio


@pytest.mark.parametrize("psd2", [True, False])
def test_a_service_set_to_psd2_is_told_both_times(verbs, server, settings, psd2):
    set_service(settings, PSD2=psd2)
    server.simulator.psd2_required = psd2
    verification = pay(verbs)
    sent = server.last_form
    assert (sent.get("Amount"), sent.get("Payee")) == ((AMOUNT, PAYEE) if psd2 else (None, None))
    assert verbs.check(verification, code=server.last_code, client=make_client(), **PAYMENT).approved
    asked = server.last_form
    assert (asked.get("Amount"), asked.get("Payee")) == ((AMOUNT, PAYEE) if psd2 else (None, None))
    assert redeem(verbs, verification).accepted


def test_psd2_goes_by_text_message_alone(verbs, settings):
    set_service(settings, PSD2=True)
    with pytest.raises(IncompatibleOptions, match="does not go with call"):
        pay(verbs, channel="call")
    assert Verification.objects.count() == 0


def test_one_number_has_one_payment_at_a_psd2_service(verbs, server, settings):
    """Its code is the pending verification's: a second payment waits, and the first one can still be approved."""
    set_service(settings, PSD2=True)
    first = pay(verbs)
    code = server.last_code
    with pytest.raises(BackendRejected):
        pay(verbs, amount="59.90 EUR")
    assert verbs.check(first, code=code, client=make_client(), **PAYMENT).approved
