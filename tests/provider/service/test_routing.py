"""Which alias carries a proof."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.test import RequestFactory

from django_twilio_verify.choices import Channel, FactorKind, Purpose
from django_twilio_verify.client import client_from
from django_twilio_verify.core.client import ClientInfo
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.verifications import routing
from django_twilio_verify.verifications.routing import RouteRequest
from tests.support.basics import PHONE

LOCMEM = {"BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend"}


@pytest.fixture(autouse=True)
def aliases(settings: Any) -> None:
    settings.TWILIO_VERIFY_BACKENDS = dict.fromkeys(("default", "shop", "austria", "payments"), LOCMEM)


def request(recipient: str = PHONE, **values: Any) -> RouteRequest:
    return RouteRequest(Recipient.parse(recipient), values.pop("channel", Channel.SMS), **values)


def by_everything(wanted: RouteRequest) -> str | None:
    """A router as a site would write it."""
    if wanted.purpose == Purpose.PAYMENT:
        return "payments"
    if wanted.client.tenant == "shop" or wanted.client.page.startswith("https://shop.test/"):
        return "shop"
    return "austria" if wanted.recipient is not None and wanted.recipient.country == "AT" else None


def device(kind: FactorKind = FactorKind.TOTP, *, purpose: Purpose = Purpose.ENROLL, **values: str) -> RouteRequest:
    return RouteRequest.of_device(kind, purpose, None, ClientInfo(**values))


CASES = [
    (request(), "default"),
    (request("+436641234567"), "austria"),
    (request("+436641234567", client=ClientInfo(page="https://shop.test/enroll/")), "shop"),
    (request(client=ClientInfo(tenant="shop")), "shop"),
    (request(purpose=Purpose.PAYMENT, client=ClientInfo(tenant="shop")), "payments"),
    (request("ann@example.org", channel=Channel.EMAIL), "default"),
    (device(), "default"),
    (device(FactorKind.PUSH, tenant="shop"), "shop"),
    (device(FactorKind.PASSKEY, purpose=Purpose.LOGIN, page="https://shop.test/login/"), "shop"),
]


@pytest.mark.parametrize("twin", [routing.choose, async_to_sync(routing.achoose)])
@pytest.mark.parametrize(("wanted", "alias"), CASES)
@pytest.mark.parametrize("router", [by_everything, f"{__name__}.by_everything"])
def test_the_router_names_the_alias(settings: Any, router: Any, wanted: RouteRequest, alias: str, twin: Any) -> None:
    settings.TWILIO_VERIFY_ROUTER = router
    assert twin(wanted) == alias


@pytest.mark.parametrize("page", ["howto/several-services", "reference/settings"])
def test_the_routers_of_the_documentation_take_both(settings: Any, page: str) -> None:
    text = (Path(__file__).resolve().parents[3] / f"docs/{page}.md").read_text(encoding="utf-8")
    [block] = [one for one in re.findall(r"```python\n(.*?)```", text, re.DOTALL) if "def service_for" in one]
    found: dict[str, Any] = {}
    exec(block, found)  # noqa: S102  # our own page
    settings.TWILIO_VERIFY_ROUTER = found["service_for"]
    asked = [device(), device(tenant="shop"), request("+436641234567"), request()]
    assert [routing.choose(one) for one in asked] == ["default", "shop", "austria", "default"]


@pytest.mark.parametrize("kind", [FactorKind.TOTP, FactorKind.PUSH, FactorKind.PASSKEY])
def test_of_a_device_a_router_that_reads_the_recipient_is_told_why_it_failed(settings: Any, kind: FactorKind) -> None:
    settings.TWILIO_VERIFY_ROUTER = lambda wanted: wanted.recipient.country
    told = f"TWILIO_VERIFY_ROUTER raised AttributeError. For '{kind.value}' there is no recipient: it is None."
    with pytest.raises(ImproperlyConfigured, match=f"^{re.escape(told)}$"):
        routing.choose(device(kind))


def test_which_aliases_may_be_named(settings: Any) -> None:
    assert routing.possible() == ("default",)
    settings.TWILIO_VERIFY_ROUTER = by_everything
    assert routing.possible() == ("default", "shop", "austria", "payments")
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "tests.views.enroll.backends.TotpOnly"}, "shop": LOCMEM}
    assert routing.keeps(["default"], FactorKind.TOTP) and not routing.keeps(["default"], FactorKind.PUSH)
    assert routing.keeps(["default", "shop"], FactorKind.PUSH) and not routing.keeps([], FactorKind.TOTP)


def test_without_a_router_it_is_the_default() -> None:
    assert routing.choose(request()) == "default"


def broken(wanted: RouteRequest) -> str:
    raise LookupError(f"no brand for {wanted.recipient.value}")


async def slow(wanted: RouteRequest) -> str:
    return "shop"


@pytest.mark.parametrize("twin", [routing.choose, async_to_sync(routing.achoose)])
@pytest.mark.parametrize(
    "router",
    [
        broken,
        slow,
        "nowhere.router",
        "..",
        "shop",
        17,
        lambda wanted: "nobody",
        lambda wanted: wanted.recipient.value,
        lambda wanted: ["shop"],
        lambda wanted: "",
        lambda: "shop",
    ],
)
def test_a_router_that_is_wrong_is_named_and_the_recipient_is_not(settings: Any, router: Any, twin: Any) -> None:
    settings.TWILIO_VERIFY_ROUTER = router
    with pytest.raises(ImproperlyConfigured, match="TWILIO_VERIFY_ROUTER") as raised:
        twin(request())
    assert PHONE not in str(raised.value)


@pytest.mark.django_db
def test_a_router_may_look_things_up_from_async_code_too(settings: Any) -> None:
    def looking(wanted: RouteRequest) -> str:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 'shop'")
            return str(cursor.fetchone()[0])

    settings.TWILIO_VERIFY_ROUTER = looking
    assert async_to_sync(routing.achoose)(request()) == "shop"


def test_a_request_is_shown_without_the_person() -> None:
    shown = repr(request(client=ClientInfo(session="secret", ip="203.0.113.7")))
    assert PHONE not in shown and "secret" not in shown and "203.0.113.7" not in shown


def test_the_tenant_of_a_request_reaches_the_client(settings: Any, rf: RequestFactory) -> None:
    asked = rf.get("/")
    asked.session = {}  # type: ignore[assignment]
    assert client_from(asked).tenant == ""
    settings.TWILIO_VERIFY_TENANT = lambda request: request.get_host()
    assert client_from(asked).tenant == "testserver"
    settings.TWILIO_VERIFY_TENANT = lambda request: None
    assert client_from(asked).tenant == ""
    settings.TWILIO_VERIFY_TENANT = lambda request: 7
    with pytest.raises(ImproperlyConfigured, match="TWILIO_VERIFY_TENANT"):
        client_from(asked)
