"""Users with devices, and logins by them."""

from __future__ import annotations

from typing import Any

from django.test import Client

from django_twilio_verify.contrib.otp.models import VerifyDevice
from django_twilio_verify.factors import devices
from django_twilio_verify.testing import Authenticator
from tests.support.basics import (
    PASSWORD,
    make_client,
    one_moment,
)


def app_of(user: Any) -> tuple[VerifyDevice, Authenticator]:
    """An authenticator app that Twilio keeps; its enrollment used the code of the time step before."""
    client = make_client()
    begun = devices.begin_totp(user, client, name="ann@shop")
    app = Authenticator.scan(begun.uri)
    with one_moment():
        done = devices.confirm(begun.verification, client=client, user=user, code=app.code(steps=-1))
    assert done.factor is not None, done.checked.outcome
    return VerifyDevice.objects.get(factor=done.factor), app


def account(client: Client) -> dict:
    return client.get("/account/").json()


def device_login(client: Client, device, token: str = "", url: str = "/device-login/", **more: str):
    values = {"username": "ann", "password": PASSWORD, "otp_device": device.persistent_id, "otp_token": token, **more}
    return client.post(url, values)
