"""Journeys through the pages, in memory and over HTTP with the real SDK."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client

from django_twilio_verify.testing import VerifyServer
from tests.support.basics import make_user
from tests.support.enrollment import APP, World

NOON = "2026-11-20T12:00:00Z"


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
    settings.ROOT_URLCONF = "tests.views.enroll.urls"
    settings.TWILIO_VERIFY_PUSH_APP_NAME = APP


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
