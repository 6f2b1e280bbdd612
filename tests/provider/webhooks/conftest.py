"""A site whose webhook is open to one sink."""

from __future__ import annotations

import pytest

from tests.support.cloud_events import CREDENTIALS, backend


@pytest.fixture(autouse=True)
def sink(settings):
    settings.TWILIO_VERIFY_BACKENDS = {"default": backend()}
    settings.TWILIO_VERIFY_WEBHOOK = dict(CREDENTIALS)
