"""Every page and button of the app, in a browser whose user's factor, session or account changed since it was opened.

The pages are read from the URLconf: a new URL without a case here fails. Each case is begun as it should be
(``states``), one state comes true, and then the page is asked for and its button pressed with all that would be right.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.db import transaction

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.urls import urlpatterns
from tests.attacks.states import AFTER, FACTOR_STATES, PERSON_STATES, STATES, Stage, effects, gained
from tests.support.page_states import ACTING, CASES, Case, begun, clock, from_here, request, site

__all__ = ["clock", "site"]

pytestmark = pytest.mark.django_db

ROWS = [
    pytest.param(name, number, id=f"{name}-{number}") for name, cases in CASES.items() for number in range(len(cases))
]


def test_every_url_has_a_case():
    assert {pattern.name for pattern in urlpatterns} == {*CASES}
    assert all(CASES.values())


@pytest.fixture
def prompts(monkeypatch: Any) -> list[str]:
    """What the provider was asked to tell a device: all of it real, and written down."""
    backend, told = backends["default"], []

    def watch(name: str) -> None:
        original = getattr(backend, name)
        monkeypatch.setattr(backend, name, lambda *args, **kwargs: (told.append(name), original(*args, **kwargs))[1])

    watch("notify")
    watch("challenge")
    return told


PASSKEYS_OF_ANYBODY = "passkey_sign_in_options"
"""The one page that has the provider make a challenge for whoever is there: it names nobody and reaches nobody."""


def done(stage: Stage, before: dict[str, Any], prompts: list[str], case: Case) -> list[str]:
    """What came of the request, prompts of devices included. What an authenticator app shows is no prompt."""
    more = gained(before, effects(stage))
    asks = [one for one in prompts if not (one == "challenge" and "code" in stage.data)]
    return [*more, "sent"] if asks and "sent" not in more else more


@pytest.mark.parametrize(("name", "number"), ROWS)
def test_nothing_comes_of_it(clock, prompts, subtests, name, number):
    case = CASES[name][number]
    stage = begun(case, clock)
    for state in STATES:
        with subtests.test(state), from_here(stage):
            nothing_comes_of(stage, case, name, state, prompts)


def nothing_comes_of(stage: Stage, case: Case, name: str, state: str, prompts: list[str]) -> None:
    STATES[state](stage)
    stage.clock.shift(AFTER)
    before = effects(stage)
    with as_if_it_had_not_been(stage):
        prompts.clear()
        answer = request(stage, case, name, "get")
        kind = (answer.status_code, answer.get("Location", ""))
        assert done(stage, before, [] if name == PASSKEYS_OF_ANYBODY else prompts, case) == [], kind
        assert _is_expected(answer, case, "get", state), kind
    prompts.clear()
    answer = request(stage, case, name, "post")
    kind = (answer.status_code, answer.get("Location", ""))
    came = done(stage, before, [] if name == PASSKEYS_OF_ANYBODY else prompts, case)
    assert [one for one in came if not _may(case, name, state, one, stage, before)] == [], (came, kind)
    assert _is_expected(answer, case, "post", state), kind


@contextmanager
def as_if_it_had_not_been(stage: Stage) -> Iterator[None]:
    """Looks at the page from this moment, to which the press that follows goes back. (A look reaches no provider.)"""
    cookies = copy.deepcopy(stage.browser.cookies)
    look = transaction.atomic()
    look._from_testcase = True  # as the test's own transaction, which durable ones may stand in
    with look:
        yield
        transaction.set_rollback(True)
    stage.browser.cookies = cookies


def _may(case: Case, name: str, state: str, effect: str, stage: Stage, before: dict[str, Any]) -> bool:
    """A page that names no factor offers those that are left: it may send there, and never to the one that is gone."""
    if effect != "sent" or name not in ("challenge", "step_up", "payment") or state not in FACTOR_STATES:
        return False
    fresh = effects(stage)["sent"][len(before["sent"]) :]
    return all(to != stage.attacked.recipient_value for to, _channel in fresh)


def _is_expected(answer: Any, case: Case, method: str, state: str) -> bool:
    """Where the person is not there any more, a page leads to the login, or is not there; else it leads on or says why,
    and never to where one goes who is through.
    """
    status, location = answer.status_code, answer.get("Location", "")
    if case.public:
        return status in (200, 302, 400, 403, 404, 405, 409)
    if state in PERSON_STATES:
        if status == 200:  # JSON that says nothing
            return answer.get("Content-Type", "").startswith("application/json")
        return status in (401, 403, 404, 405) or (status == 302 and not location.startswith("/paid/"))
    if method == "post" and case.does and status == 302:
        return bool(location.startswith(("/verify/", "/login/")))
    return status in (200, 302, 401, 403, 404, 405, 409)


@pytest.mark.parametrize(("name", "number"), ACTING)
def test_and_it_would_have(clock, prompts, name, number):
    """The same press while nothing has changed, after a fresh proof: else the table above would show nothing.

    Twice from the same moment: what is undone between two states of the table is really undone.
    """
    case = CASES[name][number]
    stage = begun(case, clock)
    clock.shift(60)
    for _ in range(2):
        with from_here(stage):
            before = effects(stage)
            prompts.clear()
            answer = request(stage, case, name, "post")
            came = done(stage, before, prompts, case)
            assert case.does in came, (came, answer.status_code, answer.get("Location", ""), answer.content[:2000])


@pytest.mark.parametrize(
    ("name", "number"),
    [row for row in ACTING if CASES[row.values[0]][row.values[1]].fresh],  # type: ignore[index]
)
def test_nothing_comes_of_an_old_proof(clock, prompts, name, number):
    """Nothing has changed but the time: adding and removing a factor wait for a fresh proof."""
    case = CASES[name][number]
    stage = begun(case, clock)
    clock.shift(AFTER)
    before = effects(stage)
    prompts.clear()
    answer = request(stage, case, name, "post")
    assert done(stage, before, prompts, case) == []
    leads = answer.json()["url"] if case.json else answer["Location"]
    assert leads.startswith("/verify/step-up/")
