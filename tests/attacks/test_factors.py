"""A factor that goes while it is being asked, and one that comes while another one does."""

from __future__ import annotations

import pytest
from django.test import Client
from django.utils import timezone

from django_twilio_verify import verifications
from django_twilio_verify.exceptions import VerificationNotFound
from django_twilio_verify.factors import devices
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.signals import factor_added
from django_twilio_verify.verifications import claimants, lifecycle
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PHONE,
    code_path,
    last_code,
    make_client,
    make_factor,
    make_user,
    race,
    sign_in,
)
from tests.support.pages import form

pytestmark = pytest.mark.django_db


@pytest.fixture
def ann():
    user = make_user()
    make_factor(user)
    make_factor(user, EMAIL, channel="email")
    return user


def is_in(browser: Client) -> bool:
    return browser.get("/whoami/", headers={"Accept": "application/json"}).json() == {"user": "ann"}


def test_a_factor_that_was_removed_signs_nobody_in_by_the_code_it_was_sent(ann, client):
    """The thief has the password and the phone; the owner removes the phone before the code is typed."""
    sign_in(client)
    page = code_path(client.post("/verify/challenge/"))
    assert devices.remove(ann, Factor.objects.get(kind="phone").pk)
    answer = client.post(page, {"code": last_code()})
    assert answer.status_code == 200 and b"This code no longer works" in answer.content
    assert not is_in(client)
    assert Verification.objects.get().status == "canceled"


def test_the_way_to_a_factor_that_was_removed_is_gone(ann, client):
    sign_in(client)
    phone = Factor.objects.get(kind="phone")
    devices.remove(ann, phone.pk)
    gone = client.post(f"/verify/challenge/{phone.pk}/sms/")["Location"]
    assert gone == "/verify/challenge/?gone=1" and b"was removed or changed" in client.get(gone).content


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_removing_a_factor_races_with_its_answer_and_one_of_them_is_first(ann):
    claimants.remember_user(ann.pk, make_client(), timezone.now())  # at home, where she may sign in more often
    for turn in range(6):
        phone = make_factor(ann, f"+150177330{turn:02}")
        tab = make_client(f"session-{turn}")
        started = lifecycle.start(
            recipient=phone.recipient, channel="sms", user=ann, purpose="login", factor=phone, client=tab
        )
        code = last_code()

        def work(index, phone=phone, started=started, tab=tab, code=code):
            if index:
                return devices.remove(ann, phone.pk)
            return verifications.check(started.verification, code=code, client=tab, user=ann).approved

        approved, removed = race(2, work)
        assert removed is True and approved in (True, False), (approved, removed)
        status = Verification.objects.get(pk=started.verification.pk).status
        assert status == ("approved" if approved else "canceled")
        assert not Factor.objects.filter(pk=phone.pk).exists()


def test_somebody_elses_factor_cannot_be_removed(ann):
    eve = make_user("eve")
    make_factor(eve, OTHER_PHONE)
    assert not devices.remove(eve, Factor.objects.get(user=ann, kind="phone").pk)
    assert Factor.objects.filter(user=ann).count() == 2


def test_a_verification_is_of_the_person_it_was_begun_for(ann):
    eve = make_user("eve")
    client = make_client()
    phone = Factor.objects.get(kind="phone")
    started = lifecycle.start(
        recipient=phone.recipient, channel="sms", user=ann, purpose="login", factor=phone, client=client
    )
    for user, session in ((eve, client), (ann, make_client("another")), (None, make_client("another"))):
        with pytest.raises(VerificationNotFound):
            verifications.check(started.verification, code=last_code(), client=session, user=user)


# ---- Two first factors at one instant, both by the password alone.


@pytest.fixture
def begun(settings):
    """Ann and whoever else knows her password have each had a code sent to a phone of their own."""
    settings.TWILIO_VERIFY_REQUIRED_FOR = "everyone"
    make_user("ann")
    found = []
    for phone in (PHONE, OTHER_PHONE):
        browser = Client()
        sign_in(browser)
        sent = browser.post("/verify/enroll/sms/", form(number=phone))
        found.append((browser, code_path(sent), last_code()))
    return found


def test_a_phone_that_is_enrolled_beside_another_one_goes_again(begun):
    (eve, page, code), _ = begun

    def meanwhile(factor, **kwargs):
        if factor.recipient_value == PHONE:
            make_factor(factor.user, OTHER_PHONE)

    factor_added.connect(meanwhile)
    try:
        answer = eve.post(page, {"code": code})
    finally:
        factor_added.disconnect(meanwhile)
    assert answer["Location"].startswith("/verify/challenge/")
    assert [factor.recipient_value for factor in Factor.objects.all()] == [OTHER_PHONE]
    assert eve.get("/whoami/", headers={"Accept": "application/json"}).status_code == 401


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_two_that_race_one_stays_at_most(begun):
    def enroll(index):
        browser, page, code = begun[index]
        return browser.post(page, {"code": code}).status_code

    answers = race(2, enroll)
    assert set(answers) <= {200, 302}, answers
    assert Factor.objects.count() <= 1
