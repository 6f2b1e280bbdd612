"""Tokens that are asked for in a browser: the signal they send is about a user, and not about the session."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from django_twilio_verify.login import decision_cache, ended_sessions
from django_twilio_verify.models import UserState
from tests.support.basics import PASSWORD, make_factor, make_user, sign_in
from tests.support.everywhere import later

pytestmark = pytest.mark.django_db

ENGINES = ["db", "cached_db", "cache", "file", "signed_cookies"]


def by_djoser(browser: Client, name: str) -> Any:
    return browser.post("/djoser/token/login/", {"username": name, "password": PASSWORD})


def by_knox(browser: Client, name: str) -> Any:
    credentials = b64encode(f"{name}:{PASSWORD}".encode()).decode()
    return browser.post("/knox/login/", headers={"Authorization": f"Basic {credentials}"})


@pytest.fixture(params=ENGINES)
def engine(request: Any, settings: Any, tmp_path: Any) -> str:
    settings.SESSION_FILE_PATH = str(tmp_path)
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{request.param}"
    decision_cache._noted.clear()
    return str(request.param)


@pytest.fixture(params=[by_djoser, by_knox], ids=lambda one: one.__name__)
def ask(request: Any) -> Callable[[Client, str], Any]:
    return request.param  # type: ignore[no-any-return]


@pytest.fixture(autouse=True, params=[True, False], ids=["deferred", "at once"])
def when(request: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_DEFER_LOGIN_SIGNAL = request.param


def test_bob_stays_signed_in(engine: str, ask: Callable[[Client, str], Any]) -> None:
    make_factor(make_user("ann"))
    make_user("bob")
    browser = Client()
    sign_in(browser, "bob")
    assert ask(browser, "ann").status_code == 200
    assert browser.get("/whoami/").json() == {"user": "bob"}


def test_a_visitor_is_led_nowhere(engine: str, ask: Callable[[Client, str], Any]) -> None:
    make_factor(make_user("ann"))
    browser = Client()
    assert ask(browser, "ann").status_code == 200
    assert browser.get("/whoami/").json() == {"user": ""} and "sessionid" not in browser.cookies


def test_a_session_of_before_the_factor_is_asked_in_time(engine: str, ask: Callable[[Client, str], Any]) -> None:
    ann, browser = make_user("ann"), Client()
    make_user("bob")
    sign_in(browser, "ann")
    make_factor(ann)
    for seconds in (100, 200):
        with later(seconds):
            assert ask(browser, "bob").status_code == 200
    with later(310):
        assert browser.get("/account/")["Location"].startswith("/verify/challenge/")


def test_an_ended_session_is_not_renewed(settings: Any, ask: Callable[[Client, str], Any]) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    decision_cache._noted.clear()
    ann, browser = make_user("ann"), Client()
    sign_in(browser, "ann")
    ended_sessions.end_after_reset(None, user=ann)
    assert ask(browser, "ann").status_code == 200
    assert browser.post("/knox/login/").status_code == 200  # for the session's user, without a password
    with later():
        assert browser.get("/whoami/").json() == {"user": ""}
    assert UserState.objects.exclude(sessions_ended_at=None).count() == 1


def test_djoser_that_signs_in_too_is_held(engine: str, settings: Any) -> None:
    settings.DJOSER = {"CREATE_SESSION_ON_LOGIN": True}
    make_factor(make_user("ann"))
    browser = Client()
    assert by_djoser(browser, "ann").status_code == 200
    assert browser.get("/whoami/").status_code == 302
    assert browser.get("/verify/challenge/").status_code == 200
