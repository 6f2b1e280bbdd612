"""Sessions that are fixed, stolen, swapped or stale, and tabs that do not know of each other."""

from __future__ import annotations

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client

from django_twilio_verify import urls
from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from django_twilio_verify.login import trusted_browsers
from django_twilio_verify.login.trust_cookie import COOKIE
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.testing import outbox
from tests.support.basics import EMAIL, OTHER_PHONE, PASSWORD, code_path, last_code, make_factor, make_user, sign_in
from tests.support.pages import form
from tests.support.redirects import paths
from tests.support.sessions import same_browser

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann():
    user = make_user()
    make_factor(user)
    return user


@pytest.fixture
def eve():
    user = make_user("eve")
    make_factor(user, OTHER_PHONE)
    return user


def who(browser: Client) -> str:
    answer = browser.get("/whoami/", headers={"Accept": "application/json"})
    return answer.json().get("user", "") if answer.status_code == 200 else ""


def with_key(key: str) -> Client:
    browser = Client()
    browser.cookies["sessionid"] = key
    return browser


def pass_factor(browser: Client, path: str = "/verify/challenge/") -> None:
    browser.post(code_path(browser.post(path)), {"code": last_code()})


def test_a_key_from_before_the_password_is_not_pending_after_it(ann):
    """Fixation: the attacker plants a session's key, and waits for the victim's password."""
    attacker = Client()
    attacker.get("/verify/stop/")
    planted = attacker.session.session_key
    victim = with_key(planted)
    sign_in(victim)
    assert victim.session.session_key != planted
    assert attacker.get("/verify/challenge/")["Location"].startswith("/login/")
    assert who(with_key(planted)) == ""


@pytest.mark.parametrize("door", ["/login/", "/bare-login/", "/quiet-login/"])
def test_a_key_from_before_the_factor_is_worth_nothing_after_it(ann, door):
    victim = Client()
    victim.get("/verify/stop/")
    victim.post(door, {"username": "ann", "password": PASSWORD})
    victim.get("/account/")
    known = victim.session.session_key
    attacker = with_key(known)
    pass_factor(victim)
    assert victim.session.session_key != known
    assert (who(victim), who(attacker), who(with_key(known))) == ("ann", "", "")
    assert attacker.get("/verify/")["Location"].startswith("/login/")


def test_what_was_started_in_a_planted_session_is_not_the_victims(ann, eve):
    """The attacker starts a proof of a phone of her own in the session that she plants."""
    attacker = Client()
    attacker.get("/verify/stop/")
    shown = disclosures.compose_once(Channel.SMS).digest
    values = form(number="+15017122699", disclosure=shown)
    page = code_path(attacker.post("/verify/stop/", values))
    code = last_code()
    victim = same_browser(attacker)
    sign_in(victim)
    assert victim.post(page, {"code": code}).status_code in (302, 404)
    assert who(victim) == ""
    assert Verification.objects.get().status == "pending"


def test_an_excused_sign_in_gets_a_new_key_too(ann, settings):
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    victim = Client()
    sign_in(victim)
    victim.post(code_path(victim.post("/verify/challenge/")), {"code": last_code(), "trust": "yes"})
    victim.post("/logout/")
    victim.get("/verify/stop/")
    planted = victim.session.session_key
    sign_in(victim)
    assert who(victim) == "ann" and who(with_key(planted)) == ""


def test_a_trusted_cookie_on_another_account_excuses_nothing(ann, eve, settings):
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    owner = Client()
    sign_in(owner, "eve")
    owner.post(code_path(owner.post("/verify/challenge/")), {"code": last_code(), "trust": "yes"})
    thief = Client()
    thief.cookies[COOKIE] = owner.cookies[COOKIE].value
    sign_in(thief)
    assert who(thief) == ""
    assert not trusted_browsers.recognise(ann, [owner.cookies[COOKIE].value], trusted_browsers.ClientInfo(), days=30)


def test_two_tabs_on_two_factors_are_two_proofs_and_one_sign_in(ann):
    make_factor(ann, EMAIL, channel="email")
    phone, email = Factor.objects.order_by("pk")
    first = Client()
    sign_in(first)
    first.get("/account/")
    second = same_browser(first)
    by_phone = code_path(first.post(f"/verify/challenge/{phone.pk}/sms/"))
    phone_code = last_code()
    by_email = code_path(second.post(f"/verify/challenge/{email.pk}/email/"))
    email_code = last_code()
    assert by_phone != by_email
    if phone_code != email_code:
        assert second.post(by_email, {"code": phone_code}).status_code == 200
    assert who(second) == ""
    assert second.post(by_email, {"code": email_code})["Location"] == "/account/"
    key, at = second.session.session_key, second.session["_twilio_verify_settled"]
    late = same_browser(second)
    assert late.post(by_phone, {"code": phone_code})["Location"] == "/account/"
    assert late.session.session_key == key and late.session["_twilio_verify_settled"] == at
    assert first.post(by_phone, {"code": phone_code}).status_code in (302, 404)  # the old cookie
    assert who(first) == ""


def test_a_tab_of_the_person_before_does_nothing_for_the_next(ann, eve):
    """Ann's tabs stay open; eve signs in, in the same browser."""
    browser = Client()
    sign_in(browser)
    page = code_path(browser.post("/verify/challenge/"))
    code = last_code()
    hers = Factor.objects.get(user=ann).pk
    browser.post("/logout/")
    sign_in(browser, "eve")
    sent = len(outbox)
    assert browser.post(f"/verify/challenge/{hers}/sms/")["Location"] == "/verify/challenge/?gone=1"
    assert browser.get(page).status_code == browser.post(page, {"code": code}).status_code == 404
    assert browser.post(page + "resend/").status_code == 404
    assert len(outbox) == sent and who(browser) == ""
    pass_factor(browser)
    assert who(browser) == "eve"
    assert browser.post(page, {"code": code}).status_code == 404
    assert who(browser) == "eve"


def test_a_challenge_left_open_sends_nothing_once_somebody_is_in_or_out(ann):
    browser = Client()
    sign_in(browser)
    factor = Factor.objects.get().pk
    pass_factor(browser)
    sent = len(outbox)
    assert browser.post(f"/verify/challenge/{factor}/sms/")["Location"] == "/account/"
    browser.post("/logout/")
    # As if it were a second press; where that leads asks for the sign-in.
    assert browser.post(f"/verify/challenge/{factor}/sms/")["Location"] == "/account/"
    assert browser.get("/account/")["Location"].startswith("/login/")
    assert len(outbox) == sent


def test_the_pending_session_holds_no_user_and_no_code(ann):
    browser = Client()
    sign_in(browser)
    browser.post("/verify/challenge/")
    assert SESSION_KEY not in browser.session
    assert last_code() not in str(dict(browser.session.items()))


def test_signing_somebody_in_from_another_site_is_refused(ann):
    """Login CSRF: the attacker's page posts the attacker's password from the victim's browser."""
    victim = Client(enforce_csrf_checks=True)
    assert victim.post("/login/", {"username": "ann", "password": PASSWORD}).status_code == 403


@pytest.mark.parametrize("state", ["visitor", "pending", "verified"])
def test_every_post_needs_a_token_of_this_site(ann, state):
    browser = Client()
    browser.get("/verify/stop/")
    if state != "visitor":
        sign_in(browser)
    if state == "verified":
        pass_factor(browser)
    strict = Client(enforce_csrf_checks=True)
    strict.cookies.update(browser.cookies)
    sent = len(outbox)
    for path in paths():
        where = path.format(verification="3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2")
        assert strict.post(where, {"code": "123456"}).status_code == 403, where
        assert strict.post(where, {"code": "1"}, headers={"Origin": "https://evil.example"}).status_code == 403, where
    assert len(outbox) == sent


def test_only_the_webhooks_are_exempt_from_csrf():
    exempt = [one.name for one in urls.urlpatterns if getattr(one.callback, "csrf_exempt", False)]
    assert exempt == ["webhook", "factor_webhook"]
