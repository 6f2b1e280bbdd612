"""Two brands with a relying party each: a login page asks for the passkeys of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.template import engines
from django.test import Client, RequestFactory

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.factors import devices as devicefactors
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.testing import Browser, FactorRoutes
from django_twilio_verify.testing.factor_contract import PARTY
from tests.support.basics import make_client, sign_in
from tests.support.brands import ALIASES, HOSTS, KEEPS_NONE, LOCMEM, browser_at, by_host, two_services
from tests.support.passkeys import ENROLL, SIGN_IN, options, post

pytestmark = pytest.mark.django_db


@pytest.fixture(params=["locmem", "twilio"])
def devices(request: Any, settings: Any) -> Iterator[dict[str, Browser]]:
    """By alias: the device at that brand's site."""
    settings.TWILIO_VERIFY_ROUTER = by_host
    with two_services(settings, request.param) as servers:
        for alias, server in servers.items():
            party = replace(PARTY, relying_party_id=f"{alias}.example", origins=(f"https://{alias}.example",))
            simulator = server.extension(FactorRoutes).simulator if server else backends[alias].factor_simulator  # type: ignore[attr-defined]
            simulator.passkeys = party
        yield {alias: Browser(f"https://{alias}.example") for alias in servers}


@pytest.fixture
def enrolled(devices: dict[str, Browser], ann: Any) -> dict[str, Browser]:
    """Ann has a passkey of each brand; the one of the default was made last."""
    for alias in reversed(ALIASES):
        begun = devicefactors.begin_passkey(ann, make_client(), name=alias, backend=alias)
        credential = devices[alias].create(begun.browser_options)
        assert devicefactors.confirm(begun.verification, client=make_client(), user=ann, credential=credential).factor
    return devices


@pytest.mark.parametrize("alias", ALIASES)
def test_a_passkey_is_enrolled_at_the_service_of_the_host(devices: dict[str, Browser], ann: Any, alias: str) -> None:
    client = browser_at(alias)
    sign_in(client)
    told = options(client, ENROLL, name="Laptop")
    assert told["options"]["rp"]["id"] == f"{alias}.example"
    assert post(client, ENROLL, told, devices[alias].create(told["options"]), name="Laptop").status_code == 200
    assert Factor.objects.get().entity.backend == alias  # type: ignore[union-attr]


@pytest.mark.parametrize("alias", ALIASES)
def test_a_login_page_asks_for_its_own_passkeys(enrolled: dict[str, Browser], ann: Any, alias: str) -> None:
    client = browser_at(alias)
    told = options(client, SIGN_IN)
    assert told["options"]["rpId"] == f"{alias}.example"
    assert Verification.objects.get(pk=told["verification"]).backend == alias
    assert post(client, SIGN_IN, told, enrolled[alias].get(told["options"])).status_code == 302
    assert client.get("/account/").content == b"account of ann"


@pytest.mark.parametrize("alias", ALIASES)
def test_after_a_password_too(enrolled: dict[str, Browser], ann: Any, alias: str) -> None:
    client = browser_at(alias)
    sign_in(client)
    page = client.get("/verify/challenge/", follow=True).request["PATH_INFO"]
    told = client.post("/verify/passkey/options/login/").json()
    assert told["options"]["rpId"] == f"{alias}.example"
    assert post(client, page, told, enrolled[alias].get(told["options"])).status_code == 302
    assert client.get("/account/").content == b"account of ann"


def test_a_passkey_of_the_other_brand_signs_nobody_in(enrolled: dict[str, Browser], ann: Any) -> None:
    client = browser_at("shop")
    told = options(client, SIGN_IN)
    forged = enrolled["default"].get({**told["options"], "rpId": "default.example"})
    assert "alert" in post(client, SIGN_IN, told, forged).content.decode()
    assert client.get("/account/").status_code == 302


def button(request: Any = None, host: str = "") -> str:
    page = engines["django"].from_string("{% load twilio_verify %}{% passkey_sign_in %}")
    return str(page.render({}, RequestFactory().get("/login/", headers={"host": host}) if host else request)).strip()


def test_the_button_is_where_the_routed_backend_keeps_passkeys(ann: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_BACKENDS = {"default": KEEPS_NONE, "shop": LOCMEM}
    assert not button(host=HOSTS["shop"]), "without a router all is the default's"
    settings.TWILIO_VERIFY_ROUTER = by_host
    assert button(host=HOSTS["shop"]) and not button(host=HOSTS["default"])
    assert button(), "a page that is rendered without a request may be anybody's"
    for alias, status in (("shop", 200), ("default", 404)):
        answer = browser_at(alias).get(SIGN_IN)
        assert answer.status_code == status and "sessionid" not in answer.cookies
        assert browser_at(alias).post(SIGN_IN).status_code == status
    assert browser_at("default").post(f"{SIGN_IN}options/").status_code == 404


def test_a_router_that_was_written_for_messages(ann: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_BACKENDS = {"default": LOCMEM, "shop": LOCMEM}
    settings.TWILIO_VERIFY_ROUTER = lambda wanted: "shop" if wanted.recipient.country == "AT" else None
    client = Client()
    pages = [
        lambda: client.get(SIGN_IN),
        lambda: client.post(f"{SIGN_IN}options/"),
        lambda: button(host=HOSTS["default"]),
    ]
    for shown in pages:
        with pytest.raises(ImproperlyConfigured, match=r"TWILIO_VERIFY_ROUTER.*'passkey'.*no recipient"):
            shown()
    settings.TWILIO_VERIFY_DEVICE_FACTORS = ["totp"]
    assert button(host=HOSTS["default"]) == "", "it is not asked for what the site does not offer"
