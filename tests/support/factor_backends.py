"""Calls of everything that a factor backend takes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from django_twilio_verify.backends.factor_options import ChallengeDetails, PasskeyOptions, PushOptions, TotpOptions
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.choices import FactorKind
from django_twilio_verify.testing import Authenticator, Browser, FactorRoutes, HttpApi, Phone, VerifyServer

START = "2026-11-20T12:00:00Z"

ANN = "ann-00000001"
PARTY = PasskeyOptions("shop.example", "Shop", ("https://shop.example",), "platform", "required", "required")


def use_everything(backend: TwilioBackend, server: VerifyServer) -> None:
    backend.create_entity(ANN)
    totp = TotpOptions(30, 1, 6, "sha1", "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", {"os": "x"})
    made = backend.enroll(ANN, FactorKind.TOTP, name="app", options=totp)
    app = Authenticator.scan(made.uri)
    backend.confirm(ANN, made.sid, app.code())
    backend.update_factor(ANN, made.sid, name="other", options=TotpOptions(30, 2, 6, "sha1"))
    backend.challenge(ANN, FactorKind.TOTP, factor_sid=made.sid, code="000000")

    phone = Phone(HttpApi(server.url), service_sid=server.service_sid, identity=ANN, platform="fcm")
    push = PushOptions(phone.public_key, "com.example", "fcm", "t" * 64, "1.0", metadata={"os": "x"})
    device = backend.enroll(ANN, FactorKind.PUSH, name="phone", options=push)
    phone.sid = device.sid
    backend.confirm(ANN, device.sid, phone.proof)
    backend.update_factor(ANN, device.sid, options=PushOptions(platform="apn", token="u" * 64, sdk_version="2.0"))
    until = datetime.now(UTC) + timedelta(minutes=10)
    details = ChallengeDetails("Is it you?", {"Place": "Vienna", "Time": "now"}, {"number": "42"}, until)
    asked = backend.challenge(ANN, FactorKind.PUSH, factor_sid=device.sid, details=details)
    backend.notify(ANN, asked.sid, ttl=0)
    simulator = server.extension(FactorRoutes).simulator
    token = phone.signed(simulator.challenge(ANN, asked.sid), "approved")
    assert backend.answer(ANN, asked.sid, token, metadata={"os": "x"}).approved

    assert backend.access_token(ANN, name="phone", ttl=300).ttl == 300
    browser = Browser("https://shop.example")
    key = backend.enroll(ANN, FactorKind.PASSKEY, name="key", options=PARTY)
    backend.confirm(ANN, key.sid, browser.create(key.options))
    ask = backend.challenge(ANN, FactorKind.PASSKEY, factor_sid=key.sid)
    assert backend.answer(ANN, ask.sid, browser.get(ask.options)).approved
