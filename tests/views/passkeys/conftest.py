"""People with real passkeys at the pages of the test site; the provider is the simulator in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.testing import Browser
from django_twilio_verify.testing.factor_contract import ORIGIN, PARTY
from tests.support.basics import make_user, sign_in
from tests.support.passkeys import enroll


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


@pytest.fixture
def enrolled(ann: Any, browser: Browser) -> Browser:
    """Ann's device, with a passkey."""
    client = Client()
    sign_in(client)
    assert enroll(client, browser).status_code == 200
    return browser
