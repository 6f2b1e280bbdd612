"""Making a passkey: the page, what the script asks and posts, and who may."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.exceptions import BackendUnavailable
from django_twilio_verify.factors import devices
from django_twilio_verify.models import Factor, RecoveryCode
from django_twilio_verify.testing import Browser
from django_twilio_verify.testing.factor_contract import ORIGIN
from tests.support.basics import make_factor, race, sign_in
from tests.support.passkeys import ENROLL, enroll, options, post, problem

pytestmark = pytest.mark.django_db

CHROME = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36"


def test_the_first_passkey_brings_recovery_codes(ann: Any, client: Client, browser: Browser) -> None:
    sign_in(client)
    page = client.get(ENROLL, HTTP_USER_AGENT=CHROME)
    assert 'value="Chrome on Linux"' in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    done = enroll(client, browser, "Chrome on Linux")
    assert "Your recovery codes" in done.content.decode()
    factor = Factor.objects.get()
    assert (factor.user, factor.label, factor.is_default) == (ann, "Chrome on Linux", True)
    assert factor.confirmed_at and RecoveryCode.objects.filter(user=ann).count() == 10
    assert client.get("/account/").content == b"account of ann", "and the session has passed it"


def test_showing_the_page_asks_nobody(ann: Any, client: Client) -> None:
    sign_in(client)
    client.get(ENROLL)
    assert not Factor.objects.exists()
    assert not backends["default"].factor_simulator.entities()  # type: ignore[attr-defined]


def test_a_second_one_has_its_own_name(ann: Any, client: Client, browser: Browser) -> None:
    sign_in(client)
    enroll(client, browser, "Chrome on Linux")
    page = client.get(ENROLL, HTTP_USER_AGENT=CHROME)
    assert 'value="Chrome on Linux 2"' in page.content.decode()
    done = enroll(client, Browser(ORIGIN), "Key", next="/account/")
    assert (done.status_code, done["Location"]) == (302, "/account/")
    assert list(Factor.objects.order_by("pk").values_list("label", flat=True)) == ["Chrome on Linux", "Key"]
    assert RecoveryCode.objects.count() == 10, "those that were made for the first one"


def test_next_stays_on_this_site(ann: Any, client: Client, browser: Browser) -> None:
    sign_in(client)
    enroll(client, browser)
    assert enroll(client, Browser(ORIGIN), next="https://evil.test/")["Location"] == "/verify/"


def test_a_sign_in_that_waits_is_completed(ann: Any, client: Client, browser: Browser, settings: Any) -> None:
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    sign_in(client)
    assert client.get("/whoami/", HTTP_ACCEPT="application/json").status_code == 401
    enroll(client, browser)
    assert client.get("/whoami/").json() == {"user": "ann"}


def test_a_second_press_loses_no_recovery_codes(ann: Any, client: Client, browser: Browser, settings: Any) -> None:
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    sign_in(client)
    assert 'name="enrolling" value="1"' in client.get(ENROLL).content.decode()
    before = Client()
    before.cookies.update(client.cookies)
    told = options(client, ENROLL, name="Laptop")
    made = browser.create(told["options"])
    fields = {"name": "Laptop", "enrolling": "1", "next": "/account/"}
    assert "Your recovery codes" in post(client, ENROLL, told, made, **fields).content.decode()
    second = post(client, ENROLL, told, made, **fields)
    assert second["Location"] == "/verify/recovery-codes/?next=%2Faccount%2F", "the first answer was seen by nobody"
    gone = post(before, ENROLL, told, made, **fields)
    assert gone["Location"] == "/verify/recovery-codes/?next=%2Faccount%2F", "its session was replaced"
    client.post("/verify/recovery-codes/kept/")
    assert post(client, ENROLL, told, made, **fields)["Location"] == "/account/"


def test_a_second_press_that_read_the_session_too_early_loses_no_recovery_codes(
    ann: Any, client: Client, browser: Browser, settings: Any
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    sign_in(client)
    told = options(client, ENROLL, name="Laptop")
    early = Session.objects.values().get(session_key=client.session.session_key)
    made = browser.create(told["options"])
    assert "Your recovery codes" in post(client, ENROLL, told, made, name="Laptop").content.decode()
    Session(**early).save()
    assert post(client, ENROLL, told, made, name="Laptop")["Location"] == "/verify/recovery-codes/"
    assert Session.objects.values().get(session_key=early["session_key"]) == early, "what the first wrote stands"
    # Anything else is refused as before, and so is the page.
    other = {"verification": "3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2"}
    assert post(client, ENROLL, other, made, name="Laptop")["Location"].startswith("/verify/challenge/")
    Session(**early).save()
    assert client.get(ENROLL)["Location"].startswith("/verify/challenge/")


def test_visitors_are_sent_to_the_login_page(client: Client, db: Any) -> None:
    assert client.get(ENROLL)["Location"] == f"/login/?next={ENROLL}"
    assert client.post(f"{ENROLL}options/", {"name": "Laptop"}).status_code == 302


def test_a_password_alone_adds_none_to_an_account_with_a_factor(ann: Any, client: Client, browser: Browser) -> None:
    make_factor(ann)
    sign_in(client)
    for answer in (client.get(ENROLL), client.post(ENROLL), client.post(f"{ENROLL}options/", {"name": "Laptop"})):
        assert answer.status_code == 302 and answer["Location"].startswith("/verify/challenge/")
    assert Factor.objects.filter(kind="passkey").count() == 0


def test_an_old_proof_is_not_enough(ann: Any, client: Client, browser: Browser) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        sign_in(client)
        enroll(client, browser)
        told = options(client, ENROLL, name="Key")
        clock.shift(timedelta(seconds=601))
        stepped = client.get(f"{ENROLL}?next=/account/")["Location"]
        assert stepped.startswith("/verify/step-up/?next=%2Fverify%2Fenroll%2Fpasskey%2F%3Fnext%3D")
        assert client.post(f"{ENROLL}options/", {"name": "Key"}).status_code == 302
        late = post(client, ENROLL, told, Browser(ORIGIN).create(told["options"]), name="Key")
        assert late["Location"].startswith("/verify/step-up/")
        assert Factor.objects.exclude(confirmed_at=None).count() == 1


def test_a_factor_that_came_meanwhile_is_not_got_round(
    ann: Any, client: Client, browser: Browser, monkeypatch: Any, settings: Any
) -> None:
    """A thief with the password makes a passkey at the very moment at which Ann confirms her phone."""
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    sign_in(client)
    told = options(client, ENROLL, name="Thief")
    backend = backends["default"]
    confirm = backend.confirm

    def meanwhile(*args: Any, **kwargs: Any) -> Any:
        make_factor(ann)
        return confirm(*args, **kwargs)

    monkeypatch.setattr(backend, "confirm", meanwhile)
    answer = post(client, ENROLL, told, browser.create(told["options"]), name="Thief")
    assert answer.status_code == 302 and answer["Location"].startswith("/verify/challenge/")
    assert [factor.kind for factor in Factor.objects.all()] == ["phone"]
    assert client.get("/whoami/", HTTP_ACCEPT="application/json").status_code == 401


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("", "Enter a name, so that you recognise it in your list."),
        ("  ", "Enter a name, so that you recognise it in your list."),
        ("x" * 65, "The name has up to 64 characters."),
    ],
)
def test_what_is_no_name(ann: Any, client: Client, name: str, sentence: str) -> None:
    sign_in(client)
    answer = client.post(f"{ENROLL}options/", {"name": name})
    assert (answer.status_code, answer.json()) == (409, {"problem": sentence})
    assert not Factor.objects.exists()


def test_without_a_script(ann: Any, client: Client) -> None:
    sign_in(client)
    page = client.post(ENROLL, {"name": "Laptop", "verification": "", "credential": ""})
    assert "Allow JavaScript for this page" in problem(page)
    text = page.content.decode()
    assert "<noscript>" in text and 'href="/verify/enroll/"' in text and 'value="Laptop"' in text


@pytest.mark.parametrize(
    "credential",
    [
        "nonsense",
        "[]",
        "7",
        "null",
        "[" * 16_000,
        '{"id": "%s"}' % ("x" * 17_000),
        r'{"id": "\ud800", "response": {}}',
        r'{"id": "\u00e9", "response": {}}',
        r'{"id": "\u0000", "response": {}}',
        '{"id": "abc", "response": {}}',
        '{"id": "abc", "response": {"clientDataJSON": 7}}',
    ],
)
def test_what_is_no_passkey(ann: Any, client: Client, credential: str) -> None:
    sign_in(client)
    told = options(client, ENROLL, name="Laptop")
    assert problem(post(client, ENROLL, told, credential, name="Laptop"))
    assert not Factor.objects.exclude(confirmed_at=None).exists()


def test_another_verification(ann: Any, ben: Any, client: Client, browser: Browser) -> None:
    sign_in(client)
    told = options(client, ENROLL, name="Laptop")
    credential = browser.create(told["options"])
    for wrong in ("", "7", "00000000-0000-4000-8000-000000000000"):
        assert problem(post(client, ENROLL, {"verification": wrong}, credential, name="Laptop"))
    bens = Client()
    sign_in(bens, "ben")
    assert "not known here" in problem(post(bens, ENROLL, told, credential, name="Laptop"))
    assert not Factor.objects.exclude(confirmed_at=None).exists()


def test_another_origin_challenge_or_replay(ann: Any, client: Client, browser: Browser) -> None:
    sign_in(client)
    before = options(client, ENROLL, name="Laptop")
    old = browser.create(before["options"])
    told = options(client, ENROLL, name="Laptop")
    assert "not known any more" in problem(post(client, ENROLL, told, old, name="Laptop")), "the options were others"
    assert "over" in problem(post(client, ENROLL, before, old, name="Laptop")), "and those are over"
    told = options(client, ENROLL, name="Laptop")
    evil = Browser("https://evil.test").create(told["options"])
    assert "could not be confirmed" in problem(post(client, ENROLL, told, evil, name="Laptop"))
    right = browser.create(told["options"])
    assert "recovery codes" in post(client, ENROLL, told, right, name="Laptop").content.decode()
    client.post("/verify/recovery-codes/kept/")
    again = post(client, ENROLL, told, right, name="Laptop")
    assert (again.status_code, again["Location"]) == (302, "/verify/"), "no second set of recovery codes"
    assert "could not be confirmed" in problem(post(client, ENROLL, options(client, ENROLL, name="x"), right, name="x"))
    assert Factor.objects.exclude(confirmed_at=None).count() == 1


def test_somebody_elses_credential(ben: Any, client: Client, enrolled: Browser) -> None:
    sign_in(client, "ben")
    told = options(client, ENROLL, name="Laptop")
    stolen = Browser(ORIGIN).create(told["options"])
    stolen["id"] = stolen["rawId"] = enrolled.get({"rpId": "shop.example", "challenge": "x"})["id"]
    assert "could not be confirmed" in problem(post(client, ENROLL, told, stolen, name="Laptop"))
    assert not Factor.objects.filter(user=ben).exclude(confirmed_at=None).exists()


def test_too_late_and_too_often(ann: Any, client: Client, browser: Browser) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        sign_in(client)
        told = options(client, ENROLL, name="Laptop")
        right = browser.create(told["options"])
        wrong = Browser("https://evil.test").create(told["options"])
        for _ in range(5):
            last = post(client, ENROLL, told, wrong, name="Laptop")
        assert "too many tries" in problem(last)
        assert "too many tries" in problem(post(client, ENROLL, told, right, name="Laptop"))
        told = options(client, ENROLL, name="Laptop")
        clock.shift(timedelta(minutes=11))
        late = post(client, ENROLL, told, browser.create(told["options"]), name="Laptop")
        assert "took too long" in problem(late)


def test_removed_while_it_was_being_made(ann: Any, client: Client, browser: Browser) -> None:
    sign_in(client)
    told = options(client, ENROLL, name="Laptop")
    devices.remove(ann, Factor.objects.get().pk)
    assert "not known any more" in problem(post(client, ENROLL, told, browser.create(told["options"]), name="Laptop"))


def test_the_provider_is_down(ann: Any, client: Client, browser: Browser, monkeypatch: Any) -> None:
    sign_in(client)
    told = options(client, ENROLL, name="Laptop")

    def down(*args: Any, **kwargs: Any) -> Any:
        raise BackendUnavailable(may_have_been_done=False)

    with monkeypatch.context() as patched:
        patched.setattr(backends["default"], "enroll", down)
        answer = client.post(f"{ENROLL}options/", {"name": "Laptop"})
        assert (answer.status_code, answer["Retry-After"]) == (503, "30") and answer.json()["problem"]
    told = options(client, ENROLL, name="Laptop")
    credential = browser.create(told["options"])
    with monkeypatch.context() as patched:
        patched.setattr(backends["default"], "confirm", down)
        answer = post(client, ENROLL, told, credential, name="Laptop")
        assert (answer.status_code, answer["Retry-After"]) == (503, "30")
    assert "recovery codes" in post(client, ENROLL, told, credential, name="Laptop").content.decode(), "and again"


def test_a_service_without_a_relying_party(ann: Any, client: Client) -> None:
    simulator = backends["default"].factor_simulator  # type: ignore[attr-defined]
    simulator.passkeys = type(simulator.passkeys)()
    sign_in(client)
    answer = client.post(f"{ENROLL}options/", {"name": "Laptop"})
    assert answer.status_code == 409 and answer.json()["problem"]


def test_begun_enrollments_are_counted(ann: Any, client: Client, settings: Any) -> None:
    settings.TWILIO_VERIFY_LIMITS = {"user_hour": 1}
    sign_in(client)
    options(client, ENROLL, name="Laptop")
    answer = client.post(f"{ENROLL}options/", {"name": "Laptop"})
    assert answer.status_code == 429 and int(answer["Retry-After"]) > 0 and answer.json()["problem"]


def test_a_backend_that_keeps_none(ann: Any, client: Client, monkeypatch: Any) -> None:
    monkeypatch.setattr(backends["default"], "factor_kinds", frozenset())
    sign_in(client)
    for path in (ENROLL, "/verify/passkey/"):
        assert client.get(path).status_code == 404
        assert client.post(f"{path}options/", {"name": "Laptop"}).status_code == 404


def test_posts_need_the_token_of_the_form(ann: Any) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(ann)
    for path in (ENROLL, f"{ENROLL}options/"):
        assert client.post(path, {"name": "Laptop"}).status_code == 403
    token = client.get(ENROLL).cookies["csrftoken"].value
    assert options(client, ENROLL, name="Laptop", csrfmiddlewaretoken=token)["options"]
    assert client.get(f"{ENROLL}options/").status_code == 405


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_one_of_many_presses_enrolls(ann: Any, client: Client, browser: Browser) -> None:
    sign_in(client)
    told = options(client, ENROLL, name="Laptop")
    credential = json.dumps(browser.create(told["options"]))
    tabs = [Client() for _ in range(4)]
    for tab in tabs:
        tab.cookies = client.cookies
    answers = race(4, lambda index: post(tabs[index], ENROLL, told, credential, name="Laptop"))
    assert sorted(answer.status_code for answer in answers) == [200, 302, 302, 302], answers  # type: ignore[union-attr]
    assert Factor.objects.count() == 1 and RecoveryCode.objects.count() == 10
