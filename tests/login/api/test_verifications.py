"""Functions of ``login`` that take a verification, with one that is not what they are for."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from datetime import timedelta
from inspect import signature
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_twilio_verify import factors, login
from django_twilio_verify.client import client_from
from django_twilio_verify.exceptions import TwilioVerifyError
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.testing import last_code
from django_twilio_verify.verifications import Payment
from tests.login.api.test_states import UNKNOWN, approved, in_session, said
from tests.support.basics import OTHER_PHONE, make_factor, make_user
from tests.support.login_states import MODEL_BACKEND, REQUEST, STATES, Situation
from tests.support.own_site import OwnSite, user_of
from tests.support.rewind import undone

pytestmark = pytest.mark.django_db


def challenged(at: Situation, purpose: str, user: Any = None, **more: Any) -> Any:
    """Another challenge of this session."""
    user = user or at.user
    option = f"{Factor.objects.filter(user=user).latest('pk').pk}.sms"
    return in_session(
        at, lambda request: factors.challenge(user, option, client=client_from(request), purpose=purpose, **more)
    ).verification


def other_users(at: Situation) -> Any:
    """Of another user whose login waited in this very session."""
    bob = make_user("bob")
    make_factor(bob, OTHER_PHONE)
    return challenged(at, "login" if "pending" in at.state else "step_up", bob)


def other_sessions(at: Situation) -> Any:
    """The user's own, of another browser."""
    Verification.objects.filter(pk=at.verification.pk).update(session="0" * 56)
    return at.verification


def changed(**values: Any) -> Callable[[Situation], Any]:
    def change(at: Situation) -> Any:
        Verification.objects.filter(pk=at.verification.pk).update(
            **{k: v() if callable(v) else v for k, v in values.items()}
        )
        return at.verification

    return change


def ago(**units: int) -> Callable[[], Any]:
    return lambda: timezone.now() - timedelta(**units)


def payment(at: Situation) -> Any:
    Verification.objects.all().update(resend_at=timezone.now())
    return challenged(at, "payment", payment=Payment("5 EUR", "Acme"))


KINDS: dict[str, Callable[[Situation], Any]] = {
    "unknown": lambda at: UNKNOWN,
    "no id": lambda at: "../../etc/passwd",
    "other user's": other_users,
    "other session's": other_sessions,
    "verify": lambda at: approved(at, "verify", None),
    "verify, of the user": lambda at: approved(at, "verify", at.user),
    "enroll": lambda at: approved(at, "enroll", at.user),
    "payment": payment,
    "other purpose": lambda at: challenged(at, "step_up" if "pending" in at.state else "login"),
    "expired": changed(expires_at=ago(seconds=1)),
    "canceled": changed(status="canceled"),
    "approved": changed(status="approved", approved_at=ago(minutes=9)),
    "approved too long ago": changed(status="approved", approved_at=ago(minutes=11)),
    "redeemed": changed(status="approved", approved_at=ago(minutes=1), redeemed_at=ago(seconds=9)),
}
FUNCTIONS: dict[str, Callable[[Situation, Any], Any]] = {
    "check": lambda at, one: at.call("check", REQUEST, one, code=last_code()),
    "poll": lambda at, one: at.call("poll", REQUEST, one),
    "resend": lambda at, one: at.call("resend", REQUEST, one),
    "enroll": lambda at, one: at.call("enroll", REQUEST, one),
    "finish_setup": lambda at, one: at.call("finish_setup", REQUEST, one, code="123456"),
    "finish_passkey_login": lambda at, one: at.call("finish_passkey_login", REQUEST, one, credential={}),
    "sign_up": lambda at, one: at.call("sign_up", REQUEST, make_user("new"), one, backend=MODEL_BACKEND),
}


NOT_FOUND = "VerificationNotFound verification_not_found"
CLOSED = "VerificationNotFound verification_closed"
_NONE = dict.fromkeys(FUNCTIONS, NOT_FOUND)
_OWN = {**_NONE, "finish_setup": "setup wrong_answer_type", "finish_passkey_login": "wrong_answer_type"}
EXPECTED: dict[str, dict[str, str]] = {
    "unknown": _NONE,
    "no id": _NONE,
    "other user's": {**_NONE, "finish_passkey_login": "wrong_answer_type"},
    "other session's": _NONE,
    "verify": {**_OWN, "sign_up": "enrolled; in as new"},
    "verify, of the user": _OWN,
    "enroll": {**_OWN, "enroll": "enrolled"},
    "payment": _OWN,
    "other purpose": _OWN,
    "expired": {**_OWN, "check": "expired", "poll": "expired", "resend": CLOSED},
    "canceled": {**_OWN, "check": "closed", "poll": "closed", "resend": CLOSED},
    # A worker died on it: the next call of the same session completes it.
    "approved": {**_OWN, "check": "approved", "poll": "approved", "resend": CLOSED},
    "approved too long ago": {
        **_OWN,
        "check": "NotRedeemable too_late",
        "poll": "NotRedeemable too_late",
        "resend": CLOSED,
    },
    "redeemed": {**_OWN, "check": "already_approved", "poll": "already_approved", "resend": CLOSED},
}


def expected(state: str, kind: str) -> dict[str, str]:
    if state == "verified":
        return EXPECTED[kind]
    # A user who has a factor enrolls nothing before it is verified, whatever is named.
    asked = "VerificationRequired verification_required"
    found = {**EXPECTED[kind], "finish_setup": EXPECTED[kind]["finish_setup"] if kind == "no id" else asked}
    if kind not in ("unknown", "no id", "other user's", "other session's"):
        found["enroll"] = asked
    return {name: f"{said}; in as ann" if said == "approved" else said for name, said in found.items()}


@pytest.mark.parametrize("state", ["pending", "verified"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_verification(site: OwnSite, settings: Any, state: str, kind: str) -> None:
    at = Situation(site, Client(), settings, make_user(), state=state)
    STATES[state](at)
    one = KINDS[kind](at)
    browser, found = at.browser, {}
    for name, call in FUNCTIONS.items():
        with undone(at, same=(site, browser, settings, at.user, at.verification, at.seen_as)):
            at.browser = Client()
            at.browser.cookies = deepcopy(browser.cookies)
            seen = user_of(at.browser)
            try:
                text = said(call(at, one))
            except TwilioVerifyError as error:
                text = f"{type(error).__name__} {error.code}"
            now = user_of(at.browser)
            found[name] = text if now == seen else f"{text}; in as {now or 'nobody'}"
    assert found == expected(state, kind)


def test_every_function_that_takes_a_verification_has_a_row() -> None:
    takes = {
        name
        for name in login.__all__
        if name[0].islower() and "verification" in signature(getattr(login, name)).parameters
    }
    assert takes == {*FUNCTIONS} | {f"a{name}" for name in FUNCTIONS}
