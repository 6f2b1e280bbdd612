"""People with real passkeys at the pages of the test site; the provider is the simulator in memory."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.testing import Browser
from django_twilio_verify.testing.factor_contract import ORIGIN, PARTY

from ..support import make_user, sign_in

ENROL = "/verify/enrol/passkey/"
SIGN_IN = "/verify/passkey/"


@pytest.fixture(autouse=True)
def party() -> Iterator[None]:
    """A Service that knows its relying party."""
    simulator = backends["default"].factor_simulator  # type: ignore[attr-defined]
    before, simulator.passkeys = simulator.passkeys, PARTY
    yield
    simulator.passkeys = before


@pytest.fixture
def ann(db: Any) -> Any:
    return make_user("ann")


@pytest.fixture
def ben(db: Any) -> Any:
    return make_user("ben")


@pytest.fixture
def browser() -> Browser:
    """Ann's device."""
    return Browser(ORIGIN)


def options(client: Client, page: str, **fields: str) -> Any:
    """What the script is told."""
    answer = client.post(f"{page}options/", fields)
    assert answer.status_code == 200, answer.content
    return answer.json()


def post(client: Client, page: str, told: Any, credential: Any, **fields: str) -> Any:
    """What the script posts."""
    text = credential if isinstance(credential, str) else json.dumps(credential)
    return client.post(page, {"verification": told["verification"], "credential": text, **fields})


def enrol(client: Client, browser: Browser, name: str = "Laptop", **fields: str) -> Any:
    told = options(client, ENROL, name=name)
    return post(client, ENROL, told, browser.create(told["options"]), name=name, **fields)


def sign_in_with(client: Client, browser: Browser, **fields: str) -> Any:
    told = options(client, SIGN_IN)
    return post(client, SIGN_IN, told, browser.get(told["options"]), **fields)


@pytest.fixture
def enrolled(ann: Any, browser: Browser) -> Browser:
    """Ann's device, with a passkey."""
    client = Client()
    sign_in(client)
    assert enrol(client, browser).status_code == 200
    return browser
