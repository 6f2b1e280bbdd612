"""``TWILIO_VERIFY_DEFER_LOGIN_SIGNAL``: who listens to sign-ins hears of them when they are through."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model, login
from django.contrib.auth.signals import user_logged_in
from django.db import connection
from django.dispatch import Signal
from django.http import HttpRequest
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from django_twilio_verify.login.login_signal import LoginSignal
from django_twilio_verify.signals import login_completed
from tests.support.basics import code_path, last_code, make_factor, make_user, sign_in
from tests.support.login import enroll, prove

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann():
    user = make_user("ann", is_staff=True)
    make_factor(user)
    return user


@pytest.fixture
def heard():
    """What an audit app hears, and what it finds in the request while it does."""
    found: list[Any] = []

    def listen(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
        passed = request.twilio_verify.is_verified if hasattr(request, "twilio_verify") else None
        found.append((sender, user.get_username(), request.user.get_username(), passed))

    async def listen_too(sender: Any, request: HttpRequest, user: Any, **kwargs: Any) -> None:
        seen = await request.auser()
        found.append(seen.get_username())

    user_logged_in.connect(listen)
    user_logged_in.connect(listen_too)
    yield found
    user_logged_in.disconnect(listen)
    user_logged_in.disconnect(listen_too)


@pytest.fixture
def deferred(settings):
    settings.TWILIO_VERIFY_DEFER_LOGIN_SIGNAL = True


def last_login() -> Any:
    return get_user_model().objects.get(username="ann").last_login


DOORS = {
    "site login": lambda browser: sign_in(browser),
    "admin login": lambda browser: sign_in(browser, url="/admin/login/?next=/admin/"),
    "bare login()": lambda browser: browser.post("/bare-login/", {"username": "ann"}),
    "alogin()": lambda browser: browser.post("/async-login/", {"username": "ann"}),
    "remember me": lambda browser: browser.post(
        "/remember/", {"username": "ann", "password": "correct horse", "after": "9999"}
    ),
}


def test_without_the_setting_it_is_sent_with_the_password(ann, client, heard):
    sign_in(client)
    assert len(heard) == 2
    assert last_login() is not None
    prove(client)
    assert len(heard) == 2


@pytest.mark.parametrize("door", DOORS)
def test_it_is_sent_with_the_factor_whichever_door(ann, client, heard, deferred, door):
    DOORS[door](client)
    client.get("/account/")
    assert heard == []
    assert last_login() is None
    prove(client)
    assert heard == [(type(ann), "ann", "ann", True), "ann"]
    assert last_login() is not None
    client.get("/account/")
    assert len(heard) == 2


def test_on_the_async_stack(ann, heard, deferred):
    browser = AsyncClient()
    assert async_to_sync(browser.post)("/async-login/", {"username": "ann"}).content == b"after login: False"
    assert heard == []
    other = Client()
    other.cookies["sessionid"] = browser.cookies["sessionid"].value
    prove(other)
    assert heard == [(type(ann), "ann", "ann", True), "ann"]


def test_who_owes_nothing_is_told_of_at_once_and_decided_once(client, heard, deferred, settings):
    make_user("bob")
    with CaptureQueriesContext(connection) as captured:
        sign_in(client, "bob")
    assert [one for one in heard if isinstance(one, tuple)] == [(heard[0][0], "bob", "bob", False)]
    assert len([one for one in captured if "twilio_verify_factor" in one["sql"]]) == 1
    assert len(heard) == 2


def test_who_enrolls_at_sign_in_is_told_of_after_it(client, heard, deferred, settings):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    make_user("bob")
    sign_in(client, "bob")
    assert heard == []
    enroll(client)
    assert len(heard) == 2


def test_who_gives_up_was_never_in(ann, client, heard, deferred):
    sign_in(client)
    client.post("/verify/challenge/cancel/")
    sign_in(client)
    client.post("/logout/")
    assert heard == []
    assert last_login() is None


def test_it_comes_before_the_signal_of_the_factor(ann, client, heard, deferred):
    order: list[str] = []

    def passed(**kwargs: Any) -> None:
        order.append(f"passed after {len(heard)}")

    login_completed.connect(passed)
    sign_in(client)
    prove(client)
    login_completed.disconnect(passed)
    assert order == ["passed after 2"]


def test_a_session_that_is_asked_for_its_factor_later_was_told_of_already(ann, client, heard, deferred, settings):
    make_user("bob")
    sign_in(client, "bob")
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")
    enroll(client)
    assert client.get("/account/").content == b"account of bob"
    assert len(heard) == 2


def test_the_setting_switched_off_while_somebody_waits_loses_nothing(ann, client, heard, deferred, settings):
    sign_in(client)
    settings.TWILIO_VERIFY_DEFER_LOGIN_SIGNAL = False
    prove(client)
    assert len(heard) == 2


def test_a_proxys_sign_in_at_every_request_is_told_of_once(ann, heard, deferred, settings):
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    middleware = list(settings.MIDDLEWARE)
    middleware.insert(
        middleware.index("django.contrib.auth.middleware.AuthenticationMiddleware") + 1,
        "django.contrib.auth.middleware.RemoteUserMiddleware",
    )
    settings.MIDDLEWARE = middleware
    browser = Client(REMOTE_USER="ann")
    for _ in range(3):
        browser.get("/whoami/")
    assert heard == []
    prove(browser)
    assert browser.get("/account/").content == b"account of ann"
    assert len(heard) == 2


def test_a_sign_in_without_a_session_is_left_alone(ann, heard, deferred):
    request = HttpRequest()

    async def auser() -> Any:
        return ann

    request.user, request.auser = ann, auser
    user_logged_in.send(sender=type(ann), request=request, user=ann)
    assert heard == [(type(ann), "ann", "ann", None), "ann"]


@pytest.mark.parametrize("way", ["send_robust", "asend", "asend_robust"])
def test_every_way_of_sending_can_be_held_back(ann, client, heard, deferred, way, rf):
    sign_in(client)
    request = rf.get("/")
    request.session = client.session
    request.user = ann
    for key in ("_auth_user_id", "_auth_user_backend", "_auth_user_hash"):
        request.session[key] = "1"
    request.session["_auth_user_id"] = str(ann.pk)
    send = getattr(user_logged_in, way)
    said = (send if way == "send_robust" else async_to_sync(send))(type(ann), request=request, user=ann)
    assert said == []
    assert heard == []


def test_nothing_but_the_class_of_the_signal_is_changed():
    assert type(user_logged_in) is LoginSignal
    assert isinstance(user_logged_in, Signal)
    LoginSignal.take_over(user_logged_in)
    assert type(user_logged_in) is LoginSignal

    class Theirs(Signal):
        pass

    theirs = Theirs()
    LoginSignal.take_over(theirs)
    assert type(theirs) is Theirs
    assert login.__module__ == "django.contrib.auth"


def test_a_browser_that_is_excused_is_in_at_once(ann, client, heard, deferred, settings):
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    sign_in(client)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code(), "trust": "yes"})
    client.post("/logout/")
    heard.clear()
    before = last_login()
    sign_in(client)
    assert client.get("/account/").wsgi_request.twilio_verify.is_trusted_browser
    assert len(heard) == 2 and heard[0][1:3] == ("ann", "ann") and last_login() > before
    client.get("/account/")
    assert len(heard) == 2
