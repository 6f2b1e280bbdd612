"""allauth headless: the same, in JSON, for a browser with a session and for an app with a token."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import pytest
from allauth.account.adapter import get_adapter
from allauth.core.context import request_context
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.testing import outbox
from tests.integrations.allauth.helpers import Program
from tests.support.basics import OTHER_PHONE, PASSWORD, PHONE, last_code, make_factor, make_user, wrong_code

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["browser", "app"])
def program(request: pytest.FixtureRequest) -> Program:
    return Program(request.param)


def pending(answer: Any) -> list[str]:
    return [flow["id"] for flow in answer.json()["data"]["flows"] if flow.get("is_pending")]


def test_sign_up(program: Program) -> None:
    sent = program.sign_up()
    assert sent.status_code == 401 and pending(sent) == ["verify_phone"], sent.content
    assert outbox[0].to == PHONE and outbox[0].code.isdigit() and len(outbox[0].code) == 6
    wrong = program.call("POST", "auth/phone/verify", code=wrong_code())
    assert wrong.status_code == 400
    done = program.call("POST", "auth/phone/verify", code=last_code())
    assert done.status_code == 200 and done.json()["data"]["user"]["username"] == "ann", done.content
    assert Factor.objects.get().confirmed_at is not None
    verification = Verification.objects.get()
    assert verification.status == "approved"
    assert program.call("GET", "auth/session").status_code == 200


def test_the_provider_hears_that_the_code_was_right(program: Program) -> None:
    program.sign_up()
    told = backends["default"].fetch(Verification.objects.get().sid)
    assert told.status.value == "pending"
    program.call("POST", "auth/phone/verify", code=last_code())
    assert backends["default"].fetch(Verification.objects.get().sid).status.value in ("approved", "gone")


def test_without_consent_nothing_is_made_or_sent(program: Program) -> None:
    refused = program.sign_up(agreed=False)
    assert refused.status_code == 400
    assert refused.json()["errors"][0]["code"] == "consent_required"
    assert not outbox and not get_user_model().objects.exists()


def test_send_again_is_the_same_code(program: Program) -> None:
    program.sign_up()
    first = last_code()
    early = program.call("POST", "auth/phone/verify/resend")
    assert early.status_code == 429 and len(outbox) == 1
    Verification.objects.update(resend_at=Verification.objects.get().created_at)
    assert program.call("POST", "auth/phone/verify/resend").status_code == 200
    assert len(outbox) == 2 and last_code() == first
    assert program.call("POST", "auth/phone/verify", code=first).status_code == 200


def test_sign_in_owes_the_phone(program: Program) -> None:
    """The password is right, and allauth's own answer would be "signed in"."""
    make_factor(make_user())
    waiting = program.call("POST", "auth/login", username="ann", password=PASSWORD)
    assert waiting.status_code == 401
    assert program.call("GET", "account/phone").status_code == 401
    if program.kind == "browser":
        assert waiting.json()["code"] == "second_factor_required"


def test_change_the_number(program: Program) -> None:
    program.sign_up()
    program.call("POST", "auth/phone/verify", code=last_code())
    assert program.call("POST", "account/phone", phone=OTHER_PHONE).status_code == 400  # without consent
    digest = program.browser.get("/phone-disclosure/").json()["digest"]
    sent = program.call("POST", "account/phone", phone=OTHER_PHONE, consent=True, disclosure=digest)
    assert sent.status_code == 202, sent.content
    assert Factor.objects.get(confirmed_at__isnull=False).recipient_value == PHONE
    assert program.call("POST", "auth/phone/verify", code=last_code()).status_code == 200
    assert [row.recipient_value for row in Factor.objects.all()] == [OTHER_PHONE]


def test_a_provider_that_refuses(program: Program) -> None:
    backends["default"].fail_next(code=60410)
    answer = program.sign_up()
    assert answer.status_code in (400, 401) and not outbox


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b"null", b'{"phone": {}}', b'{"consent": [], "disclosure": 1, "phone": "+1"}']
)
def test_nonsense(body: bytes) -> None:
    answer = Client().generic("POST", "/_allauth/browser/v1/auth/signup", body, "application/json")
    assert answer.status_code == 400


# ------------------------------------------------------------------------------- codes in the visitor's own cookie


@pytest.fixture
def in_cookies(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"


def test_no_code_travels_in_a_signed_cookie(in_cookies: None) -> None:
    """Whoever asks for a code for somebody else's number must not read it in their own session."""
    with pytest.raises(ImproperlyConfigured, match="SESSION_ENGINE"):
        Program("browser").sign_up()
    assert not outbox and not Verification.objects.exists()


@pytest.mark.parametrize(
    "name", ["generate_login_code", "generate_password_reset_code", "generate_email_verification_code"]
)
def test_nor_one_of_allauths_own(settings: Any, rf: Any, name: str) -> None:
    request = rf.get("/")
    for engine, readable in (("signed_cookies", True), ("db", False)):
        request.session = import_module(f"django.contrib.sessions.backends.{engine}").SessionStore()
        with request_context(request):
            if readable:
                with pytest.raises(ImproperlyConfigured):
                    getattr(get_adapter(request), name)()
            else:
                assert getattr(get_adapter(request), name)()


def test_the_check_says_so(settings: Any) -> None:
    def said() -> list[str]:
        return [one.id for one in run_checks() if str(one.id).startswith("twilio_verify_allauth")]

    assert said() == []
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    assert said() == ["twilio_verify_allauth.E001"]
