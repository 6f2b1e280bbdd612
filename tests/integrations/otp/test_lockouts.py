"""Somebody who knows the password types nonsense into django-otp's forms: the owner's device stays open."""

from __future__ import annotations

from typing import Any

import pytest
import time_machine
from django.test import Client
from django.utils import timezone

from django_twilio_verify.contrib.otp.models import VerifyDevice
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import claimants
from tests.integrations.otp.helpers import account, app_of, device_login
from tests.support.basics import last_code, make_client, wrong_code

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("guess", ["1", "wrong"])
def test_tokens_from_elsewhere_do_not_close_an_authenticator_app(ann: Any, guess: str) -> None:
    """django-otp's wait doubles with each, to days: it would be the owner's."""
    device, app = app_of(ann)
    with time_machine.travel(timezone.now(), tick=False) as clock:
        for number in range(18):
            thief = Client(REMOTE_ADDR=f"203.0.{number}.9")
            device_login(thief, device, wrong_code(app.code()) if guess == "wrong" else guess)
            clock.shift(2**number)
        device_login(Client(REMOTE_ADDR="203.0.99.9"), device, guess)
        clock.shift(60)
        owner = Client(REMOTE_ADDR="198.51.100.3")
        assert device_login(owner, device, app.code()).status_code == 302
    assert account(owner)["passed"]


def test_nor_the_phone_of_an_owner_who_is_at_home(ann: Any, device: VerifyDevice) -> None:
    with time_machine.travel(timezone.now(), tick=False) as clock:
        thief = Client(REMOTE_ADDR="203.0.1.9")
        device_login(thief, device, otp_challenge="1")
        for number in range(9):  # as long as a code lives
            device_login(thief, device, "1")
            clock.shift(2**number)
        device_login(thief, device, "1")
        owner, sent = Client(REMOTE_ADDR="198.51.100.3"), len(outbox)
        claimants.remember_user(ann.pk, make_client(ip="198.51.100.3"), timezone.now())
        device_login(owner, device, otp_challenge="1")
        assert len(outbox) == sent + 1
        assert device_login(owner, device, last_code()).status_code == 302
