"""Several Verify Services: the router says where a factor is kept, and there it is asked and removed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import Channel, CheckOutcome, FactorKind, Purpose
from django_twilio_verify.factors import devices, passkey_login
from django_twilio_verify.models import Entity, Factor, Verification
from django_twilio_verify.testing import Authenticator, Browser
from django_twilio_verify.testing.factor_contract import PARTY
from django_twilio_verify.verifications import assurance
from django_twilio_verify.verifications.routing import RouteRequest
from tests.support.basics import make_client
from tests.support.brands import LOCMEM, two_services
from tests.support.devices import World

pytestmark = pytest.mark.django_db
Worlds = dict[str, World]


def by_tenant(wanted: RouteRequest) -> str | None:
    return wanted.client.tenant or None


@pytest.fixture(params=["locmem sync", "locmem async", "twilio sync", "twilio async"])
def brands(request: Any, settings: Any) -> Iterator[Worlds]:
    """By alias: the brand ``shop`` is a tenant of that name, the other one is none."""
    place, twin = request.param.split()
    settings.TWILIO_VERIFY_ROUTER = by_tenant
    with two_services(settings, place) as servers:
        yield {alias: World(twin, server, alias) for alias, server in servers.items()}


@pytest.fixture
def parties(brands: Worlds, monkeypatch: Any) -> dict[str, Browser]:
    """Each Service knows a relying party of its own; by alias, a browser at that site."""
    found = {}
    for alias, world in brands.items():
        origin = f"https://{alias}.example"
        party = replace(PARTY, relying_party_id=f"{alias}.example", origins=(origin,))
        monkeypatch.setattr(world.simulator, "passkeys", party)
        found[alias] = Browser(origin)
    return found


def passkey(world: World, user: Any, browser: Browser) -> Factor:
    """A confirmed passkey of the relying party that the Service knows."""
    begun = world.flow("devicefactors.begin_passkey", user, world.client(), name="Laptop")
    factor = world.finish_passkey(begun, browser, user).factor
    assert factor is not None
    return factor


def start(world: World, channel: str, user: Any, **more: Any) -> Any:
    return world.flow("challenges.start", channel=channel, client=world.client(), user=user, **more)


def check(world: World, started: Any, user: Any, **answer: Any) -> Any:
    return world.flow("challenges.check", started.verification, client=world.client(), user=user, **answer)


def kept(world: World) -> list[str]:
    """The factors at the provider."""
    simulator = world.simulator
    return [one["sid"] for entity in simulator.entities() for one in simulator.factors(entity["identity"])]


BEGIN: dict[str, Callable[[World, Any], Any]] = {
    "totp": lambda world, user: world.totp(user)[0],
    "passkey": lambda world, user: world.passkey(user)[0],
    "push": lambda world, user: world.phone(user)[0],
}


@pytest.mark.parametrize("kind", BEGIN)
@pytest.mark.parametrize("alias", ["default", "shop"])
def test_a_factor_is_kept_where_the_router_says(
    brands: Worlds, ann: Any, clock: Any, settings: Any, alias: str, kind: str
) -> None:
    asked: list[RouteRequest] = []

    def router(wanted: RouteRequest) -> str | None:
        asked.append(wanted)
        return by_tenant(wanted)

    settings.TWILIO_VERIFY_ROUTER = router
    factor = BEGIN[kind](brands[alias], ann)
    assert factor.entity.backend == alias
    assert {name: kept(world) for name, world in brands.items()} == {
        name: [factor.sid] if name == alias else [] for name in brands
    }
    [only] = asked  # what was begun stays there: it is not asked again to confirm
    assert (only.recipient, only.channel, only.purpose, only.user) == (None, Channel(kind), Purpose.ENROLL, ann)


@pytest.mark.parametrize("verb", ["begin_totp", "begin_passkey", "begin_push"])
def test_a_caller_that_names_a_backend_is_not_routed(brands: Worlds, ann: Any, settings: Any, verb: str) -> None:
    settings.TWILIO_VERIFY_ROUTER = lambda wanted: 1 / 0
    options = {"options": PARTY} if verb == "begin_passkey" else {}
    begun = brands["default"].flow(f"devicefactors.{verb}", ann, make_client(), name="x", backend="shop", **options)
    assert begun.verification.backend == "shop" and Entity.objects.get().backend == "shop"


def by_country(wanted: RouteRequest) -> str | None:
    """As written for messages alone."""
    return "shop" if wanted.recipient.country == "AT" else None  # type: ignore[union-attr]


def wrong(wanted: RouteRequest) -> str:
    return "nobody"


@pytest.mark.parametrize("verb", ["begin_totp", "begin_passkey", "begin_push"])
@pytest.mark.parametrize("router", [by_country, wrong])
def test_a_router_that_is_wrong_enrolls_nothing(
    brands: Worlds, ann: Any, settings: Any, verb: str, router: Any
) -> None:
    settings.TWILIO_VERIFY_ROUTER = router
    with pytest.raises(ImproperlyConfigured, match="TWILIO_VERIFY_ROUTER") as raised:
        brands["shop"].flow(f"devicefactors.{verb}", ann, make_client(), name="x")
    assert ("no recipient" in str(raised.value)) == (router is by_country)
    assert not Verification.objects.exists() and not Entity.objects.exists()
    assert all(world.simulator.entities() == [] for world in brands.values())


@pytest.mark.parametrize("router", [by_country, wrong])
def test_a_router_that_is_wrong_signs_nobody_in(brands: Worlds, settings: Any, router: Any) -> None:
    settings.TWILIO_VERIFY_ROUTER = router
    with pytest.raises(ImproperlyConfigured, match="TWILIO_VERIFY_ROUTER"):
        brands["shop"].flow("passkeys.begin_sign_in", make_client("visitor"))
    with pytest.raises(ImproperlyConfigured, match="TWILIO_VERIFY_ROUTER"):
        passkey_login.are_kept(client=make_client("visitor"))
    assert not Verification.objects.exists()


def test_a_router_may_look_things_up(brands: Worlds, ann: Any, settings: Any) -> None:
    people = get_user_model().objects
    settings.TWILIO_VERIFY_ROUTER = lambda wanted: "shop" if people.filter(pk=wanted.user.pk).exists() else None
    begun = brands["shop"].flow("devicefactors.begin_totp", ann, make_client(), name="app")
    assert begun.verification.backend == "shop"


def test_a_backend_that_keeps_none(brands: Worlds, ann: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(backends["shop"], "factor_kinds", frozenset())
    with pytest.raises(ValueError, match="'shop' keeps no factors"):
        brands["shop"].flow("devicefactors.begin_totp", ann, brands["shop"].client(), name="app")
    assert brands["default"].flow("devicefactors.begin_totp", ann, make_client(), name="app").secret


def test_what_was_begun_is_confirmed_there_whatever_the_router_says_by_then(
    brands: Worlds, ann: Any, clock: Any, settings: Any
) -> None:
    shop = brands["shop"]
    begun = shop.flow("devicefactors.begin_totp", ann, shop.client(), name="app")
    settings.TWILIO_VERIFY_ROUTER = wrong
    code = Authenticator.scan(begun.uri).code()
    done = shop.flow("devicefactors.confirm", begun.verification, client=shop.client(), user=ann, code=code)
    assert done.factor is not None and done.factor.entity.backend == "shop"


def test_a_phone_registers_at_the_service_of_its_token(brands: Worlds, ann: Any, clock: Any, settings: Any) -> None:
    shop = brands["shop"]
    begun = shop.flow("devicefactors.begin_push", ann, shop.client(), name="Pixel")
    assert begun.service_sid == (shop.server.service_sid if shop.server else "")
    factor, phone = shop.phone(ann)
    settings.TWILIO_VERIFY_ROUTER = wrong
    started = start(shop, "push", ann)
    assert started.verification.backend == "shop"
    [shown] = phone.pending()
    phone.approve(shown["sid"])
    number = started.verification.match_number
    assert check(shop, started, ann, number=number).verification.factor == factor


def test_factors_at_two_services_are_each_asked_at_their_own(
    brands: Worlds, ann: Any, clock: Any, settings: Any
) -> None:
    held = {alias: world.totp(ann) for alias, world in brands.items()}
    assert {one.backend for one in Entity.objects.all()} == {"default", "shop"}
    assert len({one.identity for one in Entity.objects.all()}) == 2
    settings.TWILIO_VERIFY_ROUTER = wrong  # is not asked: the factor says where it is
    for alias, (factor, app) in held.items():
        started = start(brands["default"], "totp", ann, factor=factor)
        assert started.verification.backend == alias
        assert check(brands["default"], started, ann, code=app.code()).approved


def test_what_is_removed_is_removed_at_its_own_service(
    brands: Worlds, ann: Any, clock: Any, django_capture_on_commit_callbacks: Any
) -> None:
    held = {alias: world.totp(ann)[0] for alias, world in brands.items()}
    with django_capture_on_commit_callbacks(execute=True):
        assert devices.remove(ann, held["shop"].pk)
    assert kept(brands["shop"]) == [] and kept(brands["default"]) == [held["default"].sid]


def test_of_passkeys_at_two_services_the_brands_own_is_asked(
    brands: Worlds, parties: dict[str, Browser], ann: Any, clock: Any
) -> None:
    """A browser offers the passkeys of the page's own site alone: the one that worked latest may be of the other."""
    held = {alias: passkey(world, ann, parties[alias]) for alias, world in brands.items()}
    for alias, world in brands.items():
        clock.shift(1)
        started = start(world, "passkey", ann)
        assert (started.verification.backend, started.browser_options["rpId"]) == (alias, f"{alias}.example")
        checked = check(world, started, ann, credential=parties[alias].get(started.browser_options))
        assert checked.approved and checked.verification.factor == held[alias]


def test_of_passkeys_at_two_services_the_latest_is_asked_where_no_router_knows_better(
    brands: Worlds, parties: dict[str, Browser], ann: Any, clock: Any, settings: Any
) -> None:
    for alias in ("shop", "default"):
        passkey(brands[alias], ann, parties[alias])
        clock.shift(1)
    shop = brands["shop"]
    started = start(shop, "passkey", ann)
    assert check(
        shop, started, ann, credential=parties["shop"].get(started.browser_options)
    ).approved  # the latest, by use
    settings.TWILIO_VERIFY_BACKENDS = {**settings.TWILIO_VERIFY_BACKENDS, "third": LOCMEM}
    settings.TWILIO_VERIFY_ROUTER = lambda wanted: "third"
    assert start(shop, "passkey", ann).verification.backend == "shop"
    settings.TWILIO_VERIFY_ROUTER = None
    assert start(brands["default"], "passkey", ann).verification.backend == "shop"
    assert start(shop, "passkey", ann, backend="default").verification.backend == "default"


def test_passkeys_at_one_service_need_no_router(
    brands: Worlds, parties: dict[str, Browser], ann: Any, clock: Any, settings: Any
) -> None:
    passkey(brands["shop"], ann, parties["shop"])
    settings.TWILIO_VERIFY_ROUTER = wrong
    assert start(brands["default"], "passkey", ann).verification.backend == "shop"


def test_without_a_name_the_router_is_asked_which_site_it_is(
    brands: Worlds, parties: dict[str, Browser], ann: Any, clock: Any, settings: Any
) -> None:
    asked: list[RouteRequest] = []

    def router(wanted: RouteRequest) -> str | None:
        asked.append(wanted)
        return by_tenant(wanted)

    for alias, world in brands.items():
        passkey(world, ann, parties[alias])
    settings.TWILIO_VERIFY_ROUTER = router
    for alias, world in brands.items():
        asked.clear()
        client = world.client(f"visitor of {alias}")
        begun = world.flow("passkeys.begin_sign_in", client)
        [only] = asked
        assert (only.recipient, only.channel, only.purpose, only.user) == (None, Channel.PASSKEY, Purpose.LOGIN, None)
        assert (begun.verification.backend, begun.browser_options["rpId"]) == (alias, f"{alias}.example")
        credential = parties[alias].get(begun.browser_options)
        assert world.flow("passkeys.finish_sign_in", client, begun.verification, credential).user == ann


def test_a_passkey_of_another_service_signs_nobody_in(
    brands: Worlds, parties: dict[str, Browser], ann: Any, clock: Any
) -> None:
    passkey(brands["default"], ann, parties["default"])
    shop = brands["shop"]
    begun = shop.flow("passkeys.begin_sign_in", shop.client("visitor"))
    forged = parties["default"].get({**begun.browser_options, "rpId": "default.example"})
    found = shop.flow("passkeys.finish_sign_in", shop.client("visitor"), begun.verification, forged)
    assert found.user is None and found.checked.outcome == CheckOutcome.WRONG


def test_what_is_offered_is_what_the_routed_backend_keeps(ann: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_BACKENDS = {
        "default": {"BACKEND": "tests.views.enroll.backends.TotpOnly"},
        "shop": LOCMEM,
    }
    shop = make_client(tenant="shop")
    assert passkey_login.are_kept("shop") and not passkey_login.are_kept("default")
    assert not passkey_login.are_kept() and not passkey_login.are_kept(client=shop), (
        "without a router all is the default's"
    )
    assert assurance.enrollable() == {FactorKind.TOTP}
    settings.TWILIO_VERIFY_ROUTER = by_tenant
    assert passkey_login.are_kept(), "by one that may be named"
    assert passkey_login.are_kept(client=shop) and not passkey_login.are_kept(client=make_client())
    assert assurance.enrollable() == set(FactorKind) - {FactorKind.PHONE, FactorKind.EMAIL}
    assert assurance.enrollable(user=ann, client=make_client()) == assurance.enrollable("default") == {FactorKind.TOTP}
    assert FactorKind.PASSKEY in assurance.enrollable(user=ann, client=shop)
    assert assurance.offer(ann, "sms", client=shop) == FactorKind.PASSKEY
    assert assurance.offer(ann, "sms", client=make_client()) == FactorKind.TOTP
    assert assurance.offer(ann, "sms", backend="shop") == FactorKind.PASSKEY
    settings.TWILIO_VERIFY_ROUTER = lambda wanted: "shop" if wanted.purpose == Purpose.LOGIN else None
    assert passkey_login.are_kept(client=shop) and FactorKind.PASSKEY not in assurance.enrollable(user=ann, client=shop)
