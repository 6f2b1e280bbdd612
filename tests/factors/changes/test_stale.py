"""A number that nobody used for long may be somebody else's by now."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.core import mail
from django.utils import timezone

from django_twilio_verify import factors
from django_twilio_verify.factors import own_factors, recovery_codes
from django_twilio_verify.models import Factor
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import assurance, stale_factors
from tests.support.basics import EMAIL, PHONE, code_path, last_code, make_factor, make_user, sign_in
from tests.support.changes import INBOX, path, proved, signed_in

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def rule(settings: Any) -> None:
    settings.TWILIO_VERIFY_REVERIFY_DAYS = 365


def age(factor: Factor, days: int) -> None:
    then = timezone.now() - timedelta(days=days)
    Factor.objects.filter(pk=factor.pk).update(last_used_at=then, confirmed_at=then, created_at=then)
    factor.refresh_from_db()


@pytest.mark.parametrize(("days", "old"), [(364, False), (366, True)])
def test_from_when_on(phone, settings, days, old):
    age(phone, days)
    assert stale_factors.is_stale(phone) is old
    settings.TWILIO_VERIFY_REVERIFY_DAYS = 0
    assert not stale_factors.is_stale(phone)


def test_what_was_never_used_counts_from_its_proof(phone):
    age(phone, 366)
    Factor.objects.update(last_used_at=None)
    phone.refresh_from_db()
    assert stale_factors.is_stale(phone)


def test_what_lives_at_the_provider_does_not_age(ann):
    then = timezone.now() - timedelta(days=1000)
    app = Factor(user=ann, kind="totp", channel="totp", created_at=then, confirmed_at=then)
    assert not stale_factors.is_stale(app) and stale_factors.usable(ann, [app]) == [app]


def test_beside_another_way_it_opens_nothing(client, phone, inbox):
    age(phone, 366)
    sign_in(client)
    page = client.get("/verify/challenge/").content.decode()
    assert "was not used for a long time" in page and f"/challenge/{phone.pk}/" not in page
    assert client.post(f"/verify/challenge/{phone.pk}/sms/")["Location"] == "/verify/challenge/?gone=1"
    code_path(client.post("/verify/challenge/"))
    assert [message.to for message in outbox] == [EMAIL]
    client.post(_page(client), {"code": last_code()})
    assert signed_in(client)
    listed = client.get("/verify/").content.decode()
    assert path(phone, "reverify") in listed and path(inbox, "reverify") not in listed
    assert path(phone, "default") not in listed
    assert client.post(path(phone, "default")).status_code == 404


def _page(client: Any) -> str:
    return code_path(client.post("/verify/challenge/"))


def test_beside_recovery_codes_it_opens_nothing(client, phone):
    age(phone, 366)
    codes = recovery_codes.issue(phone.user)
    sign_in(client)
    response = client.get("/verify/challenge/", follow=True)
    assert response.redirect_chain[-1][0].startswith("/verify/challenge/recovery/")
    assert "was not used for a long time" in response.content.decode() and outbox == []
    assert client.post("/verify/challenge/recovery/", {"code": codes[0]}).status_code == 302
    assert signed_in(client)


def test_where_nothing_else_opens_it_does_and_the_account_is_told(client, phone):
    age(phone, 366)
    sign_in(client)
    assert "was not used for a long time" not in client.get("/verify/challenge/").content.decode()
    page = _page(client)
    (letter,) = mail.outbox
    assert letter.to == [INBOX] and "••• ••61" in letter.body and PHONE not in letter.body
    assert not signed_in(client), "told before, not after"
    client.post(page, {"code": last_code()})
    assert signed_in(client) and len(mail.outbox) == 1
    assert not stale_factors.is_stale(Factor.objects.get())


def test_an_old_inbox_is_not_told_that_it_opens_an_account(client, ann):
    age(make_factor(ann, EMAIL, channel="email"), 366)
    sign_in(client)
    code_path(client.post("/verify/challenge/"))
    assert [letter.to for letter in mail.outbox] == [[INBOX]]


@pytest.mark.parametrize("why", ["lost", "too weak"])
def test_what_does_not_open_is_no_other_channel(phone, inbox, settings, why):
    age(phone, 366)
    if why == "lost":
        Factor.objects.filter(pk=inbox.pk).update(lost_at=timezone.now())
    else:
        settings.TWILIO_VERIFY_MINIMUM_ASSURANCE = "sms"
    assert [one.pk for one in own_factors.usable(phone.user)] == [inbox.pk, phone.pk]
    assert stale_factors.unusable(phone.user) == []
    assert assurance.level("email") < assurance.level("sms")


def test_the_wall_stands_for_who_has_only_old_ones(client, phone):
    age(phone, 366)
    assert factors.has_factor(phone.user)
    sign_in(client)
    assert not signed_in(client)


def test_proving_it_again(client, phone, inbox):
    age(phone, 366)
    proved(client)
    sent = len(outbox)
    page = client.get(path(phone, "reverify"))
    assert page.status_code == 200 and len(outbox) == sent and PHONE not in page.content.decode()
    page = code_path(client.post(path(phone, "reverify")))
    assert outbox[-1].to == PHONE
    assert own_factors.usable(phone.user) == [inbox], "not by asking alone"
    done = client.post(page, {"code": last_code()})
    assert (done.status_code, done["Location"]) == (302, "/verify/")
    assert set(own_factors.usable(phone.user)) == {phone, inbox} and Factor.objects.count() == 2
    assert mail.outbox == [], "nothing was added"


def test_without_a_rule_nothing_is_asked(ann, phone, settings, django_assert_num_queries):
    settings.TWILIO_VERIFY_REVERIFY_DAYS = 0
    age(phone, 3660)
    with django_assert_num_queries(1):
        assert own_factors.usable(ann) == [phone]
    with django_assert_num_queries(0):
        assert stale_factors.unusable(ann) == []


def test_one_that_is_fresh_costs_nothing_more(ann, phone, django_assert_num_queries):
    age(phone, 3)
    with django_assert_num_queries(1):
        assert own_factors.usable(ann) == [phone]


def test_an_unknown_person_learns_nothing(client):
    make_factor(make_user("ben"))
    assert client.post("/login/", {"username": "ben", "password": "wrong"}).status_code == 200
    assert mail.outbox == []


# ------------------------------------------------------------------------------------------ led there from a sign-in


def entered(client: Any, inbox: Factor, **headers: str) -> Any:
    """Sign in by the address; the answer to the code."""
    sign_in(client, url="/login/?next=/context/")
    page = code_path(client.post(f"/verify/challenge/{inbox.pk}/email/"))
    return client.post(page, {"code": last_code(), "next": "/context/"}, headers=headers)


def test_who_has_signed_in_another_way_is_led_there_once(client, phone, inbox, settings):
    settings.TWILIO_VERIFY_SUGGEST_STRONGER_FACTOR = True
    age(phone, 366)
    led = entered(client, inbox)["Location"]
    assert led == f"{path(phone, 'reverify')}?next=%2Fcontext%2F&later=1"
    page = client.get(led).content.decode()
    assert "You are signed in." in page and "Not now" in page and len(outbox) == 1, "showing it sends nothing"
    assert client.get("/context/").status_code == 200, "it is no wall"
    refused = client.post("/verify/stronger/", {"next": "/context/"})
    assert refused["Location"] == "/context/"
    client.post("/logout/")
    assert entered(client, inbox)["Location"] == "/context/", "and nothing else is asked either"
    assert "Not now" not in client.get(path(phone, "reverify")).content.decode()


def test_proved_there_it_leads_on_and_the_offer_comes_the_next_time(client, phone, inbox, settings):
    settings.TWILIO_VERIFY_SUGGEST_STRONGER_FACTOR = True
    age(phone, 366)
    led = entered(client, inbox)["Location"]
    page = code_path(client.post(led, {"next": "/context/"}))
    assert outbox[-1].to == PHONE
    assert client.post(page, {"code": last_code(), "next": "/context/"})["Location"] == "/context/"
    phone.refresh_from_db()
    assert not stale_factors.is_stale(phone)
    client.post("/logout/")
    assert entered(client, inbox)["Location"].startswith("/verify/stronger/")


@pytest.mark.parametrize("why", ["program", "no rule", "no way", "the only one"])
def test_who_is_not_led_there(client, phone, inbox, settings, why):
    settings.TWILIO_VERIFY_SUGGEST_STRONGER_FACTOR = False
    age(phone, 366)
    used = inbox
    if why == "no rule":
        settings.TWILIO_VERIFY_REVERIFY_DAYS = 0
    if why == "no way":
        settings.TWILIO_VERIFY_CHANNELS = ["email"]
    if why == "the only one":  # it was needed, and so is proved
        inbox.delete()
        sign_in(client)
        done = client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
        assert done["Location"] == "/account/"
        return
    headers = {"Accept": "application/json"} if why == "program" else {}
    assert entered(client, used, **headers)["Location"] == "/context/"
