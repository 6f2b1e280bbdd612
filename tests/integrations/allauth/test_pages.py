"""allauth's own pages, with phones verified through Verify."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.core import mail
from django.test import Client
from django.utils import timezone

from django_twilio_verify import consent
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import BackendUnavailable
from django_twilio_verify.factors import phones
from django_twilio_verify.login import ended_sessions
from django_twilio_verify.middleware import HINT
from django_twilio_verify.models import ConsentEvent, Factor, Verification, VerificationCheck
from django_twilio_verify.signals import verification_approved
from django_twilio_verify.testing import outbox
from tests.integrations.allauth.helpers import agreed, sign_up, whoami
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PASSWORD,
    PHONE,
    agree,
    last_code,
    make_client,
    make_factor,
    make_user,
    wrong_code,
)

pytestmark = pytest.mark.django_db


def test_the_page_shows_the_disclosure_and_refuses_without_the_box() -> None:
    browser = Client()
    shown = browser.get("/accounts/signup/").content.decode()
    assert "Standard message and data rates may apply." in shown and 'name="consent"' in shown
    assert "checked" not in shown
    refused = sign_up(browser)
    assert "Tick the box" in refused.content.decode()
    assert not get_user_model().objects.exists() and not outbox


def test_sign_up() -> None:
    browser = Client()
    sent = sign_up(browser, **agreed())
    assert (sent.status_code, sent["Location"]) == (302, "/accounts/phone/verify/")
    assert outbox[0].to == PHONE and ConsentEvent.objects.get().purpose == "enroll"
    assert Factor.objects.get().confirmed_at is None
    wrong = browser.post("/accounts/phone/verify/", {"code": wrong_code()})
    assert "This is not the code that we sent" in wrong.content.decode()
    done = browser.post("/accounts/phone/verify/", {"code": last_code()})
    assert done.status_code == 302
    # She has just proved it: signing up, she is not asked for it again.
    assert whoami(browser) == "ann"
    factor = Factor.objects.get()
    assert factor.confirmed_at is not None and factor.is_default
    assert browser.get("/verify/").status_code == 200


def test_the_code_is_no_ones_business() -> None:
    """Verify made it, so the session holds none."""
    browser = Client()
    sign_up(browser, **agreed())
    assert last_code() not in str(dict(browser.session))


def test_send_again_is_one_verification() -> None:
    browser = Client()
    sign_up(browser, **agreed())
    early = browser.post("/accounts/phone/verify/", {"action": "resend"})
    assert early.status_code in (200, 302, 429)
    assert len(outbox) == 1 and Verification.objects.count() == 1
    Verification.objects.update(resend_at=timezone.now())
    assert browser.post("/accounts/phone/verify/", {"action": "resend"}).status_code == 302
    assert len(outbox) == 2 and Verification.objects.count() == 1
    browser.post("/accounts/phone/verify/", {"code": last_code()})
    assert whoami(browser) == "ann"


def test_sign_in_owes_the_phone() -> None:
    """The wall stands behind allauth's login as behind any other."""
    make_factor(make_user())
    browser = Client()
    done = browser.post("/accounts/login/", {"login": "ann", "password": PASSWORD})
    assert done.status_code == 302
    assert whoami(browser) == ""
    assert browser.get("/account/", follow=True).redirect_chain[-1][0].startswith("/verify/challenge/")


def test_a_login_by_code_is_one_factor_and_not_two() -> None:
    """Whoever holds the phone alone does not get in by proving it twice over; the challenge follows."""
    ann = make_user()
    make_factor(ann)
    browser = Client()
    sent = browser.post("/accounts/login/code/", {"phone": PHONE})
    assert sent.status_code == 302 and len(outbox) == 1
    assert browser.post("/accounts/login/code/confirm/", {"code": wrong_code()}).status_code == 200
    done = browser.post("/accounts/login/code/confirm/", {"code": last_code()})
    assert done.status_code == 302
    assert whoami(browser) == ""
    assert browser.get("/account/", follow=True).redirect_chain[-1][0].startswith("/verify/challenge/")


def test_an_unknown_number_hears_what_a_known_one_hears() -> None:
    make_factor(make_user())
    answers = []
    for phone in (PHONE, OTHER_PHONE):
        browser = Client()
        sent = browser.post("/accounts/login/code/", {"phone": phone})
        page = browser.get(sent["Location"])
        answers.append((sent.status_code, sent["Location"], page.status_code, page.content.count(b"<input")))
    assert answers[0] == answers[1]


def test_change_the_number() -> None:
    ann = make_user(email="ann@example.org")
    make_factor(ann)
    browser = Client()
    browser.force_login(ann)
    browser.post("/accounts/login/", {"login": "ann", "password": PASSWORD})
    page = browser.post("/verify/challenge/", {}, follow=True)
    browser.post(page.request["PATH_INFO"], {"code": last_code()})
    assert "Tick the box" in browser.post("/accounts/phone/change/", {"phone": OTHER_PHONE}).content.decode()
    sent = browser.post("/accounts/phone/change/", {"phone": OTHER_PHONE, **agreed()})
    assert sent.status_code == 302, sent.content.decode()
    assert Factor.objects.get(confirmed_at__isnull=False).recipient_value == PHONE  # in force until then
    done = browser.post("/accounts/phone/verify/", {"code": last_code()})
    assert done.status_code == 302
    assert [row.recipient_value for row in Factor.objects.all()] == [OTHER_PHONE]
    assert Factor.objects.get().is_default and whoami(browser) == "ann"
    # Her consent for the old number ends with it, and she is told.
    assert consent.find(recipient=PHONE, channel="sms", client=make_client(), user=ann) is None
    assert "Acme: what you sign in with was replaced" in [letter.subject for letter in mail.outbox]


def test_a_number_of_somebody_else() -> None:
    """Signing up with it says nothing, sends nothing and makes no account."""
    make_factor(make_user("bob"))
    browser = Client()
    answer = sign_up(browser, **agreed())
    assert (answer.status_code, answer["Location"]) == (302, "/accounts/phone/verify/")
    assert not get_user_model().objects.filter(username="ann").exists() and not outbox


@pytest.mark.parametrize("phone", ["", "nonsense", "+1", "+15017122661x", "\x00", "+999999999999999"])
def test_nonsense_for_a_number(phone: str) -> None:
    assert sign_up(Client(), phone=phone, **agreed()).status_code == 200
    assert not outbox and not get_user_model().objects.exists()


@pytest.mark.parametrize(
    ("fault", "status"), [({"error": BackendUnavailable(may_have_been_done=False)}, 503), ({"code": 60410}, 400)]
)
def test_a_provider_that_is_down(fault: dict[str, Any], status: int) -> None:
    backends["default"].fail_next(**fault)
    answer = sign_up(Client(), **agreed())
    assert answer.status_code == status and "We could not send a code" in answer.content.decode()


def test_a_code_for_one_number_proves_no_other() -> None:
    """She asks for another number, nothing can be sent there, and she enters the code that came to the first one."""
    browser = Client()
    sign_up(browser, **agreed())
    code = last_code()
    backends["default"].fail_next(code=60410)
    browser.post("/accounts/phone/verify/", {"action": "change", "phone": OTHER_PHONE, **agreed()})
    browser.post("/accounts/phone/verify/", {"code": code})
    assert not Factor.objects.filter(recipient_value=OTHER_PHONE, confirmed_at__isnull=False).exists()


def test_a_session_that_names_another_number_is_refused() -> None:
    """Whatever allauth's own state says by now, the number that is proved is the one that the code went to."""
    browser = Client()
    sign_up(browser, **agreed())
    session = browser.session
    stash = session["account_login"]
    swapped = json.loads(json.dumps(stash).replace(PHONE, OTHER_PHONE))
    assert swapped != stash
    session["account_login"] = swapped
    session.save()
    assert browser.post("/accounts/phone/verify/", {"code": last_code()}).status_code == 403
    assert not Factor.objects.exclude(confirmed_at=None).exists() and whoami(browser) == ""


# ---- Whoever has a factor adds no other one by less.


@pytest.fixture
def claimed() -> Any:
    """Ann has an inbox for a factor, and a number that she signed up with and never proved."""
    ann = make_user()
    make_factor(ann, EMAIL, channel="email")
    phones.claim(ann, Recipient.phone(PHONE))
    agree(PHONE, user=ann)
    return ann


def test_the_password_and_any_phone_are_not_enough(claimed: Any) -> None:
    """allauth asks for the number before anybody is signed in, and takes another one."""
    browser = Client()
    asked = browser.post("/accounts/login/", {"login": "ann", "password": PASSWORD})
    assert asked["Location"] == "/accounts/phone/verify/"
    browser.post("/accounts/phone/verify/", {"action": "change", "phone": OTHER_PHONE, **agreed()})
    done = browser.post("/accounts/phone/verify/", {"code": last_code()})
    assert done["Location"].startswith("/verify/challenge/") and whoami(browser) == ""
    assert [factor.recipient_value for factor in Factor.objects.exclude(confirmed_at=None)] == [EMAIL]
    assert OTHER_PHONE[-4:] not in browser.get("/verify/challenge/").content.decode()


def test_a_number_that_was_only_claimed_takes_no_factors_place() -> None:
    """As one with a typing error, which is a stranger's: who holds it signs in by a code, without a password."""
    ann = make_user()
    make_factor(ann)
    phones.claim(ann, Recipient.phone(OTHER_PHONE))
    stranger = Client()
    stranger.post("/accounts/login/code/", {"phone": OTHER_PHONE, **agreed()})
    done = stranger.post("/accounts/login/code/confirm/", {"code": last_code()})
    assert done["Location"].startswith("/verify/challenge/") and whoami(stranger) == ""
    assert [factor.recipient_value for factor in Factor.objects.exclude(confirmed_at=None)] == [PHONE]


def test_a_session_that_passed_nothing_changes_no_number() -> None:
    ann = make_user()
    browser = Client()
    browser.force_login(ann, backend="django.contrib.auth.backends.ModelBackend")
    make_factor(ann)  # enrolled elsewhere
    sent = browser.post("/accounts/phone/change/", {"phone": OTHER_PHONE, **agreed()})
    assert sent["Location"].startswith("/verify/step-up/") and not outbox
    assert Factor.objects.get().recipient_value == PHONE


def test_a_factor_from_elsewhere_stops_a_change_that_is_under_way() -> None:
    ann = make_user()
    browser = Client()
    browser.force_login(ann, backend="django.contrib.auth.backends.ModelBackend")
    browser.post("/accounts/phone/change/", {"phone": OTHER_PHONE, **agreed()})
    make_factor(ann)
    answer = browser.post("/accounts/phone/verify/", {"code": last_code()})
    # Before the code is judged, which so is still good afterwards.
    assert answer["Location"].startswith("/verify/step-up/") and not VerificationCheck.objects.exists()
    assert [factor.recipient_value for factor in Factor.objects.exclude(confirmed_at=None)] == [PHONE]


def test_a_change_wants_a_proof_of_just_now() -> None:
    ann = make_user()
    make_factor(ann)
    browser = Client()
    with time_machine.travel(timezone.now() - timedelta(hours=1)):
        browser.post("/accounts/login/", {"login": "ann", "password": PASSWORD})
        page = browser.post("/verify/challenge/", {}, follow=True)
        browser.post(page.request["PATH_INFO"], {"code": last_code()})
    assert whoami(browser) == "ann"
    sent = browser.post("/accounts/phone/change/", {"phone": OTHER_PHONE, **agreed()})
    assert sent["Location"].startswith("/verify/step-up/") and len(outbox) == 1


def test_a_code_that_was_sent_after_a_fresh_proof_wants_one_that_is_fresh_still() -> None:
    make_factor(make_user())
    browser = Client()
    with time_machine.travel(timezone.now() - timedelta(seconds=500)) as clock:
        browser.post("/accounts/login/", {"login": "ann", "password": PASSWORD})
        page = browser.post("/verify/challenge/", {}, follow=True)
        browser.post(page.request["PATH_INFO"], {"code": last_code()})
        clock.shift(490)
        browser.post("/accounts/phone/change/", {"phone": OTHER_PHONE, **agreed()})
        code = last_code()
        assert len(outbox) == 2
        clock.shift(200)
        answer = browser.post("/accounts/phone/verify/", {"code": code})
        assert answer["Location"].startswith("/verify/step-up/")
    assert [factor.recipient_value for factor in Factor.objects.exclude(confirmed_at=None)] == [PHONE]


def test_a_session_that_ends_while_the_code_is_judged_changes_no_number() -> None:
    ann = make_user()
    make_factor(ann)
    browser = Client()
    browser.post("/accounts/login/", {"login": "ann", "password": PASSWORD})
    page = browser.post("/verify/challenge/", {}, follow=True)
    browser.post(page.request["PATH_INFO"], {"code": last_code()})
    browser.post("/accounts/phone/change/", {"phone": OTHER_PHONE, **agreed()})
    ends = lambda **kwargs: ended_sessions.end_after_reset(None, user=ann)  # noqa: E731
    verification_approved.connect(ends)
    try:
        assert browser.post("/accounts/phone/verify/", {"code": last_code()}).status_code == 400
    finally:
        verification_approved.disconnect(ends)
    assert [factor.recipient_value for factor in Factor.objects.exclude(confirmed_at=None)] == [PHONE]


@pytest.mark.parametrize("way_in", ["signed in", "long ago"])
def test_a_number_that_was_proved_before_is_no_proof_for_a_later_sign_in(way_in: str) -> None:
    browser = Client()
    if way_in == "signed in":
        ann = make_user()
        browser.force_login(ann, backend="django.contrib.auth.backends.ModelBackend")
        browser.post("/accounts/phone/change/", {"phone": PHONE, **agreed()})
        browser.post("/accounts/phone/verify/", {"code": last_code()})
        browser.get("/verify/recovery-codes/")  # wants the factor: the sign-in waits from now on
    else:
        make_factor(make_user())
        session = browser.session
        session["_twilio_verify_allauth"] = {"enrolled": str(get_user_model().objects.get().pk), "enrolled_until": 1}
        session.save()
    browser.cookies.pop(HINT, None)
    again = browser.post("/accounts/login/", {"login": "ann", "password": PASSWORD})
    assert again["Location"].startswith("/verify/challenge/") and whoami(browser) == ""


def test_nobody_changes_the_number_of_a_user_as_whom_they_act() -> None:
    """Staff would enroll their own phone, and the ledger would say that the user agreed."""
    ann, browser = make_user(email="ann@example.org"), Client()
    browser.force_login(ann)
    session = browser.session
    session["hijack_history"] = ["1"]
    session.save()
    assert browser.post("/accounts/phone/change/", {"phone": OTHER_PHONE, **agreed()}).status_code == 403
    assert not outbox and not ConsentEvent.objects.exists() and not Factor.objects.exists()
