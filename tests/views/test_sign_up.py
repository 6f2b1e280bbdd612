"""A number is proved before the account exists, and attached afterwards."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.utils import timezone

from django_twilio_verify import consent, verifications
from django_twilio_verify.exceptions import VerificationNotFound
from django_twilio_verify.factors import own_factors
from django_twilio_verify.login import session
from django_twilio_verify.models import ConsentEvent, Factor, Verification
from django_twilio_verify.verifications import lifecycle
from tests.support.basics import PHONE, agree, last_code, make_client, make_factor, make_user

pytestmark = pytest.mark.django_db


def prove(client) -> Verification:
    """What the site's sign-up page does, for the browser ``client``."""
    client.get("/set-cart/")
    stored = client.session
    stored[session._SECRET] = "visitor-secret"
    stored.save()
    visitor = make_client("visitor-secret")
    agree(client=visitor)
    started = verifications.start(recipient=PHONE, channel="sms", client=visitor)
    page = f"/verify/code/{started.verification.pk}/?next=/public/"
    assert "+1 501-712-2661" in client.get(page).content.decode()
    assert client.post(page, {"code": last_code()})["Location"] == "/public/"
    return started.verification


def test_the_new_account_has_the_number_and_is_signed_in_with_it(client):
    verification = prove(client)
    assert client.post(f"/signup/{verification.pk}/", {"username": "zoe"}).content == b"welcome"
    assert client.get("/account/").content == b"account of zoe"
    factor = Factor.objects.get()
    assert (factor.user.get_username(), factor.recipient_value, factor.is_default) == ("zoe", PHONE, True)


def test_the_visitors_consent_becomes_the_accounts(client):
    verification = prove(client)
    client.post(f"/signup/{verification.pk}/", {"username": "zoe"})
    granted, renewed = ConsentEvent.objects.order_by("id")
    assert (granted.event, granted.person_kind) == ("granted", "session")
    assert (renewed.event, renewed.person_kind, renewed.previous) == ("renewed", "user", granted)
    assert renewed.disclosure == granted.disclosure
    zoe = Factor.objects.get().user
    assert consent.find(recipient=PHONE, channel="sms", client=make_client("elsewhere"), user=zoe) == renewed


def test_the_account_can_sign_in_by_it_later(client):
    verification = prove(client)
    client.post(f"/signup/{verification.pk}/", {"username": "zoe"})
    client.post("/logout/")
    client.post("/bare-login/", {"username": "zoe"})
    sent = client.post("/verify/challenge/")
    client.post(sent["Location"], {"code": last_code()})
    assert client.get("/account/").content == b"account of zoe"


def test_a_proof_serves_one_account_only(client):
    verification = prove(client)
    client.post(f"/signup/{verification.pk}/", {"username": "zoe"})
    assert client.post(f"/signup/{verification.pk}/", {"username": "eve"}).status_code == 404
    assert Factor.objects.count() == 1


def test_another_browser_cannot_take_the_proof(client):
    verification = prove(client)
    thief = type(client)()
    thief.get("/set-cart/")
    assert thief.post(f"/signup/{verification.pk}/", {"username": "eve"}).status_code == 404
    assert not Factor.objects.exists()


def test_an_unproved_number_is_not_attached(client):
    visitor = make_client()
    agree(client=visitor)
    started = verifications.start(recipient=PHONE, channel="sms", client=visitor)
    with pytest.raises(VerificationNotFound):
        own_factors.attach(started.verification.pk, user=make_user(), client=visitor)


def test_a_proof_waits_an_hour_for_its_account():
    visitor = make_client()
    agree(client=visitor)
    started = verifications.start(recipient=PHONE, channel="sms", client=visitor)
    verifications.check(started.verification, code=last_code(), client=visitor)
    with time_machine.travel(timezone.now() + timedelta(minutes=61)), pytest.raises(VerificationNotFound):
        own_factors.attach(started.verification.pk, user=make_user(), client=visitor)


def test_a_proof_for_signing_in_is_not_one_for_an_account():
    ann = make_user()
    factor = make_factor(ann)
    started = lifecycle.start(
        recipient=PHONE, channel="sms", client=make_client(), user=ann, purpose="login", factor=factor
    )
    verifications.check(started.verification, code=last_code(), client=make_client())
    with pytest.raises(VerificationNotFound):
        own_factors.attach(started.verification.pk, user=make_user("eve"), client=make_client())
    with pytest.raises(VerificationNotFound):
        own_factors.confirm(started.verification)


def test_a_fresh_proof_of_another_number_does_not_open_an_account_that_has_a_factor(client):
    """A password and any phone must not be enough to get into somebody's account."""
    verification = prove(client)
    victim = make_user("victim")
    make_factor(victim, "+15017122669")
    visitor = make_client("visitor-secret")
    confirmed = own_factors.attach(verification.pk, user=victim, client=visitor)
    assert not confirmed.is_first
    client.post("/bare-login/", {"username": "victim"})
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")
