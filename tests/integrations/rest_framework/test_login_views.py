"""What a REST view with a session answers, in each state and on both stacks, as the login views of ``enforcement``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.utils import timezone

from django_twilio_verify.models import Factor
from tests.support.enforcement import STATES, Browser, reach

pytestmark = pytest.mark.django_db

ANSWERS = {
    "no factor, none demanded": (200, 401, 401),
    "no factor, demanded": (401, 401, 401),
    "the same, time to enroll": (200, 401, 401),
    "factor owed": (401, 401, 401),
    "factor passed": (200, 200, 200),
    "passed long ago": (200, 200, 401),
    "trusted browser": (200, 401, 401),
}
"""Of a view for people who are signed in; with ``IsVerified``; with one of the last five minutes."""


@pytest.mark.parametrize("stack", ["WSGI", "ASGI"])
@pytest.mark.parametrize("state", STATES)
def test_what_a_session_gets(state: str, stack: str, settings: Any) -> None:
    browser = Browser(stack)
    reach("`LoginView`", state, browser, settings)
    later = timezone.now() + timedelta(minutes=STATES[state].get("minutes", 0))
    with time_machine.travel(later, tick=False):
        got = [
            browser.get(path, Accept="application/json") for path in ("/api/orders/", "/api/secrets/", "/api/lately/")
        ]
    assert tuple(one.status_code for one in got) == ANSWERS[state]
    codes = {one.json().get("code") for one in got if one.status_code == 401}
    waits = "second_factor_required" if ANSWERS[state][0] == 401 else "verification_required"
    if ANSWERS[state][0] != 401 and not Factor.objects.exists():
        waits = "enrollment_required"
    assert codes in (set(), {waits})
