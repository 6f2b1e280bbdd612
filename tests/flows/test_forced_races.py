"""Races whose order is forced: what the rival does is done inside the provider's call, or before one statement.

Each of the conditions that these UPDATEs carry can be taken away without any other test noticing for certain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.utils import timezone

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import CheckOutcome
from django_twilio_verify.flows import trust, verifications
from django_twilio_verify.models import TrustedBrowser, Verification, VerificationCheck
from django_twilio_verify.results import RedeemProblem
from tests.support import PHONE, agree, last_code, make_client, make_factor, make_user

pytestmark = pytest.mark.django_db(transaction=True)


@contextmanager
def first(table: str, column: str, rival: Callable[[], Any]) -> Iterator[list[Any]]:
    """Have ``rival`` done once, right before the first UPDATE of ``table`` that sets ``column``; what came of it."""
    came: list[Any] = []

    def before(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        is_it = sql.startswith("UPDATE") and table in sql.split("SET")[0] and column in sql.split("WHERE")[0]
        if is_it and not came:
            came.append(None)
            came[0] = rival()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(before):
        yield came


@pytest.fixture
def judging(monkeypatch: Any) -> Callable[[Callable[[], Any]], None]:
    """Have something done once, after the provider has judged a code and before its answer is back."""
    backend = backends["default"]
    original = backend.check

    def force(rival: Callable[[], Any]) -> None:
        left = [rival]

        def check(*args: Any, **kwargs: Any) -> Any:
            judged = original(*args, **kwargs)
            if left:
                left.pop()()
            return judged

        monkeypatch.setattr(backend, "check", check)

    return force


def start(**values: Any) -> Verification:
    client = values.pop("client", make_client())
    agree(client=client, user=values.get("user"))
    return verifications.start(recipient=PHONE, channel="sms", client=client, **values).verification


# ---- approve: WHERE status = 'pending'


@pytest.mark.parametrize("purpose", ["verify", "enrol"])
@pytest.mark.parametrize("end", ["expired", "canceled", "denied", "failed", "max_attempts_reached"])
def test_a_right_answer_to_what_has_ended_meanwhile_is_no_proof(judging, purpose, end):
    user = make_user() if purpose == "enrol" else None
    verification = start(purpose=purpose, user=user)
    row = Verification.objects.filter(pk=verification.pk)
    judging(lambda: row.update(status=end))
    checked = verifications.check(verification, code=last_code(), client=make_client())
    assert not checked.approved and checked.outcome != CheckOutcome.ALREADY_VERIFIED
    assert (row.get().status, row.get().approved_at) == (end, None)


def test_of_two_right_answers_that_come_back_together_one_is_a_proof(monkeypatch):
    """The first one's call takes longer than its lease, so that a second one is judged beside it, and both as right."""
    verification = start()
    row = Verification.objects.filter(pk=verification.pk)
    backend, told = backends["default"], []
    original = backend.check

    def answer() -> Any:
        return verifications.check(verification, code=last_code(), client=make_client())

    def check(*args: Any, **kwargs: Any) -> Any:
        if not told:
            told.append(original(*args, **kwargs))
            row.update(checking_until=timezone.now() - timedelta(seconds=1))
            told.append(answer())
        return told[0]

    monkeypatch.setattr(backend, "check", check)
    late = answer()
    assert told[1].approved and not late.approved
    assert late.outcome == CheckOutcome.ALREADY_VERIFIED
    assert VerificationCheck.objects.filter(outcome="approved").count() == 1


# ---- redeem: WHERE redeemed_at IS NULL


@pytest.mark.parametrize("purpose", ["verify", "login"])
def test_of_two_that_use_a_proof_at_one_instant_one_may_go_ahead(purpose):
    user = make_user() if purpose == "login" else None
    if user is not None:
        make_factor(user)
    verification = start(purpose=purpose, user=user)
    own = {"client": make_client(), "user": user}
    assert verifications.check(verification, code=last_code(), **own).approved

    def redeem() -> Any:
        return verifications.redeem(verification, purpose=purpose, **own)

    with first("verification", "redeemed_at", redeem) as came:
        late = redeem()
    assert came[0] and came[0].problem is None
    assert not late and late.problem == RedeemProblem.USED


# ---- a trusted browser: WHERE revoked_at IS NULL


@pytest.mark.parametrize("how", ["revoke", "revoke_all", "revoke_each", "expire"])
def test_a_browser_that_is_revoked_while_it_is_recognised_is_not_excused(settings, how):
    settings.TWILIO_VERIFY_TRUST_DAYS = 30
    ann = make_user()
    make_factor(ann)
    trusted = trust.trust(ann, make_client(), days=30)
    rows = TrustedBrowser.objects.filter(pk=trusted.browser.pk)

    def rival() -> Any:
        if how == "expire":
            return rows.update(expires_at=timezone.now() - timedelta(seconds=1))
        given = {"revoke": (ann, trusted.browser.pk), "revoke_all": (ann,), "revoke_each": ([trusted.browser.pk],)}
        return getattr(trust, how)(*given[how])

    assert trust.recognise(ann, [trusted.token], make_client(), days=30)
    with first("trustedbrowser", "last_used_at", rival) as came:
        assert not trust.recognise(ann, [trusted.token], make_client(), days=30)
    assert came == [1] or came == [True]
    assert not trust.recognise(ann, [trusted.token], make_client(), days=30)
