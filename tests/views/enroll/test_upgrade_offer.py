"""Something stronger is offered after a code, once signed in, and no is taken for an answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.models import Factor, UserState
from tests.support.basics import code_path, last_code, make_factor, make_user, sign_in
from tests.support.enrollment import World, add_totp, links, text

pytestmark = pytest.mark.django_db
TOTP_ONLY = {"default": {"BACKEND": "tests.views.enroll.backends.TotpOnly"}}


@pytest.fixture(autouse=True)
def offering(settings: Any) -> None:
    settings.TWILIO_VERIFY_SUGGEST_STRONGER_FACTOR = True


@pytest.fixture
def bob(db: Any) -> Any:
    user = make_user("bob")
    make_factor(user)
    return user


def enter(client: Client, next_page: str = "/context/") -> Any:
    """Sign in with password and code; the answer to the code."""
    sign_in(client, "bob", url=f"/login/?next={next_page}")
    page = code_path(client.post("/verify/challenge/"))
    return client.post(page, {"code": last_code(), "next": next_page})


def test_a_passkey_is_offered_after_a_code(client: Client, bob: Any) -> None:
    done = enter(client)
    assert done["Location"] == "/verify/stronger/?next=%2Fcontext%2F"
    page = client.get(done["Location"])
    assert "Use a passkey next time?" in text(page) and "You are signed in." in text(page)
    assert "/verify/enroll/passkey/?next=%2Fcontext%2F" in links(page)
    assert client.get("/account/").content == b"account of bob"  # the offer is no wall


def test_an_app_is_offered_where_there_are_no_passkeys(client: Client, bob: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_BACKENDS = TOTP_ONLY
    page = client.get(enter(client)["Location"])
    assert "Use an authenticator app next time?" in text(page)
    assert "/verify/enroll/totp/?next=%2Fcontext%2F" in links(page)


@pytest.mark.parametrize(
    ("chosen", "leads_to"),
    [(["totp", "push"], "Use an authenticator app next time?"), (["push"], ""), ([], "")],
)
def test_only_what_the_site_chose_is_offered(
    client: Client, bob: Any, settings: Any, chosen: list[str], leads_to: str
) -> None:
    settings.TWILIO_VERIFY_DEVICE_FACTORS = chosen
    done = enter(client)
    if leads_to:
        assert leads_to in text(client.get(done["Location"]))
    else:
        assert done["Location"] == "/context/"


def test_what_is_offered_can_be_added_and_leads_on(client: Client, bob: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_BACKENDS = TOTP_ONLY
    page = client.get(enter(client)["Location"])
    add = next(one for one in links(page) if "enroll/totp" in one)
    assert client.get(add).status_code == 200
    add_totp(client)
    assert client.get("/verify/stronger/?next=/context/")["Location"] == "/context/"  # nothing left to offer
    assert Factor.objects.get(default_for=bob).kind == "totp"


def test_no_is_remembered_for_thirty_days(client: Client, bob: Any, clock: Any) -> None:
    offer = enter(client)["Location"]
    assert client.post(offer, {"next": "/context/"})["Location"] == "/context/"
    assert UserState.objects.exclude(suggestion_dismissed_at=None).get().user == bob
    assert client.post(offer, {"next": "/context/"})["Location"] == "/context/"  # a second press
    assert client.get("/verify/stronger/?next=/context/")["Location"] == "/context/"
    clock.shift(29 * 86400)
    assert enter(Client())["Location"] == "/context/"
    clock.shift(2 * 86400)
    assert enter(Client())["Location"].startswith("/verify/stronger/")


def test_showing_the_offer_remembers_nothing(client: Client, bob: Any) -> None:
    client.get(enter(client)["Location"])
    assert not UserState.objects.exists()


def test_nothing_is_offered_before_the_factor_has_passed(client: Client, bob: Any) -> None:
    sign_in(client, "bob")
    for answer in (client.get("/verify/stronger/"), client.post("/verify/stronger/")):
        assert answer["Location"].startswith("/verify/challenge/")
    assert not UserState.objects.exists()
    assert Client().get("/verify/stronger/")["Location"].startswith("/login/")


def test_nothing_is_offered_to_who_has_something_as_strong(
    local: World, client: Client, bob: Any, settings: Any
) -> None:
    settings.TWILIO_VERIFY_BACKENDS = TOTP_ONLY
    enter(client)
    add_totp(client)
    again = Client()
    sign_in(again, "bob")
    phone = Factor.objects.get(kind="phone")
    page = code_path(again.post(f"/verify/challenge/{phone.pk}/sms/"))
    assert again.post(page, {"code": last_code()})["Location"] == "/account/"


def test_nothing_is_offered_after_a_recovery_code(client: Client, bob: Any) -> None:
    code = recovery_codes.issue(bob)[0]
    sign_in(client, "bob")
    assert client.post("/verify/challenge/recovery/", {"code": code})["Location"] == "/account/"
    assert client.get("/verify/stronger/")["Location"] == "/account/"


def test_a_program_is_led_where_it_was_going(client: Client, bob: Any) -> None:
    sign_in(client, "bob")
    page = code_path(client.post("/verify/challenge/"))
    accept = {"accept": "application/json"}
    assert client.post(page, {"code": last_code()}, headers=accept)["Location"] == "/account/"


def test_a_payment_is_not_interrupted(client: Client, bob: Any) -> None:
    enter(client)
    asked = client.post("/pay/", {"amount": "10.00", "payee": "Corner Shop"})
    sent = client.post(asked["Location"])
    paid = client.post(code_path(sent), {"code": last_code(), "next": "/paid/"})
    assert paid["Location"] == "/paid/"


def test_a_site_may_offer_nothing(client: Client, bob: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_SUGGEST_STRONGER_FACTOR = False
    with CaptureQueriesContext(
        connection,
    ) as queries:
        assert enter(client)["Location"] == "/context/"
    assert "suggestion_dismissed_at" not in json.dumps([one["sql"] for one in queries])


def test_it_costs_two_selects(client: Client, bob: Any, settings: Any) -> None:
    def statements(on: bool) -> int:
        settings.TWILIO_VERIFY_SUGGEST_STRONGER_FACTOR = on
        browser = Client()
        sign_in(browser, "bob")
        page = code_path(browser.post("/verify/challenge/"))
        with CaptureQueriesContext(connection) as queries:
            browser.post(page, {"code": last_code()})
        return len(queries)

    statements(on=False)
    assert statements(on=True) - statements(on=False) == 2
