"""An authenticator app, from the list of ways to the recovery codes."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_twilio_verify.factors import devices
from django_twilio_verify.models import Factor, RecoveryCode, Verification
from django_twilio_verify.testing import Authenticator
from django_twilio_verify.verifications import challenges
from tests.support.basics import make_client, make_factor, make_user, race, sign_in, wrong_code
from tests.support.enrollment import (
    World,
    add_totp,
    begin_totp,
    everything_kept,
    links,
    recovery_codes,
    text,
    the_enrollment,
)
from tests.support.qr import read

pytestmark = pytest.mark.django_db
TRANSACTIONS = ("BEGIN", "COMMIT", "SAVEPOINT", "RELEASE", "START TRANSACTION")


def test_from_the_list_to_the_recovery_codes(world: World, client: Client, ann: Any) -> None:
    assert "/verify/enroll/totp/?next=%2Fcontext%2F" in links(client.get("/verify/enroll/?next=/context/"))
    page, app, answer = begin_totp(client, next="/context/")
    assert read(answer.content.decode()) == next(one for one in links(answer) if one.startswith("otpauth:"))
    done = client.post(page, {"code": app.code(), "next": "/context/"})
    codes = recovery_codes(done)
    assert len(set(codes)) == 10 == RecoveryCode.objects.filter(user=ann).count()
    factor = Factor.objects.get()
    assert (factor.kind, factor.label, factor.default_for) == ("totp", "My app", ann)
    assert client.post("/verify/recovery-codes/kept/", {"next": "/context/"})["Location"] == "/context/"
    # The session counts as proved: what is for such alone, opens.
    assert client.get("/verify/").status_code == 200


def test_the_app_shows_the_user_name_and_the_site(world: World, client: Client, ann: Any) -> None:
    _, _, answer = begin_totp(client)
    uri = next(one for one in links(answer) if one.startswith("otpauth:"))
    issuer = parse_qs(urlsplit(uri).query)["issuer"][0]
    assert urlsplit(uri).path == f"/{issuer}:ann"


def test_showing_the_pages_writes_and_asks_nothing(local: World, client: Client, ann: Any) -> None:
    before = everything_kept()
    for path in ("/verify/enroll/", "/verify/enroll/totp/", "/verify/enroll/totp/?next=/account/"):
        assert client.get(path).status_code == 200
    assert everything_kept() == before and len(local.simulator.events) == 0


def test_the_secret_is_in_one_answer_and_nowhere_else(
    world: World, client: Client, ann: Any, caplog: Any, capsys: Any
) -> None:
    caplog.set_level(0)
    page, app, answer = begin_totp(client)
    uri = next(one for one in links(answer) if one.startswith("otpauth:"))
    secret = parse_qs(urlsplit(uri).query)["secret"][0]
    assert secret in answer.content.decode() and " ".join(re.findall(".{1,4}", secret)) in text(answer)
    assert "no-store" in answer["Cache-Control"]
    assert secret not in repr(answer.context_data["setup"]) and uri not in repr(answer.context_data["setup"])
    others = [
        client.get(page),
        client.post(page, {"code": wrong_code(app.code())}),
        client.get("/verify/enroll/"),
        client.post(page, {"code": app.code()}),
        client.get("/verify/"),
    ]
    shown = "".join(one.content.decode() + str(one.headers) for one in others)
    out = capsys.readouterr()
    for place in (shown, everything_kept(), caplog.text, out.out + out.err, page, str(answer.headers)):
        assert secret not in place.replace(" ", "")
    assert Factor.objects.get().confirmed_at is not None


def test_a_wrong_code_asks_again_without_the_secret_and_offers_to_begin_again(
    world: World, client: Client, ann: Any
) -> None:
    page, app, _ = begin_totp(client)
    again = client.post(page, {"code": wrong_code(app.code())})
    assert "This is not the code that the app shows now." in text(again) and "4 tries left" in text(again)
    assert "otpauth" not in again.content.decode() and "<svg" not in again.content.decode()
    assert "Start again with a new QR code" in text(again)
    second, other, _ = begin_totp(client)
    assert second != page and other.code() != app.code()
    late = client.post(page, {"code": app.code()})
    assert "Setting up was started anew, or canceled." in text(late) and late.status_code == 200
    assert recovery_codes(client.post(second, {"code": other.code()}))
    assert Factor.objects.count() == 1


def test_a_page_that_is_loaded_again_has_the_field_and_no_secret(world: World, client: Client, ann: Any) -> None:
    page, app, _ = begin_totp(client)
    shown = client.get(page)
    assert "The key is not shown a second time" in text(shown) and "otpauth" not in shown.content.decode()
    assert recovery_codes(client.post(page, {"code": f"{app.code()[:3]} {app.code()[3:]}"}))


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Enter the code that your authenticator app shows."),
        (" - ", "Enter the code that your authenticator app shows."),
        ("12345", "The app shows a code of 6 digits."),
        ("1234567", "The app shows a code of 6 digits."),
        ("abcdef", "The code has digits only."),
        ("١٢٣", "The app shows a code of 6 digits."),
        ("\0", "Null characters are not allowed"),
        ("9" * 300, "at most 200 characters"),
    ],
)
def test_what_is_no_code_costs_no_try(local: World, client: Client, ann: Any, typed: str, sentence: str) -> None:
    page, _, _ = begin_totp(client)
    answer = client.post(page, {"code": typed})
    assert answer.status_code == 200 and sentence in text(answer)
    assert the_enrollment().checks == 0 and re.search(r"<title>\s*Error:", answer.content.decode())


def test_five_wrong_codes_end_it(world: World, client: Client, ann: Any, clock: Any) -> None:
    page, app, _ = begin_totp(client)
    for _ in range(4):
        client.post(page, {"code": wrong_code(app.code())})
    over = client.post(page, {"code": wrong_code(app.code())})
    assert "Too many wrong codes. Start again, with a new QR code." in text(over)
    assert 'name="code"' not in over.content.decode()
    assert "Too many wrong codes." in text(client.post(page, {"code": app.code()}))
    assert "This set-up is over" in text(client.get(page))
    assert not Factor.objects.filter(confirmed_at__isnull=False).exists()
    add_totp(client)  # and it can be begun again at once


def test_a_code_that_comes_too_late(local: World, client: Client, ann: Any, clock: Any) -> None:
    page, app, _ = begin_totp(client)
    clock.shift(601)
    assert "Setting up took too long. Start again." in text(client.post(page, {"code": app.code()}))
    assert "There was time until" in text(client.get(page))


def test_a_factor_that_was_removed_meanwhile(world: World, client: Client, ann: Any) -> None:
    page, app, _ = begin_totp(client)
    Factor.objects.all().delete()
    assert "was removed meanwhile" in text(client.post(page, {"code": app.code()}))


def test_a_provider_that_is_down_keeps_what_was_typed(world: World, client: Client, ann: Any) -> None:
    world.fail()
    down = client.post("/verify/enroll/totp/", {"name": "Büro"})
    assert (down.status_code, down["Retry-After"]) == (503, "30") and 'value="Büro"' in down.content.decode()
    page, app, _ = begin_totp(client)
    world.fail()
    typed = app.code()
    down = client.post(page, {"code": typed})
    assert (down.status_code, down["Retry-After"]) == (503, "30") and f'value="{typed}"' in down.content.decode()
    assert recovery_codes(client.post(page, {"code": typed}))


def test_too_many_begun(local: World, client: Client, ann: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_LIMITS = {"user_hour": 1}
    begin_totp(client)
    late = client.post("/verify/enroll/totp/", {"name": "x"})
    assert late.status_code == 429 and int(late["Retry-After"]) > 3500


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("", "Enter a name"), (" ", "Enter a name"), ("x" * 65, "up to 64 characters"), ("a\0b", "Null characters")],
)
def test_what_is_no_name(local: World, client: Client, ann: Any, name: str, sentence: str) -> None:
    answer = client.post("/verify/enroll/totp/", {"name": name})
    assert answer.status_code == 200 and sentence in text(answer) and not Verification.objects.exists()


def test_markup_in_a_name_stays_a_name(local: World, client: Client, ann: Any) -> None:
    page, app, _ = begin_totp(client, name='"><script>x')
    assert "<script>x" not in client.get(page).content.decode()
    client.post(page, {"code": app.code()})
    assert Factor.objects.get().label == '"><script>x'


def test_posting_twice_enrolls_once_and_loses_no_codes(world: World, client: Client, ann: Any) -> None:
    page, app, _ = begin_totp(client)
    code = app.code()
    client.post(page, {"code": code})
    again = client.post(page, {"code": code})
    assert again["Location"] == "/verify/recovery-codes/" and Factor.objects.count() == 1
    assert the_enrollment().checks == 1
    said = client.get(again["Location"])
    assert "they may not have come up on your screen" in text(said) and not recovery_codes(said)
    anew = recovery_codes(client.post(again["Location"]))
    assert len(anew) == 10 == RecoveryCode.objects.count()
    client.post("/verify/recovery-codes/kept/")
    assert client.post(page, {"code": code})["Location"] == "/account/"


def test_two_tabs_make_one_factor(world: World, client: Client, ann: Any) -> None:
    first, _, _ = begin_totp(client)
    second, newer, _ = begin_totp(client)
    assert "started anew" in text(client.post(first, {"code": newer.code()}))
    assert recovery_codes(client.post(second, {"code": newer.code()}))
    assert Factor.objects.count() == 1


def test_the_code_that_enrolled_does_not_sign_in(world: World, client: Client, ann: Any, clock: Any) -> None:
    page, app, _ = begin_totp(client)
    code = app.code()
    client.post(page, {"code": code})
    started = challenges.start(channel="totp", client=make_client("elsewhere"), user=ann)
    checked = challenges.check(started.verification, client=make_client("elsewhere"), user=ann, code=code)
    assert checked.outcome == "replayed"


def test_somebody_elses_enrollment_is_not_there(world: World, client: Client, ann: Any) -> None:
    page, app, _ = begin_totp(client)
    eve = Client()
    eve.force_login(make_user("eve"))
    eve.get("/verify/enroll/totp/")
    eve.post("/verify/enroll/totp/", {"name": "hers"})
    for answer in (eve.get(page), eve.post(page, {"code": app.code()})):
        assert answer.status_code == 404
    # The same browser, another person.
    client.logout()
    client.force_login(Factor.objects.get(label="hers").user)
    client.get("/verify/")
    assert client.post(page, {"code": app.code()}).status_code in (302, 404)
    assert not Factor.objects.filter(confirmed_at__isnull=False).exists()


def test_a_visitor_is_led_to_the_login(client: Client, db: Any) -> None:
    assert client.get("/verify/enroll/totp/")["Location"] == "/login/?next=/verify/enroll/totp/"
    page = "/verify/enroll/totp/3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2/"
    assert client.get(page).status_code == 302


def test_ids_of_other_things_are_not_there(local: World, client: Client, ann: Any) -> None:
    begin_totp(client)
    answer = client.post("/verify/access-token/", content_type="application/json")
    push = answer.json()["verification"]
    for unknown in ("3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2", push):
        assert client.get(f"/verify/enroll/totp/{unknown}/").status_code == 404
        assert client.post(f"/verify/enroll/totp/{unknown}/", {"code": "123456"}).status_code == 404


def test_an_enrollment_has_no_page_of_codes_or_links(local: World, client: Client, ann: Any) -> None:
    page, app, _ = begin_totp(client)
    enrollment = page.split("/")[-2]
    paths = ["code/{}/", "link/{}/", "code/{}/resend/", "code/{}/sms/", "code/{}/email/", "stop/{}/"]
    for path in (f"/verify/{one.format(enrollment)}" for one in paths):
        assert client.get(path).status_code in (302, 404, 405), path
        assert client.post(path, {"code": app.code()}).status_code in (302, 404), path
    assert not Factor.objects.filter(confirmed_at__isnull=False).exists()


def test_a_provider_that_keeps_none(client: Client, ann: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "tests.views.enroll.backends.CodesOnly"}}
    assert client.get("/verify/enroll/totp/").status_code == 404
    assert client.post("/verify/enroll/totp/", {"name": "x"}).status_code == 404


def test_who_must_enroll_enrolls_and_is_signed_in(world: World, client: Client, settings: Any, db: Any) -> None:
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    make_user("bob")
    sign_in(client, "bob")
    assert client.get("/account/").status_code == 302
    page, app, _ = begin_totp(client, next="/account/")
    done = client.post(page, {"code": app.code(), "next": "/account/"})
    assert len(recovery_codes(done)) == 10
    assert client.get("/account/").content == b"account of bob"


def test_a_second_press_after_the_session_was_replaced_loses_no_codes(
    local: World, client: Client, settings: Any, db: Any, clock: Any
) -> None:
    """The browser has dropped the first answer, and with it the new session: the person signs in anew."""
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    make_user("bob")
    sign_in(client, "bob")
    page, app, answer = begin_totp(client, next="/account/")
    assert 'name="enrolling"' in answer.content.decode()
    stale = client.cookies.copy()
    pressed = {"code": app.code(), "next": "/account/", "enrolling": "1"}
    client.post(page, pressed)
    client.cookies = stale
    second = client.post(page, pressed)
    assert second["Location"] == "/verify/recovery-codes/?next=%2Faccount%2F"
    assert client.get(second["Location"])["Location"].startswith("/login/?next=/verify/recovery-codes/")
    assert not RecoveryCode.objects.filter(used_at__isnull=False).exists()


def test_a_second_press_that_read_the_session_too_early_loses_no_codes(
    local: World, client: Client, ann: Any, settings: Any
) -> None:
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    client.force_login(ann)
    page, app, _ = begin_totp(client)
    early = Session.objects.values().get(session_key=client.session.session_key)
    pressed = {"code": app.code(), "next": "/account/"}
    assert len(recovery_codes(client.post(page, pressed))) == 10
    Session(**early).save()
    assert client.post(page, pressed)["Location"] == "/verify/recovery-codes/?next=%2Faccount%2F"
    assert Session.objects.values().get(session_key=early["session_key"]) == early, "what the first wrote stands"


@pytest.mark.parametrize("policy", ["everyone", "enrolled"])
def test_begun_with_the_password_alone_it_is_worth_nothing_once_there_is_a_factor(
    world: World, client: Client, settings: Any, db: Any, policy: str
) -> None:
    settings.TWILIO_VERIFY_REQUIRED_FOR = policy
    owner = make_user("bob")
    sign_in(client, "bob")
    page, app, _ = begin_totp(client)
    make_factor(owner)
    answer = client.post(page, {"code": app.code()})
    assert answer["Location"].startswith("/verify/challenge/")
    assert [one.kind for one in Factor.objects.filter(confirmed_at__isnull=False)] == ["phone"]
    assert the_enrollment().checks == 0  # the code was not even judged
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")
    assert client.post("/verify/enroll/totp/", {"name": "x"})["Location"].startswith("/verify/challenge/")


def test_a_factor_that_came_while_the_code_was_judged_undoes_it(
    local: World, client: Client, settings: Any, db: Any, monkeypatch: Any
) -> None:
    owner = make_user("bob")
    sign_in(client, "bob")
    page, app, _ = begin_totp(client)
    judged = local.simulator.update_factor

    def meanwhile(*args: Any, **kwargs: Any) -> Any:
        make_factor(owner)
        return judged(*args, **kwargs)

    monkeypatch.setattr(local.simulator, "update_factor", meanwhile)
    answer = client.post(page, {"code": app.code()})
    assert answer["Location"].startswith("/verify/challenge/")
    assert [one.kind for one in Factor.objects.all()] == ["phone"]


def test_an_old_proof_is_asked_for_again(local: World, client: Client, ann: Any, clock: Any) -> None:
    add_totp(client)
    assert client.get("/verify/enroll/totp/").status_code == 200
    clock.shift(601)
    for path in ("/verify/enroll/", "/verify/enroll/totp/", "/verify/enroll/sms/", "/verify/enroll/push/"):
        assert "step" in client.get(path)["Location"], path
    made = Verification.objects.count()
    assert "step" in client.post("/verify/enroll/totp/", {"name": "x"})["Location"]
    assert Verification.objects.count() == made


def test_another_app_beside_the_first_makes_no_new_codes(world: World, client: Client, ann: Any) -> None:
    add_totp(client)
    before = {*RecoveryCode.objects.values_list("verifier", flat=True)}
    page, app, _ = begin_totp(client, name="Tablet", next="/context/")
    assert client.post(page, {"code": app.code(), "next": "/context/"})["Location"] == "/context/"
    assert {*RecoveryCode.objects.values_list("verifier", flat=True)} == before
    assert {*Factor.objects.values_list("label", flat=True)} == {"My app", "Tablet"}


def test_an_address_that_is_no_otpauth_is_not_linked(local: World, client: Client, ann: Any, monkeypatch: Any) -> None:
    begin = devices.begin_totp

    def odd(*args: Any, **kwargs: Any) -> Any:
        begun = begin(*args, **kwargs)
        return type(begun)(begun.verification, begun.channel, secret=begun.secret, uri="javascript:alert(1)")

    monkeypatch.setattr(devices, "begin_totp", odd)
    html = client.post("/verify/enroll/totp/", {"name": "x"}).content.decode()
    assert "javascript:" not in html and "<svg" not in html and "Type this key into the app:" in html


def test_pages_hold_no_inline_code(local: World, client: Client, ann: Any) -> None:
    page, _, answer = begin_totp(client)
    for html in [
        answer.content.decode(),
        *(client.get(one).content.decode() for one in (page, "/verify/enroll/totp/")),
    ]:
        assert not re.search(r"\son\w+=|style=|<style|javascript:", html)
        assert not re.search(r"<script(?![^>]*\bsrc=)", html)
        assert html.count('role="img" aria-label="') == html.count("<svg")


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_simultaneous_posts_one_enrolls(local: World, client: Client, ann: Any) -> None:
    page, app, _ = begin_totp(client)
    code, cookies = app.code(), client.cookies

    def press(index: int) -> Any:
        browser = Client()
        browser.cookies = cookies
        return browser.post(page, {"code": code})

    answers = race(4, press)
    assert all(getattr(one, "status_code", 0) in (200, 302) for one in answers), answers
    assert sum(len(recovery_codes(one)) == 10 for one in answers) == 1  # type: ignore[misc]
    assert Factor.objects.filter(confirmed_at__isnull=False).count() == 1
    assert RecoveryCode.objects.count() == 10
    lost = [one["Location"] for one in answers if one.status_code == 302]  # type: ignore[union-attr]
    assert {*lost} == {"/verify/recovery-codes/"}


def test_the_typed_secret_is_as_good_as_the_code(world: World, client: Client, ann: Any) -> None:
    """A camera that cannot scan: what stands on the page, typed with its spaces and in small letters."""
    page, _, answer = begin_totp(client)
    shown = re.search(r'<code data-tv-text="[A-Z2-7]+">([A-Z2-7 ]+)</code>', answer.content.decode())
    assert shown
    app = Authenticator(shown[1].lower())
    assert recovery_codes(client.post(page, {"code": app.code()}))


def test_what_it_costs(client: Client, db: Any, settings: Any) -> None:
    """The figures of docs/topics/performance.md: a person's second app, the counters there already."""
    settings.SESSION_ENGINE = "django.contrib.sessions.backends.db"
    user = make_user("ann")
    client.force_login(user)
    add_totp(client)
    with CaptureQueriesContext(connection) as begun:
        page, app, _ = begin_totp(client)
    with CaptureQueriesContext(connection) as done:
        client.post(page, {"code": app.code()})
    figures = [len([one for one in log if not one["sql"].startswith(TRANSACTIONS)]) for log in (begun, done)]
    # One in each looks whether the factor of the fresh proof is still there: it may have been removed since. Two of the
    # second figure ask, once the provider has judged the code, whether the session still stands, and one whether it is
    # the second press of a double click.
    assert figures == [14, 32]
