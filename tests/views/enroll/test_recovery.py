"""Recovery codes on the pages: shown once, made anew, warned of, told of by mail."""

from __future__ import annotations

from typing import Any

import pytest
from django.core import mail
from django.test import Client

from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from django_twilio_verify.factors import recovery_codes as recovery
from django_twilio_verify.models import RecoveryCode
from django_twilio_verify.signals import notice_sent
from tests.support.basics import code_path, last_code, make_factor, make_user, race, sign_in
from tests.support.enrollment import add_totp, everything_kept, links, recovery_codes, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def bob(client: Client, db: Any) -> Any:
    """Signed in, with a phone that was proved in this session."""
    user = make_user("bob", email="bob@example.org")
    make_factor(user)
    sign_in(client, "bob")
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    return user


def test_new_codes_are_confirmed_first_and_shown_once(client: Client, bob: Any) -> None:
    old = recovery.issue(bob)
    asked = client.get("/verify/recovery-codes/?next=/context/")
    assert "New codes replace all that you have: the old ones end at once." in text(asked)
    assert "You have 10 unused recovery codes." in text(asked) and "That is few" not in text(asked)
    assert not recovery_codes(asked)
    shown = client.post("/verify/recovery-codes/", {"next": "/context/"})
    codes = recovery_codes(shown)
    assert len(set(codes)) == 10 and "Codes that you had before no longer work." in text(shown)
    assert "no-store" in shown["Cache-Control"]
    for page in ("/verify/", "/verify/recovery-codes/"):
        assert not recovery_codes(client.get(page))
    kept = everything_kept()
    assert not [one for one in codes if one in kept or one.replace("-", "") in kept or one[5:] in kept]
    assert client.post("/verify/recovery-codes/kept/", {"next": "/context/"})["Location"] == "/context/"
    assert not recovery.redeem(bob, old[0]) and recovery.redeem(bob, codes[0])


def test_printing_and_saving_ask_nothing_of_the_server(client: Client, bob: Any) -> None:
    """The script makes the file of what the page shows; without scripts, the browser prints the page."""
    html = client.post("/verify/recovery-codes/").content.decode()
    assert 'data-tv-keep="tv-codes"' in html and "data-tv-download" in html and "data-tv-print" in html
    assert "<noscript>" in html and "print this page with your browser" in html
    assert "Recovery codes for Acme." in html


def test_an_old_proof_is_asked_for_again(client: Client, bob: Any, clock: Any) -> None:
    client.post("/logout/")
    sign_in(client, "bob")
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    recovery.issue(bob)
    before = {*RecoveryCode.objects.values_list("verifier", flat=True)}
    clock.shift(601)
    for answer in (client.get("/verify/recovery-codes/"), client.post("/verify/recovery-codes/")):
        assert "step" in answer["Location"]
    assert {*RecoveryCode.objects.values_list("verifier", flat=True)} == before
    # What says that one has them already needs no new proof.
    assert client.post("/verify/recovery-codes/kept/")["Location"] == "/verify/"


def test_codes_that_nobody_says_to_have_are_spoken_of(client: Client, ann: Any) -> None:
    add_totp(client)
    assert "You have not said that you kept them." in text(client.get("/verify/"))
    assert "they may not have come up on your screen" in text(client.get("/verify/recovery-codes/"))
    client.post("/verify/recovery-codes/kept/")
    assert "You have not said" not in text(client.get("/verify/"))
    assert "may not have come up" not in text(client.get("/verify/recovery-codes/"))


@pytest.mark.django_db(transaction=True)
def test_a_second_press_of_the_last_button_of_a_phones_enrollment_loses_no_codes(client: Client, ann: Any) -> None:
    shown = disclosures.compose(Channel.SMS).digest
    form = {"number": "+15017122661", "country": "", "disclosure": shown, "consent": "on"}
    page = code_path(client.post("/verify/enroll/sms/", form))
    cookies, code = client.cookies, last_code()

    def press(index: int) -> Any:
        browser = Client()
        browser.cookies = cookies
        return browser.post(page, {"code": code, "next": "/context/"})

    answers = race(2, press)
    [second] = [one for one in answers if one.status_code == 302]  # type: ignore[union-attr]
    assert second["Location"] == "/verify/recovery-codes/?next=%2Fcontext%2F"  # type: ignore[index]
    assert "Make new recovery codes" in text(client.get(second["Location"]))  # type: ignore[index]
    assert len(recovery_codes(client.post("/verify/recovery-codes/"))) == 10


def test_the_last_codes_are_warned_of_after_signing_in_with_one(client: Client, db: Any) -> None:
    user = make_user("cat")
    make_factor(user)
    codes = recovery.issue(user)
    for left, code in zip(range(9, -1, -1), codes, strict=True):
        browser = Client()
        sign_in(browser, "cat", url="/login/?next=/context/")
        done = browser.post("/verify/challenge/recovery/", {"code": code, "next": "/context/"})
        if left > recovery.LOW:
            assert done["Location"] == "/context/"
            assert "That is few" not in text(browser.get("/verify/"))
            continue
        assert done["Location"] == "/verify/recovery-codes/?next=%2Fcontext%2F"
        said = text(browser.get(done["Location"]))
        assert f"You have {left} unused recovery code" in said and "That is few" in said
        assert "That is few" in text(browser.get("/verify/"))
        assert "/verify/recovery-codes/" in links(browser.get("/verify/"))


def test_what_was_done_is_told_by_mail(client: Client, bob: Any) -> None:
    heard: list[Any] = []

    def hear(notice: Any, emails_sent: int, **kwargs: Any) -> None:
        heard.append((notice.value, emails_sent))

    notice_sent.connect(hear)
    codes = recovery_codes(client.post("/verify/recovery-codes/"))
    client.post("/logout/")
    sign_in(client, "bob")
    client.post("/verify/challenge/recovery/", {"code": codes[0]})
    notice_sent.disconnect(hear)
    assert heard == [("recovery_codes_made", 1), ("recovery_code_used", 1)]
    made, used = mail.outbox
    assert (made.to, made.subject) == (["bob@example.org"], "New recovery codes for Acme")
    assert "The codes that you had before no longer work." in made.body and "127.0.0.1" in made.body
    assert (used.to, used.subject) == (["bob@example.org"], "A recovery code was used at Acme")
    assert "You have 9 unused codes left." in used.body
    assert not [one for one in codes if one in made.body + used.body]


def test_the_first_codes_are_not_told_of(client: Client, ann: Any) -> None:
    add_totp(client)
    assert [one.subject for one in mail.outbox if "recovery" in one.subject.lower()] == []


def test_a_wrong_code_is_told_to_nobody(client: Client, bob: Any) -> None:
    client.post("/logout/")
    sign_in(client, "bob")
    client.post("/verify/challenge/recovery/", {"code": "0000-0000-0000"})
    assert mail.outbox == []


@pytest.mark.parametrize("path", ["/verify/recovery-codes/", "/verify/recovery-codes/kept/"])
def test_a_password_alone_makes_none(db: Any, client: Client, path: str) -> None:
    make_factor(make_user("eve"))
    sign_in(client, "eve")
    assert client.post(path)["Location"].startswith("/verify/challenge/")
    assert not RecoveryCode.objects.exists()
    assert Client().post(path)["Location"].startswith("/login/")


def test_where_to_go_on_is_on_this_site(client: Client, bob: Any) -> None:
    for bad in ("https://evil.example/", "//evil.example", "javascript:alert(1)"):
        assert client.post("/verify/recovery-codes/kept/", {"next": bad})["Location"] == "/verify/"
