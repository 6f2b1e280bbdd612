"""Logins, and copies of a session."""

from __future__ import annotations

from django.test import Client

from tests.support.basics import code_path, last_code
from tests.support.pages import form


def prove(browser: Client, next_url: str = "") -> str:
    """Answer the challenge with the code that is sent; where the person is led then."""
    sent = browser.post(f"/verify/challenge/?next={next_url}" if next_url else "/verify/challenge/")
    code_path(sent)
    done = browser.post(sent["Location"], {"code": last_code()})
    assert done.status_code == 302, done.content
    return str(done["Location"])


def enroll(browser: Client, number: str = "+15017122663") -> str:
    """Enroll a phone; where the person is led then."""
    sent = browser.post("/verify/enroll/sms/", form(number=number))
    done = browser.post(code_path(sent), {"code": last_code()})
    assert done.status_code in (200, 302), done.content  # 200: the recovery codes
    return str(done.headers.get("Location", ""))


def copied(browser: Client) -> Client:
    """Somebody else with the same session cookie and no other."""
    other = Client()
    other.cookies["sessionid"] = browser.cookies["sessionid"].value
    return other
