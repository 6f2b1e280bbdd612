"""A sign-in that waits: what the session holds, how long, and what may end or replace it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.signals import user_logged_in
from django.contrib.auth.tokens import default_token_generator
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.utils import timezone
from django.utils.encoding import force_bytes
from django.utils.http import urlsafe_base64_encode

from django_twilio_verify.testing import outbox
from tests.support.basics import PASSWORD, all_permissions, code_path, last_code, make_factor, make_user, sign_in
from tests.support.login import copied, prove

pytestmark = pytest.mark.django_db

HALF_AN_HOUR = 1800
MONTH = 30 * 86_400
ENGINES = ["db", "cache", "cached_db", "file", "signed_cookies"]


@pytest.fixture
def ann():
    user = make_user("ann")
    make_factor(user)
    return user


def later(seconds: int) -> Any:
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=False)


# ---- What it holds, and how long.


def test_the_session_holds_what_is_needed_and_no_more(ann, client):
    sign_in(client)
    held = dict(client.session.items())
    waiting = held.pop("_twilio_verify_pending")
    assert {*held} == {"_twilio_verify_secret", "_session_expiry"}
    assert {*waiting} == {"user_id", "backend", "auth_hash", "since", "deferred", "limited", "limit", "expiry"}
    assert "ann" not in str(waiting)
    assert PASSWORD not in str(waiting)


def lifetime(browser: Client) -> int | str:
    """Seconds of the session's cookie, "" for one that ends with the browser."""
    return browser.cookies["sessionid"]["max-age"]


def test_the_session_and_its_cookie_end_with_the_sign_in_that_waits(ann, client):
    sign_in(client)
    assert lifetime(client) == HALF_AN_HOUR
    with later(HALF_AN_HOUR + 5):
        assert client.get("/verify/challenge/")["Location"].startswith("/login/")
        assert not Session.objects.filter(expire_date__gt=timezone.now()).exists()


def test_once_it_is_through_the_session_lives_as_the_site_wants(ann, client):
    sign_in(client)
    prove(client)
    assert lifetime(client) == 1_209_600
    assert "_session_expiry" not in client.session


@pytest.mark.parametrize("engine", [engine for engine in ENGINES if engine != "signed_cookies"])
def test_what_comes_late_by_the_replaced_session_leaves_the_new_one_s_cookie(ann, client, settings, tmp_path, engine):
    """Scripts that ask while the sign-in is completed: Django's answer would delete the cookie by its name."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    sign_in(client)
    sent = dict(client.cookies)
    prove(client)
    unknown = "3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2"
    for path in ("/account/", "/verify/", "/verify/challenge/", f"/verify/push/{unknown}/status/"):
        late = Client()
        late.cookies.update(sent)
        answer = late.get(path)
        assert answer.status_code in (302, 404) and "sessionid" not in answer.cookies, path
    assert client.get("/account/").status_code == 200


def test_the_cookie_of_a_session_that_ended_goes_as_ever(ann, client):
    sign_in(client)
    late = copied(client)  # a browser in which no sign-in was waiting, as far as its cookies tell
    assert client.post("/verify/challenge/cancel/").cookies["sessionid"]["max-age"] == 0
    assert late.get("/account/").cookies["sessionid"]["max-age"] == 0
    sign_in(client)
    assert client.post("/logout/").cookies["sessionid"]["max-age"] == 0


def remembering(client: Client, when: str, seconds: int) -> None:
    client.post("/remember/", {"username": "ann", "password": PASSWORD, when: seconds})


@pytest.mark.parametrize("when", ["before", "after"])
def test_remember_me_holds_from_the_factor_on(ann, client, when):
    remembering(client, when, MONTH)
    assert lifetime(client) == HALF_AN_HOUR
    client.get("/account/")
    prove(client)
    assert lifetime(client) == MONTH
    assert client.session.get_expiry_age() == MONTH
    with later(20 * 86_400):
        assert client.get("/account/").content == b"account of ann"


@pytest.mark.parametrize("when", ["before", "after"])
def test_not_to_be_remembered_holds_all_along(ann, client, when):
    remembering(client, when, 0)
    assert lifetime(client) == ""
    prove(client)
    assert lifetime(client) == ""
    assert client.session.get_expire_at_browser_close()


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_short_lifetime_is_left_alone(ann, client, when):
    remembering(client, when, 600)
    assert lifetime(client) == 600
    prove(client)
    assert lifetime(client) == 600


def test_a_second_try_with_another_choice_is_the_one_that_holds(ann, client):
    remembering(client, "before", MONTH)
    fresh = copied(client)  # without the hint, the login page is open
    remembering(fresh, "before", 2 * MONTH)
    assert lifetime(fresh) == HALF_AN_HOUR
    prove(fresh)
    assert lifetime(fresh) == 2 * MONTH


def test_a_moment_as_lifetime_comes_back_too(ann, client):
    session = client.session
    session.set_expiry(datetime(2036, 1, 1, tzinfo=timezone.get_current_timezone()))
    session.save()
    client.cookies["sessionid"] = session.session_key
    sign_in(client)
    assert lifetime(client) == HALF_AN_HOUR
    prove(client)
    assert client.session.get_expiry_date().year == 2036


def test_a_basket_is_not_lost_because_somebody_forgot_the_phone(ann, client):
    client.get("/set-cart/")
    remembering(client, "before", MONTH)
    assert lifetime(client) == 1_209_600  # as the visitor's was; not the month that the password alone asked for
    with later(HALF_AN_HOUR + 5):
        assert client.get("/verify/challenge/")["Location"].startswith("/login/")
        assert client.session["cart"] == [1]
        assert "_twilio_verify_pending" not in client.session


def test_giving_up_gives_the_lifetime_back(ann, client):
    client.get("/set-cart/")
    remembering(client, "before", MONTH)
    with later(HALF_AN_HOUR + 5):
        client.get("/verify/challenge/")
        assert client.session.get_expiry_age() == MONTH


def test_the_key_and_the_csrf_token_change_when_the_factor_passes(ann, client):
    sign_in(client)
    client.get("/verify/challenge/")
    key, token = client.session.session_key, client.cookies["csrftoken"].value
    prove(client)
    assert client.session.session_key != key
    assert client.cookies["csrftoken"].value != token
    assert not Session.objects.filter(session_key=key).exists()


# ---- Every engine, and what a copied cookie can do.


@pytest.mark.parametrize("engine", ENGINES)
def test_every_session_engine(ann, settings, tmp_path, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.SESSION_FILE_PATH = str(tmp_path)
    browser = Client()
    sign_in(browser)
    stolen = copied(browser)
    assert copied(browser).get("/whoami/").json() == {"user": ""}
    prove(browser, "/account/")
    assert browser.get("/account/").content == b"account of ann"
    # The cookie of the sign-in that waited, kept by somebody else, is worth what it was worth: a password.
    assert stolen.get("/whoami/").json() == {"user": ""}
    assert b"account of" not in stolen.get("/account/").content
    browser.post("/logout/")
    assert browser.get("/whoami/").json() == {"user": ""}


def test_a_signed_cookie_that_waited_cannot_use_the_owners_proof(ann, settings):
    """The cookie is the session, so an old one can be played back, with the secret that started the code in it."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    browser = Client()
    sign_in(browser)
    page = code_path(browser.post("/verify/challenge/"))
    stolen = copied(browser)
    code = last_code()
    assert browser.post(page, {"code": code})["Location"] == "/account/"
    answer = stolen.post(page, {"code": code})
    assert copied(stolen).get("/whoami/").json() == {"user": ""}
    assert answer.status_code in (302, 404)
    assert stolen.get(page).status_code in (302, 404)
    assert stolen.get("/account/")["Location"].startswith(("/verify/challenge/", "/login/"))
    with later(HALF_AN_HOUR + 5):
        assert stolen.get("/verify/challenge/")["Location"].startswith("/login/")


# ---- Other sign-ins in the same browser.


def test_another_person_who_owes_nothing_ends_a_sign_in_that_waits(ann, client):
    make_user("bob")
    sign_in(client)
    page = code_path(client.post("/verify/challenge/"))
    other = copied(client)
    sign_in(other, "bob")
    assert other.get("/account/").content == b"account of bob"
    assert b"user: True" in other.get("/exempt/").content
    assert other.post(page, {"code": last_code()}).status_code == 404
    assert other.get("/verify/challenge/")["Location"] == "/account/"
    assert other.get("/account/").content == b"account of bob"


def test_another_person_who_owes_a_factor_takes_its_place(ann, client):
    make_factor(make_user("bob"), "+15017122663")
    sign_in(client)
    other = copied(client)
    sign_in(other, "bob")
    assert b"bob" in other.get("/verify/challenge/").content
    prove(other)
    assert other.get("/whoami/").json() == {"user": "bob"}


@pytest.mark.parametrize("engine", ["db", "cache", "signed_cookies"])
@pytest.mark.parametrize("owes", [False, True])
def test_another_person_gets_nothing_of_what_the_session_held(client, settings, engine, owes):
    """Django empties the session of somebody who is signed in; here that person's sign-in waits meanwhile."""
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    settings.TWILIO_VERIFY_EXEMPT_URLS = ["/remember/"]
    ann, bob = make_user("ann"), make_user("bob")
    sign_in(client)
    client.post("/set-cart/", {"cart": "of ann"})
    make_factor(ann)  # elsewhere
    assert client.get("/verify/recovery-codes/")["Location"].startswith("/verify/challenge/")  # waits from now on
    if owes:
        make_factor(bob, "+15017122663")
    client.post("/remember/", {"username": "bob", "password": PASSWORD, "after": "7200"})
    if owes:
        prove(client)
    assert client.get("/whoami/").json() == {"user": "bob"}
    assert "cart" not in client.session
    assert client.session.get_expiry_age() == 7200


def test_what_is_noted_at_the_sign_in_of_another_person_stays(ann, client, monkeypatch):
    """By a receiver of ``user_logged_in`` that stands before ours."""
    make_user("bob")
    sign_in(client)
    other = copied(client)

    def note(request: Any, user: Any, **kwargs: Any) -> None:
        request.session["tenant"] = user.get_username()

    receivers = user_logged_in.receivers
    monkeypatch.setattr(user_logged_in, "receivers", [])
    user_logged_in.connect(note)
    user_logged_in.receivers += receivers
    sign_in(other, "bob")
    assert other.session["tenant"] == "bob"
    assert other.get("/whoami/").json() == {"user": "bob"}


def test_another_person_while_somebody_is_through_begins_anew(ann, client):
    make_factor(make_user("bob"), "+15017122663")
    sign_in(client)
    prove(client)
    sign_in(client, "bob")
    assert copied(client).get("/whoami/").json() == {"user": ""}
    prove(client)
    assert client.get("/whoami/").json() == {"user": "bob"}


def test_back_to_the_first_person_the_factor_is_owed_anew(ann, client):
    make_user("bob")
    sign_in(client)
    prove(client)
    sign_in(client, "bob")
    assert client.get("/whoami/").json() == {"user": "bob"}
    sign_in(client, "ann")
    assert copied(client).get("/whoami/").json() == {"user": ""}


def test_signing_out_ends_it_and_keeps_nothing(ann, client):
    sign_in(client)
    client.post("/logout/")
    assert "_twilio_verify_pending" not in client.session
    assert client.get("/verify/challenge/")["Location"].startswith("/login/")


# ---- Passwords.


def reset(client: Client, user: Any) -> Any:
    user.refresh_from_db()  # the link dies with the next sign-in
    uid = urlsafe_base64_encode(force_bytes(user.pk))
    form = client.get(f"/reset/{uid}/{default_token_generator.make_token(user)}/")
    return client.post(form["Location"], {"new_password1": "a new one 77", "new_password2": "a new one 77"})


def test_a_password_reset_that_signs_in_leads_to_the_challenge(ann, client):
    assert reset(client, ann)["Location"] == "/account/"
    assert copied(client).get("/whoami/").json() == {"user": ""}
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")
    prove(client)
    assert client.get("/account/").content == b"account of ann"


def test_a_reset_elsewhere_ends_a_sign_in_that_waits(ann, client):
    sign_in(client)
    page = code_path(client.post("/verify/challenge/"))
    reset(Client(), ann)
    # The proof would be of a sign-in that is over: it is not even judged.
    assert client.post(page, {"code": last_code()})["Location"] == "/login/"
    assert client.get("/account/")["Location"].startswith("/login/")
    assert client.get("/verify/challenge/")["Location"].startswith("/login/")
    assert copied(client).get("/whoami/").json() == {"user": ""}


def test_a_password_changed_in_a_session_that_is_through_keeps_it_through_and_ends_others(ann, client):
    waiting = Client()
    sign_in(waiting)
    sign_in(client)
    prove(client)
    assert client.get("/change-password/").content == b"changed"
    assert client.get("/account/").content == b"account of ann"
    assert client.get("/fresh/").json() == {"verified": True, "fresh": True}
    assert waiting.get("/verify/challenge/")["Location"].startswith("/login/")


# ---- Django's own guards.


def test_a_login_page_that_sends_people_on_makes_no_circle(ann, client):
    client.post("/shy-login/?next=/room/", {"username": "ann", "password": PASSWORD})
    seen = copied(client).get("/shy-login/?next=/room/")
    assert seen.status_code == 200  # nobody is signed in, so the form it is
    page = client.get("/shy-login/?next=/room/", follow=True)
    assert page.redirect_chain[-1][0].startswith("/verify/challenge/")
    assert len(page.redirect_chain) == 1
    prove(client, "/room/")
    assert client.get("/shy-login/?next=/room/")["Location"] == "/room/"


@pytest.mark.parametrize("path", ["/room/", "/safe/", "/account/"])
def test_guards_of_views_lead_to_the_challenge_and_back(ann, client, path):
    ann.user_permissions.add(all_permissions().get(codename="view_user"))
    client.post("/token-login/", {"username": "ann", "password": PASSWORD})
    answer = copied(client).get(path)
    assert answer["Location"].startswith("/verify/challenge/")
    assert prove(client, path) == path
    assert client.get(path).status_code == 200


def test_a_permission_that_is_missing_is_a_403_for_who_is_through(ann, client):
    sign_in(client)
    prove(client)
    assert client.get("/safe/").status_code == 403


@pytest.fixture
def everything_needs_a_login(settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]


def test_djangos_middleware_for_every_view(ann, client, everything_needs_a_login):
    sign_in(client)
    page = client.get("/public/?x=1", follow=True)
    assert [url for url, _ in page.redirect_chain] == ["/verify/challenge/?next=%2Fpublic%2F%3Fx%3D1"]
    assert prove(client, "/public/") == "/public/"
    assert client.get("/public/").content == b"public"


def test_its_refusal_without_the_hint_leads_to_the_challenge_too(ann, client, everything_needs_a_login):
    sign_in(client)
    answer = copied(client).get("/public/")
    assert answer["Location"] == "/verify/challenge/?next=%2Fpublic%2F"


@pytest.mark.parametrize(
    ("path", "said"), [("/hall/", b"hall"), ("/annex/", b"hall"), ("/porch/", b"porch"), ("/garden/", b"garden")]
)
def test_marks_on_classes_methods_and_async_views_hold(ann, client, path, said):
    sign_in(client)
    client.get("/account/")
    assert client.get(path).content == said


@pytest.mark.parametrize(
    ("entries", "open_paths"),
    [
        ([], set()),
        (["help:start"], {"/help/start/"}),
        (["start"], {"/help/start/"}),
        (["/help/"], {"/help/start/", "/help/7/", "/help/old-7/"}),
        (["/help"], {"/help/start/", "/help/7/", "/help/old-7/"}),
        (["/help/start"], {"/help/start/"}),
        (["/help/old-", "/help-", "/hel", "/help/7", "/help/old-7/"], set()),
        (["desk", "other:start"], {"/help-desk/"}),
        (["HELP:start", "help:", ":start", "/HELP/"], set()),
    ],
)
def test_the_setting_takes_names_namespaces_and_prefixes(ann, client, settings, entries, open_paths):
    settings.TWILIO_VERIFY_EXEMPT_URLS = entries
    sign_in(client)
    client.get("/account/")
    paths = ["/help/start/", "/help/7/", "/help/old-7/", "/help-desk/", "/public/"]
    assert {path for path in paths if client.get(path).status_code == 200} == open_paths


def test_a_site_in_one_transaction_a_request(ann, client, monkeypatch):
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", True)
    sign_in(client)
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")
    prove(client)
    assert client.get("/account/").content == b"account of ann"
    assert len(outbox) == 1
