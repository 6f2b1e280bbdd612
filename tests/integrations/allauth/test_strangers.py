"""Visitors who type a number: what its owner removed opens nothing, and nobody is told whether it has an owner."""

from __future__ import annotations

import re
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.test import Client

from django_twilio_verify import consent, testing
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.factors import devices
from django_twilio_verify.models import ConsentEvent, Factor, Verification
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import claimants, lifecycle
from tests.integrations.allauth.helpers import Program, agreed, sign_up, whoami
from tests.support.basics import (
    EMAIL,
    PASSWORD,
    PHONE,
    code_path,
    last_code,
    make_client,
    make_factor,
    make_user,
    wrong_code,
)

pytestmark = pytest.mark.django_db(transaction=True)


def stranger(number: int) -> Client:
    return Client(REMOTE_ADDR=f"203.0.{number}.9")


def ask_for_a_code(browser: Client) -> Any:
    return browser.post("/accounts/login/code/", {"phone": PHONE})


def enter(browser: Client, code: str) -> Any:
    return browser.post("/accounts/login/code/confirm/", {"code": code})


# ---- What was removed


@pytest.mark.parametrize("others", [0, 1])
def test_a_login_code_of_a_phone_that_was_removed_opens_nothing(others: int) -> None:
    ann = make_user()
    phone = make_factor(ann)
    if others:
        make_factor(ann, EMAIL, channel="email")
    thief = Client()
    ask_for_a_code(thief)
    devices.remove(ann, phone.pk)
    enter(thief, last_code())
    assert whoami(thief) == "" and Factor.objects.count() == others
    assert not thief.session.get("_twilio_verify_pending")


def test_nor_does_one_that_was_judged_a_moment_before(monkeypatch: Any) -> None:
    """She removes it between the provider's answer and what allauth does with it."""
    ann = make_user()
    phone = make_factor(ann)
    thief = Client()
    ask_for_a_code(thief)
    check = lifecycle.check

    def and_removed(*args: Any, **kwargs: Any) -> Any:
        checked = check(*args, **kwargs)
        devices.remove(ann, phone.pk)
        return checked

    monkeypatch.setattr("django_twilio_verify.contrib.allauth.forms.verifications.check", and_removed)
    assert enter(thief, last_code()).status_code == 403
    assert Verification.objects.get().status == "approved"
    assert whoami(thief) == "" and not Factor.objects.exists()


def test_nor_does_a_headless_one() -> None:
    ann = make_user()
    phone = make_factor(ann)
    thief = Program("browser")
    thief.call("POST", "auth/code/request", phone=PHONE)
    devices.remove(ann, phone.pk)
    body = {"code": last_code()}
    answer = thief.browser.post("/_allauth/browser/v1/auth/code/confirm", body, content_type="application/json")
    assert answer.status_code == 403 and not Factor.objects.exists()


def test_nor_does_one_of_a_number_that_was_not_used_for_long(settings: Any) -> None:
    settings.TWILIO_VERIFY_REVERIFY_DAYS = 90
    with time_machine.travel("2026-05-01T12:00:00Z", tick=False) as clock:
        ann = make_user()
        make_factor(ann)
        make_factor(ann, EMAIL, channel="email")
        clock.shift(200 * 86_400)
        Factor.objects.filter(kind="email").update(last_used_at="2026-11-01T12:00:00Z")
        holder_by_now = Client()
        ask_for_a_code(holder_by_now)
        enter(holder_by_now, last_code())
        assert not holder_by_now.session.get("_twilio_verify_pending")
        assert Factor.objects.get(kind="phone").last_used_at is None


def test_the_owner_signs_in_by_a_code() -> None:
    make_factor(make_user())
    owner = Client()
    ask_for_a_code(owner)
    assert enter(owner, last_code()).status_code == 302
    assert owner.session["_twilio_verify_pending"]["user_id"] and Factor.objects.get().last_used_at is not None


# ---- The owner's sends and answers


def besieged(count: int) -> None:
    for number in range(count):
        browser = stranger(number)
        if ask_for_a_code(browser).status_code == 302:
            for _ in range(3):
                enter(browser, "000000")


def test_strangers_leave_the_owner_the_sends_and_the_answers() -> None:
    make_factor(make_user())
    besieged(14)
    owner, sent = Client(REMOTE_ADDR="198.51.100.3"), len(outbox)
    owner.post("/accounts/login/", {"login": "ann", "password": PASSWORD})
    page = code_path(owner.post("/verify/challenge/"))
    assert len(outbox) == sent + 1
    for _ in range(4):
        assert owner.post(page, {"code": wrong_code()}).status_code == 200
    assert owner.post(page, {"code": last_code()}).status_code == 302
    assert whoami(owner) == "ann"


def test_where_she_has_signed_in_before_the_owner_gets_her_login_code() -> None:
    ann = make_user()
    make_factor(ann)
    home = make_client(ip="198.51.100.3")
    with time_machine.travel("2026-11-20T12:00:00Z", tick=False) as clock:
        claimants.remember_user(ann.pk, home, Factor.objects.get().created_at)
        KNOWN = Client(REMOTE_ADDR=home.ip)
        besieged(6)
        sent = len(outbox)
        clock.shift(31)
        ask_for_a_code(KNOWN)
        assert len(outbox) == sent + 1
        assert enter(KNOWN, last_code()).status_code == 302


def test_a_visitor_agrees_to_nothing_in_the_name_of_the_owner() -> None:
    ann = make_user()
    make_factor(ann)
    consent.withdraw(recipient=PHONE, channel="sms", user=ann, client=make_client())
    events = ConsentEvent.objects.count()
    Client().post("/accounts/login/code/", {"phone": PHONE, **agreed()})
    assert ConsentEvent.objects.count() == events and not outbox


def test_a_code_that_allauth_compares_takes_no_more_guesses_than_its_sends(settings: Any) -> None:
    """Headless: asked for again and again in one session, which keeps the code."""
    make_factor(make_user())
    thief, guesses = Program("browser"), 0
    for _ in range(8):
        thief.call("POST", "auth/code/request", phone=PHONE)
        for _ in range(3):
            guesses += thief.call("POST", "auth/code/confirm", code="000000").status_code == 400
    assert len(outbox) == 1 and guesses == 3


# ---- What strangers can tell


def shape(response: Any) -> tuple[Any, ...]:
    body = re.sub(r'(name="csrfmiddlewaretoken" value=)"\w+"', r"\1", response.content.decode())
    return response.status_code, response.get("Location"), body, sorted(response.cookies)


def login_codes() -> list[Any]:
    seen = []
    browsers = [stranger(number) for number in range(4)]
    for browser in (*browsers, *browsers):
        seen.append(shape(ask_for_a_code(browser)))
        for code in ("12", "000000", "000000", "000000"):
            seen.append(shape(browser.get("/accounts/login/code/confirm/")))
            seen.append(shape(enter(browser, code)))
    return seen


def sign_ups() -> list[Any]:
    """Of the page itself, allauth shows more to somebody who has an account by now (its "can change")."""
    seen: list[Any] = []
    for number in range(4):
        browser = stranger(number)
        asked = sign_up(browser, f"new{number}", **agreed())
        seen.append((asked.status_code, asked.get("Location")))
        for code in ("12", "000000", "000000"):
            answer = browser.post("/accounts/phone/verify/", {"code": code})
            seen.append((answer.status_code, re.findall(r'<ul class="errorlist".*?</ul>', answer.content.decode())))
    return seen


def programs() -> list[Any]:
    seen = []
    thieves = [Program("browser") for _ in range(4)]
    for thief in (*thieves, *thieves):
        asked = thief.call("POST", "auth/code/request", phone=PHONE)
        seen.append((asked.status_code, sorted(asked.json())))
        answer = thief.call("POST", "auth/code/confirm", code="000000")
        seen.append((answer.status_code, answer.content))
    return seen


def owned() -> None:
    make_factor(make_user())


def owned_without_consent() -> None:
    make_factor(make_user(), agreed=False)


@pytest.mark.parametrize("owner", [owned, owned_without_consent])
@pytest.mark.parametrize("tried", [login_codes, programs])
def test_nobody_is_told_whether_a_number_has_an_account(tried: Any, owner: Any) -> None:
    calls: list[int] = []
    backend = type(backends["default"])
    for method in ("start", "fetch", "check"):
        real = getattr(backend, method)

        def counted(self: Any, *args: Any, _real: Any = real, **kwargs: Any) -> Any:
            calls[-1] += 1
            return _real(self, *args, **kwargs)

        pytest.MonkeyPatch().setattr(backend, method, counted)
    calls.append(0)
    without = tried()
    call_command("flush", interactive=False, verbosity=0)
    testing.clear_outbox(factors=True)
    owner()
    calls.append(0)
    assert tried() == without
    # The provider takes the time.
    assert calls[0] == calls[1] > 0


def test_nor_by_signing_up_with_it() -> None:
    without = sign_ups()
    call_command("flush", interactive=False, verbosity=0)
    testing.clear_outbox(factors=True)
    make_factor(make_user())
    assert sign_ups() == without
