"""Trusted browsers: opted in to, excused at sign-in, and an end to it."""

from __future__ import annotations

import hashlib
import re
from datetime import timedelta
from http.cookies import SimpleCookie

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import make_password
from django.core import mail
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_twilio_verify.conf import fingerprint
from django_twilio_verify.core.browser_names import browser_name
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.login import trusted_browsers
from django_twilio_verify.login.trust_cookie import COOKIE, KEPT
from django_twilio_verify.models import Factor, TrustedBrowser, Verification
from django_twilio_verify.signals import browser_trusted, browsers_revoked
from django_twilio_verify.testing import outbox
from tests.support.basics import (
    OTHER_PHONE,
    PASSWORD,
    agree,
    code_path,
    last_code,
    make_client,
    make_factor,
    make_secret,
    make_user,
    race,
    sign_in,
    wrong_code,
)
from tests.support.pages import text

pytestmark = pytest.mark.django_db

FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"


@pytest.fixture(autouse=True)
def trusting(settings):
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30


@pytest.fixture
def ann():
    user = make_user(email="ann@example.org")
    make_factor(user)
    return user


@pytest.fixture
def browser():
    return Client(headers={"User-Agent": FIREFOX}, REMOTE_ADDR="203.0.113.9")


def pass_factor(browser: Client, **values: str):
    page = code_path(browser.post("/verify/challenge/"))
    return browser.post(page, {"code": last_code(), **values})


def trusted(browser: Client, username: str = "ann") -> Client:
    """``browser``, signed in, trusted, and signed out again."""
    sign_in(browser, username)
    assert pass_factor(browser, trust="yes").status_code == 302
    browser.post("/logout/")
    return browser


def is_in(browser: Client, username: str = "ann") -> bool:
    """Whether the password alone lets ``username`` in."""
    sign_in(browser, username)
    return browser.get("/whoami/", headers={"Accept": "application/json"}).json() == {"user": username}


def other(browser: Client) -> Client:
    """A browser into which the cookie was copied, and nothing else."""
    copied = Client()
    copied.cookies[COOKIE] = browser.cookies[COOKIE].value
    return copied


def test_a_trusted_browser_is_not_asked_again(ann, browser):
    assert not is_in(browser)
    browser.post("/logout/")
    trusted(browser)
    sent = len(outbox)
    assert is_in(browser)
    assert len(outbox) == sent
    assert not is_in(Client())


def test_the_cookie_is_random_hashed_at_rest_and_for_this_host_only(ann, browser, settings):
    settings.SESSION_COOKIE_DOMAIN = ".testserver"
    settings.SESSION_COOKIE_PATH = "/"
    sign_in(browser)
    cookie = pass_factor(browser, trust="yes").cookies[COOKIE]
    assert re.fullmatch(r"[\w-]{43}", cookie.value)
    assert (cookie["httponly"], cookie["samesite"], cookie["path"], cookie["domain"]) == (True, "Lax", "/", "")
    assert 30 * 86_400 - 5 <= cookie["max-age"] <= 30 * 86_400
    row = TrustedBrowser.objects.get()
    assert row.token_digest == hashlib.sha256(cookie.value.encode()).hexdigest()
    assert cookie.value not in str(vars(row)) and cookie.value not in repr(trusted_browsers.Trusted(row, cookie.value))


@pytest.mark.parametrize("by", ["setting", "request"])
def test_the_cookie_is_secure_where_the_session_is(ann, browser, settings, by):
    settings.SESSION_COOKIE_SECURE = by == "setting"
    if by == "request":
        settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
        browser.defaults["HTTP_X_FORWARDED_PROTO"] = "https"
    sign_in(browser)
    assert pass_factor(browser, trust="yes").cookies[COOKIE]["secure"] is True


def test_it_is_opted_in_to_by_the_site_and_by_the_person(ann, browser, settings):
    sign_in(browser)
    page = code_path(browser.post("/verify/challenge/"))
    assert "Do not ask again on this browser for 30 days" in text(browser.get(page))
    assert "checked" not in re.search(r'<input type="checkbox"[^>]*>', browser.get(page).content.decode()).group()
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 0
    assert "Do not ask again" not in text(browser.get(page))
    # A box that the site did not show is not ticked either.
    assert COOKIE not in browser.post(page, {"code": last_code(), "trust": "yes"}).cookies
    browser.post("/logout/")
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 1
    sign_in(browser)
    assert COOKIE not in pass_factor(browser, trust="no").cookies
    assert not TrustedBrowser.objects.exists() and mail.outbox == []


def test_the_wish_is_kept_on_the_way_and_can_be_taken_back(ann, browser):
    sign_in(browser)
    page = code_path(browser.post("/verify/challenge/", {"trust": "yes"}))
    ticked = 'aria-describedby="tv-trust_hint" checked'
    assert ticked in browser.get(page).content.decode()
    assert ticked not in browser.post(page, {"code": wrong_code(), "trust": "no"}).content.decode()
    assert ticked in browser.post(page, {"code": wrong_code(), "trust": "yes"}).content.decode()
    assert COOKIE not in browser.post(page, {"code": last_code(), "trust": "no"}).cookies


def test_a_wish_of_the_page_before_is_enough(ann, browser):
    sign_in(browser)
    page = code_path(browser.post("/verify/challenge/", {"trust": "yes"}))
    assert COOKIE in browser.post(page, {"code": last_code()}).cookies


def test_the_wish_of_one_person_is_not_the_next_ones(ann, browser):
    make_factor(make_user("bob"), OTHER_PHONE)
    sign_in(browser)
    browser.post("/verify/challenge/", {"trust": "yes"})
    browser.post("/bare-login/", {"username": "bob"})
    browser.cookies.pop("twilio_verify_pending", None)
    browser.post("/bare-login/", {"username": "bob"})
    assert COOKIE not in pass_factor(browser).cookies


def test_a_recovery_code_trusts_no_browser(ann, browser):
    codes = recovery_codes.issue(ann)
    sign_in(browser)
    browser.post("/verify/challenge/", {"trust": "yes"})
    assert "Do not ask again" not in text(browser.get("/verify/challenge/recovery/"))
    done = browser.post("/verify/challenge/recovery/", {"code": codes[0], "trust": "yes"})
    assert done["Location"] == "/account/" and COOKIE not in done.cookies
    assert not TrustedBrowser.objects.exists()


def test_the_person_is_told(ann, browser):
    heard = []

    def receiver(sender, browser, user, **kwargs):
        heard.append((browser.browser, user))

    browser_trusted.connect(receiver)
    try:
        trusted(browser)
    finally:
        browser_trusted.disconnect(receiver)
    assert heard == [("Firefox on Linux", ann)]
    letter = mail.outbox[0]
    assert (letter.to, letter.subject) == (["ann@example.org"], "Acme: a browser that you trust")
    lines = ("Hello ann,", "Browser: Firefox on Linux", "Address: 203.0.113.9", "Until:", "Help: help@acme.example")
    assert [line for line in lines if line not in letter.body] == []
    assert browser.cookies[COOKIE].value not in letter.body
    browser.post("/login/", {"username": "ann", "password": PASSWORD})
    assert len(mail.outbox) == 1


def test_a_mail_server_that_is_down_keeps_nobody_out(ann, browser, monkeypatch, caplog):
    def refuse(*args):
        raise ConnectionRefusedError

    monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", refuse)
    trusted(browser)
    assert is_in(browser)
    assert "A notice could not be mailed: notice=browser_trusted" in caplog.text


def test_excused_is_not_verified(ann, browser):
    assert is_in(trusted(browser))
    request = browser.get("/account/").wsgi_request
    assert request.twilio_verify.is_trusted_browser and not request.twilio_verify.is_verified
    assert not request.twilio_verify.is_fresh() and request.twilio_verify.verified_at is None
    assert not request.twilio_verify.is_pending


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("get", "/verify/"),
        ("get", "/verify/enroll/"),
        ("get", "/verify/enroll/sms/"),
        ("post", "/verify/enroll/sms/"),
        ("get", "/verify/recovery-codes/"),
        ("get", "/verify/browsers/"),
    ],
)
def test_the_pages_of_the_factors_ask_an_excused_person_all_the_same(ann, browser, method, path):
    assert is_in(trusted(browser))
    answer = getattr(browser, method)(path)
    assert answer["Location"].startswith(("/verify/challenge/", "/verify/step-up/")), path
    assert browser.get("/account/").content == b"account of ann", "the rest of the site goes on"
    # SECURITY: and asking has proved nothing yet.
    assert not browser.get("/account/").wsgi_request.twilio_verify.is_verified
    assert getattr(browser, method)(path).status_code == 302
    wanted = answer["Location"]
    page = browser.post(wanted)["Location"]
    assert not browser.post(page, {"code": wrong_code()}).wsgi_request.twilio_verify.is_verified
    done = browser.post(page, {"code": last_code()})
    assert done["Location"] == (path if method == "get" else "/verify/browsers/" if "browsers" in path else path)
    assert browser.get("/verify/").status_code == 200
    assert browser.get("/account/").wsgi_request.twilio_verify.is_verified


def test_the_list_of_factors_leads_to_the_browsers(ann, browser, settings):
    link = 'href="/verify/browsers/"'
    trusted(browser)
    sign_in(browser)
    browser.post(browser.post("/verify/step-up/")["Location"], {"code": last_code()})
    assert link in browser.get("/verify/").content.decode()
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 0
    assert link in browser.get("/verify/").content.decode(), "there is still one to end"
    trusted_browsers.revoke_all(ann)
    assert link not in browser.get("/verify/").content.decode()


def test_a_copied_cookie_needs_the_password_and_is_of_no_use_for_another_account(ann, browser):
    make_factor(make_user("eve"), OTHER_PHONE)
    trusted(browser)
    stolen = other(browser)
    assert stolen.get("/whoami/").json() == {"user": ""}
    assert not is_in(stolen, "eve")


def test_one_browser_serves_several_people_by_one_cookie(ann, browser):
    bob = make_user("bob")
    make_factor(bob, OTHER_PHONE)
    trusted(browser)
    trusted(browser, "bob")
    assert browser.cookies[COOKIE].value.count(".") == 1
    for name in ("ann", "bob"):
        assert is_in(browser, name)
        browser.post("/logout/")
    trusted_browsers.revoke_all(bob)
    assert not is_in(browser, "bob")
    browser.post("/logout/")
    assert is_in(browser)


def test_the_cookie_stays_small(browser):
    for number in range(KEPT + 2):
        user = make_user(f"user{number}")
        make_factor(user, f"+150177{number:05}")
        browser.cookies.pop("sessionid", None)
        browser.cookies.pop("twilio_verify_pending", None)
        browser.force_login(user)
        pass_factor(browser, trust="yes")
    tokens = browser.cookies[COOKIE].value.split(".")
    assert len(tokens) == len(set(tokens)) == KEPT


def test_a_cookie_that_was_planted_is_never_adopted(ann, browser):
    """Whoever knows a value that ann's browser holds must not know the one that ann's trust makes."""
    planted = "A" * 43
    browser.cookies[COOKIE] = planted
    trusted(browser)
    assert planted not in browser.cookies[COOKIE].value
    attacker = Client()
    attacker.cookies[COOKIE] = planted
    assert not is_in(attacker)


def test_trusting_again_replaces_this_browsers_row(ann, browser):
    trusted(browser)
    first = TrustedBrowser.objects.get()
    trusted_browsers.revoke(ann, first.pk)
    trusted(browser)
    assert TrustedBrowser.objects.get().pk != first.pk


@pytest.mark.parametrize(
    "junk", ["", ".", "x", "a" * 43, "a" * 5000, "é" * 43, "'; DROP--", "a" * 43 + "\x00", ("b" * 43 + ".") * 9]
)
def test_junk_in_the_cookie_is_nothing(ann, browser, junk):
    browser.cookies = SimpleCookie()
    browser.cookies[COOKIE] = junk
    assert not is_in(browser)
    assert not Verification.objects.exists()


def change_password(user):
    user.set_password("another")
    user.save()
    user.set_password(PASSWORD)
    user.save()


def set_hash(user):
    user.password = make_password(PASSWORD)
    user.save(update_fields=["password"])


def set_anew(user):
    user.set_password(PASSWORD)
    user.save(update_fields=["password"])


def add_factor(user):
    make_factor(user, OTHER_PHONE)


def remove_factor(user):
    Factor.objects.filter(user=user).delete()
    make_factor(user)


def replace_number(user):
    # Both columns, as every writer of ours does: a factor is found by its key.
    Factor.objects.filter(user=user).update(recipient_value=OTHER_PHONE, key=fingerprint(Recipient.parse(OTHER_PHONE)))
    agree(OTHER_PHONE, user=user)


@pytest.mark.parametrize("change", [change_password, set_hash, set_anew, add_factor, remove_factor, replace_number])
def test_a_changed_password_or_factor_ends_all_trust_without_an_error(ann, browser, change):
    trusted(browser)
    change(ann)
    assert not is_in(browser)
    assert trusted_browsers.listed(ann) == []
    assert "Confirm that it is you" in text(browser.get("/verify/challenge/"))
    assert Verification.objects.filter(status="pending").count() == 0  # nothing counted, nothing failed
    assert pass_factor(browser).status_code == 302


def test_a_password_that_is_only_written_anew_ends_no_trust(ann, browser, settings):
    second = trusted(Client())
    trusted(browser)
    before = type(ann).objects.get().password
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    assert is_in(browser)
    assert type(ann).objects.get().password.startswith("scrypt$") and before.startswith("md5$")
    assert is_in(second)


def test_a_hash_that_is_set_while_another_is_preferred_still_ends_trust(ann, browser, settings):
    trusted(browser)
    settings.PASSWORD_HASHERS = [
        "django.contrib.auth.hashers.ScryptPasswordHasher",
        "django.contrib.auth.hashers.MD5PasswordHasher",
    ]
    set_hash(ann)
    assert not is_in(browser)
    fresh = Client()
    trusted(fresh)
    user = type(ann).objects.get()
    user.set_password(PASSWORD)
    user.save(update_fields=["password"])
    assert not is_in(fresh)


def test_rotated_keys_end_no_trust(ann, browser, settings):
    trusted(browser)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another-key"
    browser.cookies.pop("sessionid", None)
    assert is_in(browser)
    settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k2", make_secret("b"))]
    browser.post("/logout/")
    assert not is_in(browser)  # the key is gone: so is what was made with it


@pytest.mark.parametrize(("days", "expected"), [(29, True), (31, False)])
def test_it_ends_by_itself(ann, browser, days, expected):
    trusted(browser)
    with time_machine.travel(timezone.now() + timedelta(days=days), tick=False):
        assert is_in(other(browser)) is expected


def test_a_setting_that_is_lowered_holds_at_once(ann, browser, settings):
    trusted(browser)
    with time_machine.travel(timezone.now() + timedelta(days=8), tick=False):
        settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 7
        assert not is_in(other(browser))
        settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = "0"
        assert not is_in(other(browser))


def not_for_staff(user, request):
    return None if user.is_staff else 7


def test_the_site_may_decide_for_whom(ann, browser, settings):
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = "tests.views.test_trust.not_for_staff"
    sign_in(browser)
    page = code_path(browser.post("/verify/challenge/"))
    assert "for 7 days" in text(browser.get(page))
    browser.post(page, {"code": last_code(), "trust": "yes"})
    browser.post("/logout/")
    assert is_in(browser)
    browser.post("/logout/")
    type(ann).objects.update(is_staff=True)
    assert not is_in(browser)
    page = code_path(browser.post("/verify/challenge/"))
    assert "Do not ask again" not in text(browser.get(page))
    assert COOKIE not in browser.post(page, {"code": last_code(), "trust": "yes"}).cookies


def test_a_site_that_answers_with_something_else_than_days_is_told(ann, browser, settings):
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = lambda user, request: "a month"
    sign_in(browser)
    with pytest.raises(ImproperlyConfigured, match="must answer with days, not a str"):
        browser.get(code_path(browser.post("/verify/challenge/")))


def test_the_list_names_browser_place_last_use_and_end(ann, browser):
    trusted(browser)
    trusted(Client(headers={"User-Agent": "curl/8"}))
    sign_in(browser)
    asked = browser.post(browser.get("/verify/browsers/")["Location"])
    browser.post(asked["Location"], {"code": last_code()})
    page = browser.get("/verify/browsers/")
    shown = text(page)
    assert "Firefox on Linux This browser" in shown and "Unknown browser" in shown
    assert "from 203.0.113.9" in shown and "Trusted since" in shown
    assert shown.count("This browser") == 1
    assert page["Cache-Control"].startswith("no-store") or "no-store" in page["Cache-Control"]


def test_one_is_revoked_or_all(ann, browser):
    heard = []

    def receiver(sender, user, count, **kwargs):
        heard.append(count)

    second = trusted(Client())
    trusted(browser)
    eve = make_user("eve")
    make_factor(eve, OTHER_PHONE)
    theirs = trusted(Client(), "eve")
    desk = Client()
    sign_in(desk)
    pass_factor(desk)
    first = TrustedBrowser.objects.filter(user=ann).earliest("pk")
    browsers_revoked.connect(receiver)
    try:
        for _ in range(2):  # a second press changes nothing
            answer = desk.post(f"/verify/browsers/{first.pk}/revoke/")
            assert answer["Location"] == "/verify/browsers/"
        assert not is_in(second) and is_in(browser)
        for unknown in (TrustedBrowser.objects.get(user=eve).pk, 9999):
            assert desk.post(f"/verify/browsers/{unknown}/revoke/").status_code == 404
        assert desk.post("/verify/browsers/revoke/")["Location"] == "/verify/browsers/"
    finally:
        browsers_revoked.disconnect(receiver)
    assert heard == [1, 1]
    browser.post("/logout/")
    assert not is_in(browser)
    assert is_in(theirs, "eve")
    assert "There are none." in text(desk.get("/verify/browsers/"))
    for path in (f"/verify/browsers/{first.pk}/revoke/", "/verify/browsers/revoke/"):
        assert desk.get(path).status_code == 405


def test_a_quiet_door_is_decided_the_same_way(ann, browser):
    trusted(browser)
    browser.post("/quiet-login/", {"username": "ann"})
    assert browser.get("/whoami/").json() == {"user": "ann"}


def test_the_async_stack_excuses_as_well(ann):
    async def signing_in() -> dict[str, str]:
        browser = AsyncClient()
        await browser.post("/bare-login/", {"username": "ann"})
        page = code_path(await browser.post("/verify/challenge/"))
        await browser.post(page, {"code": last_code(), "trust": "yes"})
        fresh = AsyncClient()
        fresh.cookies[COOKIE] = browser.cookies[COOKIE].value
        await fresh.post("/quiet-login/", {"username": "ann"})
        return (await fresh.get("/awhoami/")).json()

    assert async_to_sync(signing_in)() == {"user": "ann"}


def statements(work) -> list[str]:
    with CaptureQueriesContext(connection) as captured:
        work()
    return [query["sql"].split(" ")[0] for query in captured if "trustedbrowser" in query["sql"]]


def test_it_costs_one_select_and_one_update_at_sign_in_and_nothing_after(ann, browser):
    assert statements(lambda: sign_in(Client())) == []
    trusted(browser)
    assert statements(lambda: sign_in(browser)) == ["SELECT", "UPDATE"]
    assert statements(lambda: browser.get("/account/")) == []


def test_what_is_over_is_deleted(ann, capsys):
    now = timezone.now()
    for _ in range(3):
        trusted_browsers.trust(ann, make_client(), days=1)
    trusted_browsers.revoke(ann, TrustedBrowser.objects.earliest("pk").pk)
    TrustedBrowser.objects.filter(pk=TrustedBrowser.objects.latest("pk").pk).update(expires_at=now)
    call_command("purge_expired", "--dry-run")
    assert "Would delete 2 trusted browser(s)" in capsys.readouterr().out
    assert TrustedBrowser.objects.count() == 3
    call_command("purge_expired")
    assert "Deleted 2 trusted browser(s)" in capsys.readouterr().out
    assert TrustedBrowser.objects.count() == 1


def test_a_person_has_not_more_than_so_many(ann):
    for _ in range(trusted_browsers.MOST + 2):
        trusted_browsers.trust(ann, make_client(ip=""), days=1)
    assert TrustedBrowser.objects.count() == trusted_browsers.MOST


def test_a_browser_is_trusted_for_a_day_at_least(ann):
    with pytest.raises(ValueError, match="one day"):
        trusted_browsers.trust(ann, make_client(), days=0)


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (
            "Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140 Safari/537.36 Edg/140",
            "Edge on Windows",
        ),
        ("Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19.0 Mobile Safari/604.1", "Safari on iPhone"),
        ("Mozilla/5.0 (Linux; Android 16) AppleWebKit/537.36 Chrome/140 Mobile Safari/537.36", "Chrome on Android"),
        ("<script>alert(1)</script>", ""),
        ("", ""),
    ],
)
def test_a_browser_is_named_in_our_words_only(user_agent, name):
    assert browser_name(user_agent) == name


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_two_tabs_that_both_finish_make_a_browser_that_is_in(ann, browser):
    sign_in(browser)
    page = code_path(browser.post("/verify/challenge/"))
    tabs = [Client() for _ in range(2)]
    for tab in tabs:
        tab.cookies.update(browser.cookies)
    answers = race(2, lambda index: tabs[index].post(page, {"code": last_code(), "trust": "yes"}))
    assert [answer.status_code for answer in answers] in ([302, 302], [200, 302], [302, 200]), answers
    assert TrustedBrowser.objects.count() == 1
    fresh = Client()
    fresh.cookies[COOKIE] = next(one.cookies[COOKIE].value for one in answers if COOKIE in one.cookies)
    assert is_in(fresh)


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_revoking_races_with_signing_in_and_wins_or_loses_wholly(ann):
    for _ in range(5):
        made = trusted_browsers.trust(ann, make_client(), days=1)
        user = authenticate(username="ann", password=PASSWORD)

        def work(index, made=made, user=user):
            if index:
                return trusted_browsers.revoke(user, made.browser.pk)
            return trusted_browsers.recognise(user, [made.token], make_client(), days=1)

        assert race(2, work) in ([True, True], [False, True])
        assert not trusted_browsers.recognise(ann, [made.token], make_client(), days=1)


def test_a_trusted_browser_stays_open_when_all_sends_are_used_up(ann, browser):
    trusted(browser)
    codes = []
    for index in range(10):
        thief = Client(REMOTE_ADDR=f"192.0.{index}.9")
        sign_in(thief)
        codes.append(thief.post("/verify/challenge/").status_code)
    assert codes[0] == 302 and codes[-1] == 429
    assert is_in(browser)
