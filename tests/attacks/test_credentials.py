"""Two people in one request: one by a session, another by a token that a middleware of the site's takes."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY, get_user_model
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path
from django.utils.functional import SimpleLazyObject

from django_twilio_verify.models import ConsentEvent, Factor, RecoveryCode
from django_twilio_verify.testing import outbox
from tests.support.basics import OTHER_PHONE, code_path, last_code, make_factor, make_user, sign_in
from tests.support.login import prove
from tests.support.pages import form

pytestmark = pytest.mark.django_db

WALL = "django_twilio_verify.middleware.TwoFactorMiddleware"
OF_ANN = {"X-Token": "ann"}
OF_EVE = {"X-Token": "eve"}
FRESH = ("/fresh/", "/afresh/", "/once/", "/mixed/", "/amixed/")
OURS = ("/verify/", "/verify/enroll/", "/verify/recovery-codes/", "/verify/browsers/", "/verify/reset/")


def is_verified(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.twilio_verify.is_verified} {request.user.get_username()}")


urlpatterns = [path("is-verified/", is_verified), path("", include("tests.login.step_up.urls"))]


class ByToken:
    """Believes a header; the user is read at once."""

    def __init__(self, get_response: Any) -> None:
        self.get_response = get_response

    def user(self, name: str) -> Any:
        return get_user_model().objects.get(username=name)

    def __call__(self, request: HttpRequest) -> Any:
        if name := request.headers.get("X-Token"):

            async def auser() -> Any:
                return await get_user_model().objects.aget(username=name)

            request.user, request.auser = self.user(name), auser
        return self.get_response(request)


class ByTokenLater(ByToken):
    """The user is read when somebody asks."""

    def user(self, name: str) -> Any:
        return SimpleLazyObject(lambda: get_user_model().objects.get(username=name))


@pytest.fixture(autouse=True, params=[(ByToken, 0), (ByToken, 1), (ByTokenLater, 0), (ByTokenLater, 1)], ids=str)
def site(request, settings):
    """A site that takes tokens, before the wall and behind it."""
    middleware, behind = request.param
    settings.ROOT_URLCONF = "tests.attacks.test_credentials"
    chain = list(settings.MIDDLEWARE)
    chain.insert(chain.index(WALL) + behind, f"{__name__}.{middleware.__name__}")
    settings.MIDDLEWARE = chain


@pytest.fixture
def ann():
    user = make_user("ann")
    make_factor(user)
    return user


@pytest.fixture
def eve():
    user = make_user("eve")
    make_factor(user, OTHER_PHONE)
    return user


@pytest.fixture
def passed(eve, client):
    """Eve's browser, through by her own factor."""
    sign_in(client, "eve")
    prove(client)
    return client


@pytest.mark.parametrize("page", FRESH)
def test_one_persons_session_is_no_proof_for_anothers_token(ann, passed, page):
    assert passed.get(page).status_code == 200
    assert passed.get(page, headers=OF_ANN).status_code == 403


def test_async_views_agree(ann, passed):
    browser = AsyncClient()
    browser.cookies.update(passed.cookies)
    assert async_to_sync(browser.get)("/afresh/").status_code == 200
    assert async_to_sync(browser.get)("/afresh/", headers=OF_ANN).status_code == 403


def test_a_view_that_asks_before_it_reads_the_user_hears_the_same(ann, passed):
    assert passed.get("/is-verified/").content == b"True eve"
    assert passed.get("/is-verified/", headers=OF_ANN).content == b"False ann"


def test_one_persons_session_opens_nothing_of_anothers_at_our_pages(ann, passed):
    for page in OURS:
        assert passed.get(page, headers=OF_ANN).status_code == 403, page
    assert passed.post("/verify/recovery-codes/", headers=OF_ANN).status_code == 403
    assert not RecoveryCode.objects.filter(user=ann).exists()
    assert passed.get("/verify/recovery-codes/").status_code == 200  # and eve is not the worse for it


def test_the_proof_of_a_tokens_person_is_none_for_the_session(eve, client):
    """Eve comes upon a session that ann left open, and brings a token and a phone of her own."""
    ann = make_user("ann")
    sign_in(client)
    make_factor(ann)  # enrolled elsewhere, so that this session has proved nothing
    assert client.post("/verify/step-up/", headers=OF_EVE).status_code == 403
    assert outbox == []
    assert client.get("/fresh/").status_code == 302


def test_nothing_is_enrolled_for_a_tokens_person_in_the_session_of_another(client):
    make_user("eve")
    ann = make_user("ann")
    sign_in(client)
    make_factor(ann)
    stranger = Client(headers=OF_EVE)
    stranger.cookies = client.cookies
    assert stranger.post("/verify/enroll/sms/", form(number=OTHER_PHONE)).status_code == 403
    assert not Factor.objects.filter(user__username="eve").exists() and outbox == []
    assert ConsentEvent.objects.count() == 1, "of ann's own phone"
    assert client.get("/fresh/")["Location"].startswith("/verify/step-up/")
    assert client.get("/verify/recovery-codes/")["Location"].startswith("/verify/challenge/")


def test_who_has_a_token_and_no_session_is_told_to_sign_in(ann):
    browser = Client(headers=OF_ANN)
    for page in (*OURS, "/verify/step-up/", "/verify/step-up/recovery/"):
        assert browser.get(page).status_code == 403, page
    assert SESSION_KEY not in browser.session


def test_the_sign_in_of_the_session_stands_while_a_token_is_refused(ann, passed):
    passed.get("/verify/", headers=OF_ANN)
    sent = passed.post("/verify/step-up/")
    assert passed.post(code_path(sent), {"code": last_code()}).status_code == 302
    assert passed.get("/fresh/").content.startswith(b"GET /fresh/")
