"""Every door, in every state, on both stacks: what it answers. ``docs/topics/enforcement.md`` shows the table.

``pytest tests/login/enforcement/test_login_views.py -s -k table`` prints it.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
import time_machine
from django.utils import timezone

from tests.support.enforcement import DOORS, EXPECTED, STATES, Browser, answer_of, nobody_sees_more, reach

pytestmark = pytest.mark.django_db

WALL = Path(__file__).resolve().parents[3] / "docs" / "topics" / "enforcement.md"


# ---- Doors.


ODD = {("password reset that signs in", "trusted browser"): "to the challenge; 401"}
"""A changed password ends the trust in all browsers."""


def expected(door: str, state: str) -> str:
    return ODD.get((door, state), EXPECTED[state])


@pytest.mark.parametrize("stack", ["WSGI", "ASGI"])
@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("door", DOORS)
def test_what_each_door_answers(door, state, stack, settings):
    browser = Browser(stack)
    reach(door, state, browser, settings)
    later = timezone.now() + timedelta(minutes=STATES[state].get("minutes", 0))
    with time_machine.travel(later, tick=False):
        answer = answer_of(browser, has_factor=STATES[state].get("factor", False))
        nobody_sees_more(browser, answer)
    assert answer == expected(door, state)


def table() -> str:
    head = f"| Door | {' | '.join(STATES)} |\n|{'---|' * (len(STATES) + 1)}\n"
    return head + "".join(f"| {door} | {' | '.join(expected(door, state) for state in STATES)} |\n" for door in DOORS)


def test_the_table_of_the_documentation_is_this_one():
    print("\n" + table())
    assert table() in WALL.read_text(encoding="utf-8")
