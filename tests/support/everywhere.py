"""Browsers of one user, for signing out everywhere else."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import time_machine
from django.test import Client
from django.utils import timezone

AT_ONCE = ["db", "cached_db"]
SOON = ["cache", "file", "signed_cookies"]
SOON_AFTER = 310
"""Seconds: more than TWILIO_VERIFY_POLICY_RECHECK_SECONDS."""


def use(engine: str, settings: Any) -> str:
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    return engine


def later(seconds: int = SOON_AFTER) -> time_machine.travel:
    return time_machine.travel(timezone.now() + timedelta(seconds=seconds), tick=False)


def who(browser: Client) -> str:
    return str(browser.get("/whoami/").json()["user"])
