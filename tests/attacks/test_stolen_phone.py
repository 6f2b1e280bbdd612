"""The thief has the password and the phone; the owner removes or replaces it; an old code page is still open."""

from __future__ import annotations

import pytest
import time_machine
from django.test import Client

from django_twilio_verify import verifications
from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from django_twilio_verify.factors import changes, devices, recovery_codes
from django_twilio_verify.models import ConsentEvent, Factor, Verification
from django_twilio_verify.testing import outbox
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PHONE,
    agree,
    code_path,
    last_code,
    make_client,
    make_factor,
    make_user,
    sign_in,
)
from tests.support.pages import form, restart_url, text
from tests.support.stop_pages import stop_form

pytestmark = pytest.mark.django_db


@pytest.fixture
def clock():
    with time_machine.travel("2026-11-20T12:00:00Z", tick=False) as traveller:
        yield traveller


@pytest.fixture
def ann():
    user = make_user()
    make_factor(user)
    make_factor(user, EMAIL, channel="email")
    return user


def box(channel: str) -> dict[str, str]:
    return {"disclosure": disclosures.compose(Channel(channel)).digest, "consent": "on"}


def is_in(browser: Client) -> bool:
    return browser.get("/whoami/", headers={"Accept": "application/json"}).json() == {"user": "ann"}


def verified(ann) -> Client:
    browser = Client()
    sign_in(browser)
    code = recovery_codes.renew(ann, make_client("codes"))[0]
    assert browser.post("/verify/challenge/recovery/", {"code": code}).status_code == 302
    return browser


def remove(user) -> None:
    assert devices.remove(user, Factor.objects.get(user=user, recipient_value=PHONE).pk)


def replace(user) -> None:
    """As the page does, with another number that was proved."""
    client = make_client("hers")
    agree(OTHER_PHONE, user=user, client=client)
    started = verifications.start(recipient=OTHER_PHONE, channel="sms", user=user, purpose="enroll", client=client)
    assert verifications.check(started.verification, code=last_code(), client=client, user=user).approved
    changes.replace(started.verification, Factor.objects.get(user=user, recipient_value=PHONE).pk, client=client)


@pytest.mark.parametrize("change", [remove, replace])
@pytest.mark.parametrize("later", [40, 590, 12_600])
def test_another_channel_on_the_old_code_page_signs_nobody_in(ann, clock, change, later):
    thief = Client()
    sign_in(thief)
    page = code_path(thief.post("/verify/challenge/"))
    change(ann)
    clock.shift(later)
    sent, events = len(outbox), ConsentEvent.objects.count()
    for button, values in (("call/", box("call")), ("resend/", {}), ("whatsapp/", box("whatsapp"))):
        answer = thief.post(page + button, values)
        assert answer.status_code in (200, 302)
        assert not answer.get("Location", "").startswith("/verify/code/")
    assert len(outbox) == sent and ConsentEvent.objects.count() == events
    assert thief.post(page, {"code": outbox[0].code}).status_code in (200, 302)
    assert not is_in(thief)


@pytest.mark.parametrize("change", [remove, replace])
def test_nor_does_it_step_up_a_week_later(ann, clock, change):
    thief = verified(ann)
    clock.shift(700)
    page = code_path(thief.post(f"/verify/step-up/{Factor.objects.get(recipient_value=PHONE).pk}/sms/"))
    change(ann)
    clock.shift(7 * 86_400)
    sent = len(outbox)
    thief.post(page + "call/", box("call"))
    thief.post(page, {"code": outbox[-1].code})
    assert len(outbox) == sent
    last = Factor.objects.filter(user=ann).latest("pk")
    assert thief.post(f"/verify/factors/{last.pk}/remove/")["Location"].startswith("/verify/step-up/")
    assert Factor.objects.filter(pk=last.pk).exists()


@pytest.mark.parametrize("change", [remove, replace])
def test_nor_does_it_approve_a_payment(ann, clock, change):
    thief = verified(ann)
    key = thief.post("/pay/", {"amount": "49.90 EUR", "payee": "Shop"})["Location"].split("/")[3]
    phone = Factor.objects.get(recipient_value=PHONE).pk
    page = code_path(thief.post(f"/verify/payment/{key}/{phone}/sms/", {"next": "/paid/"}))
    change(ann)
    clock.shift(60)
    thief.post(page + "call/", box("call"))
    thief.post(page, {"code": outbox[0].code, "next": "/paid/"})
    assert thief.get("/paid/").status_code == 409


def test_an_approval_of_a_phone_that_is_gone_by_now_pays_nothing(ann, clock):
    browser = verified(ann)
    key = browser.post("/pay/", {"amount": "49.90 EUR", "payee": "Shop"})["Location"].split("/")[3]
    phone = Factor.objects.get(recipient_value=PHONE).pk
    page = code_path(browser.post(f"/verify/payment/{key}/{phone}/sms/", {"next": "/paid/"}))
    assert browser.post(page, {"code": last_code(), "next": "/paid/"})["Location"] == "/paid/"
    remove(ann)
    refused = browser.get("/paid/")
    assert refused.status_code == 409 and b"removed or changed" in refused.content


@pytest.mark.parametrize("later", [160, 300, 2 * 86_400])
@pytest.mark.parametrize("button", ["", "resend/", "call/"])
def test_an_enrollment_that_was_begun_earlier_wants_a_fresh_proof(ann, clock, later, button):
    thief = verified(ann)
    clock.shift(500)
    page = code_path(thief.post("/verify/enroll/sms/", form(number=OTHER_PHONE)))
    clock.shift(later)
    sent = len(outbox)
    answer = thief.post(page + button, {"code": last_code(), **box("call")})
    assert len(outbox) == sent and Factor.objects.count() == 2
    if later < 600:  # the code is still good, after the way round
        assert answer["Location"].startswith("/verify/step-up/?next=%2Fverify%2Fcode%2F")
        assert Verification.objects.get(purpose="enroll").checks == 0


def test_the_code_is_still_good_after_the_way_round_by_a_step_up(ann, clock):
    browser = verified(ann)
    clock.shift(500)
    page = code_path(browser.post("/verify/enroll/sms/", form(number=OTHER_PHONE)))
    code = last_code()
    clock.shift(200)
    step_up = browser.post(page, {"code": code, "next": "/context/"})["Location"]
    assert step_up.startswith("/verify/step-up/")
    sent = code_path(browser.post(step_up))
    back = browser.post(sent, {"code": last_code(), "next": step_up.partition("next=")[2]})
    assert back.status_code == 302
    assert browser.get(page).status_code == 200
    assert browser.post(page, {"code": code, "next": "/context/"})["Location"] == "/context/"
    assert Factor.objects.filter(recipient_value=OTHER_PHONE).exists()


def test_a_first_enrollment_waits_for_the_factor_that_the_owner_has_by_now(ann, clock, settings):
    """Both begin with the password alone; the owner is first."""
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    Factor.objects.all().delete()
    thief = Client()
    sign_in(thief)
    page = code_path(thief.post("/verify/enroll/sms/", form(number=OTHER_PHONE)))
    make_factor(ann)
    clock.shift(40)
    sent = len(outbox)
    for button, values in (("", {"code": last_code()}), ("resend/", {}), ("call/", box("call"))):
        assert thief.post(page + button, values)["Location"].startswith("/verify/challenge/")
    assert len(outbox) == sent and Factor.objects.count() == 1 and not is_in(thief)


# ---- The owner, whose code has just expired


def test_a_code_that_expired_is_begun_anew_at_one_press(ann, clock):
    browser = Client()
    sign_in(browser)
    page = code_path(browser.post("/verify/challenge/?next=/context/", {"next": "/context/"}))
    clock.shift(601)
    shown = browser.get(page + "?next=/context/")
    assert "This code no longer works" in text(shown)
    again = code_path(browser.post(restart_url(shown), {"next": "/context/"}))
    assert again != page
    assert browser.post(again, {"code": last_code(), "next": "/context/"})["Location"] == "/context/"


def test_an_enrollment_that_expired_is_begun_anew_with_the_number_filled_in(ann, clock):
    browser = verified(ann)
    page = code_path(browser.post("/verify/enroll/sms/", form(number=OTHER_PHONE)))
    clock.shift(599)
    code = code_path(browser.post(f"/verify/step-up/{Factor.objects.get(recipient_value=PHONE).pk}/sms/"))
    assert browser.post(code, {"code": last_code()}).status_code == 302
    clock.shift(2)
    shown = browser.get(page)
    assert restart_url(shown) == "/verify/enroll/sms/"
    sent = len(outbox)
    filled = browser.post("/verify/enroll/sms/", {"otherwise": "1", "number": OTHER_PHONE})
    assert OTHER_PHONE in filled.content.decode()
    assert len(outbox) == sent


def test_a_code_that_stops_messages_is_begun_anew_on_the_page_that_asked(clock):
    visitor = Client()
    visitor.get("/verify/stop/")
    sent = visitor.post("/verify/stop/sms/", stop_form("sms"))
    page, _, wanted = sent["Location"].partition("?next=")
    clock.shift(601)
    shown = visitor.get(sent["Location"])
    assert wanted and 'href="/verify/stop/sms/"' in shown.content.decode()
    count = len(outbox)
    assert visitor.post(page + "resend/").status_code == 200 and len(outbox) == count


@pytest.mark.parametrize("change", [remove, replace])
def test_a_session_that_the_phone_opened_changes_nothing_once_it_is_gone(ann, clock, change):
    """The thief signed in with it, minutes before."""
    thief = Client()
    sign_in(thief)
    page = code_path(thief.post("/verify/challenge/"))
    assert thief.post(page, {"code": last_code()}).status_code == 302
    clock.shift(601)
    phone = Factor.objects.get(recipient_value=PHONE).pk
    assert thief.post(code_path(thief.post(f"/verify/step-up/{phone}/sms/")), {"code": last_code()}).status_code == 302
    clock.shift(60)
    change(ann)
    clock.shift(60)
    left, sent = Factor.objects.filter(user=ann).latest("pk"), len(outbox)
    for path, values in (
        ("/verify/enroll/sms/", form(number="+15017122663")),
        (f"/verify/factors/{left.pk}/remove/", {}),
        ("/verify/recovery-codes/", {}),
    ):
        assert thief.post(path, values)["Location"].startswith("/verify/step-up/")
    assert len(outbox) == sent and Factor.objects.filter(pk=left.pk).exists()
