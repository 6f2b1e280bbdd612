"""No factor, no session: whichever door the password came in by."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY, alogin, get_user
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest
from django.test import AsyncClient, Client, RequestFactory
from django.utils import timezone

from django_twilio_verify.middleware import HINT, TwoFactorMiddleware
from django_twilio_verify.testing import outbox
from tests.support.basics import PASSWORD, code_path, last_code, make_factor, make_user, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann():
    user = make_user("ann", is_staff=True, is_superuser=True)
    make_factor(user)
    return user


def by_site_login(client: Client, user) -> None:
    assert sign_in(client).status_code == 302


def by_admin_login(client: Client, user) -> None:
    assert sign_in(client, url="/admin/login/?next=/admin/").status_code == 302


def by_bare_login(client: Client, user) -> None:
    response = client.post("/bare-login/", {"username": "ann"})
    assert response.content == b"after login: False"  # the very request that signed her in sees nobody


def by_force_login(client: Client, user) -> None:
    client.force_login(user)


def by_quiet_login(client: Client, user) -> None:
    client.post("/quiet-login/", {"username": "ann"})


DOORS = [by_site_login, by_admin_login, by_bare_login, by_force_login, by_quiet_login]


@pytest.fixture(params=DOORS, ids=lambda door: door.__name__)
def pending(request, ann, client):
    """A browser whose password was accepted, through each of the doors."""
    request.param(client, ann)
    return client


def is_nobody(browser: Client) -> bool:
    """Whether the site's code sees an anonymous user, or is not reached at all."""
    response = browser.get("/whoami/")
    return response.status_code == 302 or response.json() == {"user": ""}


def pass_factor(client: Client, next_url: str = "") -> None:
    sent = client.post(f"/verify/challenge/?next={next_url}" if next_url else "/verify/challenge/")
    done = client.post(code_path(sent), {"code": last_code()})
    assert done.status_code == 302, done.content


def test_the_sites_code_sees_nobody(pending):
    for path in ("/whoami/", "/awhoami/"):
        fresh = Client()
        fresh.cookies["sessionid"] = pending.cookies["sessionid"].value
        assert fresh.get(path).json() == {"user": ""}, path
    fresh = Client()
    fresh.cookies["sessionid"] = pending.cookies["sessionid"].value
    assert b"user: False, perms: False" in fresh.get("/context/").content


def test_the_async_stack_sees_nobody(pending):
    browser = AsyncClient()
    browser.cookies["sessionid"] = pending.cookies["sessionid"].value
    assert async_to_sync(browser.get)("/awhoami/").json() == {"user": ""}
    assert async_to_sync(browser.get)("/whoami/").status_code in (200, 302)


def test_login_required_leads_to_the_challenge_and_back(pending):
    response = pending.get("/account/?tab=2")
    assert response.status_code == 302
    assert response["Location"] == "/verify/challenge/?next=%2Faccount%2F%3Ftab%3D2"
    pass_factor(pending, "/account/")
    assert pending.get("/account/").content == b"account of ann"
    assert pending.get("/whoami/").json() == {"user": "ann"}


def test_the_admin_leads_to_the_challenge_and_opens_after_it(pending):
    response = pending.get("/admin/", follow=True)
    assert response.redirect_chain[-1][0] == "/verify/challenge/?next=%2Fadmin%2F"
    pass_factor(pending)
    assert pending.get("/admin/").status_code == 200


def test_once_it_is_pending_every_page_leads_to_the_challenge(ann, client):
    sign_in(client)
    client.get("/account/")  # gives the browser the hint
    for path in ("/public/", "/whoami/", "/login/", "/admin/", "/nowhere/"):
        assert client.get(path)["Location"].startswith("/verify/challenge/"), path
    assert client.post("/set-cart/")["Location"] == "/verify/challenge/"


def test_a_program_gets_401_with_a_code_and_an_address(ann, client):
    sign_in(client)
    client.get("/account/")
    for headers in ({"Accept": "application/json"}, {"X-Requested-With": "XMLHttpRequest"}):
        response = client.get("/account/", headers=headers)
        assert response.status_code == 401
        body = response.json()
        assert (body["code"], body["url"]) == ("second_factor_required", "/verify/challenge/?next=%2Faccount%2F")
    response = client.post("/account/", {}, content_type="application/json")
    assert response.status_code == 401


def test_a_refusal_of_the_sites_becomes_the_way_to_the_challenge(ann, client):
    client.force_login(ann)
    assert client.get("/forbidden/")["Location"] == "/verify/challenge/?next=%2Fforbidden%2F"


def test_what_reads_the_session_itself_finds_nobody_either(pending):
    pending.get("/account/")
    assert SESSION_KEY not in pending.session
    request = HttpRequest()
    request.session = pending.session
    assert get_user(request) == AnonymousUser()


def test_without_the_middleware_a_pending_session_is_nobody_still(ann, client, settings):
    settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if "TwoFactor" not in one]
    sign_in(client)
    assert client.get("/whoami/").json() == {"user": ""}


def test_an_exempt_view_is_open_and_tells_who_waits(pending):
    assert pending.get("/exempt/").content == b"waiting: ann, user: False"


def test_signing_out_is_always_possible(pending):
    pending.get("/account/")
    assert pending.post("/logout/").status_code in (200, 302)
    assert pending.get("/account/")["Location"].startswith("/login/")


def test_giving_up_ends_the_session(pending):
    assert pending.post("/verify/challenge/cancel/")["Location"] == "/login/"
    assert pending.get("/verify/challenge/")["Location"].startswith("/login/")
    assert pending.get("/verify/challenge/cancel/").status_code == 405


def test_passing_gives_the_session_a_new_key_and_drops_the_hint(ann, client):
    sign_in(client)
    client.get("/account/")
    before = client.session.session_key
    assert client.cookies[HINT].value == "1"
    pass_factor(client)
    assert client.session.session_key != before
    client.get("/account/")
    assert client.cookies[HINT].value == ""
    stolen = Client()
    stolen.cookies["sessionid"] = before
    assert stolen.get("/whoami/").json() == {"user": ""}


def test_a_person_without_a_factor_signs_in_as_before(client):
    make_user("bob")
    sign_in(client, "bob")
    assert client.get("/account/").content == b"account of bob"
    assert HINT not in client.cookies


def policy_for_bob(user, request):
    return user.get_username() == "bob"


@pytest.mark.parametrize(
    ("policy", "owing"),
    [
        ("enrolled", set()),
        ("staff", {"staff"}),
        ("everyone", {"bob", "staff"}),
        (policy_for_bob, {"bob"}),
        ("tests.login.test_middleware.policy_for_bob", {"bob"}),
    ],
)
def test_the_policy_decides_who_without_a_factor_must_enroll(settings, policy, owing):
    settings.TWILIO_VERIFY_REQUIRED_FOR = policy
    make_user("bob")
    make_user("staff", is_staff=True)
    for name in ("bob", "staff"):
        browser = Client()
        sign_in(browser, name)
        response = browser.get("/account/", follow=True)
        assert (b"account of" not in response.content) == (name in owing)
        if name in owing:
            assert response.redirect_chain[-1][0].startswith("/verify/enroll/")


def test_whoever_has_a_factor_owes_it_under_every_policy(ann, settings):
    make_factor(make_user("bob"))
    for policy in ("enrolled", "staff", lambda user, request: False):
        settings.TWILIO_VERIFY_REQUIRED_FOR = policy
        browser = Client()
        sign_in(browser, "bob")
        assert is_nobody(browser)


def test_a_changed_password_ends_a_sign_in_that_waits(pending, ann):
    pending.get("/account/")
    ann.set_password("another")
    ann.save()
    assert pending.get("/verify/challenge/")["Location"].startswith("/login/")


def test_a_deleted_account_ends_a_sign_in_that_waits(pending, ann):
    pending.get("/account/")
    ann.delete()
    assert pending.get("/verify/challenge/")["Location"].startswith("/login/")


def test_a_sign_in_waits_for_half_an_hour(ann, client):
    sign_in(client)
    client.get("/account/")
    with time_machine.travel(timezone.now() + timedelta(minutes=29), tick=False):
        assert client.get("/verify/challenge/").status_code == 200
    with time_machine.travel(timezone.now() + timedelta(minutes=31), tick=False):
        assert client.get("/verify/challenge/")["Location"].startswith("/login/")


def test_another_person_in_the_same_browser_does_not_inherit_the_proof(ann, client):
    make_factor(make_user("bob"), "+15017122663")
    sign_in(client)
    pass_factor(client)
    assert client.get("/whoami/").json() == {"user": "ann"}
    client.post("/bare-login/", {"username": "bob"})
    assert client.get("/whoami/", headers={"Accept": "application/json"}).json() != {"user": "bob"}


def test_a_code_for_one_person_does_not_sign_in_another_in_the_same_browser(ann, client):
    make_factor(make_user("bob"), "+15017122663")
    sign_in(client)
    page = code_path(client.post("/verify/challenge/"))
    code = last_code()
    client.post("/bare-login/", {"username": "bob"})
    second = Client()
    second.cookies["sessionid"] = client.cookies["sessionid"].value
    second.post("/bare-login/", {"username": "bob"})
    assert second.post(page, {"code": code}).status_code == 404
    assert is_nobody(second)


def test_the_same_person_typing_the_password_again_is_not_asked_twice(ann, client):
    sign_in(client)
    pass_factor(client)
    client.post("/bare-login/", {"username": "ann"})
    assert client.get("/whoami/").json() == {"user": "ann"}


def test_what_the_visitor_had_in_the_session_is_kept(ann, client):
    client.get("/set-cart/")
    sign_in(client)
    pass_factor(client)
    assert client.session["cart"] == [1]


@pytest.mark.parametrize("hinted", [True, False])
def test_a_forged_or_stale_hint_changes_nothing(client, hinted):
    make_user("bob")
    sign_in(client, "bob")
    if hinted:
        client.cookies[HINT] = "1"
    assert client.get("/account/").content == b"account of bob"
    assert not hinted or client.cookies[HINT].value == ""


def test_an_asynchronous_login_waits_as_well(ann):
    browser = Client()
    request = RequestFactory().get("/")
    request.session = browser.session
    request.user = AnonymousUser()
    async_to_sync(alogin)(request, ann, backend="django.contrib.auth.backends.ModelBackend")
    assert SESSION_KEY not in request.session
    assert not request.user.is_authenticated
    assert not async_to_sync(request.auser)().is_authenticated


def test_a_user_who_did_not_come_by_the_session_is_left_alone(ann, client):
    """A token, a client certificate: other middlewares may set request.user, and that is theirs to guard."""

    def token_authentication(request):
        request.user = ann
        return TwoFactorMiddleware(lambda request: request.user)(request)

    request = RequestFactory().get("/")
    request.COOKIES["sessionid"] = "x"
    request.session = client.session
    assert token_authentication(request) == ann


def test_nothing_is_sent_by_looking(pending):
    for path in ("/account/", "/verify/challenge/", "/verify/challenge/", "/verify/challenge/recovery/"):
        pending.get(path)
    assert outbox == []


def test_the_password_alone_is_worth_nothing_at_our_own_pages(ann, client):
    sign_in(client)
    for path in ("/verify/", "/verify/enroll/", "/verify/enroll/sms/"):
        assert client.get(path)["Location"].startswith("/verify/challenge/"), path
    answer = client.post("/verify/enroll/sms/", {"number": "+15017122699", "consent": "on"})
    assert answer["Location"].startswith("/verify/challenge/")
    assert client.post("/verify/recovery-codes/")["Location"].startswith("/verify/challenge/")
    assert outbox == []


def test_a_session_that_never_passed_must_pass_before_it_changes_factors(client):
    bob = make_user("bob")
    sign_in(client, "bob")
    make_factor(bob)  # enrolled meanwhile, in another browser
    assert client.get("/account/").content == b"account of bob"  # decided once, at login
    assert client.get("/verify/enroll/sms/")["Location"] == "/verify/challenge/?next=%2Fverify%2Fenroll%2Fsms%2F"
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")


@pytest.mark.parametrize(
    "forged",
    [
        "https://evil.example/",
        "//evil.example/",
        "///evil.example",
        "http:evil.example",
        "javascript:alert(1)",
        "\\\\evil.example",
        "/\\evil.example",
        "https:///evil.example",
        "%2F%2Fevil.example" * 0 + "//evil.example%2F@testserver",
        "ftp://testserver/",
        "http://testserver.evil.example/",
    ],
)
def test_next_never_leads_off_the_site(ann, client, forged):
    sign_in(client)
    sent = client.post("/verify/challenge/", {"next": forged})
    assert "evil" not in sent["Location"]
    done = client.post(code_path(sent), {"code": last_code(), "next": forged})
    assert done["Location"] == "/account/"


def test_next_is_kept_all_the_way(ann, client):
    client.post("/login/?next=/context/", {"username": "ann", "password": PASSWORD})
    page = client.get("/context/")
    assert page["Location"] == "/verify/challenge/?next=%2Fcontext%2F"
    sent = client.post(page["Location"], {"next": "/context/"})
    assert sent["Location"].endswith("?next=%2Fcontext%2F")
    assert client.post(sent["Location"], {"code": last_code()})["Location"] == "/context/"


def test_djangos_login_required_middleware_makes_no_circle(ann, client, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.contrib.auth.middleware.LoginRequiredMiddleware"]
    client.force_login(ann)
    page = client.get("/public/", follow=True)
    assert page.redirect_chain[-1][0].startswith("/verify/challenge/")
    assert page.status_code == 200
    pass_factor(client)
    assert client.get("/public/").content == b"public"
    visitor = Client()
    assert visitor.get("/verify/enroll/")["Location"].startswith("/login/")


def test_a_proxys_sign_in_at_every_request_keeps_what_was_started(ann, client, settings):
    """RemoteUserMiddleware calls login() whenever it finds nobody, which is at every request of a person who waits."""
    settings.AUTHENTICATION_BACKENDS = ["django.contrib.auth.backends.RemoteUserBackend"]
    middleware = list(settings.MIDDLEWARE)
    middleware.insert(
        middleware.index("django.contrib.auth.middleware.AuthenticationMiddleware") + 1,
        "django.contrib.auth.middleware.RemoteUserMiddleware",
    )
    settings.MIDDLEWARE = middleware
    browser = Client(REMOTE_USER="ann")
    assert browser.get("/whoami/").json() == {"user": ""}
    sent = browser.post("/verify/challenge/")
    assert browser.post(code_path(sent), {"code": last_code()})["Location"] == "/account/"
    assert browser.get("/account/").content == b"account of ann"
