"""The page on which a reviewer sees how consent is asked."""

from __future__ import annotations

import re

import pytest
from django.test import RequestFactory

from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from django_twilio_verify.models import ConsentEvent, Verification
from django_twilio_verify.testing import outbox
from tests.support.basics import make_user
from tests.support.pages import text

pytestmark = pytest.mark.django_db
PAGE = "/verify/opt-in/"


def test_anybody_sees_every_screen_word_for_word(client):
    page = client.get(PAGE)
    shown = text(page)
    for channel in ("sms", "call", "whatsapp", "email"):
        words = disclosures.compose(Channel(channel))
        assert all(line in shown for line in (*words.lines, words.checkbox_label))
    html = page.content.decode()
    assert html.count("https://acme.example/terms") == html.count("https://acme.example/privacy") == 4
    assert "Acme sends one-time security codes" in shown and "http://testserver/verify/stop/" in shown


def test_the_words_are_those_of_the_real_screen(client):
    client.force_login(make_user())
    for channel in ("sms", "call", "whatsapp", "email"):
        real, copy = client.get(f"/verify/enroll/{channel}/"), client.get(f"{PAGE}{channel}/")
        assert section(real) == section(copy)


def section(response) -> str:
    """The disclosure and the label of its box, as a person reads them."""
    html = response.content.decode()
    found = re.search(r'<section class="tv-disclosure".*?</section>.*?<label[^>]*>(.*?)</label>', html, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", found.group()).split())


def test_no_box_is_ticked_and_no_button_can_be_pressed(client):
    html = client.get(PAGE).content.decode()
    boxes = re.findall(r'<input type="checkbox"[^>]*>', html)
    assert len(boxes) == 4 and not [box for box in boxes if "checked" in box]
    assert "<form" not in html
    assert re.findall(r"<button[^>]*>", html) == ['<button type="button" disabled>'] * 4


def test_no_name_of_an_element_is_there_twice(client):
    ids = re.findall(r' id="([^"]+)"', client.get(PAGE).content.decode())
    assert len(ids) == len(set(ids))


def test_one_way_has_a_page_of_its_own(client):
    html = client.get(f"{PAGE}call/").content.decode()
    assert html.count('type="checkbox"') == 1 and "automated phone call" in html
    assert client.get(f"{PAGE}pigeon/").status_code == 404


def test_it_is_kept_out_of_search_engines_and_caches(client):
    page = client.get(PAGE)
    assert page["X-Robots-Tag"] == "noindex" and "no-store" in page["Cache-Control"]


def test_looking_at_it_leaves_no_trace_and_it_takes_nothing(client):
    page = client.get(PAGE)
    assert not page.cookies
    assert client.post(PAGE, {"consent": "on"}).status_code == 405
    assert (ConsentEvent.objects.count(), Verification.objects.count(), outbox) == (0, 0, [])


def test_it_can_be_opened_by_who_owes_a_factor(client, settings):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    make_user()
    client.post("/login/", {"username": "ann", "password": "correct horse"})
    assert client.get(PAGE).status_code == 200


def test_it_speaks_the_language_of_the_reader(client):
    assert 'lang="de"' in client.get(PAGE, headers={"Accept-Language": "de"}).content.decode()


def test_it_works_without_any_facts(client, settings):
    settings.TWILIO_VERIFY_PROGRAM = {}
    assert "This site will send" in text(client.get(PAGE))
    assert RequestFactory().get(PAGE).path == PAGE
