"""Journeys through the pages, in memory and over HTTP with the real SDK."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any

import pytest
import time_machine
from django.apps import apps
from django.contrib.sessions.models import Session
from django.test import Client

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.testing import Authenticator, FactorRoutes, HttpApi, LocalApi, Phone, VerifyServer

from ..support import make_user, one_moment

NOON = "2026-11-20T12:00:00Z"
CODE = r"\b[0-9a-z]{4}(?:-[0-9a-z]{4}){3}\b"
APP = "Acme Go"


class World:
    """The provider behind ``alias``: ``server`` is ``None`` where it lives in this process."""

    def __init__(self, server: VerifyServer | None, alias: str = "default") -> None:
        self.server, self.alias = server, alias

    @property
    def simulator(self) -> Any:
        if self.server is not None:
            return self.server.extension(FactorRoutes).simulator
        return backends[self.alias].factor_simulator

    def phone(self, answer: dict[str, Any], name: str = "Pixel") -> Phone:
        """A phone whose app got ``answer`` from the site and registers with it."""
        api = HttpApi(self.server.url) if self.server else LocalApi(FactorRoutes(self.simulator))
        place = answer["service_sid"] or self.simulator.place.service_sid
        phone = Phone(api, service_sid=place, identity=answer["identity"], name=name, platform="fcm")
        phone.register(answer["token"])
        return phone

    def fail(self) -> None:
        """The next request meets a provider that is down."""
        if self.server is not None:
            self.server.fail_next(status=500)
        else:
            backends[self.alias].fail_next(code=0, status=500)


@pytest.fixture(params=["locmem", "twilio"])
def world(request: Any, settings: Any) -> Iterator[World]:
    if request.param == "locmem":
        yield World(None)
        return
    with VerifyServer() as server:
        settings.TWILIO_VERIFY_BACKENDS = server.setting(timeout=10)
        yield World(server)


@pytest.fixture
def local() -> World:
    return World(None)


@pytest.fixture(autouse=True)
def all_pages(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.enrolpages.urls"
    settings.TWILIO_VERIFY_PUSH_APP = APP


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ann(db: Any, client: Client) -> Any:
    """Signed in, without any factor."""
    user = make_user("ann", email="ann@example.org")
    client.force_login(user)
    return user


def text(response: Any) -> str:
    """What a person reads of the page, white space folded."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", response.content.decode())).split())


def links(response: Any) -> list[str]:
    return [unescape(one) for one in re.findall(r'href="([^"]+)"', response.content.decode())]


def begin_totp(client: Client, **values: str) -> tuple[str, Authenticator, Any]:
    """Press the button; the page that takes the code, the app that scanned it, and the answer itself."""
    answer = client.post("/verify/enrol/totp/", {"name": "My app", **values})
    assert answer.status_code == 200, answer.content
    html = answer.content.decode()
    found = re.search(r'action="(/verify/enrol/totp/[0-9a-f-]{36}/)"', html)
    uri = re.search(r'href="(otpauth://[^"]+)"', html)
    assert found and uri, text(answer)
    return found[1], Authenticator.scan(unescape(uri[1])), answer


def add_totp(client: Client) -> Authenticator:
    """Enrol an authenticator app; the code of the time step before was used for it."""
    page, app, _ = begin_totp(client)
    with one_moment():
        done = client.post(page, {"code": app.code(steps=-1)})
    assert Factor.objects.filter(kind="totp", confirmed_at__isnull=False).exists(), text(done)
    return app


def recovery_codes(response: Any) -> list[str]:
    return re.findall(CODE, text(response))


def everything_kept() -> str:
    """All that all tables hold, sessions decoded."""
    rows = [repr([*model._base_manager.values_list()]) for model in apps.get_models(include_auto_created=True)]
    rows += [repr(one.get_decoded()) for one in Session.objects.all()]
    return "\n".join(rows)


def the_enrolment() -> Verification:
    return Verification.objects.filter(purpose="enrol").latest("created_at")
