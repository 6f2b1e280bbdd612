"""allauth's login views, in each state and on both stacks, as those of ``tests/login/enforcement``."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth.models import User
from django.utils import timezone

from tests.support import enforcement
from tests.support.basics import PASSWORD
from tests.support.enforcement import EXPECTED, STATES, Browser, answer_of, nobody_sees_more, reach

pytestmark = pytest.mark.django_db


def by_password(browser: Browser, user: User, settings: Any) -> None:
    answer = browser.post("/accounts/login/", {"login": user.username, "password": PASSWORD})
    assert answer.status_code == 302, answer.content


def remembered(browser: Browser, user: User, settings: Any) -> None:
    answer = browser.post("/accounts/login/", {"login": user.username, "password": PASSWORD, "remember": "on"})
    assert answer.status_code == 302, answer.content


@pytest.mark.parametrize("stack", ["WSGI", "ASGI"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("door", [by_password, remembered])
@pytest.mark.parametrize("deferred", [False, True])
def test_what_the_door_answers(
    door: Any, state: str, stack: str, deferred: bool, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.TWILIO_VERIFY_DEFER_LOGIN_SIGNAL = deferred
    settings.ACCOUNT_SIGNUP_FIELDS = ["username*", "phone", "password1*"]  # else people without one are turned away
    monkeypatch.setitem(enforcement.DOORS, "allauth", door)
    browser = Browser(stack)
    reach("allauth", state, browser, settings)
    later = timezone.now() + timedelta(minutes=STATES[state].get("minutes", 0))
    with time_machine.travel(later, tick=False):
        answer = answer_of(browser, has_factor=STATES[state].get("factor", False))
        nobody_sees_more(browser, answer)
    assert answer == EXPECTED[state]
