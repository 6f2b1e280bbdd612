"""A replica that lags: what was just removed is still there, and a wrong code is not yet. Nothing is decided by it.

The router of these tests fails every read that does not go to the database that is written to.
"""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connections
from django.test import Client

from django_twilio_verify import verifications
from django_twilio_verify.factors import changes, devices, recovery_codes
from django_twilio_verify.models import Factor, RecoveryCode, Verification
from django_twilio_verify.testing import Authenticator
from django_twilio_verify.verifications import challenges, lifecycle, throttling
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PHONE,
    agree,
    code_path,
    last_code,
    make_client,
    make_factor,
    make_user,
    one_moment,
    sign_in,
    wrong_code,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def replica(settings: Any) -> Any:
    connections.databases["replica"] = {
        **connections.databases["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": ":memory:",
        "OPTIONS": {},
    }
    settings.DATABASE_ROUTERS = ["tests.attacks.router.ReplicaRouter"]
    yield
    connections["replica"].close()
    del connections["replica"], connections.databases["replica"]


@pytest.fixture
def ann(settings: Any, replica: None) -> Any:
    user = make_user(email=EMAIL)
    make_factor(user)
    make_factor(user, EMAIL, channel="email")
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    return user


def is_in(browser: Client) -> bool:
    return browser.get("/whoami/", headers={"Accept": "application/json"}).json() == {"user": "ann"}


def test_a_sign_in_by_code(ann: Any) -> None:
    browser = Client()
    sign_in(browser)
    page = code_path(browser.post("/verify/challenge/", {"trust": "yes"}))
    assert browser.get(page).status_code == 200
    assert browser.post(page, {"code": wrong_code()}).status_code == 200
    assert browser.post(page, {"code": last_code()}).status_code == 302
    assert is_in(browser)
    browser.post("/logout/")
    sign_in(browser)
    assert is_in(browser)  # trusted
    assert browser.get("/verify/step-up/").status_code == 200


def test_a_recovery_code(ann: Any) -> None:
    codes = recovery_codes.issue(ann)
    assert recovery_codes.remaining(ann) == 10 and not recovery_codes.redeem(ann, "0000", make_client())
    browser = Client()
    sign_in(browser)
    assert browser.post("/verify/challenge/recovery/", {"code": codes[0]}).status_code == 302
    assert is_in(browser)


def test_an_authenticator_app(ann: Any) -> None:
    client = make_client()
    begun = devices.begin_totp(ann, client, name="ann@shop")
    app = Authenticator.scan(begun.uri)
    with one_moment():
        assert devices.confirm(begun.verification, client=client, user=ann, code=app.code(steps=-1)).factor
        asked = challenges.start(channel="totp", client=client, user=ann).verification
        assert not challenges.check(asked, code=wrong_code(app.code()), client=client, user=ann).approved
        assert challenges.check(asked, code=app.code(), client=client, user=ann).approved


def test_what_was_removed_or_replaced_opens_nothing(ann: Any) -> None:
    client = make_client()
    asked = {"client": client, "user": ann, "purpose": "login"}
    sent = lifecycle.start(recipient=PHONE, channel="sms", **asked).verification
    code = last_code()
    agree(OTHER_PHONE, user=ann)
    new = lifecycle.start(recipient=OTHER_PHONE, channel="sms", **{**asked, "purpose": "enroll"}).verification
    assert verifications.check(new, code=last_code(), client=client, user=ann).approved
    changes.replace(new, Factor.objects.get(recipient_value=PHONE).pk, client=client)
    assert not verifications.check(sent, code=code, client=client, user=ann).approved
    assert devices.remove(ann, Factor.objects.get(recipient_value=OTHER_PHONE).pk)


def test_a_held_factor_and_its_release(ann: Any) -> None:
    phone = Factor.objects.get(recipient_value=PHONE)
    Factor.objects.filter(pk=phone.pk).update(failures=49)
    asked = {"client": make_client(), "user": ann}
    sent = lifecycle.start(recipient=PHONE, channel="sms", purpose="login", **asked).verification
    assert not lifecycle.check(sent, code=wrong_code(), **asked).approved
    phone.refresh_from_db()
    assert throttling.is_held(phone)
    recovery_codes.redeem(ann, recovery_codes.issue(ann)[0])
    assert not throttling.is_held(phone)


def test_a_visitors_code(ann: Any) -> None:
    visitor = Client()
    visitor.get("/verify/stop/")
    client = make_client("visitor")
    agree(client=client)
    sent = verifications.start(recipient=PHONE, channel="sms", client=client).verification
    assert not verifications.check(sent, code=wrong_code(), client=client).approved
    assert lifecycle.status(sent, client=client).status == "pending"


def test_related_rows_too(ann: Any) -> None:
    assert ann.twilio_factors.count() == 2 and not ann.twilio_recovery_codes.exists()
    assert not RecoveryCode.objects.exists() and not Verification.objects.exists()
