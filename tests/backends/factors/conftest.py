"""Backends that keep factors."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.testing import VerifyServer


@pytest.fixture(params=["locmem", "twilio"])
def keeper(request: pytest.FixtureRequest, server: VerifyServer) -> Iterator[LocMemBackend | TwilioBackend]:
    """A backend that keeps factors: in memory, and over HTTP with the real SDK."""
    if request.param == "locmem":
        yield LocMemBackend("default")
        return
    made = TwilioBackend("default", **server.options(timeout=5))
    yield made
    made.close()
