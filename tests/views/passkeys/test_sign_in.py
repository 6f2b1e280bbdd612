"""Signing in by passkey without a name."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import SESSION_KEY
from django.contrib.auth.signals import user_logged_in, user_login_failed
from django.template import engines
from django.test import Client, RequestFactory
from django.utils import timezone

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.exceptions import BackendUnavailable
from django_twilio_verify.factors import devices
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.signals import login_completed
from django_twilio_verify.testing import Browser
from django_twilio_verify.testing.factor_contract import ORIGIN, PARTY
from tests.support.basics import make_factor, race, sign_in
from tests.support.passkeys import SIGN_IN, enroll, options, post, problem, sign_in_with

pytestmark = pytest.mark.django_db

NOBODY = "tests.views.passkeys.nobody.Nobody"


def test_a_passkey_is_both_factors(ann: Any, client: Client, enrolled: Browser) -> None:
    told: list[tuple[str, Any]] = []

    def logged_in(user: Any, **kwargs: Any) -> None:
        told.append(("logged in", user))

    def passed(user: Any, channel: str, request: Any, **kwargs: Any) -> None:
        told.append((channel, user))
        assert request.user == user

    user_logged_in.connect(logged_in)
    login_completed.connect(passed)
    try:
        answer = sign_in_with(client, enrolled, next="/whoami/")
    finally:
        user_logged_in.disconnect(logged_in)
        login_completed.disconnect(passed)
    assert (answer.status_code, answer["Location"]) == (302, "/whoami/")
    assert client.get("/whoami/").json() == {"user": "ann"}
    assert told == [("logged in", ann), ("passkey", ann)]
    assert answer.cookies["twilio_verify_passkey"].value == "1", "asked first, where a password is given next time"
    row = Verification.objects.exclude(purpose="enroll").get()
    assert (row.user_id, row.status, row.channel) == (ann.pk, "approved", "passkey")


def test_the_session_is_a_new_one(client: Client, enrolled: Browser) -> None:
    told = options(client, SIGN_IN)
    client.get("/set-cart/")
    before = client.session.session_key
    secret = client.session["_twilio_verify_secret"]
    csrf = client.get(SIGN_IN).cookies["csrftoken"].value
    answer = post(client, SIGN_IN, told, enrolled.get(told["options"]))
    assert client.session.session_key != before
    assert client.session["_twilio_verify_secret"] != secret
    assert answer.cookies["csrftoken"].value != csrf
    assert client.session["cart"] == [1], "a visitor's basket is kept"
    assert not Client(headers={"cookie": f"sessionid={before}"}).get("/whoami/").json()["user"]


def test_next_stays_on_this_site(client: Client, enrolled: Browser) -> None:
    assert sign_in_with(client, enrolled, next="https://evil.test/")["Location"] == "/account/"


def test_whoever_signed_in_before_is_out(ben: Any, client: Client, enrolled: Browser) -> None:
    make_factor(ben)
    sign_in(client, "ben")  # and owes his factor
    sign_in_with(client, enrolled)
    assert client.get("/whoami/").json() == {"user": "ann"}
    sign_in(client, "ben")
    assert client.get("/whoami/", HTTP_ACCEPT="application/json").status_code == 401


def test_a_signed_in_person_becomes_another(ben: Any, client: Client, enrolled: Browser) -> None:
    sign_in(client, "ben")
    client.get("/set-cart/")
    sign_in_with(client, enrolled)
    assert client.get("/whoami/").json() == {"user": "ann"}
    assert "cart" not in client.session, "as by Django's login()"


def test_a_person_whose_sign_in_waits(client: Client, enrolled: Browser) -> None:
    sign_in(client)
    assert client.get("/whoami/", HTTP_ACCEPT="application/json").status_code == 401
    sign_in_with(client, enrolled)
    assert client.get("/whoami/").json() == {"user": "ann"}


def test_a_person_who_is_through_already(ann: Any, client: Client, browser: Browser) -> None:
    sign_in(client)
    enroll(client, browser)
    assert client.get(SIGN_IN)["Location"] == "/account/"
    assert sign_in_with(client, browser).status_code == 302
    assert client.get("/whoami/").json() == {"user": "ann"}


def test_known_and_unknown_are_answered_alike(ann: Any, client: Client, enrolled: Browser) -> None:
    """No passkey of anybody, one that was removed, one of an account that is not active, one that is not confirmed."""
    stranger = Browser(ORIGIN)
    stranger.create(backends["default"].enroll("somebody-else", kind(), name="x").options)
    answers = [sign_in_with(Client(), stranger)]
    ann.is_active = False
    ann.save()
    answers.append(sign_in_with(Client(), enrolled))
    ann.is_active = True
    ann.save()
    devices.remove(ann, Factor.objects.get().pk)
    answers.append(sign_in_with(Client(), enrolled))
    assert {answer.status_code for answer in answers} == {200}
    assert len({re.sub(r'name="csrfmiddlewaretoken" value="\w+"', "", one.content.decode()) for one in answers}) == 1
    assert problem(answers[0]) == "This passkey could not be confirmed. Try again, or try another way."
    assert [set(one.headers) for one in answers] == [set(answers[0].headers)] * 3


def kind() -> Any:
    return next(one for one in backends["default"].factor_kinds if one == "passkey")


def test_no_door_of_the_site_knows_the_account(client: Client, enrolled: Browser, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = [
        "django.contrib.auth.backends.RemoteUserBackend",
        "tests.views.passkeys.nobody.Nobody",
    ]
    assert sign_in_with(client, enrolled).status_code == 302, "the first one that does"
    settings.AUTHENTICATION_BACKENDS = [NOBODY]
    visitor = Client()
    assert "could not be confirmed" in problem(sign_in_with(visitor, enrolled))
    assert SESSION_KEY not in visitor.session


def test_a_device_that_was_not_unlocked(client: Client, enrolled: Browser) -> None:
    """The Service of this test prefers it only, and would say yes."""
    assert PARTY.user_verification == "preferred"
    told = options(client, SIGN_IN)
    assert told["options"]["userVerification"] == "required"
    enrolled.verifies_user = False
    assert "finger, face or PIN" in problem(post(client, SIGN_IN, told, enrolled.get(told["options"])))
    assert Verification.objects.get(pk=told["verification"]).checks == 0
    lax = enrolled.get(told["options"])
    data = lax["response"]["authenticatorData"]
    # Decoders that skip what is no base64 would read another flag than those that stop there.
    for spelled in (f"{data}=", f"!{data}", f"{data[:42]}.{data[42:]}", "A", "", 7, [data]):
        lax["response"]["authenticatorData"] = spelled
        assert "finger, face or PIN" in problem(post(client, SIGN_IN, told, lax))
    enrolled.verifies_user = True
    assert post(client, SIGN_IN, told, enrolled.get(told["options"])).status_code == 302


def test_a_flag_that_was_set_by_hand(client: Client, enrolled: Browser) -> None:
    """SECURITY: it is among what is signed."""
    told = options(client, SIGN_IN)
    unlocked = enrolled.get(told["options"])["response"]["authenticatorData"]
    enrolled.verifies_user = False
    forged = enrolled.get(told["options"])
    forged["response"]["authenticatorData"] = unlocked
    assert "could not be confirmed" in problem(post(client, SIGN_IN, told, forged))


def test_another_challenge_origin_session_or_replay(client: Client, enrolled: Browser) -> None:
    other = Client()
    told, others = options(client, SIGN_IN), options(other, SIGN_IN)
    assert "could not be confirmed" in problem(post(client, SIGN_IN, told, enrolled.get(others["options"])))
    assert "not known here" in problem(post(client, SIGN_IN, others, enrolled.get(others["options"])))
    evil = enrolled.clone()
    evil.origin = "https://evil.test"
    assert "could not be confirmed" in problem(post(client, SIGN_IN, told, evil.get(told["options"])))
    right = enrolled.get(told["options"])
    assert post(client, SIGN_IN, told, right).status_code == 302
    thief = Client()
    assert "not known here" in problem(post(thief, SIGN_IN, told, right))
    assert "over" in problem(post(thief, SIGN_IN, options(thief, SIGN_IN), right)), "it was for another challenge"
    assert thief.get("/whoami/").json()["user"] == ""


def test_a_wrong_one_of_a_known_person_is_a_failed_login(ann: Any, client: Client, enrolled: Browser) -> None:
    failed: list[Any] = []
    receiver = lambda **values: failed.append((values["credentials"]["username"], values["request"].path))  # noqa: E731
    user_login_failed.connect(receiver)
    try:
        stranger = Browser(ORIGIN)
        stranger.create(backends["default"].enroll("somebody-else", kind(), name="x").options)
        sign_in_with(client, stranger)
        enrolled.verifies_user = False
        sign_in_with(client, enrolled)
        assert failed == [], "nobody is known, and what was not judged"
        enrolled.verifies_user = True
        evil = enrolled.clone()
        evil.origin = "https://evil.test"
        sign_in_with(client, evil)
        assert failed == [("ann", SIGN_IN)]
        assert sign_in_with(client, enrolled).status_code == 302 and len(failed) == 1
    finally:
        user_login_failed.disconnect(receiver)


def test_a_person_whom_no_door_lets_in_is_a_failed_login(client: Client, enrolled: Browser, settings: Any) -> None:
    settings.AUTHENTICATION_BACKENDS = [NOBODY]
    failed: list[Any] = []
    receiver = lambda **values: failed.append(values["credentials"]["username"])  # noqa: E731
    user_login_failed.connect(receiver)
    try:
        sign_in_with(client, enrolled)
    finally:
        user_login_failed.disconnect(receiver)
    assert failed == ["ann"]


def test_a_clone_is_found_out(client: Client, enrolled: Browser) -> None:
    thief = enrolled.clone()
    assert sign_in_with(client, enrolled).status_code == 302
    assert "could not be confirmed" in problem(sign_in_with(Client(), thief))


def test_too_late(client: Client, enrolled: Browser) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        told = options(client, SIGN_IN)
        assert options(client, SIGN_IN) == told, "the same ones, however often the page is loaded"
        clock.shift(timedelta(minutes=11))
        assert "took too long" in problem(post(client, SIGN_IN, told, enrolled.get(told["options"])))
        assert options(client, SIGN_IN) != told


@pytest.mark.parametrize(
    "credential",
    [
        "",
        "nonsense",
        "[]",
        "[" * 16_000,
        r'{"id": "\ud800", "response": {}}',
        '{"id": "abc", "response": {}}',
        '{"id": 7}',
    ],
)
def test_what_is_no_passkey(client: Client, db: Any, credential: str) -> None:
    told = options(client, SIGN_IN)
    assert problem(post(client, SIGN_IN, told, credential))


def test_the_page_by_itself(client: Client, db: Any) -> None:
    page = client.get(f"{SIGN_IN}?next=/whoami/")
    text = page.content.decode()
    assert 'href="/login/?next=/whoami/"' in text or 'href="/login/?next=%2Fwhoami%2F"' in text
    assert "<noscript>" in text and 'data-tv-passkey="get"' in text and " hidden>" not in text.split("<form")[1][:200]
    assert not Verification.objects.exists(), "showing it asks nobody"


def test_limits_and_outages_are_told_to_the_script(client: Client, db: Any, settings: Any, monkeypatch: Any) -> None:
    settings.TWILIO_VERIFY_LIMITS = {"passkey_ip_hour": 1}
    options(client, SIGN_IN)
    answer = Client().post(f"{SIGN_IN}options/")
    assert answer.status_code == 429 and int(answer["Retry-After"]) > 0
    assert answer.json() == {"problem": "Passkeys were asked for many times from your network. Try again later."}
    settings.TWILIO_VERIFY_LIMITS = {}

    def down(*args: Any, **kwargs: Any) -> Any:
        raise BackendUnavailable(may_have_been_done=False)

    monkeypatch.setattr(backends["default"], "challenge", down)
    answer = Client().post(f"{SIGN_IN}options/")
    assert answer.status_code == 503 and answer.json()["problem"]


def test_the_provider_is_down_when_it_should_judge(client: Client, enrolled: Browser, monkeypatch: Any) -> None:
    told = options(client, SIGN_IN)
    credential = enrolled.get(told["options"])

    def down(*args: Any, **kwargs: Any) -> Any:
        raise BackendUnavailable(may_have_been_done=False)

    with monkeypatch.context() as patched:
        patched.setattr(backends["default"], "answer", down)
        assert post(client, SIGN_IN, told, credential).status_code == 503
    assert post(client, SIGN_IN, told, credential).status_code == 302


def test_posts_need_the_token_of_the_form(enrolled: Browser) -> None:
    """SECURITY: nobody is signed in to an account of somebody else's choice by a page of somebody else's."""
    client = Client(enforce_csrf_checks=True)
    assert client.post(f"{SIGN_IN}options/").status_code == 403
    token = client.get(SIGN_IN).cookies["csrftoken"].value
    told = options(client, SIGN_IN, csrfmiddlewaretoken=token)
    credential = enrolled.get(told["options"])
    assert post(client, SIGN_IN, told, credential).status_code == 403
    assert post(client, SIGN_IN, told, credential, csrfmiddlewaretoken=token).status_code == 302


def test_passkeys_that_the_site_does_not_offer(client: Client, enrolled: Browser, settings: Any) -> None:
    settings.TWILIO_VERIFY_DEVICE_FACTORS = ["totp"]
    page = engines["django"].from_string("{% load twilio_verify %}{% passkey_sign_in %}")
    assert "data-tv-passkey" not in page.render({})
    assert sign_in_with(client, enrolled).status_code == 302, "whoever has one goes on using it"


@pytest.mark.parametrize("name", ["next", "redirect_field_value"])
def test_what_a_login_view_dropped_stays_dropped(rf: RequestFactory, db: Any, name: str) -> None:
    page = engines["django"].from_string("{% load twilio_verify %}{% passkey_sign_in %}")
    shown = page.render({name: ""}, rf.get("/login/?next=//evil.example/"))
    assert "data-tv-passkey" in shown and "evil" not in shown


def test_the_button_on_a_login_page(client: Client, rf: RequestFactory, db: Any, monkeypatch: Any) -> None:
    def shown(source: str = "{% passkey_sign_in %}", query: str = "", **context: Any) -> str:
        page = engines["django"].from_string("{% load twilio_verify %}" + source)
        return str(page.render(context, rf.get(f"/login/{query}")))

    part = shown(next="/whoami/")
    assert 'action="/verify/passkey/"' in part and "data-tv-autofill hidden>" in part
    assert 'name="next" value="/whoami/"' in part and 'name="csrfmiddlewaretoken"' in part
    assert part.count("passkeys.js") == 1
    assert 'name="next" value="/x/"' in shown(query="?next=/x/")
    assert 'nonce="abc"' in shown(csp_nonce="abc")
    assert "data-tv-autofill" not in shown("{% passkey_sign_in autofill=False %}")
    monkeypatch.setattr(backends["default"], "factor_kinds", frozenset())
    assert shown().strip() == ""


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_one_of_many_presses_signs_in(ann: Any, client: Client, enrolled: Browser) -> None:
    passed: list[str] = []

    def count(channel: str, **kwargs: Any) -> None:
        passed.append(channel)

    login_completed.connect(count)
    try:
        told = options(client, SIGN_IN)
        credential = enrolled.get(told["options"])
        tabs = [Client() for _ in range(4)]
        for tab in tabs:
            tab.cookies["sessionid"] = client.cookies["sessionid"].value
        answers = race(4, lambda index: post(tabs[index], SIGN_IN, told, credential))
    finally:
        login_completed.disconnect(count)
    assert not [one for one in answers if isinstance(one, BaseException)], answers
    assert passed == ["passkey"]
    assert [tab.get("/whoami/").json()["user"] for tab in tabs].count("ann") == 1
