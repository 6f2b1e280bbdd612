"""Each kind from the password to the account, in memory and over HTTP with the real SDK."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from django_twilio_verify.models import Verification
from django_twilio_verify.signals import login_completed
from tests.support.basics import make_user
from tests.support.challenges import Holder
from tests.support.devices import World
from tests.support.pages import text

pytestmark = pytest.mark.django_db
KINDS = ["totp", "push", "silent", "passkey"]
PAGES = {
    "totp": "Open your authenticator app, ann@shop",
    "push": "We ask the app on Pixel",
    "silent": "We ask the app on Pixel",
    "passkey": "Your device asks for your finger",
}


@pytest.mark.parametrize("kind", KINDS)
def test_password_then_device_then_in(world: World, client: Client, clock: Any, kind: str) -> None:
    ann = Holder(make_user("ann"), world, client)
    factor = ann.hold(kind)
    heard: list[str] = []
    receiver = lambda **told: heard.append(told["channel"])  # noqa: E731
    login_completed.connect(receiver)
    try:
        ann.sign_in()
        assert not ann.is_in()
        before = Verification.objects.count()
        shown = client.get("/verify/challenge/")
        assert PAGES[kind] in text(shown)
        assert Verification.objects.count() == before, "showing asks nobody"
        assert ann.prove(factor, ann.path(factor), next="/context/")["Location"] == "/context/"
    finally:
        login_completed.disconnect(receiver)
    assert ann.is_in() and heard == [kind]
    assert client.get("/verify/challenge/")["Location"] == "/account/"


@pytest.mark.parametrize("kind", ["totp", "push", "passkey"])
def test_a_payment(world: World, client: Client, clock: Any, kind: str) -> None:
    """Shown on the page and, of push, on the phone; bound; good once."""
    ann = Holder(make_user("ann"), world, client)
    factor = ann.hold(kind)
    ann.sign_in()
    ann.prove(factor, ann.path(factor))
    clock.shift(31)
    page = client.post("/pay/", {"amount": "49.90 EUR", "payee": "The Corner Shop"})["Location"].partition("?")[0]
    assert "Confirm 49.90 EUR to The Corner Shop" in text(client.get(page))
    if kind == "push":
        waiting = ann.ask_phone(ann.path(factor, page), next="/paid/")
        shown = {one["label"]: one["value"] for one in ann.question()["details"]["fields"]}
        assert (shown["Amount"], shown["Payee"]) == ("49.90 EUR", "The Corner Shop")
        assert "Confirm 49.90 EUR" in text(client.get(waiting))
    assert client.get("/paid/").status_code == 409
    assert ann.prove(factor, ann.path(factor, page), next="/paid/")["Location"] == "/paid/"
    assert client.get("/paid/").content == b"paid"
    assert client.get("/paid/").status_code == 409


def test_a_silent_check_shows_nobody_what_is_paid(ann: Holder, client: Client, clock: Any) -> None:
    silent, app = ann.hold("silent"), ann.hold("totp")
    ann.sign_in()
    ann.prove(app, ann.path(app))
    page = client.post("/pay/", {"amount": "49.90 EUR", "payee": "The Corner Shop"})["Location"].partition("?")[0]
    assert "silent" not in client.get(page).content.decode()
    assert client.post(ann.path(silent, page)).status_code == 404
