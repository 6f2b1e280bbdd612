"""Sessions that cannot be read: a view that copes with that answers as it would without the middleware."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path

from django_twilio_verify.middleware import HINT
from tests.login.enforcement.unreadable import OutOfOrder, SessionStore
from tests.support.basics import make_factor, make_user, sign_in
from tests.support.login import prove

pytestmark = pytest.mark.django_db(transaction=True)


def reads_session(request: HttpRequest) -> HttpResponse:
    try:
        request.session.get("cart")
    except OutOfOrder:
        return HttpResponse("survived")
    return HttpResponse("read")


def reads_user(request: HttpRequest) -> HttpResponse:
    try:
        bool(request.user.is_authenticated)
    except OutOfOrder:
        return HttpResponse("survived")
    return HttpResponse("read")


def reads_access(request: HttpRequest) -> HttpResponse:
    try:
        bool(request.twilio_verify.is_pending)  # type: ignore[attr-defined]
    except OutOfOrder:
        return HttpResponse("survived")
    return HttpResponse("read")


def refuses(request: HttpRequest) -> HttpResponse:
    """What is turned into the way to the challenge, for a login that waits."""
    return HttpResponse(reads_session(request).content, status=403)


def sends_to_login(request: HttpRequest) -> HttpResponse:
    return HttpResponse(reads_session(request).content, status=302, headers={"Location": "/login/"})


async def areads_session(request: HttpRequest) -> HttpResponse:
    try:
        await request.session.aget("cart")
    except OutOfOrder:
        return HttpResponse("survived")
    return HttpResponse("read")


async def areads_user(request: HttpRequest) -> HttpResponse:
    try:
        await request.auser()
    except OutOfOrder:
        return HttpResponse("survived")
    return HttpResponse("read")


def reads_nothing(request: HttpRequest) -> HttpResponse:
    return HttpResponse("survived")


VIEWS = {
    reads_session: 200,
    reads_user: 200,
    reads_access: 200,
    refuses: 403,
    sends_to_login: 302,
    areads_session: 200,
    areads_user: 200,
    reads_nothing: 200,
}
urlpatterns = [*(path(f"{view.__name__}/", view) for view in VIEWS), path("", include("tests.login.enforcement.urls"))]


@pytest.fixture(autouse=True)
def site(more_doors: None, settings: Any) -> Iterator[None]:
    settings.ROOT_URLCONF = __name__
    settings.SESSION_ENGINE = "tests.login.enforcement.unreadable"
    yield
    SessionStore.is_out = False


def visitor(browser: Client) -> None:
    browser.cookies["sessionid"] = "a" * 32


def pending(browser: Client) -> None:
    make_factor(make_user())
    sign_in(browser)
    browser.get("/whoami/")
    assert browser.cookies[HINT].value == "1"


def unhinted(browser: Client) -> None:
    """A login that waits, whose cookie went missing."""
    pending(browser)
    del browser.cookies[HINT]


def verified(browser: Client) -> None:
    make_factor(make_user())
    sign_in(browser)
    prove(browser)


@pytest.mark.parametrize("stack", ["wsgi", "asgi"])
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
@pytest.mark.parametrize("state", [visitor, pending, unhinted, verified], ids=lambda state: state.__name__)
def test_a_view_that_survives_it_answers(state: Any, view: Any, stack: str, caplog: Any) -> None:
    browser = Client()
    state(browser)
    SessionStore.is_out = True
    with caplog.at_level(logging.DEBUG):
        if stack == "wsgi":
            answer = browser.get(f"/{view.__name__}/")
        else:
            other = AsyncClient()
            other.cookies = browser.cookies
            answer = async_to_sync(other.get)(f"/{view.__name__}/")
    assert (answer.status_code, answer.content) == (VIEWS[view], b"survived")
    assert HINT not in answer.cookies and "sessionid" not in answer.cookies
    assert "redis://" not in caplog.text
    said = [one for one in caplog.records if one.name == "django_twilio_verify"]
    assert bool(said) is (state is pending), "that the hint cookie was of no use"


@pytest.mark.parametrize("state", [pending, verified], ids=lambda state: state.__name__)
def test_the_next_request_is_as_ever(state: Any) -> None:
    browser = Client()
    state(browser)
    SessionStore.is_out = True
    browser.get("/reads_session/")
    SessionStore.is_out = False
    answer = browser.get("/whoami/")
    assert answer.status_code == 302 if state is pending else answer.json() == {"user": "ann"}


def test_nobody_is_let_in(client: Client) -> None:
    """Who cannot be told from others is not signed in: the error is the view's to handle."""
    verified(client)
    SessionStore.is_out = True
    for page in ("/account/", "/verify/", "/verify/challenge/"):
        with pytest.raises(OutOfOrder):
            client.get(page)
