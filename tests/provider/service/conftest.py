"""A Service at the loopback server, and the command run against it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.testing import VerifyServer
from tests.support.service import FULL, Site


@pytest.fixture
def site(settings: Any) -> Iterator[Site]:
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "email"]
    with VerifyServer() as server:
        made = Site(settings, server, server.options())
        made.declare(FULL)
        yield made
        made.declare(FULL)
        backends["default"].close()  # type: ignore[attr-defined]
