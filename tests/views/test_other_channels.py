"""Which ways the pages offer, in which order, and what they say when one does not work."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import time_machine

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from django_twilio_verify.exceptions import BackendRejected
from django_twilio_verify.models import ChannelOutage, ConsentEvent, Factor, Verification
from django_twilio_verify.testing import outbox
from tests.support.basics import EMAIL, PHONE, agree, code_path, last_code, make_factor, make_user, sign_in
from tests.support.pages import form, text

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
LANDLINE = "+442079460018"
MAYBE_LANDLINE = "+12025550143"  # American numbers do not tell


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ann(client):
    user = make_user()
    make_factor(user)
    sign_in(client)
    return user


@pytest.fixture
def newcomer(client):
    user = make_user()
    client.force_login(user)
    return user


def links(response, name: str) -> list[str]:
    """The channels of the links to pages of ``name``, in order."""
    found = re.findall(rf'href="/verify/{name}/(?:[^"/?]*/)?(\w+)/[?"]', response.content.decode())
    return [channel for channel in found if channel in Channel.values and channel != Channel.RECOVERY]


def out(channel: str, **values) -> None:
    until = datetime.now(UTC).timestamp() + 3600
    ChannelOutage.objects.create(
        backend="default",
        channel=channel,
        error_code=60223,
        seen_at=datetime.now(UTC),
        until=datetime.fromtimestamp(until, UTC),
        **values,
    )


def test_the_order_is_the_plans(client, ann, settings):
    settings.TWILIO_VERIFY_CHANNEL_RULES = [
        {"countries": ["US"], "purposes": ["login"], "channels": ["whatsapp", "sms", "call"]},
    ]
    page = client.get("/verify/challenge/")
    assert "text a code" in text(page)  # the person's own way goes first
    assert links(page, "challenge") == ["whatsapp", "call"]
    Factor.objects.update(channel="call")
    page = client.get("/verify/challenge/")
    assert "call" in text(page) and links(page, "challenge") == ["whatsapp", "sms"]


def test_the_way_that_worked_is_remembered(client, ann):
    agree(PHONE, "call", user=ann)
    factor = Factor.objects.get()
    page = code_path(client.post(f"/verify/challenge/{factor.pk}/call/"))
    client.post(page, {"code": last_code()})
    client.post("/logout/")
    sign_in(client)
    assert "We will call" in text(client.get("/verify/challenge/"))


def test_the_next_way_after_a_code_is_the_plans(client, ann, settings):
    settings.TWILIO_VERIFY_CHANNELS = ["call", "sms", "whatsapp", "email"]
    page = code_path(client.post("/verify/challenge/"))
    assert links(client.get(page), "code") == ["whatsapp", "call"]  # behind its own, then before


def test_a_way_that_is_switched_off_goes_from_the_pages_and_comes_back(client, newcomer, clock, settings):
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "tests.views.enroll.backends.CodesOnly"}}
    backends["default"].fail_next(code=60223)
    refused = client.post("/verify/enroll/whatsapp/", form("whatsapp"))
    assert "This way does not work at the moment. Try another way." in text(refused)
    assert links(refused, "enroll") == ["sms", "call", "email"]
    assert links(client.get("/verify/enroll/"), "enroll") == ["sms", "call", "email"]
    clock.shift(3601)
    assert "whatsapp" in links(client.get("/verify/enroll/"), "enroll")


def test_a_refused_way_shows_the_others(client, ann):
    verification_page = code_path(client.post("/verify/challenge/"))
    agree(PHONE, "whatsapp", user=ann)
    backends["default"].fail_next(BackendRejected("misconfigured", provider_code=68008, channel_off=True))
    with time_machine.travel(datetime.now(UTC).timestamp() + 31, tick=False):
        refused = client.post(f"{verification_page}whatsapp/")
        assert refused.status_code == 200 and "This way does not work" in text(refused)
        assert links(refused, "code") == ["call"]
        assert "Back to the code that we sent" in text(refused)
        assert client.post(verification_page, {"code": last_code()})["Location"] == "/account/"  # nothing is lost


def test_an_old_link_to_a_way_that_is_out_is_no_dead_end(client, ann):
    factor = Factor.objects.get()
    out("whatsapp")
    shown = client.get(f"/verify/challenge/{factor.pk}/whatsapp/")
    assert shown.status_code == 200 and links(shown, "challenge") == ["sms", "call"]
    assert client.get(f"/verify/challenge/{factor.pk}/fax/").status_code == 404
    assert client.get(f"/verify/challenge/{factor.pk}/email/").status_code == 404


def test_nobody_is_locked_out_when_all_ways_are_out(client, ann):
    for channel in ("sms", "call", "whatsapp"):
        out(channel)
    page = client.get("/verify/challenge/")
    assert page.status_code == 200 and "Use a recovery code" in text(page)
    assert client.post("/verify/challenge/").status_code == 302
    assert client.get("/verify/enroll/").status_code == 302  # a person with a factor proves it first


def test_after_three_messages_a_call_is_offered_first(client, ann, clock):
    page = code_path(client.post("/verify/challenge/"))
    for wait in (31, 41):
        assert "Call me instead" not in text(client.get(page))
        clock.shift(wait)
        client.post(f"{page}resend/")
    shown = text(client.get(page))
    assert "Call me instead" in shown and "do not seem to reach you" in shown
    assert links(client.get(page), "code") == ["whatsapp"]  # the call is above them, and once
    clock.shift(61)
    words = disclosures.compose(Channel.CALL)
    asked = client.post(f"{page}call/")
    assert asked.status_code == 200 and words.lines[0] in text(asked)  # nobody is called who has not agreed
    client.post(f"{page}call/", {"disclosure": words.digest, "consent": "on"})
    assert outbox[-1].channel == "call"
    assert "We are calling" in text(client.get(page)) and "Call me instead" not in text(client.get(page))


@pytest.mark.parametrize("number", [LANDLINE, MAYBE_LANDLINE])
def test_a_landline_is_offered_a_call_with_the_number_kept(client, newcomer, monkeypatch, number):
    monkeypatch.setattr(backends["default"].simulator, "landlines", {MAYBE_LANDLINE})
    refused = client.post("/verify/enroll/sms/", form(number=number))
    assert "landline" in text(refused) and "Call this number instead" in text(refused)
    [action] = re.findall(r'formaction="([^"]*)"', refused.content.decode())
    other = client.post(action, {**form(number=number), "otherwise": "1"})
    html = other.content.decode()
    assert other.status_code == 200 and f'value="{number}"' in html and "There is a problem" not in html
    assert disclosures.compose(Channel.CALL).lines[0] in text(other)
    assert "checked" not in re.search(r'<input type="checkbox"[^>]*>', html).group()
    assert not ConsentEvent.objects.filter(channel="call").exists()
    page = code_path(client.post("/verify/enroll/call/", form("call", number=number)))
    client.post(page, {"code": last_code()})
    assert Factor.objects.get().channel == "call"


def test_a_landline_is_called_when_it_signs_in(client):
    user = make_user()
    factor = make_factor(user, MAYBE_LANDLINE)
    Factor.objects.filter(pk=factor.pk).update(line_type="landline")
    sign_in(client)
    page = client.get("/verify/challenge/")
    assert "We will call" in text(page) and "sms" not in links(page, "challenge")


def test_a_message_that_may_come_otherwise_names_no_channel(client, ann, monkeypatch):
    agree(PHONE, "whatsapp", user=ann)
    monkeypatch.setattr(backends["default"].simulator, "without_whatsapp", {PHONE})
    page = code_path(client.post(f"/verify/challenge/{Factor.objects.get().pk}/whatsapp/"))
    assert outbox[-1].channel == "sms"  # WhatsApp fell back
    shown = text(client.get(page))
    assert "We sent a code to" in shown and "by WhatsApp" not in shown
    client.post(page, {"code": last_code()})
    assert client.get("/account/").status_code == 200


def test_email_has_no_phones_ways(client):
    user = make_user()
    make_factor(user, EMAIL, channel="email")
    sign_in(client)
    page = code_path(client.post("/verify/challenge/"))
    assert links(client.get(page), "code") == []


@pytest.mark.parametrize("channel", ["sna", "auto"])
def test_pages_that_prove_by_code_know_no_links(client, settings, channel):
    settings.TWILIO_VERIFY_CHANNELS = [channel, "sms", "email"]
    assert client.get(f"/verify/stop/{channel}/").status_code == 404
    page = client.get("/verify/stop/")
    assert page.status_code == 200 and f"/stop/{channel}/" not in page.content.decode()


def test_reviewers_see_each_agreement_once(client, settings):
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "auto", "sna"]
    page = client.get("/verify/opt-in/")
    assert len(re.findall(r'class="tv-screen"', page.content.decode())) == 2
    assert disclosures.compose(Channel.SNA).lines[0] in text(page)
    assert client.get("/verify/opt-in/auto/").status_code == 200


def test_showing_pages_sends_nothing(client, ann, settings):
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "call", "sna", "auto"]
    factor = Factor.objects.get()
    for channel in ("sms", "call", "sna", "auto"):
        assert client.get(f"/verify/challenge/{factor.pk}/{channel}/").status_code == 200
    assert outbox == [] and Verification.objects.count() == 0
