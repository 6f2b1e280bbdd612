"""A loopback server and a backend that talks to it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.testing import VerifyServer, clear_outbox


@pytest.fixture(autouse=True)
def _nothing_pending(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("NO_PROXY", "*")  # a developer's proxy must not see the loopback requests
    clear_outbox(factors=True)
    yield
    clear_outbox(factors=True)


@pytest.fixture
def server() -> Iterator[VerifyServer]:
    with VerifyServer() as running:
        yield running


@pytest.fixture
def backend(server: VerifyServer) -> Iterator[TwilioBackend]:
    made = TwilioBackend("default", **server.options(timeout=5))
    yield made
    made.close()


@pytest.fixture
def recipient() -> Recipient:
    return Recipient.phone("+12025550143")
