"""What functions of ``verifications`` say to arguments that are not theirs, sync and async; ``cancel``, ``resend``."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser
from django.utils.functional import SimpleLazyObject

from django_twilio_verify import consent, factors, login, verifications
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.backends.results import ProviderStatus
from django_twilio_verify.choices import CheckOutcome, RedeemProblem
from django_twilio_verify.core.client import ClientInfo
from django_twilio_verify.core.results import Result
from django_twilio_verify.exceptions import InvalidRecipient, RateLimited, VerificationNotFound
from django_twilio_verify.models import Verification
from django_twilio_verify.testing import outbox, skip_cooldown
from tests.support.basics import (
    EMAIL,
    PHONE,
    agree,
    last_code,
    make_client,
    make_factor,
    make_user,
    wrong_code,
)
from tests.support.devices import World
from tests.support.provider import Public

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["sync", "async"])
def verbs(request: Any) -> Public:
    return Public(verifications, request.param)


def start(user: Any = None, *, purpose: str = "verify", client: Any = None, recipient: str = PHONE) -> Verification:
    client = client or make_client()
    agree(recipient, client=client, user=user)
    return verifications.start(
        recipient=recipient, channel="sms", client=client, user=user, purpose=purpose
    ).verification


Call = Callable[[Any, Any, dict[str, Any]], Any]
CALLS: dict[str, Call] = {
    "check": lambda verbs, one, more: verbs.check(one, **{"code": "123456", **more}),
    "poll": lambda verbs, one, more: verbs.poll(one, **more),
    "resend": lambda verbs, one, more: verbs.resend(one, **more),
    "cancel": lambda verbs, one, more: verbs.cancel(one, **more),
    "get": lambda verbs, one, more: verbs.get(one, **more),
    "get_state": lambda verbs, one, more: verbs.get_state(one, **more),
    "redeem": lambda verbs, one, more: verbs.redeem(one, purpose="verify", **more),
}
ARGUMENTS: dict[str, tuple[Any, dict[str, Any], type[Exception], str]] = {
    "no id": ("12", {}, VerificationNotFound, ""),
    "no id, empty": ("", {}, VerificationNotFound, ""),
    "no id, a path": ("../etc", {}, VerificationNotFound, ""),
    "an unknown id": (uuid4(), {}, VerificationNotFound, ""),
    "its text": (str(uuid4()), {}, VerificationNotFound, ""),
    "None": (None, {}, TypeError, "verification"),
    "a number": (5, {}, TypeError, "verification"),
    "another record": (lambda: make_user(), {}, TypeError, "verification"),
    "a request for a client": ("own", {"client": object()}, TypeError, "client"),
    "no client": ("own", {"client": None}, TypeError, "client"),
    "a client without a session": ("own", {"client": ClientInfo()}, ValueError, "session"),
    "another client": ("own", {"client": make_client("other")}, VerificationNotFound, ""),
    "a user's id": ("own", {"user": 5}, TypeError, "user"),
    "a name": ("own", {"user": "ann"}, TypeError, "user"),
}


@pytest.mark.parametrize("case", ARGUMENTS)
@pytest.mark.parametrize("verb", CALLS)
def test_arguments(verbs: Public, verb: str, case: str) -> None:
    given, more, error, named = ARGUMENTS[case]
    own = start()
    given = {"own": own}.get(given, given) if isinstance(given, str) else given
    given = given() if callable(given) else given
    with pytest.raises(error, match=named or None):
        CALLS[verb](verbs, given, {"client": make_client(), **more})
    own.refresh_from_db()
    assert (own.status, own.checks, own.sends) == ("pending", 0, 1)


@pytest.mark.parametrize("verb", CALLS)
@pytest.mark.parametrize("whose", ["a visitor's", "a user's"])
@pytest.mark.parametrize("asker", ["None", "anonymous", "lazy anonymous", "user", "lazy user", "another user"])
def test_who_asks(verbs: Public, verb: str, whose: str, asker: str) -> None:
    """A user's verification is answered in its session; what ends it, sends for it or uses it names the user."""
    ann = make_user()
    users = {
        "None": None,
        "anonymous": AnonymousUser(),
        "lazy anonymous": SimpleLazyObject(AnonymousUser),
        "user": ann,
        "lazy user": SimpleLazyObject(lambda: type(ann).objects.get(pk=ann.pk)),
        "another user": make_user("bob"),
    }
    own = start(ann if whose == "a user's" else None)
    skip_cooldown()
    is_visitor = asker in ("None", "anonymous", "lazy anonymous")
    refused = whose == "a user's" and (
        asker == "another user" or (is_visitor and verb in ("resend", "cancel", "redeem"))
    )
    call = lambda: CALLS[verb](verbs, own, {"client": make_client(), "user": users[asker]})  # noqa: E731
    if refused:
        with pytest.raises(VerificationNotFound):
            call()
    else:
        assert call() is not None


CODES: list[tuple[dict[str, Any], str]] = [
    ({"code": None}, "exactly one"),
    ({}, "exactly one"),
    ({"code": "123456", "number": "12"}, "exactly one"),
    ({"code": "123456", "credential": {}}, "exactly one"),
    ({"code": 123456}, "code must be a text"),
    ({"code": b"123456"}, "code must be a text"),
    ({"number": 12}, "number must be a text"),
    ({"code": "123456", "payment": ("5 EUR", "Acme")}, "payment must be a Payment"),
]


@pytest.mark.parametrize(("given", "named"), CODES)
def test_answers_that_only_code_gets_wrong(verbs: Public, given: dict[str, Any], named: str) -> None:
    own = start()
    with pytest.raises(TypeError, match=named):
        verbs.check(own, client=make_client(), **given)
    own.refresh_from_db()
    assert own.checks == 0


@pytest.mark.parametrize("given", [{"number": "12"}, {"credential": {}}])
def test_an_answer_of_another_kind(verbs: Public, given: dict[str, Any]) -> None:
    own = start()
    assert verbs.check(own, client=make_client(), **given).outcome == CheckOutcome.WRONG_ANSWER_TYPE
    assert verbs.poll(own, client=make_client()).outcome == CheckOutcome.WRONG_ANSWER_TYPE


@pytest.mark.parametrize("code", ["", "12345", "abcdef", "1234567890123", "１２３４５６ ", "\x00"])
def test_a_code_that_is_none_is_a_result(verbs: Public, code: str) -> None:
    own = start()
    assert verbs.check(own, client=make_client(), code=code).outcome in (CheckOutcome.MALFORMED, CheckOutcome.WRONG)


STARTS: dict[str, tuple[dict[str, Any], type[Exception], str]] = {
    "channel": ({"channel": "smss"}, ValueError, "channel must be one of .*smss"),
    "channel, a device's": ({"channel": "totp"}, ValueError, ""),
    "purpose, of a factor": ({"purpose": "login"}, ValueError, "starts from a factor"),
    "purpose": ({"purpose": "sign-in"}, ValueError, "purpose"),
    "enroll for nobody": ({"purpose": "enroll"}, TypeError, "user"),
    "enroll for a visitor": ({"purpose": "enroll", "user": AnonymousUser()}, TypeError, "user"),
    "user": ({"user": 5}, TypeError, "user"),
    "client": ({"client": None}, TypeError, "client"),
    "session": ({"client": ClientInfo()}, ValueError, "session"),
    "recipient": ({"recipient": "no number"}, InvalidRecipient, ""),
}


@pytest.mark.parametrize("case", STARTS)
def test_arguments_of_start(verbs: Public, case: str) -> None:
    more, error, named = STARTS[case]
    agree(client=make_client())
    with pytest.raises(error, match=named or None):
        verbs.start(**{"recipient": PHONE, "channel": "sms", "client": make_client(), **more})
    assert not outbox and not Verification.objects.exists()


@pytest.mark.parametrize("channel", ["smss", ""])
def test_a_channel_of_resend(verbs: Public, channel: str) -> None:
    with pytest.raises(ValueError, match="channel must be one of"):
        verbs.resend(start(), client=make_client(), channel=channel)


@pytest.mark.parametrize(
    ("value", "channel", "told"),
    [
        ("+1 501 712 2661", "sms", PHONE),
        ("Ann@Example.org", "email", "Ann@example.org"),
        ("+1 501", "sms", InvalidRecipient),
        (EMAIL, "sms", InvalidRecipient),
        (PHONE, "email", InvalidRecipient),
        (PHONE, "totp", ValueError),
        (PHONE, "smss", ValueError),
        (5, "sms", TypeError),
        (None, "sms", TypeError),
    ],
)
def test_parse_recipient(value: Any, channel: Any, told: Any) -> None:
    if isinstance(told, str):
        assert verifications.parse_recipient(value, channel=channel).value.lower() == told.lower()
        return
    with pytest.raises(told):
        verifications.parse_recipient(value, channel=channel)


def test_a_recipient_with_a_region() -> None:
    assert verifications.parse_recipient("0664 1234567", channel="sms", region="AT").value == "+436641234567"


# ---- redeem


def test_redeem(verbs: Public) -> None:
    own = start()
    ask = {"client": make_client(), "purpose": "verify"}
    assert verbs.redeem(own, **ask).problem == RedeemProblem.NOT_APPROVED
    assert verbs.check(str(own.pk), client=make_client(), code=last_code()).approved
    double = verbs.check(own.pk, client=make_client(), code=wrong_code())
    assert double.already_approved and not double.approved
    assert verbs.redeem(own, **{**ask, "purpose": "login"}).problem == RedeemProblem.OTHER_PURPOSE
    assert verbs.redeem(own, **ask, max_age=0).problem == RedeemProblem.TOO_LATE
    assert verbs.redeem(own, **ask, max_age=timedelta(minutes=1)).accepted
    assert verbs.redeem(own, **ask).problem == RedeemProblem.USED
    with pytest.raises(ValueError, match="sign-in"):
        verbs.redeem(own, **{**ask, "purpose": "sign-in"})
    assert verbs.get_state(own, client=make_client()).redeemed


# ---- cancel


def test_cancel(verbs: Public) -> None:
    own = start()
    code = last_code()
    assert verbs.cancel(own, client=make_client()) is True
    assert verbs.cancel(own, client=make_client()) is False
    assert verbs.get_state(own, client=make_client()).status == "canceled"
    assert verbs.check(own, client=make_client(), code=code).outcome == CheckOutcome.CLOSED
    assert backends["default"].fetch(Verification.objects.get(pk=own.pk).sid).status == ProviderStatus.GONE
    with pytest.raises(VerificationNotFound) as refused:
        verbs.resend(own, client=make_client())
    assert refused.value.code == "verification_closed"


def test_cancel_what_is_approved(verbs: Public) -> None:
    own = start()
    assert verbs.check(own, client=make_client(), code=last_code()).approved
    assert verbs.cancel(own, client=make_client()) is False
    assert verbs.redeem(own, client=make_client(), purpose="verify").accepted


def test_a_claimant_who_cancels_leaves_the_owners_code(verbs: Public) -> None:
    """Twilio has one verification for a recipient."""
    ann = make_user()
    factor = make_factor(ann)
    owner = make_client("owner")
    mine = factors.challenge(ann, f"{factor.pk}.sms", client=owner, purpose="login").verification
    code = last_code()
    claimed = start(client=make_client("claimant"))
    Verification.objects.filter(pk=claimed.pk).update(sid=Verification.objects.get(pk=mine.pk).sid)
    assert verbs.cancel(claimed, client=make_client("claimant")) is True
    assert verbs.check(mine, client=owner, user=ann, code=code).approved


@pytest.mark.parametrize("answer", ["right", "wrong"])
def test_cancel_while_an_answer_is_with_the_provider(verbs: Public, monkeypatch: Any, answer: str) -> None:
    own = start()
    backend, came = backends["default"], []
    original = backend.check

    def check(*args: Any, **named: Any) -> Any:
        judged = original(*args, **named)
        came.append(verifications.cancel(own, client=make_client()))
        return judged

    monkeypatch.setattr(backend, "check", check)
    checked = verifications.check(own, client=make_client(), code=last_code() if answer == "right" else wrong_code())
    assert came == [True] and not checked.approved and not checked.already_approved
    row = Verification.objects.get(pk=own.pk)
    assert (row.status, row.approved_at) == ("canceled", None)
    assert verbs.redeem(own, client=make_client(), purpose="verify").problem == RedeemProblem.NOT_APPROVED


def test_cancel_when_the_provider_is_down(verbs: Public) -> None:
    own = start()
    backends["default"].fail_next(code=0, status=500)
    assert verbs.cancel(own, client=make_client()) is True
    assert verbs.get_state(own, client=make_client()).status == "canceled"


# ---- resend


def test_resend(verbs: Public) -> None:
    own = start()
    with pytest.raises(RateLimited) as refused:
        verbs.resend(own, client=make_client())
    assert refused.value.code == "cooldown" and len(outbox) == 1
    skip_cooldown()
    again = verbs.resend(own, client=make_client(), user=AnonymousUser())
    assert again.verification.pk == own.pk and len(outbox) == 2 and Verification.objects.count() == 1
    state = verbs.get_state(own, client=make_client())
    assert (state.sends_left, state.resend_at) == (again.sends_left, again.resend_at)


def test_resend_of_a_push_reminds(verbs: Public) -> None:
    ann = make_user()
    world = World("sync", None)
    factor, phone = world.phone(ann)
    client = make_client()
    started = factors.challenge(ann, f"{factor.pk}.push", client=client, purpose="login")
    again = verbs.resend(started.verification, client=client, user=ann)
    assert again.verification == started.verification and again.needs_number
    assert len(phone.pending()) == 1 and outbox == [], "the same question once more"
    with pytest.raises(VerificationNotFound):
        verbs.resend(started.verification, client=client)


# ---- results


def results() -> list[type]:
    modules = (verifications, factors, login, consent)
    exported = [getattr(module, name) for module in modules for name in module.__all__]
    return sorted(
        {one for one in exported if isinstance(one, type) and issubclass(one, Result)}, key=lambda one: one.__name__
    )


@pytest.mark.parametrize("result", results(), ids=lambda one: one.__name__)
def test_a_result_has_no_truth_value(result: type) -> None:
    blank = result.__new__(result)
    with pytest.raises(TypeError, match=f"{result.__name__} has no truth value: read .{result.answer}"):  # type: ignore[attr-defined]
        bool(blank)


def test_there_are_results() -> None:
    names = {one.__name__ for one in results()}
    assert {
        "Checked",
        "Redeemed",
        "VerificationState",
        "Enrolled",
        "SetupChecked",
        "RecoveryChecked",
    } <= names
