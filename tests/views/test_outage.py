"""When every channel is down: nobody is locked out for good, and nobody is let in for that."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone

from django_twilio_verify.backends.handler import backends
from django_twilio_verify.exceptions import BackendUnavailable
from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.models import ChannelOutage, Factor
from django_twilio_verify.testing import outbox
from tests.support.basics import code_path, last_code, make_factor, make_user, sign_in
from tests.support.devices import World

pytestmark = pytest.mark.django_db
CHALLENGE, RECOVERY = "/verify/challenge/", "/verify/challenge/recovery/"


@pytest.fixture
def ann(client: Client) -> Any:
    user = make_user()
    make_factor(user)
    sign_in(client)
    return user


def break_channels(*channels: str) -> None:
    now = timezone.now()
    for channel in channels:
        ChannelOutage.objects.create(
            backend="default", channel=channel, error_code=60223, seen_at=now, until=now + timedelta(hours=1)
        )


def go_down(times: int = 1) -> None:
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False), times=times)  # type: ignore[attr-defined]


def test_with_all_channels_out_they_are_offered_all_the_same(ann: Any, client: Client) -> None:
    break_channels("sms", "call")
    shown = client.get(CHALLENGE).content.decode()
    assert "WhatsApp" in shown and "Phone call" not in shown, "one that works is offered alone"
    break_channels("whatsapp", "email")
    shown = client.get(CHALLENGE).content.decode()
    assert "Phone call" in shown and RECOVERY in shown and "help@acme.example" in shown
    client.post(code_path(client.post(CHALLENGE)), {"code": last_code()})
    assert client.get("/account/").status_code == 200, "it works again"


def test_a_provider_that_is_down(ann: Any, client: Client) -> None:
    [code, *_] = recovery_codes.issue(ann)
    go_down(3)
    for _try in range(3):
        response = client.post(CHALLENGE)
        assert (response.status_code, response["Retry-After"]) == (503, "30")
        shown = response.content.decode()
        assert RECOVERY in shown and "help@acme.example" in shown and "is not answering" in shown
        assert "Traceback" not in shown
    assert not outbox and client.get("/account/").status_code == 302
    assert "help@acme.example" in client.get(RECOVERY).content.decode()
    go_down(9)
    assert client.post(RECOVERY, {"code": code}).status_code == 302, "a recovery code needs no provider"
    assert client.get("/account/").status_code == 200


def test_while_it_is_down_a_code_on_its_way_waits(ann: Any, client: Client) -> None:
    path = code_path(client.post(CHALLENGE))
    go_down()
    response = client.post(path, {"code": last_code()})
    assert response.status_code == 503 and client.get("/account/").status_code == 302
    client.post(path, {"code": last_code()})
    assert client.get("/account/").status_code == 200


def test_whose_devices_are_all_lost_is_led_to_the_recovery_codes(client: Client) -> None:
    ben = make_user("ben")
    World("sync", None).totp(ben)
    Factor.objects.update(lost_at=timezone.now())
    sign_in(client, "ben")
    response = client.get(CHALLENGE)
    assert response.status_code == 302 and RECOVERY in response["Location"]
    assert "help@acme.example" in client.get(RECOVERY).content.decode()
    assert client.get("/verify/enroll/").status_code == 302, "SECURITY: no way to add a factor with the password alone"
    assert client.get("/account/").status_code == 302


def test_without_a_contact_none_is_named(ann: Any, client: Client, settings: Any) -> None:
    settings.TWILIO_VERIFY_PROGRAM = {**settings.TWILIO_VERIFY_PROGRAM, "support": ""}
    assert "Ask us" not in client.get(CHALLENGE).content.decode()
