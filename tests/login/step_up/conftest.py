"""Somebody who signed in with a text message, an hour ago if need be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import Client

from tests.support.basics import code_path, last_code, make_factor, make_user
from tests.support.challenges import Holder
from tests.support.devices import NOON, World


@pytest.fixture
def clock() -> Iterator[Any]:
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ann(client: Client, clock: Any) -> Holder:
    """Signed in by text message, just now."""
    ann = Holder(make_user("ann", is_staff=True, is_superuser=True), World("sync", None), client)
    make_factor(ann.user)
    ann.sign_in()
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    assert ann.is_in()
    return ann


@pytest.fixture
def later(ann: Holder, clock: Any) -> Holder:
    """The same an hour later."""
    clock.shift(3600)
    return ann
