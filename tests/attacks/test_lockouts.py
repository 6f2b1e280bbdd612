"""Without an account, by the public pages: nothing that a stranger posts keeps the owner out."""

from __future__ import annotations

import pytest
from django.core.management import call_command
from django.test import Client

from django_twilio_verify import testing
from django_twilio_verify.testing import outbox
from tests.support.basics import code_path, last_code, make_factor, make_user, sign_in, wrong_code
from tests.support.stop_pages import ask

pytestmark = pytest.mark.django_db


def posts(count: int) -> list[int]:
    """What strangers are answered who ask the stop page for a code to the owner's number, and guess it."""
    answers = []
    for index in range(count):
        stranger = Client(REMOTE_ADDR=f"203.0.{index}.5")
        sent = ask(stranger)
        answers.append(sent.status_code)
        if sent.status_code == 302:
            page = code_path(sent)
            answers += [stranger.post(page, {"code": wrong_code()}).status_code for _ in range(3)]
    return answers


def test_strangers_leave_the_owner_the_sends_and_the_answers():
    make_factor(make_user())
    assert posts(8)[-1] == 429
    owner, sent = Client(), len(outbox)
    sign_in(owner)
    page = code_path(owner.post("/verify/challenge/"))
    assert len(outbox) == sent + 1
    for _ in range(4):
        assert owner.post(page, {"code": wrong_code()}).status_code == 200
    assert owner.post(page, {"code": last_code()}).status_code == 302
    assert owner.get("/whoami/", headers={"Accept": "application/json"}).json() == {"user": "ann"}


@pytest.mark.django_db(transaction=True)  # it empties the tables itself
def test_strangers_are_answered_the_same_with_and_without_an_owner():
    without = posts(5)
    call_command("flush", interactive=False, verbosity=0)
    testing.clear_outbox(factors=True)
    make_factor(make_user())
    assert posts(5) == without
    assert without.count(429) == 3
