"""Sites that change their fingerprint keys."""

from __future__ import annotations

import io
from typing import Any

from django.core.management import CommandError, call_command
from django.test import override_settings

from django_twilio_verify import consent
from django_twilio_verify.choices import Channel
from django_twilio_verify.conf import RETIRED
from django_twilio_verify.core.client import ClientInfo
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.exceptions import ConsentRequired
from django_twilio_verify.factors import erasure
from django_twilio_verify.ledger.addressees import Addressee
from tests.support.basics import PHONE, make_client, make_secret

K1, K2, K3 = ("k1", make_secret("1")), ("k2", make_secret("2")), ("k3", make_secret("3"))
GONE1, GONE2 = ("k1", RETIRED), ("k2", RETIRED)


def keys(*given: tuple[str, str | bytes]) -> override_settings:
    return override_settings(TWILIO_VERIFY_FINGERPRINT_KEYS=[*given])


def rotate(**options: Any) -> tuple[int, str]:
    """Status and what was said."""
    out = io.StringIO()
    try:
        call_command("rotate_fingerprint_keys", stdout=out, stderr=io.StringIO(), **options)
    except CommandError as error:
        return error.returncode, f"{out.getvalue()}{error}\n"
    return 0, out.getvalue()


def erase(recipient: str = PHONE) -> None:
    erasure.erase(Addressee.of(recipient), reason="asked for", actor="ann")


def opt_out(recipient: str = PHONE, channel: str = "sms") -> None:
    consent.opt_out(recipient=recipient, channel=channel, client=make_client())


def withdraw(recipient: str = PHONE, channel: str = "sms", *, user: Any) -> None:
    consent.withdraw(recipient=recipient, channel=channel, user=user, client=make_client())


def state(recipient: str = PHONE, channel: str = "sms", *, user: Any = None, client: ClientInfo | None = None) -> str:
    """What the gate says: ``live`` and the event, or why nothing is sent."""
    try:
        event = consent.require(
            recipient=Recipient.parse(recipient), channel=Channel(channel), client=client or make_client(), user=user
        )
    except ConsentRequired as error:
        return error.code or ""
    return f"live by {event.pk}"
