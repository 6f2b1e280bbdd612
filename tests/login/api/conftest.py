"""Fixtures of a site that calls ``login`` in views of its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.testing.factor_contract import PARTY
from tests.support.own_site import site

__all__ = ["site"]


@pytest.fixture(autouse=True)
def sessions_in_the_database(settings: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"


@pytest.fixture(autouse=True)
def party() -> Iterator[None]:
    """A Service that knows its relying party."""
    simulator = backends["default"].factor_simulator  # type: ignore[attr-defined]
    before, simulator.passkeys = simulator.passkeys, PARTY
    yield
    simulator.passkeys = before
