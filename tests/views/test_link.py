"""The check without a code, through the pages: on the phone, handed over to it, and what is left when it fails."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from urllib.parse import quote

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from django_twilio_verify.core.client import ClientInfo
from django_twilio_verify.exceptions import BackendUnavailable
from django_twilio_verify.models import ConsentEvent, Factor, Verification, VerificationAttempt, VerificationCheck
from django_twilio_verify.testing import VerifyServer, outbox
from django_twilio_verify.verifications import handover
from django_twilio_verify.views.qr import svg
from tests.support.basics import PHONE, agree, last_code, make_factor, make_user, race, sign_in
from tests.support.pages import form, restart_url, text

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
UNKNOWN = "3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2"


@pytest.fixture(autouse=True)
def every_way(settings):
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "call", "whatsapp", "email", "sna", "auto"]


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ann(client):
    user = make_user()
    make_factor(user, channel="sna")
    sign_in(client)
    return user


def begin(client, path: str = "/verify/challenge/", **values: str) -> str:
    """Press the button; the page of the link."""
    response = client.post(path, values)
    assert response.status_code == 302, text(response)
    found = re.fullmatch(r"(/verify/link/[0-9a-f-]{36}/)(\?.*)?", response["Location"])
    assert found, response["Location"]
    return found[1]


def open_link(error: int = 0) -> str:
    return backends["default"].simulator.open_link(outbox[-1].link, error=error)


def signed_in(client) -> bool:
    return client.get("/account/").status_code == 200


def test_the_phone_opens_the_link_and_is_in(client, ann):
    assert "no code to type" in text(client.get("/verify/challenge/")) and outbox == []
    page = begin(client)
    shown = client.get(page).content.decode()
    assert f'href="{outbox[-1].link}"' in shown and len(outbox) == 1
    assert PHONE[-4:] not in shown.replace(outbox[-1].link, "")
    open_link()
    assert client.post(page)["Location"] == "/account/"
    assert signed_in(client)
    assert Verification.objects.get().redeemed_at is not None


def test_nothing_tells_others_of_the_link(client, ann):
    page = begin(client)
    response = client.get(page)
    assert response["Referrer-Policy"] == "same-origin"
    assert "no-store" in response["Cache-Control"] and "private" in response["Cache-Control"]
    html = response.content.decode()
    [anchor] = [one for one in re.findall(r"<a [^>]*>", html) if outbox[-1].link in one]
    assert 'rel="noopener noreferrer nofollow"' in anchor and 'referrerpolicy="no-referrer"' in anchor
    assert 'target="_blank"' in anchor
    assert "prefetch" not in html and "preconnect" not in html and "<style" not in html and "style=" not in html
    assert not re.search(r"<script(?![^>]* src=)", html)


def test_a_link_that_a_browser_must_not_follow_is_not_shown(client, ann, monkeypatch):
    monkeypatch.setattr(backends["default"].simulator, "link_base", "javascript:alert(1)//")
    page = begin(client)
    shown = client.get(page)
    assert "javascript:" not in shown.content.decode() and "Send a text message instead" in text(shown)


def test_asking_before_the_link_was_opened_says_what_to_do_and_ends_nothing(client, ann):
    page = begin(client)
    response = client.post(page, {"at": "phone"})
    assert response.status_code == 200 and "has not confirmed anything yet" in text(response)
    assert outbox[-1].link in response.content.decode()
    open_link()
    client.post(page)
    assert signed_in(client)


@pytest.mark.parametrize("error", [60500, 60520, 60511, 60539])
def test_whatever_fails_leads_to_a_text_message_at_one_press(client, ann, error):
    agree(user=ann)
    page = begin(client)
    open_link(error)
    over = client.post(page)
    assert over.status_code == 200 and "could not confirm the number" in text(over)
    assert "Send a text message instead" in text(over) and not signed_in(client)
    again = client.get(page)
    assert "could not confirm" in text(again)  # a reload says it too
    [sms] = re.findall(r'action="(/verify/code/[^"]*/sms/)"', again.content.decode())
    code_page = client.post(sms)["Location"]
    assert code_page.startswith("/verify/code/") and outbox[-1].channel == "sms"
    client.post(code_page, {"code": last_code()})
    assert signed_in(client)


def test_the_way_that_is_left_asks_for_its_own_consent(client, ann):
    page = begin(client)
    open_link(60520)
    client.post(page)
    verification = Verification.objects.get()
    asked = client.post(f"/verify/code/{verification.pk}/call/")
    words = disclosures.compose(Channel.CALL)
    assert asked.status_code == 200 and words.lines[0] in text(asked) and len(outbox) == 1
    assert "checked" not in re.search(r'<input type="checkbox"[^>]*>', asked.content.decode()).group()
    response = client.post(f"/verify/code/{verification.pk}/call/", {"disclosure": words.digest, "consent": "on"})
    assert response.status_code == 302 and outbox[-1].channel == "call"


def test_a_code_instead_is_always_there(client, ann):
    agree(user=ann)
    page = begin(client)
    assert "Send a text message instead" in text(client.get(page))
    code_page = client.post(f"/verify/code/{Verification.objects.get().pk}/sms/")["Location"]
    assert outbox[-1].code
    # The tab that still shows the link leads to what goes on, and loses nothing.
    assert client.post(page)["Location"] == client.get(page)["Location"] == code_page
    client.post(code_page, {"code": last_code()})
    assert signed_in(client)


def test_two_tabs_on_two_ways(client, ann):
    agree(user=ann)
    page = begin(client)
    verification = Verification.objects.get()
    assert client.get(f"/verify/code/{verification.pk}/").status_code == 302  # the code page leads to the link
    told = client.post(f"/verify/code/{verification.pk}/", {"code": "123456"})
    assert told.status_code == 200 and "No code was sent for this" in text(told)
    client.post(f"/verify/code/{verification.pk}/sms/")
    assert client.post(f"/verify/code/{verification.pk}/sms/").status_code == 302  # pressed twice: sent once
    assert [message.channel for message in outbox] == ["sna", "sms"]
    assert client.get(f"/verify/code/{verification.pk}/sms/")["Location"] == f"/verify/code/{verification.pk}/"
    assert client.get(page)["Location"] == f"/verify/code/{verification.pk}/"


def test_a_check_that_has_expired_says_so_and_begins_again(client, ann, clock):
    page = begin(client)
    clock.shift(601)
    assert "There was time until" in text(client.get(page))
    assert "This check has expired." in text(client.post(page))
    assert "Start the check again" in text(client.get(page))
    # Not by the old page's button: what is over takes no send.
    old = client.post(f"/verify/code/{Verification.objects.get().pk}/resend/")
    assert "This check is over" in text(old) and len(outbox) == 1
    again = client.post(restart_url(old))
    assert again["Location"].startswith("/verify/link/") and len(outbox) == 2


def test_a_provider_that_is_down_is_told_and_the_link_stays(client, ann):
    page = begin(client)
    open_link()
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
    response = client.post(page)
    assert response.status_code == 503 and "is not answering" in text(response)
    client.post(page)
    assert signed_in(client)


def test_auto_leads_to_a_link_or_to_a_code(client, monkeypatch):
    user = make_user()
    make_factor(user, channel="auto")
    sign_in(client)
    assert client.post("/verify/challenge/")["Location"].startswith("/verify/code/")
    assert outbox[-1].code
    other = make_user("bea")
    make_factor(other, "+12025550150", channel="auto")
    monkeypatch.setattr(backends["default"].simulator, "sna_numbers", {"+12025550150"})
    second = Client()
    sign_in(second, "bea")
    page = begin(second)
    assert outbox[-1].link in second.get(page).content.decode()


def test_enrolling_without_a_code(client):
    user = make_user()
    client.force_login(user)
    values = form("sna")
    page = begin(client, "/verify/enroll/sna/", **values)
    assert "+1 501-712-2661" in text(client.get(page))
    assert ConsentEvent.objects.get().button_label == "Start the check"
    open_link()
    done = client.post(page)
    assert "Your recovery codes" in text(done)
    assert Factor.objects.get().channel == "sna"
    assert client.post(page).status_code == 302  # a second press shows no codes again
    assert client.get(page)["Location"] == "/verify/recovery-codes/"  # where they can be made anew
    client.post("/verify/recovery-codes/kept/")
    assert client.get(page)["Location"] == "/account/"


def test_the_device_is_guessed_and_both_are_offered(client, ann):
    page = begin(client)
    for header, unfolded in (("?0", "computer"), ("?1", "phone"), ("", "phone"), ('"><script>', "phone")):
        html = client.get(page, headers={"sec-ch-ua-mobile": header}).content.decode()
        parts = re.findall(r'<details class="tv-device"[^>]*>', html)
        assert len(parts) == 2
        assert [f'data-tv-here="{unfolded}"' in part for part in parts] == [" open" in part for part in parts]


# Handed over to the phone


def hand_over(client) -> tuple[str, str, list[str]]:
    """The address in the QR code of the page, the number beside it, and the wrong ones."""
    verification = Verification.objects.latest("created_at")
    asking = ClientInfo(session=client.session["_twilio_verify_secret"])
    # A token holds the second that it was made in: of the page's and of ours it is the same one while time stands.
    with time_machine.travel(datetime.now(UTC), tick=False):
        html = client.get(f"/verify/link/{verification.pk}/").content.decode()
        offer = handover.offer(verification, client=asking)
    path = f"/verify/handover/{offer.token}/"
    assert svg(f"http://testserver{path}") in html and f">{offer.match}</strong>" in html
    return path, offer.match, [choice for choice in offer.choices if choice != offer.match]


@pytest.fixture
def phone():
    """Another browser, that has never been here."""
    return Client()


def test_a_phone_does_it_for_a_computer(client, ann, phone):
    page = begin(client)
    path, match, wrong = hand_over(client)
    shown = phone.get(path)
    assert (
        shown.status_code == 200 and shown["Referrer-Policy"] == "same-origin" and "no-store" in shown["Cache-Control"]
    )
    words = text(shown)
    assert "Acme (testserver)" in words and "It is for signing in there." in words
    assert PHONE[-4:] not in words and "••61" in words and outbox[-1].link not in shown.content.decode()
    assert all(f'value="{number}"' in shown.content.decode() for number in (match, *wrong))

    picked = phone.post(path, {"match": match})
    assert outbox[-1].link in picked.content.decode()
    early = phone.post(path, {"match": match, "opened": "1"})
    assert "has not confirmed anything yet" in text(early) and outbox[-1].link in early.content.decode()
    assert client.get(f"{page}status/").json() == {"status": "pending", "next": ""}
    open_link()
    assert "You can go back to the other device" in text(phone.post(path, {"match": match, "opened": "1"}))
    assert not signed_in(phone) and phone.get("/account/").status_code == 302
    assert client.get(f"{page}status/").json() == {"status": "approved", "next": page}
    assert not signed_in(client)  # reading where it stands lets nobody in
    assert "Your number is confirmed" in text(client.get(page))
    assert client.post(page)["Location"] == "/account/"
    assert signed_in(client)
    assert phone.get(path).status_code == 404


def test_a_wrong_number_ends_it(client, ann, phone):
    page = begin(client)
    path, match, wrong = hand_over(client)
    refused = phone.post(path, {"match": wrong[0]})
    assert "not the number on the other screen" in text(refused)
    for values in ({"match": match}, {"match": match, "opened": "1"}):
        after = phone.post(path, values)
        assert outbox[-1].link not in after.content.decode()
    assert client.get(f"{page}status/").json() == {"status": "link_failed", "next": page}
    assert "Send a text message instead" in text(client.get(page))
    open_link()
    client.post(page)
    assert not signed_in(client)


def test_who_did_not_ask_ends_it(client, ann, phone):
    begin(client)
    path, _, _ = hand_over(client)
    assert "they may have your password" in text(phone.post(path, {"match": ""}))
    assert phone.get(path).status_code == 404


def test_a_link_that_fails_on_the_phone_leads_the_computer_on(client, ann, phone):
    agree(user=ann)
    page = begin(client)
    path, match, _ = hand_over(client)
    phone.post(path, {"match": match})
    open_link(60520)
    assert "could not confirm the number" in text(phone.post(path, {"match": match, "opened": "1"}))
    assert client.get(f"{page}status/?next=/context/").json() == {
        "status": "link_failed",
        "next": f"{page}?next=%2Fcontext%2F",
    }
    assert "Send a text message instead" in text(client.get(page))


@pytest.mark.parametrize(
    "token",
    ["x", "a:b:c", "..", "%00", "‮evil", "x" * 3000, "WyJhIiwiYiJd:1abcde:c2ln", "{}", "<script>alert(1)</script>"],
)
def test_a_forged_token_is_the_page_of_an_old_one(client, ann, phone, token, clock):
    begin(client)
    path, match, _ = hand_over(client)
    clock.shift(601)
    old = phone.get(path)
    assert old.status_code == 404 and "This check is over" in text(old)
    forged = phone.get(f"/verify/handover/{quote(token, safe='')}/")
    assert forged.status_code == 404
    assert phone.post(path, {"match": match}).status_code == 404
    assert phone.post(path, {"opened": "1"}).status_code in (200, 404)
    assert not signed_in(client)


@pytest.mark.parametrize("match", ["٤٢", "0", "1e1", "\x00", "9" * 5000, "<b>"])
def test_hostile_numbers_end_it_quietly(client, ann, phone, match):
    begin(client)
    path, _, _ = hand_over(client)
    response = phone.post(path, {"match": match})
    assert response.status_code == 200 and "<b>" not in response.content.decode()
    assert outbox[-1].link not in response.content.decode()


def test_the_provider_being_down_leaves_the_phone_where_it_was(client, ann, phone):
    begin(client)
    path, match, _ = hand_over(client)
    phone.post(path, {"match": match})
    open_link()
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
    down = phone.post(path, {"match": match, "opened": "1"})
    assert "is not answering" in text(down) and "I am back" in text(down)
    assert "Done" in text(phone.post(path, {"match": match, "opened": "1"}))


def test_the_phone_needs_a_token_against_forged_posts(client, ann):
    begin(client)
    path, match, _ = hand_over(client)
    assert Client(enforce_csrf_checks=True).post(path, {"match": match}).status_code == 403


# Where it stands


def test_where_it_stands_costs_little_and_touches_nothing(client, ann):
    page = begin(client)
    client.get(f"{page}status/")
    before = list(Verification.objects.values()), VerificationCheck.objects.count()
    with CaptureQueriesContext(connection) as captured:
        response = client.get(f"{page}status/")
    # The session, the person, the verification.
    assert len(captured) <= 3, [query["sql"] for query in captured]
    assert all(query["sql"].startswith("SELECT") for query in captured)
    assert response["Cache-Control"].count("no-store") == 1 and response["Content-Type"] == "application/json"
    assert (list(Verification.objects.values()), VerificationCheck.objects.count()) == before
    assert client.post(f"{page}status/").status_code == 405


def test_where_it_stands_is_nobody_elses_business(client, ann):
    page = begin(client)
    other = Client()
    make_factor(make_user("bea"), "+12025550150", channel="sna")
    sign_in(other, "bea")
    begin(other)
    for browser in (other, Client()):
        for path in (f"{page}status/", f"/verify/link/{UNKNOWN}/status/"):
            assert browser.get(path).status_code == 404
    for path in (page, f"/verify/link/{UNKNOWN}/"):
        assert other.get(path).status_code == other.post(path).status_code == 404
    assert Client().get("/verify/link/not-a-uuid/").status_code == 404


def test_it_says_when_it_is_over(client, ann, clock):
    page = begin(client)
    clock.shift(601)
    assert client.get(f"{page}status/").json() == {"status": "expired", "next": page}


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_two_screens_that_learn_of_it_one_signs_in(client, ann, phone):
    page = begin(client)
    path, match, _ = hand_over(client)
    phone.post(path, {"match": match})
    open_link()
    phone.post(path, {"match": match, "opened": "1"})
    browsers = [Client() for _ in range(4)]
    for browser in browsers:
        browser.cookies.update(client.cookies)
    answers = race(4, lambda index: browsers[index].post(page))
    assert all(getattr(one, "status_code", None) == 302 for one in answers), answers
    assert sum(signed_in(browser) for browser in browsers) == 1
    assert VerificationAttempt.objects.count() == 1


def test_an_approval_that_was_used_signs_nobody_in_again(client, ann):
    page = begin(client)
    open_link()
    stale = Client()
    stale.cookies.update(client.cookies)
    client.post(page)
    assert signed_in(client)
    client.post("/logout/")
    sign_in(client)
    response = client.post(page)
    assert response.status_code in (302, 404) and not signed_in(client)
    stale.post(page)
    assert not signed_in(stale)


def test_the_same_over_http_with_the_real_sdk(client, phone, settings):
    with VerifyServer() as server:
        settings.TWILIO_VERIFY_BACKENDS = server.setting()
        user = make_user()
        make_factor(user, channel="sna")
        agree(user=user)
        sign_in(client)
        page = begin(client)
        path, match, _ = hand_over(client)
        phone.post(path, {"match": match})
        link = Verification.objects.get().link
        assert "has not confirmed anything yet" in text(phone.post(path, {"match": match, "opened": "1"}))
        server.simulator.open_link(link)
        assert "Done" in text(phone.post(path, {"match": match, "opened": "1"}))
        assert client.post(page)["Location"] == "/account/" and signed_in(client)


def test_falling_back_over_http_with_the_real_sdk(client, settings):
    with VerifyServer() as server:
        settings.TWILIO_VERIFY_BACKENDS = server.setting()
        user = make_user()
        make_factor(user, channel="sna")
        agree(user=user)
        sign_in(client)
        page = begin(client)
        server.simulator.open_link(Verification.objects.get().link, error=60520)
        assert "could not confirm the number" in text(client.post(page))
        code = client.post(f"/verify/code/{Verification.objects.get().pk}/sms/")["Location"]
        client.post(code, {"code": server.simulator.last_code(PHONE)})
        assert signed_in(client)


@pytest.mark.parametrize(
    ("status", "shown", "told", "left"),
    [
        ("canceled", "Nothing was confirmed", "This check is over. Start again", "Start the check again"),
        ("denied", "Nothing was confirmed", "This check is over. Start again", "Start the check again"),
        ("failed", "Nothing was confirmed", "This check is over. Start again", "Start the check again"),
        ("expired", "There was time until", "This check has expired.", "Start the check again"),
        ("max_attempts_reached", "There were too many tries", "There were too many tries.", "Use a recovery code"),
    ],
)
def test_a_check_that_ended_elsewhere_says_how_and_what_is_left(client, ann, status, shown, told, left):
    page = begin(client)
    Verification.objects.update(status=status)
    look = client.get(page)
    assert look.status_code == 200 and shown in text(look) and left in text(look)
    assert outbox[-1].link not in look.content.decode()
    answer = client.post(page)
    assert answer.status_code == 200 and told in text(answer) and left in text(answer)
    assert client.get(f"{page}status/").json() == {"status": status, "next": page}


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_presses_at_the_same_instant_one_goes_in_and_none_breaks(client, ann):
    page = begin(client)
    open_link()
    browsers = [Client() for _ in range(8)]
    for browser in browsers:
        browser.cookies.update(client.cookies)
    answers = race(8, lambda index: browsers[index].post(page))
    assert all(getattr(one, "status_code", 500) in (200, 302) for one in answers), answers
    assert sum(signed_in(browser) for browser in browsers) == 1


def test_a_send_whose_answer_was_lost_leads_on(client, ann):
    agree(user=ann)
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=True), carried_out=True)
    page = begin(client)
    shown = text(client.get(page))
    assert "could not confirm" in shown and "Send a text message instead" in shown
    assert client.post(f"/verify/code/{Verification.objects.get().pk}/sms/").status_code == 302
