"""Factors of people, in memory and over HTTP with the real SDK; both twins."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine

from django_twilio_verify.testing import VerifyServer
from tests.support.basics import make_user
from tests.support.devices import NOON, World


@pytest.fixture(params=["locmem sync", "locmem async", "twilio sync"])
def world(request: Any, settings: Any) -> Iterator[World]:
    place, twin = request.param.split()
    if place == "locmem":
        yield World(twin, None)
        return
    with VerifyServer() as server:
        settings.TWILIO_VERIFY_BACKENDS = server.setting(timeout=10)
        yield World(twin, server)


@pytest.fixture
def local() -> World:
    """In memory alone, for what does not depend on the provider."""
    return World("sync", None)


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ann(db: Any) -> Any:
    return make_user("ann")


@pytest.fixture
def ben(db: Any) -> Any:
    return make_user("ben")
