"""Several Services: the router picks one for a send, and the verification stays with it. Two loopback servers."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from asgiref.sync import async_to_sync
from django.core.exceptions import ImproperlyConfigured
from django.test import Client
from django.utils import timezone

from django_twilio_verify import verifications
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.models import ConsentEvent, Verification, VerificationAttempt
from django_twilio_verify.testing import VerifyServer
from django_twilio_verify.verifications import lifecycle
from django_twilio_verify.verifications.routing import RouteRequest
from tests.support.basics import PHONE, agree, code_path, make_client, make_factor, make_user, sign_in
from tests.support.pages import form

pytestmark = pytest.mark.django_db

AUSTRIAN = "+436641234567"


def by_country(wanted: RouteRequest) -> str | None:
    return "shop" if wanted.recipient.country == "AT" else None


@pytest.fixture
def servers(settings: Any) -> Iterator[dict[str, VerifyServer]]:
    with VerifyServer() as first, VerifyServer() as second:
        found = {"default": first, "shop": second}
        settings.TWILIO_VERIFY_BACKENDS = {alias: server.setting()["default"] for alias, server in found.items()}
        settings.TWILIO_VERIFY_ROUTER = by_country
        yield found
        for alias in found:
            backends[alias].close()  # type: ignore[attr-defined]


START: list[Callable[..., Any]] = [lifecycle.start, async_to_sync(lifecycle.astart)]
CHECK: list[Callable[..., Any]] = [lifecycle.check, async_to_sync(lifecycle.acheck)]
TWINS = list(zip(START, CHECK, strict=True))


@pytest.mark.parametrize(("start", "check"), TWINS)
@pytest.mark.parametrize(("recipient", "alias"), [(PHONE, "default"), (AUSTRIAN, "shop")])
def test_a_send_goes_where_the_router_says_and_the_answer_too(
    servers: dict[str, VerifyServer], recipient: str, alias: str, start: Any, check: Any
) -> None:
    client = make_client()
    agree(recipient, client=client)
    started = start(recipient=recipient, channel="sms", client=client)
    assert started.verification.backend == alias
    assert {name: len(server.sent) for name, server in servers.items()} == {
        name: int(name == alias) for name in servers
    }
    code = servers[alias].sent[-1].code
    assert check(started.verification, code=code, client=client).approved


@pytest.mark.parametrize(("start", "check"), TWINS)
def test_a_caller_that_names_a_backend_is_not_routed(servers: dict[str, VerifyServer], start: Any, check: Any) -> None:
    client = make_client()
    agree(AUSTRIAN, client=client)
    started = start(recipient=AUSTRIAN, channel="sms", client=client, backend="default")
    assert started.verification.backend == "default"
    assert len(servers["default"].sent) == 1


def test_tenant_and_user_reach_the_router(servers: dict[str, VerifyServer], settings: Any) -> None:
    asked: list[RouteRequest] = []

    def router(wanted: RouteRequest) -> str:
        asked.append(wanted)
        return "shop" if wanted.client.tenant == "acme" else "default"

    settings.TWILIO_VERIFY_ROUTER = router
    user, client = make_user(), make_client(tenant="acme")
    agree(user=user)
    started = verifications.start(recipient=PHONE, channel="sms", user=user, purpose="enroll", client=client)
    assert started.verification.backend == "shop"
    assert (asked[0].user, asked[0].purpose, asked[0].recipient.value) == (user, "enroll", PHONE)


@pytest.mark.parametrize("start", START)
@pytest.mark.parametrize("router", [lambda wanted: "nobody", lambda wanted: 1 / 0])
def test_a_router_that_is_wrong_sends_and_writes_nothing(
    servers: dict[str, VerifyServer], settings: Any, start: Any, router: Any
) -> None:
    settings.TWILIO_VERIFY_ROUTER = router
    agree()
    with pytest.raises(ImproperlyConfigured, match="TWILIO_VERIFY_ROUTER"):
        start(recipient=PHONE, channel="sms", client=make_client())
    assert not Verification.objects.exists() and not VerificationAttempt.objects.exists()
    assert all(server.requests == [] for server in servers.values())


def test_on_the_pages_resend_other_way_and_answer_stay_with_the_service(
    servers: dict[str, VerifyServer], settings: Any, client: Client
) -> None:
    user = make_user()
    make_factor(user, AUSTRIAN)
    agree(AUSTRIAN, "call", user=user)
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "call"]
    sign_in(client)
    page = code_path(client.post("/verify/challenge/"))
    settings.TWILIO_VERIFY_ROUTER = lambda wanted: "default"  # from now on it would say otherwise
    with time_machine.travel(timezone.now() + timedelta(seconds=31)):
        assert code_path(client.post(f"{page}resend/")) == page
    with time_machine.travel(timezone.now() + timedelta(seconds=120)):
        assert code_path(client.post(f"{page}call/")) == page
        assert [one.channel for one in servers["shop"].sent] == ["sms", "sms", "call"]
        assert servers["default"].sent == []
        assert client.post(page, {"code": servers["shop"].sent[-1].code}).status_code == 302
        assert client.get("/account/").status_code == 200


def test_a_router_that_is_wrong_leaves_no_consent_behind(
    servers: dict[str, VerifyServer], settings: Any, client: Client
) -> None:
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "call"]
    make_user()
    sign_in(client)
    settings.TWILIO_VERIFY_ROUTER = lambda wanted: "nobody"
    client.raise_request_exception = False
    assert client.post("/verify/enroll/sms/", form()).status_code == 500
    assert not ConsentEvent.objects.exists() and not Verification.objects.exists()
    settings.TWILIO_VERIFY_ROUTER = lambda wanted: "shop" if wanted.purpose == "enroll" else "default"
    assert client.post("/verify/enroll/sms/", form()).status_code == 302
    assert Verification.objects.get().backend == "shop"
