"""A phone with the site's app: the access token, the registration, and the screen that waits for it."""

from __future__ import annotations

import re
from html import unescape
from typing import Any

import pytest
from django.test import Client

from django_twilio_verify.models import Factor, RecoveryCode, Verification
from tests.support.basics import make_factor, make_user, race, sign_in
from tests.support.enrollment import APP, JSON, World, ask, confirm, everything_kept, links, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def app(ann: Any) -> Client:
    """The site's app on the phone of ann: a session of its own, signed in by password."""
    phone = Client()
    phone.force_login(ann)
    return phone


def status_url(page: Any) -> str:
    found = re.search(r'data-tv-status="([^"]+)"', page.content.decode())
    assert found, text(page)
    return unescape(found[1])


def test_from_the_list_to_the_phone(world: World, client: Client, ann: Any, app: Client, clock: Any) -> None:
    assert "/verify/enroll/push/" in links(client.get("/verify/enroll/"))
    assert f"{APP} on your phone" in text(client.get("/verify/enroll/"))
    page = client.get("/verify/enroll/push/?next=/context/")
    assert f"Open {APP} on your phone." in text(page)
    waits = status_url(page)
    assert client.get(waits).json() == {"status": "pending", "next": ""}
    token = ask(app, {"name": "Pixel"})
    assert {*token.json()} == {"token", "identity", "service_sid", "verification", "expires_in"}
    assert token.json()["expires_in"] == 60
    assert token.json()["service_sid"] == (world.server.service_sid if world.server else "")
    assert confirm(app, token).json() == {"status": "waiting", "retry_after": 3}
    world.phone(token.json())
    clock.shift(3)
    done = confirm(app, token).json()
    assert (done["status"], done["name"], len(done["recovery_codes"])) == ("enrolled", "Pixel", 10)
    assert RecoveryCode.objects.count() == 10
    factor = Factor.objects.get()
    assert (factor.kind, factor.default_for, factor.label) == ("push", ann, "Pixel")
    # The phone's session has proved it; the other screen's goes on, and has to prove it like any other.
    assert app.get("/verify/").status_code == 200
    assert client.get(waits).json() == {"status": "registered", "next": "/context/"}
    assert client.get("/verify/")["Location"].startswith("/verify/challenge/")


def test_without_scripts_a_button_goes_on(world: World, client: Client, ann: Any, app: Client) -> None:
    page = client.get("/verify/enroll/push/?next=/context/")
    since = re.search(r'name="since" value="(\d+)"', page.content.decode())
    assert since
    pressed = client.post("/verify/enroll/push/", {"since": since[1], "next": "/context/"})
    assert "No phone has been set up so far." in text(pressed)
    assert f'name="since" value="{since[1]}"' in pressed.content.decode()
    token = ask(app)
    world.phone(token.json())
    assert confirm(app, token).json()["status"] == "enrolled"
    assert client.post("/verify/enroll/push/", {"since": since[1], "next": "/context/"})["Location"] == "/context/"


def test_showing_and_asking_write_nothing(local: World, client: Client, ann: Any) -> None:
    client.get("/verify/enroll/")
    before = everything_kept()
    page = client.get("/verify/enroll/push/")
    client.get(status_url(page))
    client.post("/verify/enroll/push/", {"since": "1"})
    assert everything_kept() == before and len(local.simulator.events) == 0


def test_the_token_is_in_one_answer_and_nowhere_else(
    world: World, ann: Any, app: Client, caplog: Any, capsys: Any
) -> None:
    caplog.set_level(0)
    answer = ask(app)
    token = answer.json()["token"]
    assert "no-store" in answer["Cache-Control"] and token not in str(answer.headers)
    world.phone(answer.json())
    done = confirm(app, answer)
    out = capsys.readouterr()
    for place in (everything_kept(), caplog.text, out.out + out.err, done.content.decode()):
        assert token not in place


def test_a_second_phone_brings_no_codes(world: World, ann: Any, app: Client) -> None:
    for name in ("Pixel", "Fairphone"):
        token = ask(app, {"name": name})
        world.phone(token.json(), name)
        done = confirm(app, token).json()
    assert done == {"status": "enrolled", "name": "Fairphone"}
    assert Factor.objects.count() == 2 and RecoveryCode.objects.count() == 10


def test_confirming_twice_enrolls_once(world: World, ann: Any, app: Client) -> None:
    token = ask(app)
    world.phone(token.json())
    assert "recovery_codes" in confirm(app, token).json()
    assert confirm(app, token).json() == {"status": "enrolled"}
    assert Factor.objects.count() == 1


def test_a_token_that_was_asked_for_again(world: World, ann: Any, app: Client, clock: Any) -> None:
    first, second = ask(app), ask(app)
    assert confirm(app, first).json() == {"status": "closed"}
    assert confirm(app, second).json()["status"] == "waiting"
    clock.shift(601)
    assert confirm(app, second).json() == {"status": "expired"}


def refusal(answer: Any) -> tuple[int, str]:
    assert "no-store" in answer["Cache-Control"]
    return answer.status_code, answer.json()["code"]


def test_nobody_is_refused(db: Any, client: Client) -> None:
    assert refusal(ask(client)) == (401, "not_signed_in")
    unknown = client.post("/verify/access-token/3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2/", content_type=JSON)
    assert refusal(unknown) == (401, "not_signed_in")


def test_a_password_alone_is_not_enough_once_there_is_a_factor(db: Any, client: Client) -> None:
    make_factor(make_user("bob"))
    sign_in(client, "bob")
    answer = ask(client)
    assert refusal(answer) == (401, "second_factor_required") and answer.json()["url"] == "/verify/challenge/"
    assert not Verification.objects.filter(purpose="enroll").exists()


def test_who_signed_in_before_there_was_a_factor_waits_from_now_on(client: Client, ann: Any, app: Client) -> None:
    token = ask(app)
    make_factor(ann)
    for answer in (ask(app), confirm(app, token)):
        assert refusal(answer) == (401, "second_factor_required")
    assert app.get("/account/")["Location"].startswith("/verify/challenge/")


def test_a_factor_that_came_while_the_provider_was_asked_undoes_it(
    local: World, ann: Any, app: Client, monkeypatch: Any
) -> None:
    token = ask(app)
    local.phone(token.json())
    listed = local.simulator.factors

    def meanwhile(*args: Any, **kwargs: Any) -> Any:
        make_factor(ann)
        return listed(*args, **kwargs)

    monkeypatch.setattr(local.simulator, "factors", meanwhile)
    assert refusal(confirm(app, token)) == (401, "second_factor_required")
    assert [one.kind for one in Factor.objects.all()] == ["phone"]


def test_an_old_proof_is_asked_for_again(local: World, ann: Any, app: Client, clock: Any) -> None:
    token = ask(app)
    local.phone(token.json())
    confirm(app, token)
    clock.shift(601)
    answer = ask(app)
    assert refusal(answer) == (403, "step_up_required") and "step" in answer.json()["url"]


def test_who_must_enroll_enrolls_and_is_signed_in(world: World, client: Client, settings: Any, db: Any) -> None:
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    make_user("bob")
    sign_in(client, "bob")
    assert client.get("/account/").status_code == 302
    token = ask(client)
    world.phone(token.json())
    assert len(confirm(client, token).json()["recovery_codes"]) == 10
    assert client.get("/account/").content == b"account of bob"


def test_somebody_elses_enrollment_is_not_there(world: World, ann: Any, app: Client) -> None:
    token = ask(app)
    world.phone(token.json())
    eve, other = Client(), Client()
    eve.force_login(make_user("eve"))
    other.force_login(ann)
    for stranger in (eve, other):  # another person, and another session of the same one
        ask(stranger)
        assert refusal(confirm(stranger, token)) == (404, "verification_not_found")
    assert not Factor.objects.filter(user__username="eve").exists()


def test_a_phone_of_somebody_elses_is_not_found(world: World, ann: Any, app: Client) -> None:
    token = ask(app)
    eve = Client()
    eve.force_login(make_user("eve"))
    hers = ask(eve)
    world.phone(hers.json())
    assert confirm(app, token).json()["status"] == "waiting"
    assert confirm(eve, hers).json()["status"] == "enrolled"


def test_the_enrollment_of_an_app_that_shows_codes_is_not_one_of_a_phone(local: World, ann: Any, app: Client) -> None:
    app.post("/verify/enroll/totp/", {"name": "x"})
    made = Verification.objects.get()
    answer = app.post(f"/verify/access-token/{made.pk}/", content_type=JSON)
    assert refusal(answer) == (404, "not_found")


@pytest.mark.parametrize(
    "body",
    [b"{", b"[]", b'"x"', b'{"name": 1}', b'{"name": ""}', b'{"name": "a\\u0000"}', b"\xff", b"null", b"[" * 5000]
    + [b'{"name": "%s"}' % (b"x" * count) for count in (65, 5000)],
)
def test_what_is_no_name(local: World, ann: Any, app: Client, body: bytes) -> None:
    answer = app.generic("POST", "/verify/access-token/", body, content_type=JSON)
    assert refusal(answer) == (400, "invalid") and not Verification.objects.exists()


@pytest.mark.parametrize("body", [{}, {"name": "Pixel"}])
def test_a_form_is_as_good(world: World, ann: Any, app: Client, body: dict[str, str]) -> None:
    assert app.post("/verify/access-token/", body).status_code == 200  # multipart
    assert app.generic("POST", "/verify/access-token/", "").status_code == 200


def test_a_token_needs_the_forms_secret(local: World, ann: Any) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.force_login(ann)
    assert ask(strict).status_code == 403 and not Verification.objects.exists()
    strict.get("/verify/enroll/totp/")
    secret = strict.cookies["csrftoken"].value
    assert ask(strict, headers={"x-csrftoken": secret}).status_code == 200


def test_a_provider_that_is_down(world: World, ann: Any, app: Client, clock: Any) -> None:
    world.fail()
    answer = ask(app)
    assert refusal(answer) == (503, "unavailable") and answer["Retry-After"] == "30"
    token = ask(app)
    world.phone(token.json())
    world.fail()
    assert refusal(confirm(app, token)) == (503, "unavailable")
    clock.shift(3)
    assert confirm(app, token).json()["status"] == "enrolled"


def test_too_many(local: World, ann: Any, app: Client, settings: Any) -> None:
    settings.TWILIO_VERIFY_LIMITS = {"user_hour": 1}
    ask(app)
    answer = ask(app)
    assert refusal(answer) == (429, "user_hour") and int(answer["Retry-After"]) > 3500


def test_a_site_without_an_app(local: World, client: Client, ann: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_PUSH_APP_NAME = ""
    assert "/verify/enroll/push/" not in links(client.get("/verify/enroll/"))
    for path in ("/verify/enroll/push/", "/verify/enroll/push/status/"):
        assert client.get(path).status_code == 404
    assert client.post("/verify/enroll/push/", {"since": "1"}).status_code == 404
    assert refusal(ask(client)) == (404, "not_found")


@pytest.mark.parametrize("since", ["", "x", "-1", "9" * 30, "²", "99999999999", "9999999999", "\0"])
def test_a_time_that_is_none(local: World, client: Client, ann: Any, since: str) -> None:
    answer = client.get("/verify/enroll/push/status/", {"since": since})
    assert answer.json() == {"status": "pending", "next": ""}
    assert client.post("/verify/enroll/push/", {"since": since}).status_code == 200


def test_a_phone_from_before_does_not_end_the_wait(
    world: World, client: Client, ann: Any, app: Client, clock: Any
) -> None:
    token = ask(app)
    world.phone(token.json())
    confirm(app, token)
    clock.shift(60)
    waits = status_url(app.get("/verify/enroll/push/"))
    assert app.get(waits).json()["status"] == "pending"


def test_nobody_waits(db: Any, client: Client) -> None:
    assert client.get("/verify/enroll/push/status/?since=1").status_code == 404
    assert client.get("/verify/enroll/push/")["Location"].startswith("/login/")
    assert client.get("/verify/access-token/").status_code == 405


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_simultaneous_confirmations_one_enrolls(local: World, ann: Any, app: Client) -> None:
    token = ask(app)
    local.phone(token.json())
    cookies = app.cookies

    def press(index: int) -> Any:
        browser = Client()
        browser.cookies = cookies
        return confirm(browser, token).json()

    answers = race(4, press)
    assert all(isinstance(one, dict) for one in answers), answers
    assert sum("recovery_codes" in one for one in answers) == 1  # type: ignore[operator]
    assert Factor.objects.count() == 1 and RecoveryCode.objects.count() == 10
