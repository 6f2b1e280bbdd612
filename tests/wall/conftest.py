"""What the tests of the wall share."""

from __future__ import annotations

import pytest
from django.test import Client

from django_twilio_verify.web import recent
from tests.faces.test_enrol import form
from tests.support import code_path, last_code


@pytest.fixture(autouse=True)
def more_doors(settings):
    settings.ROOT_URLCONF = "tests.wall.site"
    settings.SESSION_ENGINE = (
        "django.contrib.sessions.backends.db"  # statements are counted, also where a cache is at hand
    )


@pytest.fixture(autouse=True)
def a_process_that_remembers_nothing():
    recent._noted.clear()


def prove(browser: Client, next_url: str = "") -> str:
    """Answer the challenge with the code that is sent; where the person is led then."""
    sent = browser.post(f"/verify/challenge/?next={next_url}" if next_url else "/verify/challenge/")
    code_path(sent)
    done = browser.post(sent["Location"], {"code": last_code()})
    assert done.status_code == 302, done.content
    return str(done["Location"])


def enrol(browser: Client, number: str = "+15017122663") -> str:
    """Enrol a phone; where the person is led then."""
    sent = browser.post("/verify/enrol/sms/", form(number=number))
    done = browser.post(code_path(sent), {"code": last_code()})
    assert done.status_code in (200, 302), done.content  # 200: the recovery codes
    return str(done.headers.get("Location", ""))


def copied(browser: Client) -> Client:
    """Somebody else with the same session cookie and no other."""
    other = Client()
    other.cookies["sessionid"] = browser.cookies["sessionid"].value
    return other
