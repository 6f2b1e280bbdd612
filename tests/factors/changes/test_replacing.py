"""Another number in the place of one: the old one is in force until the new one is proved."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.test import Client
from django.utils import timezone

from django_twilio_verify import conf, consent
from django_twilio_verify.factors import own_factors
from django_twilio_verify.models import ConsentEvent, Factor, Verification
from django_twilio_verify.signals import factor_added, factor_removed
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PHONE,
    code_path,
    last_code,
    make_client,
    make_factor,
    make_user,
    wrong_code,
)
from tests.support.changes import address, path, proved, replace, signed_in

pytestmark = pytest.mark.django_db


def numbers() -> set[str]:
    return set(Factor.objects.values_list("recipient_value", flat=True))


def test_the_new_one_takes_over(browser, phone):
    Factor.objects.filter(pk=phone.pk).update(label="Mine", chosen_at=timezone.now())
    page, code = replace(browser, phone), last_code()
    assert numbers() == {PHONE}, "the old one is in force"
    assert proved(Client()), "and opens the account"
    assert browser.post(page, {"code": wrong_code(code)}).status_code == 200
    assert numbers() == {PHONE}
    done = browser.post(page, {"code": code})
    assert (done.status_code, done["Location"]) == (302, "/verify/")
    new = Factor.objects.get()
    assert (new.recipient_value, new.label, new.is_default, new.user) == (OTHER_PHONE, "Mine", True, phone.user)
    assert new.chosen_at is not None
    assert consent.find(recipient=PHONE, channel="sms", client=make_client(), user=phone.user) is None
    assert consent.find(recipient=OTHER_PHONE, channel="sms", client=make_client(), user=phone.user) is not None
    assert ConsentEvent.objects.latest("pk").button_label == "Replace"


def test_what_is_not_the_default_is_replaced_by_what_is_not(browser, phone, inbox):
    page = code_path(browser.post(path(inbox, "replace"), address("email", "new@example.org")))
    browser.post(page, {"code": last_code()})
    assert numbers() == {PHONE, "new@example.org"}
    assert Factor.objects.get(default_for=phone.user) == phone


def test_signals_tell_of_both(browser, phone):
    told: list[Any] = []
    removed = lambda **kwargs: told.append(("removed", kwargs["factor"].pk, kwargs["replaced_by"].recipient_value))  # noqa: E731
    added = lambda **kwargs: told.append(("added", kwargs["replaced"].pk, kwargs["factor"].recipient_value))  # noqa: E731
    factor_removed.connect(removed)
    factor_added.connect(added)
    try:
        browser.post(replace(browser, phone), {"code": last_code()})
    finally:
        factor_removed.disconnect(removed)
        factor_added.disconnect(added)
    assert told == [("removed", phone.pk, OTHER_PHONE), ("added", phone.pk, OTHER_PHONE)]


def test_by_another_way_of_the_same_kind(browser, phone, inbox):
    page = browser.get(path(phone, "replace")).content.decode()
    assert path(phone, "replace/call") in page and path(phone, "replace/email") not in page
    assert browser.get(path(phone, "replace/email")).status_code == 404
    assert browser.get(path(phone, "replace/fax")).status_code == 404
    page = code_path(browser.post(path(phone, "replace/call"), address("call")))
    browser.post(page, {"code": last_code()})
    assert numbers() == {OTHER_PHONE, EMAIL}


def test_going_on_another_way_replaces_all_the_same(browser, phone):
    page = replace(browser, phone)
    assert path(phone, "replace/sms") in browser.get(page).content.decode(), "to change the number, and not to add one"
    with time_machine.travel(timezone.now() + timedelta(seconds=40)):
        form = {key: value for key, value in address("call").items() if key not in ("country", "number")}
        page = code_path(browser.post(f"{page}call/", form))
        browser.post(page, {"code": last_code()})
    assert numbers() == {OTHER_PHONE}


def test_a_landline_is_offered_a_call_here_too(browser, phone):
    response = browser.post(path(phone, "replace"), address(to="+43 1 5131313"))
    assert response.status_code == 200 and path(phone, "replace/call") in response.content.decode()
    kept = browser.post(path(phone, "replace/call"), {"number": "+43 1 5131313", "otherwise": "1"})
    assert "5131313" in kept.content.decode() and Verification.objects.filter(purpose="enroll").count() == 0


def test_what_lives_at_the_provider_has_no_number_to_replace(browser, phone):
    now = timezone.now()
    app = Factor.objects.create(
        user=phone.user, kind="totp", channel="totp", key="YF1", sid="YF1", created_at=now, confirmed_at=now
    )
    assert browser.get(path(app, "replace")).status_code == 404
    assert browser.post(path(app, "replace"), address()).status_code == 404
    assert browser.get(path(app, "reverify")).status_code == 404


def test_the_same_number_again_replaces_nothing(browser, phone):
    used = Factor.objects.get().last_used_at
    browser.post(replace(browser, phone, PHONE), {"code": last_code()})
    same = Factor.objects.get()
    assert same == phone and same.last_used_at > used
    assert consent.find(recipient=PHONE, channel="sms", client=make_client(), user=phone.user) is not None


def test_a_number_that_is_there_already_takes_the_place(browser, phone):
    other = make_factor(phone.user, OTHER_PHONE)
    browser.post(replace(browser, phone), {"code": last_code()})
    assert Factor.objects.get() == other
    other.refresh_from_db()
    assert other.is_default


def test_a_replay_changes_nothing(browser, phone):
    page, code = replace(browser, phone), last_code()
    assert browser.post(page, {"code": code}).status_code == 302
    third = make_factor(phone.user, "+15017122669")
    assert browser.post(page, {"code": code}).status_code == 302
    assert set(Factor.objects.all()) == {Factor.objects.get(recipient_value=OTHER_PHONE), third}


@pytest.mark.parametrize("victim", ["own", "somebody else's"])
def test_which_one_goes_is_in_no_form(browser, phone, victim):
    other = make_factor(phone.user, EMAIL, channel="email")
    theirs = make_factor(make_user("ben"), "+15017122663")
    target = other if victim == "own" else theirs
    forged = {"factor": str(target.pk), "factor_id": str(target.pk), "replaces": str(target.pk)}
    page = code_path(browser.post(path(phone, "replace"), address(**forged)))
    browser.post(f"{page}?factor={target.pk}", {"code": last_code(), **forged})
    assert numbers() == {OTHER_PHONE, EMAIL, "+15017122663"}


def test_one_that_was_removed_meanwhile_is_not_missed(browser, phone, inbox):
    page, code = replace(browser, phone), last_code()
    assert browser.post(path(phone, "remove")).status_code == 302
    assert browser.post(page, {"code": code}).status_code == 302
    assert numbers() == {OTHER_PHONE, EMAIL}
    assert Factor.objects.get(default_for=phone.user) == inbox


def test_who_then_just_adds_the_number_replaces_nothing(browser, phone):
    replace(browser, phone)
    page = code_path(browser.post("/verify/enroll/sms/", address()))
    browser.post(page, {"code": last_code()})
    assert numbers() == {PHONE, OTHER_PHONE}


def test_who_then_proves_a_number_again_replaces_nothing(browser, phone):
    other = make_factor(phone.user, OTHER_PHONE)
    replace(browser, phone)
    page = code_path(browser.post(path(other, "reverify")))
    browser.post(page, {"code": last_code()})
    assert numbers() == {PHONE, OTHER_PHONE}


def test_another_browser_that_knows_the_address_of_the_page_gets_nowhere(browser, phone):
    page, code = replace(browser, phone), last_code()
    thief = proved(Client())
    assert thief.post(page, {"code": code}).status_code == 404
    assert numbers() == {PHONE}


@pytest.mark.parametrize("asked", [True, False])
def test_other_sessions_end_when_the_new_one_is_proved(browser, phone, asked):
    there = proved(Client())
    page, code = replace(browser, phone, **({"sign_out": "on"} if asked else {})), last_code()
    assert signed_in(there), "not before"
    browser.post(page, {"code": code})
    assert signed_in(browser) and signed_in(there) is not asked


def test_a_number_of_two_people_is_reported_to_the_site_alone(browser, phone):
    make_factor(make_user("ben"), OTHER_PHONE)
    make_factor(make_user("cem"), OTHER_PHONE)
    told: list[Any] = []
    receiver = lambda **kwargs: told.append((kwargs["factor"].recipient_value, kwargs["user"], kwargs["shared_with"]))  # noqa: E731
    factor_added.connect(receiver)
    try:
        page = replace(browser, phone)
        shared = browser.post(page, {"code": last_code()})
        page = code_path(browser.post("/verify/enroll/sms/", address(to="+15017122668")))
        alone = browser.post(page, {"code": last_code()})
    finally:
        factor_added.disconnect(receiver)
    assert told == [(OTHER_PHONE, phone.user, 2), ("+15017122668", phone.user, 0)]
    assert (shared.status_code, shared["Location"]) == (alone.status_code, alone["Location"])
    assert "ben" not in browser.get("/verify/").content.decode()
    assert not any("ben" in letter.body for letter in mail.outbox)


def test_a_shared_number_is_found_under_every_key(browser, phone, settings):
    settings.SECRET_KEY_FALLBACKS = ["an older key"]
    older = conf.settings.fingerprint_keys[1]
    theirs = make_factor(make_user("ben"), OTHER_PHONE)
    Factor.objects.filter(pk=theirs.pk).update(key=theirs.recipient.fingerprint(older))
    told: list[int] = []
    receiver = lambda **kwargs: told.append(kwargs["shared_with"])  # noqa: E731
    factor_added.connect(receiver)
    try:
        browser.post(replace(browser, phone), {"code": last_code()})
    finally:
        factor_added.disconnect(receiver)
    assert told == [1]


def test_nobody_is_told_of_a_number_that_another_never_confirmed(browser, phone):
    theirs = make_factor(make_user("ben"), OTHER_PHONE)
    Factor.objects.filter(pk=theirs.pk).update(confirmed_at=None)
    told: list[int] = []
    receiver = lambda **kwargs: told.append(kwargs["shared_with"])  # noqa: E731
    factor_added.connect(receiver)
    try:
        browser.post(replace(browser, phone), {"code": last_code()})
    finally:
        factor_added.disconnect(receiver)
    assert told == [0] and len(own_factors.confirmed(phone.user)) == 1
