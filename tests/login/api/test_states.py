"""Every function of ``login`` in every state of a session: what comes back, who gets in, and what is written."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseRedirect
from django.test import Client

from django_twilio_verify import factors, login, verifications
from django_twilio_verify.client import client_from
from django_twilio_verify.exceptions import TwilioVerifyError
from django_twilio_verify.testing import Authenticator, last_code
from django_twilio_verify.verifications import Payment
from tests.support.basics import agree, make_user, one_moment
from tests.support.devices import World
from tests.support.login_states import MODEL_BACKEND, REQUEST, STATES, Situation
from tests.support.own_site import OwnSite, user_of
from tests.support.rewind import undone

pytestmark = pytest.mark.django_db

Act = Callable[[], Any]

UNKNOWN = "3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2"
NEW = "+15017122669"
PAYMENT = Payment("5 EUR", "Acme")


def in_session(at: Situation, work: Callable[[HttpRequest], Any]) -> Any:
    """Have the site's own code do ``work`` in the session, as its present user or as nobody."""
    return at.site.do(at.browser, lambda verbs, request: (sync_to_async(work) if at.site.is_async else work)(request))


def approved(at: Situation, purpose: str, user: Any) -> Any:
    """What this session has verified: a number that nobody has."""

    def begin(request: HttpRequest) -> Any:
        client = client_from(request)
        agree(NEW, user=user, client=client)
        return verifications.start(recipient=NEW, channel="sms", client=client, user=user, purpose=purpose).verification

    started = in_session(at, begin)
    in_session(at, lambda request: verifications.check(started, code=last_code(), client=client_from(request)))
    return started


def enroll(at: Situation) -> Act:
    verification = approved(at, "enroll", at.user)
    return lambda: at.call("enroll", REQUEST, verification)


def finish_setup(at: Situation) -> Act:
    setup = in_session(at, lambda request: factors.begin_totp(at.user, client=client_from(request)))
    with one_moment():
        code = Authenticator.scan(setup.uri).code()
    return lambda: at.call("finish_setup", REQUEST, setup.verification, code=code)


def finish_passkey_login(at: Situation) -> Act:
    """By the passkey of another account, which signs in with nothing else."""
    _factor, keys = World("sync", None).passkey(make_user("carol"))
    started = at.call("begin_passkey_login", REQUEST)
    credential = keys.get(started.browser_options)
    return lambda: at.call("finish_passkey_login", REQUEST, started.verification, credential=credential)


def sign_up(at: Situation) -> Act:
    account = get_user_model().objects.create_user("new")
    verification = approved(at, "verify", None)
    return lambda: at.call("sign_up", REQUEST, account, verification, backend=MODEL_BACKEND)


def check_recovery_code(at: Situation) -> Act:
    code = factors.create_recovery_codes(at.user)[0]
    return lambda: at.call("check_recovery_code", REQUEST, code)


def plainly(name: str, **named: Any) -> Callable[[Situation], Act]:
    """A call that needs nothing but the request."""
    return lambda at: lambda: at.call(name, REQUEST, **named)


CALLS: dict[str, Callable[[Situation], Act]] = {
    "begin_passkey_login": plainly("begin_passkey_login"),
    "begin_payment": lambda at: lambda: at.call("begin_payment", REQUEST, PAYMENT, next="/"),
    "cancel": plainly("cancel"),
    "challenge": lambda at: lambda: at.call("challenge", REQUEST, at.option or "1.sms"),
    "challenge_options": plainly("challenge_options"),
    "check": lambda at: lambda: at.call("check", REQUEST, at.verification or UNKNOWN, code=at.code),
    "check_recovery_code": check_recovery_code,
    "enroll": enroll,
    "finish_passkey_login": finish_passkey_login,
    "finish_setup": finish_setup,
    "get_state": plainly("get_state"),
    "is_required": lambda at: lambda: at.call("is_required", at.user, REQUEST),
    "list_trusted_browsers": lambda at: lambda: at.call("list_trusted_browsers", at.user, request=REQUEST),
    "mark_verified_externally": plainly("mark_verified_externally", source="other"),
    "poll": lambda at: lambda: at.call("poll", REQUEST, at.verification or UNKNOWN),
    "redeem_payment": lambda at: lambda: at.call("redeem_payment", REQUEST, PAYMENT),
    "resend": lambda at: lambda: at.call("resend", REQUEST, at.verification or UNKNOWN),
    "revoke_trusted_browsers": lambda at: lambda: at.call("revoke_trusted_browsers", at.user),
    "sign_out_everywhere": lambda at: lambda: at.call("sign_out_everywhere", at.user, keep=REQUEST),
    "sign_up": sign_up,
}
"""What each function is called with, prepared in the very session: whatever the state refuses, it is not for want of
something that is right.
"""

_NOBODY = {
    "begin_passkey_login": "started",
    "begin_payment": "redirect",
    "cancel": "NoPendingLogin no_pending_login",
    "challenge": "NoPendingLogin no_pending_login",
    "challenge_options": "NoPendingLogin no_pending_login",
    "check": "NoPendingLogin no_pending_login",
    "check_recovery_code": "NoPendingLogin no_pending_login",
    "enroll": "NoPendingLogin no_pending_login",
    "finish_passkey_login": "approved; in as carol",
    "finish_setup": "NoPendingLogin no_pending_login",
    "get_state": "visitor",
    "is_required": "False",
    "list_trusted_browsers": "0 found",
    "mark_verified_externally": "NoPendingLogin no_pending_login",
    "poll": "NoPendingLogin no_pending_login",
    "redeem_payment": "not_approved",
    "resend": "NoPendingLogin no_pending_login",
    "revoke_trusted_browsers": "0",
    "sign_out_everywhere": "0",
    "sign_up": "enrolled; in as new",
}
_ANOTHER = {
    name: "PermissionDenied" if name not in ("cancel", "mark_verified_externally") and "No" in said else said
    for name, said in {**_NOBODY, "get_state": "signed_in"}.items()
} | {"begin_payment": "PermissionDenied"}
_PENDING = {
    **_NOBODY,
    "cancel": "done",
    "challenge": "started",
    "challenge_options": "3 found",
    "check": "approved; in as ann",
    "check_recovery_code": "approved; in as ann",
    "enroll": "VerificationRequired verification_required",
    "finish_setup": "VerificationRequired verification_required",
    "get_state": "second_factor_required",
    "poll": "wrong_answer_type",
    "resend": "RateLimited cooldown",
}
_VERIFIED = {
    **_PENDING,
    "cancel": "NoPendingLogin no_pending_login",
    "check": "approved",
    "check_recovery_code": "approved",
    "enroll": "enrolled",
    "finish_setup": "setup approved",
    "get_state": "verified",
    "mark_verified_externally": "done",
}
_NO_FACTOR = {
    **_VERIFIED,
    "challenge": "FactorNotFound factor_not_found",
    "challenge_options": "0 found",
    "check": "VerificationNotFound verification_not_found",
    "get_state": "signed_in",
    "poll": "VerificationNotFound verification_not_found",
    "resend": "VerificationNotFound verification_not_found",
}
EXPECTED: dict[str, dict[str, str]] = {
    "visitor": _NOBODY,
    "pending": _PENDING,
    "pending, no factor": {
        **_NO_FACTOR,
        "cancel": "done",
        "check_recovery_code": "approved; in as ann",
        "enroll": "enrolled; in as ann",
        "finish_setup": "setup approved; in as ann",
        "get_state": "enrollment_required",
        "is_required": "True",
        "mark_verified_externally": "NoPendingLogin no_pending_login",
    },
    "waited too long": _NOBODY,
    "signed in": _NO_FACTOR,
    "in grace": {**_NO_FACTOR, "is_required": "True"},
    "verified": _VERIFIED,
    "verified long ago": _VERIFIED,
    "trusted browser": {
        **_VERIFIED,
        "enroll": "VerificationRequired verification_required",
        "finish_setup": "VerificationRequired verification_required",
        "get_state": "signed_in",
        "list_trusted_browsers": "1 found",
        "revoke_trusted_browsers": "1",
        "sign_out_everywhere": "1",
    },
    "impersonated": _ANOTHER,
    "token": _ANOTHER,
    "token in another's session": _ANOTHER,
    "pending, ended elsewhere": _NOBODY,
    "verified, ended elsewhere": _NOBODY,
    # Django's own three values are still in the session, and open nothing.
    "pending, password changed": {**_NOBODY, "cancel": "done"},
    "verified, password changed": _NOBODY,
    "pending, deactivated": {**_NOBODY, "cancel": "done"},
    "verified, deactivated": _NOBODY,
}
_ANSWERED = {"Factor", "KnownNetwork", "Verification", "VerificationCheck"}
WRITES: dict[str, set[str]] = {
    "begin_passkey_login": {"LimitCounter", "Verification"},
    "check": _ANSWERED,
    "check_recovery_code": {"KnownNetwork", "LimitCounter", "RecoveryCode"},
    "enroll": {"Factor", "Verification"},
    "finish_passkey_login": _ANSWERED,
    "finish_setup": {"Factor", "Verification", "VerificationCheck"},
    "mark_verified_externally": {"AuditEvent"},
    "revoke_trusted_browsers": {"TrustedBrowser"},
    "sign_out_everywhere": {"TrustedBrowser", "UserState"},
    "sign_up": {"ConsentEvent", "ConsentEvidence", "Factor", "RecipientLock", "Verification"},
}
"""What a call may write that goes well. One that is refused writes nothing; nor a challenge while a send counts."""


def test_every_function_has_a_row() -> None:
    # Acting as another user has its own table: tests/login/enforcement/test_impersonation.py.
    functions = {name for name in login.__all__ if name[0].islower()} - {"act_as", "aact_as"}
    assert {f"a{name}" for name in CALLS} | {*CALLS} == functions


def said(value: Any) -> str:
    """A result in a word or two."""
    shown: dict[type, Callable[[Any], Any]] = {
        login.LoginState: lambda one: one.status,
        verifications.Started: lambda one: "started",
        verifications.Checked: lambda one: one.outcome.value,
        verifications.Redeemed: lambda one: one.problem or "accepted",
        factors.Enrolled: lambda one: "enrolled" if one.created else "was enrolled",
        factors.SetupChecked: lambda one: f"setup {one.checked.outcome.value}",
        factors.RecoveryChecked: lambda one: "approved" if one.approved else "wrong",
        list: lambda one: f"{len(one)} found",
        HttpResponseRedirect: lambda one: "redirect",
        type(None): lambda one: "done",
    }
    return str(shown.get(type(value), str)(value))


def rows() -> dict[str, list[str]]:
    models = apps.get_app_config("twilio_verify").get_models()
    return {model.__name__: [repr(row) for row in model._base_manager.order_by("pk").values_list()] for model in models}


def outcome(at: Situation, name: str) -> str:
    """What comes of the call, and who is signed in then if it was somebody else before."""
    seen = user_of(at.browser)
    act = CALLS[name](at)
    before = rows()
    try:
        found = said(act())
        is_refused = False
    except (TwilioVerifyError, PermissionDenied) as error:
        found = f"{type(error).__name__} {getattr(error, 'code', '')}".strip()
        is_refused = True
    after = rows()
    written = {model for model in after if after[model] != before[model]}
    assert written <= (set() if is_refused else WRITES.get(name, set())), (name, found, written)
    now = user_of(at.browser)
    return found if now == seen else f"{found}; in as {now or 'nobody'}"


@pytest.mark.parametrize("state", STATES)
def test_a_state(site: OwnSite, settings: Any, state: str) -> None:
    at = Situation(site, Client(), settings, make_user())
    STATES[state](at)
    browser, found = at.browser, {}
    for name in CALLS:
        with undone(at, same=(site, browser, settings, at.user, at.verification, at.seen_as)):
            at.browser = Client()
            at.browser.cookies = deepcopy(browser.cookies)
            found[name] = outcome(at, name)
    assert found == EXPECTED[state]
