"""``next`` leads to this site or nowhere, however it is spelled, wherever and however it is given."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from django.test import Client

from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.login import redirects, trusted_browsers
from django_twilio_verify.models import ConsentEvent
from tests.support.basics import OTHER_PHONE, code_path, last_code, make_client, make_factor, make_user, sign_in
from tests.support.pages import form
from tests.support.redirects import browser_goes_to, paths, stays

pytestmark = pytest.mark.django_db

FORGED = [
    "https://evil.example/",
    "http://evil.example/",
    "HTTPS://EVIL.EXAMPLE/",
    "//evil.example/",
    "///evil.example/",
    "////evil.example/",
    "\\\\evil.example",
    "\\/evil.example",
    "/\\evil.example",
    "/\\/evil.example",
    "https:evil.example",
    "https:/evil.example",
    "https:///evil.example",
    "http:\\\\evil.example",
    "javascript:alert(1)",
    "JaVaScRiPt:alert(1)//evil",
    "java\tscript:alert(1)",
    " javascript:alert(1)",
    "data:text/html,evil",
    "vbscript:evil",
    "file:///etc/evil",
    "ftp://testserver/evil",
    "//testserver@evil.example/",
    "https://testserver@evil.example/",
    "https://testserver:80@evil.example/",
    "https://evil.example#@testserver/",
    "https://evil.example\\@testserver/",
    "http://testserver.evil.example/",
    "http://testserver%2eevil.example/",
    "//evil%E3%80%82example",
    "//evil\u3002example/",
    "https://evil\uff0eexample/",
    "https://\uff45vil.example/",
    "\t//evil.example/",
    "/\t/evil.example/",
    "/\n/evil.example/",
    "\n//evil.example/",
    "\x00//evil.example/",
    "\x08https://evil.example/",
    "/\r/evil.example",
    "http://[evil.example",
    "//[::1]evil.example",
    "\x1f//evil.example",
]
HARMLESS = [
    # Stays on this host: the browser takes it for a path, or it is percent-encoded within one.
    "%2F%2Fevil.example",
    "/%5Cevil.example",
    "/%0d%0aSet-Cookie:%20evil=1",
    "/\r\nSet-Cookie: evil=1",
    "\u2044\u2044evil.example@",
]
SPELLINGS = ["//evil.example/", "/\\evil.example", "https:evil.example", "javascript:alert(1)", "/\t/evil.example"]
HOW = pytest.mark.parametrize("how", ["query", "form", "both"])


@pytest.fixture
def ann():
    user = make_user()
    make_factor(user)
    return user


@pytest.fixture
def member(client, ann):
    """Ann, through with her factor."""
    sign_in(client)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    return client


def given(forged: str, how: str) -> tuple[str, dict[str, str]]:
    """The query and the form that bring ``forged``."""
    return f"?next={quote(forged)}" if how != "form" else "", {"next": forged} if how != "query" else {}


@HOW
@pytest.mark.parametrize("forged", FORGED + HARMLESS, ids=ascii)
def test_every_spelling_is_judged_as_a_browser_would(rf, forged, how):
    query, values = given(forged, how)
    request = rf.post(f"/verify/challenge/{query}", values)
    assert browser_goes_to(redirects.success_url(request)) == "testserver"
    assert (redirects.safe_next(request) == "") == (forged in FORGED)


@HOW
@pytest.mark.parametrize("forged", [*SPELLINGS, *HARMLESS], ids=ascii)
def test_a_sign_in_ends_on_this_site(ann, client, forged, how):
    sign_in(client)
    query, values = given(forged, how)
    sent = client.post(f"/verify/challenge/{query}", values)
    assert stays(sent)
    page = code_path(sent)
    assert stays(client.get(page + query))
    done = client.post(page + query, {"code": last_code(), **values})
    assert done.status_code == 302 and stays(done)
    if forged in FORGED:
        assert done["Location"] == "/account/"


@pytest.mark.parametrize("path", paths())
def test_no_page_keeps_or_follows_a_next_that_leads_away(member, path):
    """As a signed-in person, as one who waits, and as a visitor; by GET and by POST."""
    waiting, visitor = Client(), Client()
    sign_in(waiting)
    where = path.format(verification=code_path(waiting.post("/verify/challenge/")).split("/")[3])
    visitor.get("/verify/stop/")
    for browser in (visitor, waiting, member):
        for forged in SPELLINGS:
            assert stays(browser.get(f"{where}?next={quote(forged)}")), (where, forged)
            for query, values in (("", {"next": forged}), (f"?next={quote(forged)}", {})):
                if "cancel" not in where:
                    assert stays(browser.post(where + query, values)), (where, forged)


@pytest.mark.parametrize("forged", SPELLINGS)
def test_what_ends_with_a_redirect_ends_on_this_site(ann, member, forged):
    """The redirects that a success gives."""
    event = ConsentEvent.objects.latest("pk")
    browser = trusted_browsers.trust(ann, make_client(), days=1).browser
    for path in (
        f"/verify/consents/{event.pk}/stop/",
        f"/verify/browsers/{browser.pk}/revoke/",
        "/verify/browsers/revoke/",
        "/verify/challenge/cancel/",
    ):
        answer = member.post(path, {"next": forged})
        assert answer.status_code == 302 and stays(answer), path


@pytest.mark.parametrize("forged", SPELLINGS)
def test_a_recovery_code_and_an_enrollment_end_on_this_site(ann, forged):
    code = recovery_codes.issue(ann)[0]
    browser = Client()
    sign_in(browser)
    assert browser.post("/verify/challenge/recovery/", {"code": code, "next": forged})["Location"] == "/account/"
    make_user("bob")
    other = Client()
    sign_in(other, "bob")
    sent = other.post("/verify/enroll/sms/", form(number=OTHER_PHONE, next=forged))
    assert stays(sent)
    assert stays(other.post(code_path(sent), {"code": last_code(), "next": forged}))


def test_https_is_not_left_for_http(ann):
    browser = Client()
    browser.post("/login/", {"username": "ann", "password": "correct horse"}, secure=True)
    sent = browser.post("/verify/challenge/", {"next": "http://testserver/account/"}, secure=True)
    assert "next" not in sent["Location"]


def test_another_host_that_the_site_serves_is_not_led_to(ann, client):
    sign_in(client)
    assert "localhost" not in client.post("/verify/challenge/", {"next": "http://localhost/"})["Location"]
