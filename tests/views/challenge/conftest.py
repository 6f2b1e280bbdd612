"""People with devices who sign in on our pages: in memory, and over HTTP with the real SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client

from django_twilio_verify.testing import VerifyServer
from tests.support.basics import make_user
from tests.support.challenges import Holder
from tests.support.devices import NOON, World


@pytest.fixture
def local() -> World:
    return World("sync", None)


@pytest.fixture(params=["memory", "http"])
def world(request: Any, settings: Any) -> Iterator[World]:
    """The provider in memory, and behind the real SDK."""
    if request.param == "memory":
        yield World("sync", None)
        return
    with VerifyServer() as server:
        settings.TWILIO_VERIFY_BACKENDS = server.setting(timeout=10)
        yield World("sync", server)


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ann(local: World, client: Client) -> Holder:
    return Holder(make_user("ann"), local, client)
