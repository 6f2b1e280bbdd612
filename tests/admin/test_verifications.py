"""What the operator sees of sends: asked and used, delivered, paid for, and the ways that are out."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.models import ChannelOutage, Verification, VerificationAttempt
from django_twilio_verify.verifications import lifecycle
from tests.support.basics import PHONE, agree, make_client, make_factor, make_user

pytestmark = pytest.mark.django_db
LIST = reverse("admin:twilio_verify_verification_changelist")


@pytest.fixture
def officer(client: Client) -> Client:
    client.force_login(make_user("officer", is_staff=True, is_superuser=True))
    client.get(LIST)  # the sign-in is decided
    return client


def sent(name: str = "ann", channel: str = "whatsapp", **values: str) -> Verification:
    user, visitor = make_factor(make_user(name)).user, make_client(name)
    agree(PHONE, channel, user=user, client=visitor)
    return lifecycle.start(recipient=PHONE, channel=channel, user=user, client=visitor, **values).verification


def page(browser: Client, path: str) -> str:
    response = browser.get(path)
    assert response.status_code == 200
    return response.content.decode()


def test_asked_used_delivered_and_paid_for(officer, monkeypatch):
    monkeypatch.setattr(backends["default"].simulator, "without_whatsapp", {PHONE})
    verification = sent()
    VerificationAttempt.objects.update(delivery="delivered", price="0.05000", currency="USD")
    listed = page(officer, LIST)
    assert "whatsapp → sms" in listed and "delivered" in listed and "0.05 USD" in listed
    VerificationAttempt.objects.create(
        verification=verification,
        channel="call",
        channel_used="call",
        status="sent",
        consent_event_id=VerificationAttempt.objects.get().consent_event_id,
        created_at=timezone.now(),
        price="1.20000",
        currency="USD",
    )
    listed = page(officer, LIST)
    assert "whatsapp → sms, call" in listed and "1.25 USD" in listed


def test_a_payment_shows_what_it_is_bound_to(officer):
    verification = sent(channel="sms", purpose="payment", amount="49.90 EUR", payee="<b>Shop</b>")
    Verification.objects.update(line_type="mobile")
    shown = page(officer, reverse("admin:twilio_verify_verification_change", args=[verification.pk]))
    assert "49.90 EUR" in shown and "&lt;b&gt;Shop&lt;/b&gt;" in shown and "mobile" in shown
    assert PHONE not in shown


def test_a_link_is_never_shown(officer):
    verification = sent(channel="sna")
    verification.refresh_from_db()
    assert verification.link
    for path in (LIST, reverse("admin:twilio_verify_verification_change", args=[verification.pk])):
        assert verification.link not in page(officer, path)


def test_the_list_costs_the_same_however_long_it_is(officer):
    def statements() -> int:
        with CaptureQueriesContext(connection) as captured:
            page(officer, LIST)
        return len(captured)

    sent()
    few = statements()
    for number in range(4):
        sent(f"person{number}")
    assert statements() == few


def test_an_outage_says_why_and_whether_it_lasts(officer):
    now = timezone.now()
    for channel, code, until in (("whatsapp", 68008, now + timedelta(hours=1)), ("email", 60217, now - timedelta(1))):
        ChannelOutage.objects.create(backend="default", channel=channel, error_code=code, seen_at=now, until=until)
    listed = page(officer, reverse("admin:twilio_verify_channeloutage_changelist"))
    assert "icon-yes" in listed and "icon-no" in listed
    assert "68008" in listed and "WhatsApp" in listed
    row = ChannelOutage.objects.first()
    address = reverse("admin:twilio_verify_channeloutage_change", args=[row.pk])
    assert page(officer, address) and officer.post(address, {"channel": "sms"}).status_code == 403
