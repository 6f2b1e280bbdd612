"""What the middleware adds to a request: statements, headers and calls of Python functions."""

from __future__ import annotations

import sys

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.test import AsyncClient, Client
from django.test.utils import CaptureQueriesContext

from tests.support.basics import code_path, last_code, make_factor, make_user, sign_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def sessions_in_the_database(settings):
    """Django's default, whatever cache the run has: the figures count the session's statements."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"


@pytest.fixture
def verified(client):
    """A browser that has passed its second factor."""
    make_factor(make_user())
    sign_in(client)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    client.get("/account/")
    return client


def statements(browser: Client, path: str) -> int:
    with CaptureQueriesContext(connection) as captured:
        response = browser.get(path)
    assert response.status_code == 200
    return len(captured)


@pytest.fixture
def without(settings):
    """Take our middleware out: the same site without us."""

    def leave() -> None:
        settings.MIDDLEWARE = [one for one in settings.MIDDLEWARE if "TwoFactor" not in one]

    return leave


@pytest.mark.parametrize("path", ["/public/", "/whoami/", "/context/"])
def test_no_statement_is_added_for_a_verified_person(verified, without, path):
    ours = statements(verified, path)
    without()
    fresh = Client()
    fresh.cookies.update(verified.cookies)
    assert ours == statements(fresh, path)


@pytest.mark.parametrize("path", ["/apublic/", "/awhoami/"])
def test_no_statement_is_added_on_the_async_stack(verified, without, path):
    def count() -> int:
        browser = AsyncClient()
        browser.cookies.update(verified.cookies)
        with CaptureQueriesContext(connection) as captured:
            assert async_to_sync(browser.get)(path).status_code == 200
        return len(captured)

    ours = count()
    without()
    assert ours == count()


def test_a_public_page_keeps_its_zero_statements_and_its_headers(verified, without):
    assert statements(verified, "/public/") == 0
    with_us = verified.get("/public/")
    anonymous = Client().get("/public/")
    without()
    assert dict(with_us.headers) == dict(Client().get("/public/").headers) == dict(anonymous.headers)
    assert "Cookie" not in with_us.headers.get("Vary", "")


def test_a_pending_person_costs_one_statement_a_page(client):
    make_factor(make_user())
    sign_in(client)
    client.get("/account/")
    with CaptureQueriesContext(connection) as captured:
        assert client.get("/public/").status_code == 302
    assert len(captured) == 1


def calls(browser: Client, path: str) -> int:
    """Python functions called for a request; of several the fewest, since objects of other tests may end meanwhile."""
    for _ in range(3):
        browser.get(path)
    return min(counted(browser, path) for _ in range(5))


def counted(browser: Client, path: str) -> int:
    count = 0

    def trace(frame, event, arg):
        nonlocal count
        count += event == "call"

    sys.setprofile(trace)
    try:
        browser.get(path)
    finally:
        sys.setprofile(None)
    return count


def test_a_person_without_a_factor_costs_somewhat_more(client, without):
    """The policy by which nothing is owed is compared in each request."""
    make_user("bob")
    sign_in(client, "bob")
    ours = calls(client, "/whoami/")
    without()
    fresh = Client()
    fresh.cookies.update(client.cookies)
    assert ours - calls(fresh, "/whoami/") <= 70


@pytest.mark.parametrize(
    ("path", "signed_in", "most"),
    [("/public/", False, 20), ("/public/", True, 20), ("/whoami/", True, 35)],
    ids=["anonymous", "reads nothing", "reads the user"],
)
def test_few_calls_are_added(verified, without, path, signed_in, most):
    ours = calls(verified if signed_in else Client(), path)
    without()
    fresh = Client()
    if signed_in:
        fresh.cookies.update(verified.cookies)
    assert ours - calls(fresh, path) <= most
