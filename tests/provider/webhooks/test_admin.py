"""What an operator sees of events and runs: all of it, and nothing to press."""

from __future__ import annotations

import pytest
from django.contrib.auth import get_user_model
from django.utils import timezone

from django_twilio_verify.models import AttemptSync, ProviderEvent
from tests.support.attempts import make_attempt
from tests.support.basics import PHONE
from tests.support.cloud_events import LATELY, deliver, of_message

pytestmark = pytest.mark.django_db


@pytest.fixture
def officer(client):
    client.force_login(get_user_model().objects.create_superuser("officer", password="x"))
    return client


def test_the_events_are_listed_and_found_and_cannot_be_changed(officer):
    ours = make_attempt()
    deliver([of_message(ours, "delivered"), of_message(make_attempt(), "sent", service_sid="VA" + "c" * 32)])
    page = officer.get("/admin/twilio_verify/providerevent/")
    assert page.content.count(b'class="field-received_at') == 2
    assert PHONE.encode() not in page.content
    assert b"Add provider event" not in page.content
    found = officer.get("/admin/twilio_verify/providerevent/", {"q": ours.verification.sid})
    assert found.content.count(b'class="field-received_at') == 1
    assert officer.get("/admin/twilio_verify/providerevent/", {"applied__exact": "0"}).status_code == 200
    event = ProviderEvent.objects.get(verification_sid=ours.verification.sid)
    shown = officer.get(f"/admin/twilio_verify/providerevent/{event.pk}/change/")
    assert event.event_id.encode() in shown.content
    assert officer.post(f"/admin/twilio_verify/providerevent/{event.pk}/change/", {"kind": "x"}).status_code == 403
    assert officer.post(f"/admin/twilio_verify/providerevent/{event.pk}/delete/").status_code == 403


def test_an_attempt_shows_what_became_of_it(officer):
    ours = make_attempt(price="0.05", currency="USD", converted=True)
    deliver([of_message(ours, "undelivered", error_code="30005", at=LATELY)])
    shown = officer.get(f"/admin/twilio_verify/verification/{ours.verification_id}/change/").content.decode()
    assert all(word in shown for word in ("undelivered", "30005", "0.05", "USD"))


def test_the_runs_are_listed(officer):
    AttemptSync.objects.create(backend="default", lease="web1:7:ab", leased_until=timezone.now())
    assert b"web1:7:ab" in officer.get("/admin/twilio_verify/attemptsync/").content
