"""An approval whose worker died before it was used, and answers that overtake each other."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.contrib.auth.signals import user_login_failed
from django.db import connection
from django.test import Client
from django.utils import timezone

from django_twilio_verify import factors, signals
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.exceptions import NoPendingLogin, NotRedeemable, VerificationNotFound
from django_twilio_verify.login import second_factor
from django_twilio_verify.models import Factor, Verification
from tests.support.basics import OTHER_PHONE, last_code, make_factor, make_user, sign_in, wrong_code
from tests.support.own_site import OwnSite, user_of
from tests.support.receivers import listening
from tests.support.sessions import same_browser

pytestmark = pytest.mark.django_db(transaction=True)

HEARD = [signals.login_completed, signals.step_up_completed, signals.verification_approved]


class WorkerDied(BaseException):
    """The process was killed."""


@pytest.fixture
def ann() -> User:
    ann = make_user()
    make_factor(ann)
    return ann


def begin(site: OwnSite, browser: Client, purpose: str) -> Any:
    sign_in(browser)
    if purpose == "step_up":
        site.check_recovery_code(browser, factors.create_recovery_codes(User.objects.get(username="ann"))[0])
    return site.challenge(browser, site.challenge_options(browser)[0]).verification


def die(site: OwnSite, browser: Client, verification: Any, monkeypatch: Any) -> None:
    """Let the worker die once the approval is on record, before it is redeemed."""

    def dies(*args: Any) -> Any:
        raise WorkerDied

    with monkeypatch.context() as patched:
        patched.setattr(second_factor.redeeming, "redeem_loaded", dies)
        with pytest.raises(WorkerDied):
            site.check(browser, verification, code=last_code())
    row = Verification.objects.get(pk=verification.pk)
    assert (row.status, row.redeemed_at) == ("approved", None)


@pytest.fixture(params=["login", "step_up"])
def purpose(request: Any) -> str:
    return str(request.param)


def test_the_next_answer_completes_it_once(
    site: OwnSite, client: Client, ann: User, purpose: str, monkeypatch: Any
) -> None:
    verification = begin(site, client, purpose)
    with listening(HEARD) as heard:
        die(site, client, verification, monkeypatch)
        assert user_of(client) == ("" if purpose == "login" else "ann")
        with time_machine.travel(timezone.now() + timedelta(minutes=9, seconds=50)):
            assert site.check(client, verification, code=last_code()).approved
            assert user_of(client) == "ann" and site.get_state(client).verified_channel == "sms"
            if purpose == "step_up":
                again = [site.check(client, verification, code=last_code()), site.poll(client, verification)]
                assert [(one.already_approved, one.approved) for one in again] == [(True, False)] * 2
    done = "login_completed" if purpose == "login" else "step_up_completed"
    assert heard.names == {"verification_approved": 1, done: 1}


def test_poll_completes_it_too(site: OwnSite, client: Client, ann: User, purpose: str, monkeypatch: Any) -> None:
    verification = begin(site, client, purpose)
    die(site, client, verification, monkeypatch)
    assert site.poll(client, verification).approved and user_of(client) == "ann"


def test_not_after_ten_minutes(site: OwnSite, client: Client, ann: User, purpose: str, monkeypatch: Any) -> None:
    verification = begin(site, client, purpose)
    die(site, client, verification, monkeypatch)
    Verification.objects.filter(pk=verification.pk).update(approved_at=timezone.now() - timedelta(minutes=11))
    with pytest.raises(NotRedeemable) as refused:
        site.check(client, verification, code=last_code())
    assert refused.value.code == "too_late"
    assert user_of(client) == ("" if purpose == "login" else "ann")


def test_not_from_another_session(site: OwnSite, client: Client, ann: User, purpose: str, monkeypatch: Any) -> None:
    verification = begin(site, client, purpose)
    die(site, client, verification, monkeypatch)
    other = Client()
    sign_in(other)
    with pytest.raises(VerificationNotFound):
        site.check(other, verification, code=last_code())
    assert user_of(other) == ""


@pytest.mark.parametrize("left", ["another factor", "none"])
def test_not_after_the_factor_was_removed(
    site: OwnSite, client: Client, ann: User, purpose: str, monkeypatch: Any, left: str
) -> None:
    verification = begin(site, client, purpose)
    die(site, client, verification, monkeypatch)
    if left == "another factor":
        make_factor(ann, OTHER_PHONE)
    Factor.objects.get(pk=Verification.objects.get(pk=verification.pk).factor_id).delete()
    with pytest.raises(NotRedeemable) as refused:
        site.check(client, verification, code=last_code())
    assert refused.value.code == "factor_gone"
    assert user_of(client) == ("" if purpose == "login" else "ann")


def test_not_for_whoever_signs_in_next(site: OwnSite, client: Client, ann: User, monkeypatch: Any) -> None:
    verification = begin(site, client, "login")
    die(site, client, verification, monkeypatch)
    bob = make_user("bob")
    make_factor(bob, OTHER_PHONE)
    del client.cookies["twilio_verify_pending"]  # which leads back to the challenge
    sign_in(client, "bob")
    assert site.get_state(client).status == "second_factor_required"
    with pytest.raises(VerificationNotFound):
        site.check(client, verification, code=last_code())
    assert user_of(client) == ""


def test_not_once_the_login_was_given_up(site: OwnSite, client: Client, ann: User, monkeypatch: Any) -> None:
    verification = begin(site, client, "login")
    die(site, client, verification, monkeypatch)
    site.cancel(client)
    with pytest.raises(NoPendingLogin):
        site.check(client, verification, code=last_code())
    sign_in(client)
    with pytest.raises(VerificationNotFound):
        site.check(client, verification, code=last_code())


# ---- a double click: two requests with the cookies of before the first


def test_a_second_answer_while_the_first_is_with_the_provider(
    site: OwnSite, client: Client, ann: User, purpose: str, monkeypatch: Any
) -> None:
    """Both are right, and judged side by side, as the first one's lease runs out: one of them completes it."""
    verification = begin(site, client, purpose)
    twin, came, late_site = same_browser(client), [], OwnSite(False)
    backend = backends["default"]
    original = backend.check

    def check(*args: Any, **named: Any) -> Any:
        judged = original(*args, **named)
        monkeypatch.setattr(backend, "check", lambda *args, **named: judged)
        Verification.objects.filter(pk=verification.pk).update(checking_until=timezone.now() - timedelta(seconds=1))
        came.append(OwnSite(False).check(twin, verification, code=last_code()))
        return judged

    monkeypatch.setattr(backend, "check", check)
    with listening(HEARD) as heard:
        late = late_site.check(client, verification, code=last_code())
    assert came[0].approved and late.already_approved and not late.approved
    done = "login_completed" if purpose == "login" else "step_up_completed"
    assert heard.names == {"verification_approved": 1, done: 1}
    assert user_of(twin) == "ann"
    assert "sessionid" not in late_site.response.cookies, "the browser keeps what the twin got"


def test_a_second_answer_while_receivers_hear_of_the_first(
    site: OwnSite, client: Client, ann: User, purpose: str
) -> None:
    """It finds an approval that nobody has used, and uses it: the first one is told that it was."""
    verification = begin(site, client, purpose)
    twin, came, late_site = same_browser(client), [], OwnSite(False)

    def hear(**named: Any) -> None:
        signals.verification_approved.disconnect(hear)
        came.append(OwnSite(False).check(twin, verification, code=last_code()))

    signals.verification_approved.connect(hear)
    with listening([signals.login_completed, signals.step_up_completed]) as heard:
        late = late_site.check(client, verification, code=last_code())
    assert came[0].approved and late.already_approved and not late.approved
    assert sum(heard.names.values()) == 1 and user_of(twin) == "ann"
    assert "sessionid" not in late_site.response.cookies, "the browser keeps what the twin got"


@pytest.mark.parametrize("answer", ["right", "wrong"])
def test_a_double_click_signs_nobody_out(site: OwnSite, client: Client, ann: User, purpose: str, answer: str) -> None:
    """The second request carries the cookie of before the first, and the browser keeps what came last."""
    verification = begin(site, client, purpose)
    twin, failed = same_browser(client), []
    hear = lambda **named: failed.append(named)  # noqa: E731
    user_login_failed.connect(hear)
    assert site.check(client, verification, code=last_code()).approved
    code = last_code() if answer == "right" else wrong_code()
    if purpose == "step_up":
        second = site.check(twin, verification, code=code)
        assert second.already_approved and not second.approved
    else:
        with pytest.raises(NoPendingLogin):
            site.check(twin, verification, code=code)
    user_login_failed.disconnect(hear)
    merged = Client()
    merged.cookies.update(client.cookies)
    merged.cookies.update({key: one for key, one in site.response.cookies.items() if key == "sessionid"})
    assert user_of(merged) == "ann" and failed == []
    assert not connection.in_atomic_block
