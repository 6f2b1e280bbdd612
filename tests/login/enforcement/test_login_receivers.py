"""Signals of logins that are another user's than the session's, or no session's: they decide nothing here."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.apps import apps
from django.contrib.auth import SESSION_KEY, authenticate, get_user_model, signals
from django.contrib.sessions.backends.db import SessionStore
from django.dispatch import Signal
from django.http import HttpRequest, JsonResponse
from django.test import Client
from django.urls import include, path

from django_twilio_verify import signals as ours
from django_twilio_verify.factors import resets
from django_twilio_verify.login import decision_cache, ended_sessions, enforcement, foreign_logins
from django_twilio_verify.login.login_signal import LoginSignal
from django_twilio_verify.login.reset_notice import on_passed
from django_twilio_verify.models import UserState
from tests.support.basics import OTHER_PHONE, PASSWORD, code_path, last_code, make_factor, make_user, sign_in
from tests.support.everywhere import AT_ONCE, SOON, later, use

pytestmark = pytest.mark.django_db

HEARD = {
    "user_logged_in": {enforcement.on_login, foreign_logins.leave_allauth},
    "user_logged_out": set(),
    "user_login_failed": set(),
    "login_deciding": set(),
    "login_completed": {on_passed},
    "step_up_completed": set(),
    "impersonation_started": set(),
    "impersonation_ended": set(),
}
"""Each receiver of ours of a signal that names a user and a request. The tests below go through all of them; those of
``contrib.otp`` have theirs in ``tests/integrations/otp``."""


def token(request: HttpRequest) -> JsonResponse:
    """As djoser's and Knox's views: a token for a password, told of by Django's signal, without ``login()``."""
    user = authenticate(request, username=request.POST["username"], password=request.POST["password"])
    assert user is not None
    request.session.get("whatever")
    signals.user_logged_in.send(sender=type(user), request=request, user=user)
    return JsonResponse({"token": "t", "user": request.user.get_username()})


def written_token(request: HttpRequest) -> JsonResponse:
    """The same on a site that writes to the session in each request."""
    request.session["seen"] = True
    return token(request)


def session_token(request: HttpRequest) -> JsonResponse:
    """As Knox's with session authentication: for the user who is signed in, without a password."""
    signals.user_logged_in.send(sender=type(request.user), request=request, user=request.user)
    return JsonResponse({"user": request.user.get_username()})


urlpatterns = [
    path("token/", token),
    path("written-token/", written_token),
    path("session-token/", session_token),
    path("", include("tests.login.enforcement.urls")),
]


@pytest.fixture(autouse=True)
def site(more_doors: None, settings: Any, tmp_path: Any) -> None:
    settings.ROOT_URLCONF = __name__
    settings.SESSION_FILE_PATH = str(tmp_path)
    decision_cache._noted.clear()


@pytest.fixture(params=[*AT_ONCE, *SOON])
def engine(request: Any, settings: Any) -> str:
    return use(request.param, settings)


@pytest.fixture(params=[True, False], ids=["deferred", "at once"])
def deferred(request: Any, settings: Any) -> Iterator[list[str]]:
    """Whom a receiver of the site's hears of."""
    settings.TWILIO_VERIFY_DEFER_LOGIN_SIGNAL = request.param
    heard: list[str] = []

    def hear(user: Any, **kwargs: Any) -> None:
        heard.append(user.get_username())

    signals.user_logged_in.connect(hear)
    yield heard
    signals.user_logged_in.disconnect(hear)


def receivers(signal: Signal) -> set[Callable[..., Any]]:
    live: Any = signal._live_receivers(sender=None)  # type: ignore[attr-defined]
    flat = [one for group in live for one in (group if isinstance(group, list) else [group])]
    return {one for one in flat if one.__module__.startswith("django_twilio_verify.")}


def test_every_receiver_is_known() -> None:
    known = {**vars(signals), **vars(ours)}
    told = {name: one for name, one in known.items() if isinstance(one, Signal) and _names_a_request(name)}
    assert told.keys() == HEARD.keys()
    # The one for allauth listens where that is installed.
    expected = {name: found - {foreign_logins.leave_allauth} for name, found in HEARD.items()}
    assert not apps.is_installed("allauth.account")
    assert {name: receivers(signal) for name, signal in told.items()} == expected
    assert isinstance(signals.user_logged_in, LoginSignal)


def _names_a_request(name: str) -> bool:
    rest = {
        *("verification_sent", "verification_approved", "check_failed", "login_denied"),
        *("channel_unavailable", "consent_recorded", "factor_added", "factor_removed", "locked_out"),
        *("factors_reset", "default_factor_changed", "browser_trusted", "browsers_revoked", "recovery_code_used"),
        *("notice_sent", "recovery_codes_created"),
    }
    return name not in rest


def ask(browser: Client, name: str, page: str = "/token/") -> Any:
    return browser.post(page, {"username": name, "password": PASSWORD})


@pytest.mark.parametrize("page", ["/token/", "/written-token/"])
def test_who_owes_nothing_stays_signed_in(engine: str, deferred: list[str], page: str) -> None:
    make_user("bob")
    make_factor(make_user("ann"))
    browser = Client()
    sign_in(browser, "bob")
    before = browser.cookies["sessionid"].value
    answer = ask(browser, "ann", page)
    assert answer.json() == {"token": "t", "user": "bob"} and deferred == ["bob", "ann"]
    assert browser.get("/whoami/").json() == {"user": "bob"}
    if page == "/token/":
        assert browser.cookies["sessionid"].value == before and not answer.cookies


def test_a_visitor_stays_one(engine: str, deferred: list[str]) -> None:
    make_factor(make_user("ann"))
    browser = Client()
    assert ask(browser, "ann").json() == {"token": "t", "user": ""}
    assert deferred == ["ann"] and "sessionid" not in browser.cookies
    assert browser.get("/verify/challenge/")["Location"].startswith("/login/")


def test_a_login_that_waits_goes_on_waiting(engine: str, deferred: list[str], settings: Any) -> None:
    settings.TWILIO_VERIFY_EXEMPT_URLS = ["/token/"]
    make_factor(make_user("ann"))
    make_user("bob")
    browser = Client()
    sign_in(browser, "ann")
    assert ask(browser, "bob").json() == {"token": "t", "user": ""}
    assert browser.get("/verify/challenge/").status_code == 200
    assert deferred == (["bob"] if settings.TWILIO_VERIFY_DEFER_LOGIN_SIGNAL else ["ann", "bob"])


@pytest.mark.parametrize("page", ["/token/", "/written-token/"])
def test_a_session_of_before_the_factor_is_not_renewed(engine: str, page: str) -> None:
    """Ann has enrolled elsewhere: her old session is asked anew, whoever's tokens are asked for through it."""
    ann, browser = make_user("ann"), Client()
    make_user("bob")
    sign_in(browser, "ann")
    make_factor(ann)
    for round_ in range(4):
        with later(200 * round_):
            if ask(browser, "bob", page).status_code == 302:
                break
    else:
        pytest.fail("it lives for ever")
    with later(400):
        assert browser.get("/whoami/").status_code == 302


@pytest.mark.parametrize("page", ["/token/", "/session-token/"])
def test_an_ended_session_is_not_brought_back(page: str, settings: Any) -> None:
    """Neither by a token of its own user, whom Knox asks for no password."""
    use("signed_cookies", settings)
    ann, browser = make_user("ann"), Client()
    sign_in(browser, "ann")
    ended_sessions.end_after_reset(None, user=ann)
    assert ask(browser, "ann", page).json()["user"] == "ann"  # it may read for some minutes
    with later():
        assert browser.get("/whoami/").json() == {"user": ""}
    assert UserState.objects.exclude(sessions_ended_at=None).count() == 1


@pytest.mark.parametrize("owner", ["ann", "bob"])
def test_a_proof_by_a_program_says_nothing_to_the_browsers_user(rf: Any, owner: str) -> None:
    """``contrib.rest_framework`` sends ``login_completed``, in whichever browser that was."""
    ann = make_user("ann")
    make_user("bob")
    make_factor(ann)
    resets.request(ann, actor="sue", reason="Lost the phone", link="https://shop.test/{}".format)
    request = rf.get("/")
    request.session = SessionStore()
    request.session[SESSION_KEY] = str(get_user_model().objects.get(username=owner).pk)
    said: list[Any] = []
    request._messages = type("Messages", (), {"add": lambda self, *args: said.append(args)})()
    ours.login_completed.send(sender=type(ann), request=request, user=ann, channel="sms")
    assert bool(said) is (owner == "ann")


def test_the_signal_of_a_completed_login_begins_no_other(settings: Any) -> None:
    """Deferred, it comes from the request that completed the login: which has begun when the password was typed."""
    use("signed_cookies", settings)
    settings.TWILIO_VERIFY_DEFER_LOGIN_SIGNAL = True
    ann, browser = make_user("ann"), Client()
    make_factor(ann, OTHER_PHONE)
    sign_in(browser, "ann")
    assert get_user_model().objects.get(pk=ann.pk).last_login is None

    def end(**kwargs: Any) -> None:
        ended_sessions.end_after_reset(None, user=ann)

    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    ours.browser_trusted.connect(end)
    try:
        page = code_path(browser.post("/verify/challenge/"))
        assert browser.post(page, {"code": last_code(), "trust": "yes"}).status_code == 400
    finally:
        ours.browser_trusted.disconnect(end)
    assert browser.get("/verify/challenge/")["Location"].startswith("/login/")
