"""Races whose order is forced: what the rival does is done inside the provider's call, or before one statement.

Each of the conditions that these UPDATEs carry can be taken away without any other test noticing for certain.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from django_twilio_verify import verifications
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.backends.results import ProviderCheck, ProviderStatus
from django_twilio_verify.choices import CheckOutcome, RedeemProblem
from django_twilio_verify.exceptions import VerificationNotFound
from django_twilio_verify.factors import own_factors, recovery_codes
from django_twilio_verify.limits import counters
from django_twilio_verify.login import trusted_browsers
from django_twilio_verify.models import Factor, TrustedBrowser, Verification, VerificationCheck
from django_twilio_verify.verifications import answers, handover, lifecycle, replays, throttling
from tests.support.basics import PHONE, agree, last_code, make_client, make_factor, make_user, wrong_code
from tests.support.races import first

pytestmark = pytest.mark.django_db(transaction=True)


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
    return lifecycle.start(recipient=PHONE, channel="sms", client=client, **values).verification


# ---- approve: WHERE status = 'pending'


@pytest.mark.parametrize("purpose", ["verify", "enroll"])
@pytest.mark.parametrize("end", ["expired", "canceled", "denied", "failed", "max_attempts_reached"])
def test_a_right_answer_to_what_has_ended_meanwhile_is_no_proof(judging, purpose, end):
    user = make_user() if purpose == "enroll" else None
    verification = start(purpose=purpose, user=user)
    row = Verification.objects.filter(pk=verification.pk)
    judging(lambda: row.update(status=end))
    checked = verifications.check(verification, code=last_code(), client=make_client())
    assert not checked.approved and checked.outcome != CheckOutcome.ALREADY_APPROVED
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
    assert late.outcome == CheckOutcome.ALREADY_APPROVED
    assert VerificationCheck.objects.filter(outcome="approved").count() == 1


# ---- close: WHERE status = 'pending'


@pytest.mark.parametrize("late", [ProviderStatus.GONE, ProviderStatus.EXHAUSTED, ProviderStatus.CANCELED])
def test_an_answer_that_comes_back_after_a_proof_undoes_nothing(monkeypatch, late):
    verification = start()
    row = Verification.objects.filter(pk=verification.pk)
    backend, told = backends["default"], []
    original = backend.check

    def answer() -> Any:
        return verifications.check(verification, code=last_code(), client=make_client())

    def check(*args: Any, **kwargs: Any) -> Any:
        if told:
            return original(*args, **kwargs)
        told.append(None)
        row.update(checking_until=timezone.now() - timedelta(seconds=1))
        told[0] = answer()
        return ProviderCheck(late, row.get().sid)

    monkeypatch.setattr(backend, "check", check)
    assert not answer().approved
    assert told[0].approved and row.get().status == "approved"


# ---- an answer is counted: WHERE it is open, and no other one is with the provider


def test_an_answer_waits_while_another_one_is_with_the_provider(judging, monkeypatch):
    verification = start()
    monkeypatch.setattr(answers, "_patience", lambda verification_id: 0)
    beside: list[Any] = []
    judging(lambda: beside.append(verifications.check(verification, code=last_code(), client=make_client())))
    assert verifications.check(verification, code=wrong_code(last_code()), client=make_client()).outcome == "wrong"
    assert beside[0].outcome == CheckOutcome.IN_PROGRESS
    assert Verification.objects.get().checks == 1


@pytest.mark.parametrize("change", ["canceled", "failed", "expired", "asked after its link", "too late"])
def test_an_answer_to_what_has_just_changed_is_not_put_to_the_provider(monkeypatch, change):
    verification = start()
    row, asked = Verification.objects.filter(pk=verification.pk), []
    monkeypatch.setattr(backends["default"], "check", lambda *args, **kwargs: asked.append(args))
    monkeypatch.setattr(answers, "_patience", lambda verification_id: 0)
    changes: dict[str, dict[str, Any]] = {
        "asked after its link": {"checking_until": timezone.now() + timedelta(minutes=1)},
        "too late": {"expires_at": timezone.now() - timedelta(seconds=1)},
    }
    within, left = counters.within, [lambda: row.update(**changes.get(change, {"status": change}))]

    def counted(*args: Any, **named: Any) -> Any:
        if left:  # not within the transaction that counts, which is undone
            left.pop()()
        return within(*args, **named)

    monkeypatch.setattr(counters, "within", counted)
    checked = verifications.check(verification, code=last_code(), client=make_client())
    assert not left and not checked.approved and asked == []


def test_a_failure_too_many_is_not_put_to_the_provider(monkeypatch):
    user = make_user()
    factor = make_factor(user)
    verification = start(purpose="login", user=user, factor=factor)
    asked: list[Any] = []
    monkeypatch.setattr(backends["default"], "check", lambda *args, **kwargs: asked.append(args))
    rows = Factor.objects.filter(pk=factor.pk)
    with first("factor", "failures", lambda: rows.update(failures=throttling.MAX_FAILURES)) as came:
        checked = verifications.check(verification, code=last_code(), client=make_client(), user=user)
    assert checked.outcome == CheckOutcome.HELD
    assert came == [1] and asked == [] and rows.get().failures == throttling.MAX_FAILURES


# ---- the end of a link: WHERE it is that link, and pending


@pytest.mark.parametrize("change", [{"link": "https://carrier.example/new"}, {"status": "approved"}])
def test_the_wrong_number_ends_the_link_that_it_was_about(change):
    agree(PHONE, "sna")
    started = verifications.start(recipient=PHONE, channel="sna", client=make_client())
    row = Verification.objects.filter(pk=started.verification.pk)
    offer = handover.offer(started.verification, client=make_client())
    wrong = next(one for one in offer.choices if one != offer.match)
    before = row.get()
    with first("verification", "resend_at", lambda: row.update(**change)) as came:
        handover.accept(offer.token, wrong)
    after = row.get()
    assert came == [1]
    assert (after.link, after.resend_at) == (change.get("link", before.link), before.resend_at)


# ---- attach: WHERE it is nobody's


def test_a_visitors_proof_becomes_one_accounts():
    verification = start()
    assert verifications.check(verification, code=last_code(), client=make_client()).approved
    ann, ben = make_user("ann"), make_user("ben")
    rival = lambda: own_factors.attach(verification.pk, user=ben, client=make_client())  # noqa: E731
    with first("verification", "user_id", rival) as came, pytest.raises(VerificationNotFound):
        own_factors.attach(verification.pk, user=ann, client=make_client())
    assert came[0].created and Factor.objects.get().user == ben


# ---- what is spent once


def test_of_two_that_spend_a_recovery_code_at_one_instant_one_has_it():
    user = make_user()
    code = recovery_codes.issue(user)[0]
    spend = lambda: recovery_codes.redeem(user, code, make_client())  # noqa: E731
    with first("recoverycode", "used_at", spend) as came:
        assert not spend()
    assert came == [True] and recovery_codes.remaining(user) == 9


def test_of_two_that_use_an_apps_code_at_one_instant_one_has_it():
    factor = make_factor(make_user())
    use = lambda: replays.accept(factor.pk, "123456", timezone.now())  # noqa: E731
    with first("factor", "used_answers", use) as came:
        assert not use()
    assert came == [True]


# ---- redeem: WHERE redeemed_at IS NULL


@pytest.mark.parametrize("purpose", ["verify", "login"])
def test_of_two_that_use_a_proof_at_one_instant_one_may_go_ahead(purpose):
    user = make_user() if purpose == "login" else None
    if user is not None:
        make_factor(user)
    verification = start(purpose=purpose, user=user)
    own = {"client": make_client(), "user": user}
    assert lifecycle.check(verification, code=last_code(), **own).approved

    def redeem() -> Any:
        return lifecycle.redeem(verification, purpose=purpose, **own)

    with first("verification", "redeemed_at", redeem) as came:
        late = redeem()
    assert came[0].accepted
    assert not late.accepted and late.problem == RedeemProblem.USED


# ---- a trusted browser: WHERE revoked_at IS NULL


@pytest.mark.parametrize("how", ["revoke", "revoke_all", "revoke_each", "expire"])
def test_a_browser_that_is_revoked_while_it_is_recognised_is_not_excused(settings, how):
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    ann = make_user()
    make_factor(ann)
    trusted = trusted_browsers.trust(ann, make_client(), days=30)
    rows = TrustedBrowser.objects.filter(pk=trusted.browser.pk)

    def rival() -> Any:
        if how == "expire":
            return rows.update(expires_at=timezone.now() - timedelta(seconds=1))
        given = {"revoke": (ann, trusted.browser.pk), "revoke_all": (ann,), "revoke_each": ([trusted.browser.pk],)}
        return getattr(trusted_browsers, how)(*given[how])

    assert trusted_browsers.recognise(ann, [trusted.token], make_client(), days=30)
    with first("trustedbrowser", "last_used_at", rival) as came:
        assert not trusted_browsers.recognise(ann, [trusted.token], make_client(), days=30)
    assert came == [1] or came == [True]
    assert not trusted_browsers.recognise(ann, [trusted.token], make_client(), days=30)
