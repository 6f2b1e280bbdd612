"""The box "Do not ask again on this browser" beside every way of signing in, and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.login.trust_cookie import COOKIE
from django_twilio_verify.testing import outbox
from tests.support.basics import code_path, last_code, make_factor
from tests.support.challenges import Holder

pytestmark = pytest.mark.django_db
BOX = 'type="checkbox" name="trust"'


@pytest.fixture(autouse=True)
def trusting(settings: Any) -> None:
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30


def is_excused(ann: Holder) -> bool:
    ann.tab.post("/logout/")
    ann.sign_in()
    return ann.is_in()


@pytest.mark.parametrize("ticked", ["yes", "no"])
@pytest.mark.parametrize("kind", ["totp", "passkey", "push", "silent"])
def test_every_device(ann: Holder, client: Client, clock: Any, kind: str, ticked: str) -> None:
    factor = ann.hold(kind)
    ann.sign_in()
    path = ann.path(factor)
    assert BOX in client.get(path).content.decode()
    done = ann.prove(factor, path, trust=ticked)
    assert done.status_code == 302 and (COOKIE in done.cookies) == (ticked == "yes")
    assert is_excused(ann) == (ticked == "yes")


@pytest.mark.parametrize("kind", ["push", "silent"])
def test_the_wish_goes_along_to_the_page_that_waits(ann: Holder, client: Client, clock: Any, kind: str) -> None:
    factor = ann.hold(kind)
    ann.sign_in()
    page = ann.ask_phone(ann.path(factor), trust="yes")
    shown = client.get(page).content.decode()
    assert BOX in shown and 'tv-trust_hint" checked' in shown
    typed = {"number": ann.number()} if kind == "push" else {}
    ann.say("yes")
    assert COOKIE in client.post(page, typed).cookies


def test_a_code_that_is_sent(ann: Holder, client: Client) -> None:
    factor = make_factor(ann.user)
    ann.sign_in()
    path = ann.path(factor)
    assert BOX in client.get(path).content.decode()
    page = code_path(client.post(path, {"trust": "yes"}))
    assert COOKIE in client.post(page, {"code": last_code()}).cookies
    assert is_excused(ann)


def test_a_link(ann: Holder, client: Client, settings: Any) -> None:
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "sna"]
    factor = make_factor(ann.user, channel="sna")
    ann.sign_in()
    page = client.post(ann.path(factor), {"trust": "yes"})["Location"]
    shown = client.get(page).content.decode()
    assert shown.count(BOX) == 2 and shown.count('_hint" checked') == 2
    backends["default"].simulator.open_link(outbox[-1].link, error=0)  # type: ignore[attr-defined]
    assert COOKIE in client.post(page).cookies
    assert is_excused(ann)


def test_not_where_nobody_signs_in(ann: Holder, client: Client, clock: Any) -> None:
    app, phone = ann.hold("totp"), ann.hold("push")
    ann.sign_in()
    ann.type_code(ann.path(app))
    for path in (ann.path(app, "/verify/step-up/"), ann.path(phone, "/verify/step-up/")):
        assert BOX not in client.get(path).content.decode()
    page = ann.ask_phone(ann.path(phone, "/verify/step-up/"), trust="yes")
    assert BOX not in client.get(page).content.decode()
    number = ann.number()
    ann.say("yes")
    done = client.post(page, {"number": number, "trust": "yes"})
    assert done.status_code == 302 and COOKIE not in done.cookies
