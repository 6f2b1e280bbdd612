"""Enrolling through the pages."""

from __future__ import annotations

import re

import pytest

from django_twilio_verify.choices import Channel, ConsentMedium
from django_twilio_verify.consent import disclosures
from django_twilio_verify.models import (
    ConsentEvent,
    Disclosure,
    Factor,
    RecoveryCode,
    Verification,
    VerificationAttempt,
)
from django_twilio_verify.testing import outbox
from tests.support.basics import EMAIL, PHONE, code_path, last_code, make_factor, make_user, sign_in, wrong_code
from tests.support.pages import form, text

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann(client):
    user = make_user()
    client.force_login(user)
    return user


def post(client, channel: str = "sms", **values: str):
    return client.post(f"/verify/enroll/{channel}/", form(channel, **values))


def test_a_visitor_is_led_to_the_login(client):
    assert client.get("/verify/enroll/")["Location"] == "/login/?next=/verify/enroll/"


def test_the_person_chooses_among_the_offered_ways(client, ann):
    page = client.get("/verify/enroll/")
    for channel in ("sms", "call", "whatsapp", "email"):
        assert f"/verify/enroll/{channel}/" in page.content.decode()


def test_a_single_way_needs_no_choice(client, ann, settings):
    settings.TWILIO_VERIFY_CHANNELS = ["email"]
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": "tests.views.enroll.backends.CodesOnly"}}
    assert client.get("/verify/enroll/")["Location"] == "/verify/enroll/email/"


@pytest.mark.parametrize("channel", ["fax", "silent", "rcs", "voice", "recovery"])
def test_a_way_that_is_not_offered_is_not_there(client, ann, channel):
    assert client.get(f"/verify/enroll/{channel}/").status_code == 404


@pytest.mark.parametrize("channel", ["sms", "call", "whatsapp", "email"])
def test_the_page_shows_everything_before_it_asks(client, ann, channel):
    page = client.get(f"/verify/enroll/{channel}/")
    words = text(page)
    shown = disclosures.compose(Channel(channel))
    for line in shown.lines:
        assert line in words
    assert shown.checkbox_label in words
    html = page.content.decode()
    assert 'href="https://acme.example/terms"' in html and 'href="https://acme.example/privacy"' in html
    box = re.search(r'<input type="checkbox"[^>]*>', html)
    assert box and "checked" not in box.group()
    if channel in ("sms", "whatsapp"):
        assert "Standard message and data rates may apply" in words
    assert outbox == []


@pytest.mark.parametrize("channel", ["sms", "call", "whatsapp", "email"])
def test_enrollment_by_each_way_ends_with_a_factor_and_recovery_codes(client, ann, channel):
    page = code_path(post(client, channel))
    assert client.get(page).status_code == 200
    assert (outbox[-1].to, outbox[-1].channel) == (EMAIL if channel == "email" else PHONE, channel)
    done = client.post(page, {"code": last_code()})
    assert done.status_code == 200
    codes = re.findall(r"\b[0-9a-z]{4}(?:-[0-9a-z]{4}){3}\b", text(done))
    assert len(set(codes)) == 10 == RecoveryCode.objects.filter(user=ann).count()
    factor = Factor.objects.get(user=ann)
    assert (factor.channel, factor.default_for, factor.confirmed_at is not None) == (channel, ann, True)
    assert factor.recipient_value == (EMAIL if channel == "email" else PHONE)
    for code in codes:
        assert not RecoveryCode.objects.filter(verifier__contains=code[5:]).exists()


def test_the_consent_is_recorded_as_it_was_given(client, ann):
    post(client)
    event = ConsentEvent.objects.get()
    assert (event.event, event.channel, event.purpose) == ("granted", "sms", "enroll")
    assert (event.medium, event.control) == (ConsentMedium.WEB, "checkbox")
    assert (event.control_default, event.control_final, event.button_label) == (False, True, "Send code")
    assert event.disclosure.text == disclosures.compose(Channel.SMS).text
    assert event.evidence.page == "http://testserver/verify/enroll/sms/"
    assert event.evidence.person_label == "ann"
    assert VerificationAttempt.objects.get().consent_event == event


@pytest.mark.parametrize(
    ("number", "country", "stored"),
    [
        ("(501) 712-2661", "US", PHONE),
        ("501.712.2661", "US", PHONE),
        ("+1 501-712-2661", "AT", PHONE),
        ("0043 664 1234567", "AT", "+436641234567"),
        ("0664 123 45 67", "AT", "+436641234567"),
        ("０６６４ １２３４５６７", "AT", "+436641234567"),
        ("tel:+1-501-712-2661", "", PHONE),
        ("  +15017122661  ", "", PHONE),
    ],
)
def test_a_number_is_understood_however_it_is_written(client, ann, number, country, stored):
    code_path(post(client, number=number, country=country))
    assert outbox[-1].to == stored


@pytest.mark.parametrize(
    ("channel", "values", "sentence"),
    [
        ("sms", {"number": ""}, "Enter a phone number."),
        ("sms", {"number": "hello"}, "Enter a real phone number"),
        ("sms", {"number": "+1 23"}, "This phone number is too short."),
        ("sms", {"number": "+1 501 712 2661 2661 2661"}, "This phone number is too long."),
        ("sms", {"number": "0664 1234567", "country": ""}, "Choose the country of the number"),
        ("sms", {"number": "0664 1234567", "country": "XX"}, "Select a valid choice"),
        ("sms", {"number": "+43 1 58858"}, "This looks like a landline"),
        ("sms", {"number": "+43 900 123456"}, "We cannot send codes to this kind of number."),
        ("sms", {"number": "\0"}, "Null characters are not allowed"),
        ("sms", {"number": "9" * 5000}, "at most 60 characters"),
        ("email", {"email": ""}, "Enter an email address."),
        ("email", {"email": "ann@"}, "Enter an email address in the right format"),
        ("email", {"email": "ann@gmial.com"}, "Did you mean ann@gmail.com?"),
        ("email", {"email": "ann@example.con"}, "Did you mean ann@example.com?"),
        ("sms", {"consent": ""}, "Tick the box to agree"),
        ("sms", {"disclosure": "0" * 64}, "The text below has changed since you opened the page."),
        ("sms", {"disclosure": ""}, "This form is incomplete. Load the page again."),
    ],
)
def test_bad_input_gets_its_own_sentence_and_keeps_what_was_typed(client, ann, channel, values, sentence):
    if values.get("consent") == "":
        values = {"consent": ""}
    response = post(client, channel, **values)
    assert response.status_code == 200
    assert sentence in text(response)
    assert re.search(r"<title>\s*Error:", response.content.decode())
    typed = values.get("number") or values.get("email")
    if typed and "\0" not in typed and len(typed) < 100:
        assert f'value="{typed}"' in response.content.decode().replace("&#x27;", "'")
    assert outbox == [] and Verification.objects.count() == 0 and ConsentEvent.objects.count() == 0


def test_words_that_changed_in_between_are_shown_anew_with_an_empty_box(client, ann, settings):
    filled = form()
    settings.TWILIO_VERIFY_PROGRAM = {**settings.TWILIO_VERIFY_PROGRAM, "name": "New Name"}
    response = client.post("/verify/enroll/sms/", filled)
    html = response.content.decode()
    assert "New Name" in text(response) and "checked" not in re.search(r'<input type="checkbox"[^>]*>', html).group()
    assert f'value="{PHONE}"' in html
    current = re.search(r'name="disclosure" value="([0-9a-f]{64})"', html).group(1)
    code_path(post(client, disclosure=current))
    assert "New Name" in Disclosure.objects.get().text


def test_a_country_that_is_not_allowed_is_told_beside_the_number(client, ann, settings):
    settings.TWILIO_VERIFY_COUNTRIES = ["AT", "DE"]
    html = client.get("/verify/enroll/sms/").content.decode()
    assert html.count("<option") == 3
    response = post(client, number=PHONE)
    assert "We cannot send codes to numbers of this country." in text(response)


def test_a_refused_send_keeps_no_consent_that_came_with_it(client, ann, settings):
    settings.TWILIO_VERIFY_LIMITS = {"user_hour": 0}
    response = post(client)
    assert response.status_code == 429
    assert int(response["Retry-After"]) > 3500
    assert "You have asked for many codes." in text(response)
    assert not ConsentEvent.objects.exists() and not Verification.objects.exists() and outbox == []


def test_the_whole_number_is_shown_when_enrolling_with_a_way_to_change_it(client, ann):
    page = client.get(code_path(post(client)))
    assert "+1 501-712-2661" in text(page)
    assert "/verify/enroll/sms/" in page.content.decode()


def test_the_same_number_again_is_the_same_factor_and_makes_no_new_codes(client, ann):
    client.post(code_path(post(client)), {"code": last_code()})
    before = set(RecoveryCode.objects.values_list("verifier", flat=True))
    again = client.post(code_path(post(client)), {"code": last_code()})
    assert again["Location"] == "/verify/"
    assert Factor.objects.count() == 1
    assert set(RecoveryCode.objects.values_list("verifier", flat=True)) == before


def test_a_second_factor_is_added_beside_the_default_one(client, ann):
    client.post(code_path(post(client)), {"code": last_code()})
    client.post(code_path(post(client, "email")), {"code": last_code()})
    assert [factor.kind for factor in Factor.objects.confirmed_for(ann.pk)] == ["phone", "email"]
    page = client.get("/verify/")
    assert PHONE not in page.content.decode() and EMAIL not in page.content.decode()
    assert "••• ••61" in text(page) and "a•••@example.org" in text(page)


def test_wrong_codes_are_counted_down_in_words(client, ann):
    page = code_path(post(client))
    # Three, of all who have not confirmed the number together.
    assert "You have 2 tries left." in text(client.post(page, {"code": wrong_code()}))
    assert "You have 1 try left." in text(client.post(page, {"code": wrong_code()}))
    assert "Too many wrong codes." in text(client.post(page, {"code": wrong_code()}))
    assert "Too many wrong codes." in text(client.post(page, {"code": last_code()}))
    assert not Factor.objects.exists()


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Enter the code that we sent."),
        ("  -  ", "Enter the code that we sent."),
        ("abcdef", "The code has digits only."),
        ("123", "some are missing"),
        ("1" * 40, "these are too many"),
        ("1" * 400, "at most 200 characters"),
    ],
)
def test_what_is_no_code_has_its_own_sentence(client, ann, typed, sentence):
    response = client.post(code_path(post(client)), {"code": typed})
    assert response.status_code == 200 and sentence in text(response)
    assert Verification.objects.get().checks == 0


def test_a_stale_page_posted_twice_goes_on_and_charges_nothing(client, ann):
    page = code_path(post(client))
    code = last_code()
    client.post(page, {"code": code})
    again = client.post(page, {"code": code})
    assert again.status_code == 302
    assert Verification.objects.get().checks == 1
    assert client.get(page).status_code == 302


def test_a_double_click_on_send_sends_once(client, ann):
    first, second = post(client), post(client)
    assert code_path(first) == code_path(second) and len(outbox) == 1


def test_another_persons_verification_is_not_there(client, ann):
    page = code_path(post(client))
    code = last_code()
    make_user("eve")
    client.logout()
    sign_in(client, "eve")
    for path in (page, page + "call/"):
        assert client.get(path).status_code == 404
    for path in (page, page + "resend/", page + "call/"):
        assert client.post(path, {"code": code}).status_code == 404
    assert not Factor.objects.exists()


def test_an_id_that_nobody_has_is_the_same_404(client, ann):
    assert client.get("/verify/code/3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2/").status_code == 404


def test_next_is_followed_after_enrolling_another(client, ann):
    client.post(code_path(post(client)), {"code": last_code()})
    sent = client.post("/verify/enroll/email/?next=/context/", form("email"))
    assert sent["Location"].endswith("?next=%2Fcontext%2F")
    assert client.post(sent["Location"], {"code": last_code()})["Location"] == "/context/"


def test_a_person_who_must_enroll_does_so_and_is_signed_in(client, settings):
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    make_user("bob")
    sign_in(client, "bob")
    page = client.get("/account/", follow=True)
    assert page.redirect_chain[-1][0] == "/verify/enroll/?next=%2Faccount%2F"
    sent = client.post("/verify/enroll/sms/?next=/account/", form())
    done = client.post(sent["Location"], {"code": last_code()})
    assert "/account/" in done.content.decode()
    assert client.get("/account/").content == b"account of bob"


def test_recovery_codes_can_be_made_anew_and_the_old_ones_are_dead(client, ann):
    client.post(code_path(post(client)), {"code": last_code()})
    before = set(RecoveryCode.objects.values_list("verifier", flat=True))
    assert "the old ones end at once" in text(client.get("/verify/recovery-codes/"))
    assert set(RecoveryCode.objects.values_list("verifier", flat=True)) == before
    page = client.post("/verify/recovery-codes/")
    assert len(re.findall(r"\b[0-9a-z]{4}(?:-[0-9a-z]{4}){3}\b", text(page))) >= 10
    assert not before & set(RecoveryCode.objects.values_list("verifier", flat=True))


def test_recovery_codes_need_a_factor(client, ann):
    assert client.get("/verify/recovery-codes/")["Location"] == "/verify/enroll/"
    assert client.post("/verify/recovery-codes/")["Location"] == "/verify/enroll/"


@pytest.mark.parametrize("path", ["/verify/", "/verify/enroll/", "/verify/enroll/sms/", "/verify/enroll/email/"])
def test_pages_are_kept_nowhere_and_hold_no_inline_code(client, ann, path):
    response = client.get(path)
    assert "no-store" in response["Cache-Control"] and response["Referrer-Policy"] == "same-origin"
    html = response.content.decode()
    assert not re.search(r"\son\w+=|style=|<style|javascript:", html)
    assert not re.search(r"<script(?![^>]*\bsrc=)", html)


def test_factors_made_elsewhere_are_shown_masked(client):
    user = make_user("bob")
    make_factor(user)
    sign_in(client, "bob")
    page = client.get("/verify/challenge/")
    assert PHONE not in page.content.decode() and "••61" in text(page)


@pytest.mark.parametrize("policy", ["everyone", "enrolled"])
def test_an_enrollment_begun_with_the_password_alone_is_worth_nothing_once_there_is_a_factor(client, settings, policy):
    """Somebody has the password and begins to enroll; the owner enrolls first; then the code is typed."""
    settings.TWILIO_VERIFY_REQUIRED_FOR = policy
    owner = make_user("bob")
    sign_in(client, "bob")
    page = code_path(post(client, number="+15017122699"))
    stolen = last_code()
    make_factor(owner)
    response = client.post(page, {"code": stolen})
    assert response["Location"].startswith("/verify/challenge/")
    assert [factor.recipient_value for factor in Factor.objects.all()] == [PHONE]
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")
