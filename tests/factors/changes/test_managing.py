"""Renaming, choosing, removing: by the person alone, after a proof of just now."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

import pytest
from django.contrib.sessions.models import Session
from django.core import mail
from django.test import Client
from django.utils import timezone

from django_twilio_verify import consent
from django_twilio_verify.factors import own_factors, recovery_codes
from django_twilio_verify.models import ConsentEvent, Factor, RecoveryCode, TrustedBrowser
from django_twilio_verify.signals import factor_removed
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, agree, make_client, make_factor, make_user, sign_in
from tests.support.changes import later, path, proved, signed_in

pytestmark = pytest.mark.django_db

ALL = ["rename", "default", "remove", "replace", "replace/sms", "reverify"]
POSTED = {"name": "mine", "number": OTHER_PHONE, "country": "", "consent": "on", "disclosure": "x"}


def unchanged() -> list[tuple[Any, ...]]:
    columns = ("pk", "user_id", "default_for_id", "label", "recipient_value", "confirmed_at", "chosen_at")
    return list(Factor.objects.order_by("pk").values_list(*columns))


# Who may


@pytest.mark.parametrize("what", ALL)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_visitor_is_led_to_the_login(client, phone, what, method):
    before = unchanged()
    response = getattr(client, method)(path(phone, what), POSTED)
    assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/login/")
    assert unchanged() == before


@pytest.mark.parametrize("what", ALL)
@pytest.mark.parametrize("method", ["get", "post"])
def test_who_has_given_a_password_only_is_led_to_the_challenge(client, phone, what, method):
    sign_in(client)
    before = unchanged()
    response = getattr(client, method)(path(phone, what), POSTED)
    assert (response.status_code, response["Location"].partition("?")[0]) == (302, "/verify/challenge/")
    assert unchanged() == before


@pytest.mark.parametrize("what", ALL)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_proof_of_long_ago_is_asked_for_again(browser, phone, what, method):
    before = unchanged()
    with later():
        response = getattr(browser, method)(path(phone, what), POSTED)
    asked, _, back = unquote(response["Location"]).partition("?next=")
    assert (response.status_code, asked) == (302, "/verify/step-up/")
    # Not back to what was posted: the person comes to the page that asks for it.
    assert back.startswith(path(phone, what)) if method == "get" else back == "/verify/"
    assert unchanged() == before


@pytest.mark.parametrize("what", ALL)
@pytest.mark.parametrize("method", ["get", "post"])
def test_somebody_elses_is_not_there(browser, what, method):
    theirs = make_factor(make_user("ben"), "+15017122663")
    before = unchanged()
    response = getattr(browser, method)(path(theirs, what), POSTED)
    expected = 405 if (method, what) == ("get", "default") else 404
    assert response.status_code == expected and unchanged() == before


@pytest.mark.parametrize("what", ALL)
def test_one_that_was_never_confirmed_is_not_there(browser, phone, what):
    Factor.objects.create(user=phone.user, kind="totp", channel="totp", key="YF1", sid="YF1", created_at=timezone.now())
    assert browser.post(path(Factor.objects.get(key="YF1"), what), POSTED).status_code == 404
    assert browser.post(f"/verify/factors/999999/{what}/", POSTED).status_code == 404


def test_choosing_answers_no_get(browser, inbox):
    assert browser.get(path(inbox, "default")).status_code == 405
    assert Factor.objects.get(default_for=inbox.user) != inbox


def test_the_pages_ask_for_a_token(phone):
    guarded = proved(Client(enforce_csrf_checks=False))
    guarded.handler.enforce_csrf_checks = True
    for what in ALL:
        assert guarded.post(path(phone, what), POSTED).status_code == 403


# The list


def test_the_list_names_what_there_is_and_what_can_be_done(browser, inbox):
    Factor.objects.create(
        user=inbox.user,
        kind="totp",
        channel="totp",
        key="YF1",
        sid="YF1",
        label="<b>App</b>",
        created_at=timezone.now(),
        confirmed_at=timezone.now(),
        lost_at=timezone.now(),
    )
    page = browser.get("/verify/").content.decode()
    assert page.count("Asked first") == 1 and "not known where it was made" in page
    assert PHONE not in page and EMAIL not in page and "&lt;b&gt;App" in page and "<b>App" not in page
    for what in ("rename", "remove", "replace", "default"):
        assert path(inbox, what) in page
    lost = Factor.objects.get(key="YF1")
    assert path(lost, "default") not in page and path(lost, "replace") not in page and path(lost, "remove") in page


# Renaming


def test_a_name(browser, phone):
    assert 'value=""' not in browser.get(path(phone, "rename")).content.decode()
    response = browser.post(path(phone, "rename"), {"name": "  Work phone ", "next": "/account/"})
    assert (response.status_code, response["Location"]) == (302, "/account/")
    phone.refresh_from_db()
    assert phone.label == "Work phone"
    assert "Work phone" in browser.get("/verify/").content.decode()


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\nb", "a\0b", "a\u202eb", "a\u2028b", "a\x1bb"])
def test_what_is_no_name(browser, phone, name):
    response = browser.post(path(phone, "rename"), {"name": name})
    assert response.status_code == 200 and b"tv-problem" in response.content
    phone.refresh_from_db()
    assert phone.label == ""


@pytest.mark.parametrize("name", ["x" * 64, "می\u200cخواهم", "👩\u200d💻", "<script>"])
def test_what_is_a_name(browser, phone, name):
    assert browser.post(path(phone, "rename"), {"name": name}).status_code == 302
    phone.refresh_from_db()
    assert phone.label == name


def test_fields_that_the_form_does_not_have_change_nothing(browser, phone):
    before = Factor.objects.values().get(pk=phone.pk)
    more = {
        "user": "7",
        "user_id": "7",
        "channel": "call",
        "confirmed_at": "",
        "recipient_value": EMAIL,
        "default_for": "",
    }
    assert browser.post(path(phone, "rename"), {"name": "mine", **more}).status_code == 302
    assert Factor.objects.values().get(pk=phone.pk) == {**before, "label": "mine"}


# Which is asked first


def test_the_one_that_the_person_chose_stays(browser, phone, inbox):
    stronger = make_factor(inbox.user, "+15017122669")
    assert browser.post(path(inbox, "default")).status_code == 302
    own_factors.choose_default(inbox.user.pk)
    assert Factor.objects.get(default_for=inbox.user) == inbox
    again = len(mail.outbox)
    assert browser.post(path(inbox, "default")).status_code == 302
    assert len(mail.outbox) == again, "a second press changes nothing"
    Factor.objects.filter(pk=inbox.pk).update(lost_at=timezone.now())
    own_factors.choose_default(inbox.user.pk)
    assert Factor.objects.get(default_for=inbox.user) in (phone, stronger), "until it does not work any more"


def test_one_that_does_not_work_cannot_be_asked_first(browser, phone, inbox):
    Factor.objects.filter(pk=inbox.pk).update(lost_at=timezone.now())
    assert browser.post(path(inbox, "default")).status_code == 404
    assert Factor.objects.get(default_for=inbox.user) == phone


# Removing


def test_removing_says_first_what_happens(browser, phone, inbox):
    before = unchanged()
    page = browser.get(path(phone, "remove")).content.decode()
    assert "Another of yours takes its place" in page and "We send nothing there any more" in page
    assert "recovery codes are deleted" not in page and "Sign out everywhere else" in page
    assert unchanged() == before


def test_removing_ends_consent_and_keeps_the_evidence(browser, phone, inbox):
    agree(PHONE, "call", user=phone.user)
    other = make_user("ben")
    agree(PHONE, user=other)
    recovery_codes.issue(phone.user)
    before = ConsentEvent.objects.count()
    assert browser.post(path(phone, "remove")).status_code == 302
    assert [one.pk for one in own_factors.confirmed(phone.user)] == [inbox.pk]
    assert Factor.objects.get(default_for=phone.user) == inbox
    for channel in ("sms", "call", "whatsapp"):
        assert consent.find(recipient=PHONE, channel=channel, client=make_client(), user=phone.user) is None
    assert consent.find(recipient=PHONE, channel="sms", client=make_client(), user=other) is not None
    assert consent.find(recipient=EMAIL, channel="email", client=make_client(), user=phone.user) is not None
    ends = ConsentEvent.objects.order_by("pk")[before:]
    assert [(one.event, one.medium, one.actor, one.button_label) for one in ends] == [
        ("withdrawn", "web", "person", "Remove")
    ] * 2
    assert RecoveryCode.objects.count() == 10, "there is still something that they stand in for"


def test_removing_twice_removes_once(browser, phone, inbox):
    told: list[Any] = []
    receiver = lambda **kwargs: told.append((kwargs["factor"].pk, kwargs["client"].ip))  # noqa: E731
    factor_removed.connect(receiver)
    try:
        assert browser.post(path(phone, "remove")).status_code == 302
        assert browser.post(path(phone, "remove")).status_code == 404
    finally:
        factor_removed.disconnect(receiver)
    assert told == [(phone.pk, "127.0.0.1")] and Factor.objects.get() == inbox


def test_the_last_one_goes_with_the_recovery_codes(browser, phone):
    recovery_codes.issue(phone.user)
    assert "recovery codes are deleted" in browser.get(path(phone, "remove")).content.decode()
    assert browser.post(path(phone, "remove")).status_code == 302
    assert not Factor.objects.exists() and not RecoveryCode.objects.exists()
    assert signed_in(browser)
    inside = browser.session["_twilio_verify_settled"]
    assert inside["passed"] is False, "a session that has proved nothing which there is"
    browser.logout()
    sign_in(browser)
    assert signed_in(browser), "by the password alone"


@pytest.mark.parametrize("policy", ["everyone", "staff", "tests.factors.changes.test_managing.demanded"])
def test_the_last_one_stays_while_one_is_demanded(browser, phone, settings, policy):
    settings.TWILIO_VERIFY_REQUIRED_FOR = policy
    type(phone.user).objects.update(is_staff=True)
    page = browser.get(path(phone, "remove")).content.decode()
    assert "this is the last one that works" in page and path(phone, "replace") in page and "<button>" not in page
    response = browser.post(path(phone, "remove"))
    assert response.status_code == 200 and b"this is the last one that works" in response.content
    assert Factor.objects.get() == phone and consent.find(
        recipient=PHONE, channel="sms", client=make_client(), user=phone.user
    )


def demanded(user: Any, request: Any) -> bool:
    return True


@pytest.mark.parametrize(
    ("policy", "sentence"), [("everyone", "the last one that works"), ("enrolled", "Remove those")]
)
def test_what_is_lost_is_no_way_in(browser, phone, inbox, settings, policy, sentence):
    settings.TWILIO_VERIFY_REQUIRED_FOR = policy
    Factor.objects.filter(pk=inbox.pk).update(lost_at=timezone.now())
    assert sentence in browser.post(path(phone, "remove")).content.decode()
    assert Factor.objects.count() == 2
    assert browser.post(path(inbox, "remove")).status_code == 302, "the lost one may go"
    assert Factor.objects.get() == phone


# Signing out elsewhere


@pytest.mark.parametrize("engine", ["db", "cached_db"])
def test_other_sessions_end_where_that_is_asked(phone, inbox, settings, engine):
    settings.SESSION_ENGINE = f"django.contrib.sessions.backends.{engine}"
    here, there, waiting, ben = proved(Client()), proved(Client()), Client(), Client()
    sign_in(waiting)
    make_user("ben")
    sign_in(ben, "ben")
    now = timezone.now()
    TrustedBrowser.objects.create(
        user=phone.user, token_digest="1", setup="1", created_at=now, last_used_at=now, expires_at=now
    )
    assert here.post(path(inbox, "remove"), {}).status_code == 302
    assert signed_in(there) and TrustedBrowser.objects.filter(revoked_at=None).exists(), "not unless it is asked"
    inbox = make_factor(phone.user, "+15017122665")
    assert here.post(path(inbox, "remove"), {"sign_out": "on"}).status_code == 302
    assert signed_in(here) and not signed_in(there) and signed_in(ben)
    assert waiting.get("/verify/challenge/")["Location"].startswith("/login/")
    assert not TrustedBrowser.objects.filter(revoked_at=None).exists()
    assert Session.objects.count() <= 4


def test_a_damaged_session_is_nobodys(browser, inbox):
    Session.objects.create(session_key="x" * 32, session_data="%%%", expire_date=timezone.now().replace(year=2099))
    assert browser.post(path(inbox, "remove"), {"sign_out": "on"}).status_code == 302
    assert Session.objects.filter(session_key="x" * 32).exists() and signed_in(browser)
