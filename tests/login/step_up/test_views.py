"""Each sort of view, and the form that was posted to it."""

from __future__ import annotations

import html
import re
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from asgiref.sync import async_to_sync
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import AsyncClient, Client

from django_twilio_verify.decorators import verification_required
from django_twilio_verify.login.step_up import is_sensitive
from tests.support.basics import code_path, last_code, make_factor, make_user, sign_in
from tests.support.challenges import Holder
from tests.support.pages import text
from tests.support.step_up import leads_to_step_up

pytestmark = [pytest.mark.django_db, pytest.mark.urls("tests.login.step_up.urls")]

VIEWS = ["fresh", "mixed", "decorated", "wrapped"]
VIEWS += ["afresh", "amixed", "adecorated", "adispatch", "amethod", "awrapped"]
PLAIN = "application/x-www-form-urlencoded"
ADDRESS = {"street": "1 Main St <b>", "post_code": "1010", "tags": ["a", "b"]}


def submit(client: Client, path: str, values: dict[str, Any], **more: Any) -> Any:
    """As a browser sends a form without files."""
    return client.post(path, urlencode(values, doseq=True), content_type=PLAIN, **more)


def step_up(client: Client, page: str) -> str:
    """Prove it by text message; where that leads."""
    wanted = parse_qs(urlsplit(page).query)["next"][0]
    code = client.post(page, {"next": wanted})["Location"]
    return str(client.post(code, {"code": last_code(), "next": wanted})["Location"])


def resumed(client: Client, page: str, **changed: str) -> Any:
    """Press "Continue" on the page that asks whether to; what comes of it in the end."""
    shown = client.get(page).content.decode()
    hidden = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', shown)
    values: dict[str, list[str]] = {}
    for name, value in hidden:
        values.setdefault(html.unescape(name), []).append(html.unescape(value))
    return submit(client, page, {**values, **changed}, follow=True)


@pytest.mark.parametrize("stack", ["wsgi", "asgi"])
@pytest.mark.parametrize("view", VIEWS)
def test_every_sort_of_view(ann: Holder, client: Client, clock: Any, view: str, stack: str) -> None:
    def get(**headers: str) -> Any:
        if stack == "wsgi":
            return client.get(f"/{view}/?a=1", headers=headers)
        tab = AsyncClient()
        tab.cookies.update(client.cookies)
        return async_to_sync(tab.get)(f"/{view}/?a=1", headers=headers)

    assert get().content.decode() == f"GET /{view}/?a=1 {{}}"
    clock.shift(601)
    leads_to_step_up(get(), f"/{view}/?a=1")
    refused = get(Accept="application/json")
    assert refused.status_code == 401
    assert refused.json() == {
        "code": "verification_required",
        "detail": "Confirm it's you first.",
        "url": "/verify/step-up/",
        "max_age": 600,
    }


def test_one_method_of_a_view(later: Holder, client: Client) -> None:
    assert client.get("/method/").content == b"open"
    page = submit(client, "/method/", {"a": "1"})["Location"]
    assert "resume" in page


def test_programs_that_nobody_signed_in(client: Client) -> None:
    for headers in ({"Accept": "application/json"}, {"X-Requested-With": "XMLHttpRequest"}):
        answer = client.get("/fresh/", headers=headers)
        assert (answer.status_code, answer.json()["code"], answer.json()["url"]) == (401, "login_required", "/login/")
    client.force_login(make_user("ben"))
    answer = client.get("/fresh/", headers={"Accept": "application/json"}).json()
    assert answer == {
        "code": "enrollment_required",
        "detail": "Set up two-step verification first.",
        "url": "/verify/enroll/",
        "max_age": 600,
    }
    strong = client.get("/strong/", headers={"Accept": "application/json"})
    assert strong.status_code == 401
    assert strong.json()["channels"] == ["passkey", "totp"]
    assert "max_age" not in strong.json()


def test_programs_whose_login_is_pending(client: Client) -> None:
    make_factor(make_user("ann"))
    sign_in(client, "ann")
    answer = client.get("/fresh/", headers={"Accept": "application/json"})
    assert answer.status_code == 401
    assert answer.json() == {
        "code": "second_factor_required",
        "detail": "A second factor is required.",
        "url": "/verify/challenge/?next=%2Ffresh%2F",
    }


def test_programs_learn_by_which_channels(later: Holder, client: Client) -> None:
    answer = client.get("/strong/", headers={"Accept": "application/json"}).json()
    assert (answer["code"], answer["channels"]) == ("verification_required", ["passkey", "totp"])
    assert answer["url"] == "/verify/step-up/?channels=passkey%2Ctotp"


def test_an_impossible_demand_is_the_sites_mistake() -> None:
    for wrong in (
        {"channels": ["fax"]},
        {"channels": "totp"},
        {"max_age": 0},
        {"max_age": -1},
        {"max_age": timedelta(0)},
    ):
        with pytest.raises(ValueError, match=r"fax|channels|max_age"):
            verification_required(**wrong)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="give it a request"):
        verification_required(lambda request: None)("nothing")


# Forms


def test_a_posted_form_is_kept_shown_and_sent_once(later: Holder, client: Client) -> None:
    page = submit(client, "/fresh/?a=1", ADDRESS)["Location"]
    back = step_up(client, page)
    assert re.fullmatch(r"/verify/resume/[\w-]{16}/", back)
    shown = client.get(back)
    assert "Continue with what you entered?" in text(shown)
    assert "<b>" not in shown.content.decode() and "1 Main St &lt;b&gt;" in text(shown)
    assert "Street" in text(shown) and "Post code" in text(shown) and "csrfmiddlewaretoken" not in text(shown)
    done = resumed(client, back)
    assert done.redirect_chain == [("/fresh/?a=1", 307)]
    sent = {"street": ["1 Main St <b>"], "post_code": ["1010"], "tags": ["a", "b"]}
    assert done.content.decode() == f"POST /fresh/?a=1 {sent}"
    again = client.post(back)
    assert again.status_code == 404 and "What you entered is gone" in text(again)


def test_csrf_is_checked_again(later: Holder) -> None:
    strict = Client(enforce_csrf_checks=True)
    strict.cookies.update(later.tab.cookies)
    token = "x" * 32
    strict.cookies["csrftoken"] = token
    assert strict.post("/fresh/", ADDRESS).status_code == 403
    page = submit(strict, "/fresh/", {**ADDRESS, "csrfmiddlewaretoken": token})["Location"]
    back = step_up(later.tab, page)
    assert strict.post(back, ADDRESS).status_code == 403
    done = submit(strict, back, {**ADDRESS, "csrfmiddlewaretoken": token}, follow=True)
    assert done.redirect_chain == [("/fresh/", 307)] and done.content.startswith(b"POST")


SECRETS = [
    "password",
    "new_password1",
    "passwd",
    "user_pwd",
    "code",
    "otp_token",
    "totp-code",
    "secret",
    "clientSecret",
    "card",
    "cardNumber",
    "credit_card",
    "cvv",
    "cvc2",
    "api_token",
    "pin",
    "PIN",
    "iban",
    "smsCode",
]
HARMLESS = [
    "street",
    "post_code",
    "postcode",
    "zipCode",
    "country_code",
    "_selected_action",
    "action",
    "spinner",
    "note",
]


def test_what_a_name_gives_away() -> None:
    assert [name for name in SECRETS if not is_sensitive(name)] == []
    assert [name for name in HARMLESS if is_sensitive(name)] == []


@pytest.mark.parametrize("name", ["password", "cardNumber", "otp_token"])
def test_secrets_are_not_kept(later: Holder, client: Client, name: str) -> None:
    answer = submit(
        client, "/fresh/", {"street": "x", name: "hush"}, headers={"Referer": "http://testserver/account/?x=1"}
    )
    page = leads_to_step_up(answer, "/account/?x=1", again="1")
    assert "hush" not in str(client.session.items())
    assert "You will have to enter it again." in text(client.get(page))


@pytest.mark.parametrize("before", ["", "https://evil.example/x", "//evil.example", "javascript:alert(1)", "x"])
def test_without_a_page_before_it_leads_to_the_address(later: Holder, client: Client, before: str) -> None:
    answer = submit(client, "/fresh/", {"password": "x"}, headers={"Referer": before})
    leads_to_step_up(answer, "/fresh/", again="1")


def test_other_sorts_of_bodies_are_not_kept(later: Holder, client: Client) -> None:
    upload = SimpleUploadedFile("a.txt", b"text")
    for answer in (
        client.post("/fresh/", {"a": "1", "file": upload}),  # multipart, with a file
        client.post("/fresh/", f"a={'x' * 16400}", content_type=PLAIN),
        client.post("/marked/", "a=1", content_type=PLAIN),
        client.post("/unchecked/", "a=1", content_type=PLAIN),
        client.put("/fresh/", "a=1", content_type=PLAIN),
        client.post("/fresh/", "<a/>", content_type="text/xml"),
    ):
        assert parse_qs(urlsplit(answer["Location"]).query)["again"] == ["1"]
    assert "_twilio_verify_forms" not in client.session


def test_a_session_in_a_cookie_keeps_no_form(client: Client, settings: Any, clock: Any) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.signed_cookies"
    make_factor(make_user())
    sign_in(client)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    clock.shift(3600)
    leads_to_step_up(submit(client, "/fresh/", {"a": "1"}), again="1")


def test_a_kept_form_is_its_persons(later: Holder, client: Client) -> None:
    page = submit(client, "/fresh/", {"a": "hush"})["Location"]
    back = parse_qs(urlsplit(page).query)["next"][0]
    assert client.get(back).status_code == 200
    visitor = Client()
    assert visitor.get(back)["Location"].startswith("/login/")
    make_user("ben")
    sign_in(visitor, "ben")
    assert visitor.get(back).status_code == visitor.post(back).status_code == 404
    session = client.session  # the same browser session, somebody else in it
    session["_auth_user_id"] = str(make_user("eve").pk)
    session.save()
    assert "hush" not in text(client.get(back))


def test_a_kept_form_ends_after_ten_minutes(later: Holder, client: Client, clock: Any) -> None:
    page = submit(client, "/fresh/", {"a": "1"})["Location"]
    back = parse_qs(urlsplit(page).query)["next"][0]
    clock.shift(601)
    assert client.get(back).status_code == client.post(back).status_code == 404


def test_going_on_without_the_proof_asks_again(later: Holder, client: Client) -> None:
    page = submit(client, "/fresh/", {"a": "1"})["Location"]
    back = parse_qs(urlsplit(page).query)["next"][0]
    done = submit(client, back, {"a": "1"}, follow=True)
    assert done.redirect_chain[1][0].startswith("/verify/step-up/?next=%2Fverify%2Fresume%2F")


# The admin


def test_an_action_of_the_admin(later: Holder, client: Client) -> None:
    values = {"action": "rename", "_selected_action": str(later.user.pk), "select_across": "0", "index": "0"}
    page = submit(client, "/office/auth/user/", values)["Location"]
    later.user.refresh_from_db()
    assert later.user.first_name == ""
    done = resumed(client, step_up(client, page))
    assert done.redirect_chain[0] == ("/office/auth/user/", 307)
    later.user.refresh_from_db()
    assert later.user.first_name == "Renamed"
    assert "Rename" in client.get("/office/auth/user/").content.decode()


def test_a_method_of_a_model_admin(later: Holder, client: Client) -> None:
    path = f"/office/auth/user/{later.user.pk}/change/"
    page = leads_to_step_up(client.get(path), path)
    assert step_up(client, page) == path and client.get(path).status_code == 200
