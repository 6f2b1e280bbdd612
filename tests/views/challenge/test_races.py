"""Presses at the same instant, and two tabs on two factors: one sign-in, nobody turned away, never an error."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.test import Client

from django_twilio_verify.models import Verification
from django_twilio_verify.signals import login_completed, verification_approved
from tests.support.basics import agree, last_code, make_factor, race
from tests.support.challenges import Holder

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
THREADS = 8


@pytest.fixture
def heard() -> Any:
    """What was told of sign-ins and of approvals."""
    told: dict[str, list[Any]] = {"in": [], "approved": []}
    first = lambda **values: told["in"].append(values["channel"])  # noqa: E731
    second = lambda **values: told["approved"].append(values["verification"].pk)  # noqa: E731
    login_completed.connect(first)
    verification_approved.connect(second)
    yield told
    login_completed.disconnect(first)
    verification_approved.disconnect(second)


def tab_of(browser: Client) -> Client:
    tab = Client()
    tab.cookies.update(browser.cookies)
    return tab


def pressed(ann: Holder, path: str, values: dict[str, str]) -> tuple[list[Any], list[Client]]:
    tabs = [tab_of(ann.tab) for _ in range(THREADS)]
    answers = race(THREADS, lambda index: tabs[index].post(path, values))
    assert not [one for one in answers if isinstance(one, BaseException)], answers
    return answers, tabs


def one_is_in(ann: Holder, answers: list[Any], tabs: list[Client], heard: Any, kind: str) -> None:
    assert [one.status_code for one in answers] == [302] * THREADS, [one.content[-1500:] for one in answers]
    assert not [one["Location"] for one in answers if "challenge" in one["Location"] or "login" in one["Location"]]
    assert heard["in"] == [kind] and len(heard["approved"]) == 1
    assert sum(ann.is_in(tab) for tab in tabs) >= 1
    assert Session.objects.count() == 1, "one session, that of the sign-in"


def test_eight_presses_of_a_right_code(ann: Holder, heard: Any, settings: Any) -> None:
    factor = ann.hold("totp")
    heard["approved"].clear()
    ann.sign_in()
    assert ann.app is not None
    answers, tabs = pressed(ann, ann.path(factor), {"code": ann.app.code()})
    one_is_in(ann, answers, tabs, heard, "totp")


def test_eight_answers_of_one_passkey(ann: Holder, heard: Any) -> None:
    factor = ann.hold("passkey")
    heard["approved"].clear()
    ann.sign_in()
    answers, tabs = pressed(ann, ann.path(factor), ann.credential(ann.path(factor)))
    one_is_in(ann, answers, tabs, heard, "passkey")


def test_the_script_and_eight_presses_learn_of_one_yes(ann: Holder, heard: Any) -> None:
    factor = ann.hold("push")
    heard["approved"].clear()
    ann.sign_in()
    page, number = ann.ask_phone(ann.path(factor)), ann.number()
    ann.say("yes")
    tabs = [tab_of(ann.tab) for _ in range(THREADS)]
    scripts = [tab_of(ann.tab) for _ in range(THREADS)]

    def work(index: int) -> Any:
        if index < THREADS:
            return tabs[index].post(page, {"number": number})
        return scripts[index - THREADS].get(page + "status/")

    answers = race(2 * THREADS, work)
    assert not [one for one in answers if isinstance(one, BaseException)], answers
    assert {one.status_code for one in answers[THREADS:]} <= {200, 404}
    # A number that was right while another press was asking the provider waits for that one's answer.
    assert {one.status_code for one in answers[:THREADS]} <= {200, 302}
    if not heard["in"]:
        tabs[0].post(page)
    assert heard["in"] == ["push"] and len(heard["approved"]) == 1
    assert Session.objects.count() == 1
    assert sum(ann.is_in(tab) for tab in tabs) >= 1


def test_eight_first_presses_ask_the_phone_once(ann: Holder) -> None:
    factor = ann.hold("push")
    ann.sign_in()
    ann.tab.get(ann.path(factor))
    answers, _ = pressed(ann, ann.path(factor), {})
    assert {one["Location"].partition("?")[0] for one in answers} == {ann.ask_phone(ann.path(factor))}
    assert ann.phone is not None and len(ann.phone.pending()) == 1


def test_two_tabs_on_two_factors(ann: Holder, heard: Any, clock: Any) -> None:
    """An app in one tab, a phone in another, a text message in a third: the first that is proved signs in."""
    text_message, app, push = make_factor(ann.user), ann.hold("totp"), ann.hold("push")
    agree(user=ann.user)
    heard["approved"].clear()
    ann.sign_in()
    waiting = ann.ask_phone(ann.path(push))
    code_page = ann.tab.post(f"/verify/challenge/{text_message.pk}/sms/")["Location"]
    stale = tab_of(ann.tab)
    assert ann.type_code(ann.path(app)).status_code == 302 and ann.is_in()
    number = ann.number()
    ann.say("yes")
    for tab in (ann.tab, stale):
        for path, values in ((waiting, {"number": number}), (code_page, {"code": last_code()})):
            answer = tab.post(path, values)
            assert answer.status_code in (200, 302), answer
    assert heard["in"] == ["totp"] and ann.is_in()
    assert not ann.is_in(stale)
    assert Verification.objects.filter(purpose="login").count() == 3
