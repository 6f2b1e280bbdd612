"""What happens to the account while the provider is asked: the request that is under way brings nothing about.

The interleaving is forced: the state comes true within the provider's call, after which the code is right.
"""

from __future__ import annotations

from typing import Any

import pytest

from django_twilio_verify.backends.handler import backends
from tests.attacks.states import FACTOR_STATES, PERSON_STATES, STATES, Stage, effects, gained
from tests.support.page_states import ACTING, CASES, begun, clock, from_here, request, site

__all__ = ["clock", "site"]

pytestmark = pytest.mark.django_db

ASKED = ("check", "fetch", "confirm", "factors", "challenge", "answer", "poll")
ENGINES = ["db", "cached_db", "cache", "signed_cookies"]
OF_A_CODE = ("signed in", "proved", "paid", "enrolled")
JUDGED = [row for row in ACTING if CASES[row.values[0]][row.values[1]].does in OF_A_CODE]  # type: ignore[index]


def while_asked(stage: Stage, state: str, monkeypatch: Any) -> list[dict[str, Any]]:
    """Let ``state`` come true within the first call. Gives what was so by then (``states.effects``)."""
    backend, then = backends["default"], []

    def watch(name: str) -> None:
        original = getattr(backend, name)

        def judge(*args: Any, **kwargs: Any) -> Any:
            judged = original(*args, **kwargs)
            if not then:
                then.append({})
                STATES[state](stage)
                then[0] = effects(stage)
            return judged

        monkeypatch.setattr(backend, name, judge)

    for name in ASKED:
        watch(name)
    return then


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize(("name", "number"), JUDGED)
def test_nothing_comes_of_a_right_code(clock, monkeypatch, settings, subtests, name, number, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    case = CASES[name][number]
    stage = begun(case, clock)
    clock.shift(60)
    for state in PERSON_STATES:
        with subtests.test(state), from_here(stage), monkeypatch.context() as patch:
            then = while_asked(stage, state, patch)
            answer = request(stage, case, name, "post")
            assert then, "the provider was asked"
            came = gained(then[0], effects(stage))
            assert not {"enrolled", "removed", "paid"} & {*came}, (came, answer.status_code)
            assert answer.status_code < 500
            clock.shift(301)  # where sessions cannot be listed, what was ended is found out then
            page = stage.browser.get("/whoami/")
            assert page.status_code == 302 or page.json() == {"user": ""}


@pytest.mark.parametrize(
    ("name", "number"),
    [row for row in JUDGED if CASES[row.values[0]][row.values[1]].does != "enrolled"],  # type: ignore[index]
)
def test_a_factor_that_goes_while_its_answer_is_judged_opens_nothing(clock, monkeypatch, subtests, name, number):
    case = CASES[name][number]
    stage = begun(case, clock)
    clock.shift(60)
    for state in FACTOR_STATES:
        with subtests.test(state), from_here(stage), monkeypatch.context() as patch:
            then = while_asked(stage, state, patch)
            answer = request(stage, case, name, "post")
            assert then, "the provider was asked"
            assert gained(then[0], effects(stage)) == [], answer.status_code
