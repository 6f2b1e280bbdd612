"""The pages of a site whose brands have a Verify Service each: the host says which."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import Client

from django_twilio_verify.models import Entity, Factor, Verification
from django_twilio_verify.testing import outbox
from tests.support.basics import code_path, last_code, make_factor, make_user, sign_in
from tests.support.brands import ALIASES, KEEPS_NONE, LOCMEM, browser_at, by_host, two_services
from tests.support.enrollment import World, add_totp, ask, confirm, links, offered
from tests.support.pages import form

pytestmark = pytest.mark.django_db
PAGES = ["/verify/enroll/passkey/", "/verify/enroll/totp/", "/verify/enroll/push/"]
MESSAGES = ["sms", "call", "whatsapp", "email"]


@pytest.fixture(params=["locmem", "twilio"])
def brands(request: Any, settings: Any) -> Iterator[dict[str, World]]:
    settings.TWILIO_VERIFY_ROUTER = by_host
    with two_services(settings, request.param) as servers:
        yield {alias: World(server, alias) for alias, server in servers.items()}


@pytest.fixture
def one_keeps(settings: Any) -> None:
    """Only the Service of the shop keeps factors."""
    settings.TWILIO_VERIFY_BACKENDS = {"default": KEEPS_NONE, "shop": LOCMEM}
    settings.TWILIO_VERIFY_ROUTER = by_host


def at(alias: str, user: Any) -> Client:
    browser = browser_at(alias)
    browser.force_login(user)
    return browser


def kept(brands: dict[str, World]) -> dict[str, int]:
    """How many people each Service knows."""
    return {alias: len(world.simulator.entities()) for alias, world in brands.items()}


@pytest.mark.parametrize("alias", ALIASES)
def test_an_app_is_enrolled_at_the_service_of_the_host(brands: dict[str, World], ann: Any, alias: str) -> None:
    add_totp(at(alias, ann))
    assert Factor.objects.get().entity.backend == alias  # type: ignore[union-attr]
    assert kept(brands) == {name: int(name == alias) for name in ALIASES}


@pytest.mark.parametrize("alias", ALIASES)
def test_a_phone_is_enrolled_at_the_service_of_the_host(brands: dict[str, World], ann: Any, alias: str) -> None:
    app, world = at(alias, ann), brands[alias]
    token = ask(app)
    assert token.json()["service_sid"] == (world.server.service_sid if world.server else "")
    world.phone(token.json())
    assert confirm(app, token).json()["status"] == "enrolled"
    assert Factor.objects.get().entity.backend == alias  # type: ignore[union-attr]
    assert kept(brands) == {name: int(name == alias) for name in ALIASES}


@pytest.mark.parametrize("alias", ALIASES)
def test_an_app_is_asked_at_its_own_service_whatever_the_host(
    brands: dict[str, World], ann: Any, clock: Any, alias: str
) -> None:
    app = add_totp(at(alias, ann))
    for host in ALIASES:
        clock.shift(30)
        browser = browser_at(host)
        sign_in(browser)
        page = browser.get("/verify/challenge/", follow=True).request["PATH_INFO"]
        assert browser.post(page, {"code": app.code()}).status_code == 302
        assert Verification.objects.latest("created_at").backend == alias
        assert browser.get("/account/").content == b"account of ann"


def test_only_what_the_routed_backend_keeps_is_there(one_keeps: None, ann: Any) -> None:
    here, there = at("shop", ann), at("default", ann)
    assert offered(here.get("/verify/enroll/")) == ["passkey", "totp", "push", *MESSAGES]
    assert offered(there.get("/verify/enroll/")) == MESSAGES
    for path in PAGES:
        assert (here.get(path).status_code, there.get(path).status_code) == (200, 404), path
    for path in (*PAGES, "/verify/enroll/passkey/options/", "/verify/access-token/"):
        assert there.post(path, {"name": "x"}).status_code == 404, path
    assert ask(here).status_code == 200


def test_who_is_not_signed_in_is_led_to_the_login_first(one_keeps: None, settings: Any) -> None:
    """The router cannot say where nobody enrolls anything: it is not asked."""
    settings.TWILIO_VERIFY_ROUTER = lambda wanted: 1 / 0
    for path in PAGES:
        assert Client().get(path)["Location"].startswith("/login/"), path
    settings.TWILIO_VERIFY_BACKENDS = {"default": KEEPS_NONE, "shop": KEEPS_NONE}
    for path in PAGES:
        assert Client().get(path).status_code == 404, path


@pytest.mark.parametrize(("alias", "leads_to"), [("shop", "/verify/enroll/passkey/"), ("default", "")])
def test_only_what_the_routed_backend_keeps_is_offered_after_a_code(
    one_keeps: None, settings: Any, alias: str, leads_to: str
) -> None:
    settings.TWILIO_VERIFY_SUGGEST_STRONGER_FACTOR = True
    make_factor(make_user("bob"))
    browser = browser_at(alias)
    sign_in(browser, "bob")
    page = code_path(browser.post("/verify/challenge/"))
    done = browser.post(page, {"code": last_code()})
    assert done["Location"].startswith("/verify/stronger/" if leads_to else "/account/")
    if leads_to:
        assert [one for one in links(browser.get(done["Location"])) if one.startswith(leads_to)]


def by_country(wanted: Any) -> str | None:
    """As written for messages alone."""
    return "shop" if wanted.recipient.country == "AT" else None


def test_a_router_that_was_written_for_messages(one_keeps: None, ann: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_ROUTER = by_country
    browser = at("shop", ann)
    for path in ("/verify/enroll/", *PAGES):
        with pytest.raises(ImproperlyConfigured, match=r"TWILIO_VERIFY_ROUTER.*'(passkey|totp|push)'.*no recipient"):
            browser.get(path)
    assert not Entity.objects.exists()
    settings.TWILIO_VERIFY_DEVICE_FACTORS = []
    assert offered(browser.get("/verify/enroll/")) == MESSAGES, "it is not asked for what the site does not offer"


def test_pages_of_messages_ask_it_for_no_device(one_keeps: None, ann: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_ROUTER = by_country
    browser = at("default", ann)
    assert browser.get("/verify/enroll/sms/").status_code == 200
    assert browser.post("/verify/enroll/sms/", form()).status_code == 302 and len(outbox) == 1
