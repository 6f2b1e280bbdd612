"""The public pages that stop messages."""

from __future__ import annotations

from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from tests.support.basics import (
    EMAIL,
    PHONE,
)

# --------------------------------------------------------------------------------------------------- the public page


def stop_form(channel: str = "sms", **values: str) -> dict[str, str]:
    """What the public page posts when it is filled in rightly."""
    address = {"email": EMAIL} if channel == "email" else {"number": PHONE, "country": ""}
    shown = disclosures.compose_once(Channel(channel)).digest
    return {**address, "disclosure": shown, "consent": "on", **values}


def ask(client, channel: str = "sms", **values: str):
    return client.post(f"/verify/stop/{channel}/", stop_form(channel, **values))
