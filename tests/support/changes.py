"""Pages of the list of factors, in a browser whose user has just verified one."""

from __future__ import annotations

from datetime import datetime, timedelta

import time_machine
from django.test import Client

from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from django_twilio_verify.models import Factor
from tests.support.basics import OTHER_PHONE, code_path, last_code, sign_in

INBOX = "ann@home.example"
"""Of the account; ``EMAIL`` is another one."""


def proved(client: Client, username: str = "ann") -> Client:
    sign_in(client, username)
    page = code_path(client.post("/verify/challenge/"))
    assert client.post(page, {"code": last_code()}).status_code == 302
    assert signed_in(client)
    return client


def signed_in(client: Client) -> bool:
    return client.get("/account/").status_code == 200


def later() -> time_machine.travel:
    """Eleven minutes later."""
    return time_machine.travel(datetime.now().astimezone() + timedelta(minutes=11), tick=True)


def path(factor: Factor, what: str) -> str:
    return f"/verify/factors/{factor.pk}/{what}/"


def address(channel: str = "sms", to: str = OTHER_PHONE, **values: str) -> dict[str, str]:
    where = {"email": to} if channel == "email" else {"number": to, "country": ""}
    return {**where, "disclosure": disclosures.compose(Channel(channel)).digest, "consent": "on", **values}


def replace(client: Client, factor: Factor, to: str = OTHER_PHONE, **values: str) -> str:
    """Ask for another number in the place of ``factor``; the page that takes the code."""
    return code_path(client.post(path(factor, "replace"), address(to=to, **values)))
