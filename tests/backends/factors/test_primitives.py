"""The parts: time-based codes, signatures, options, events."""

from __future__ import annotations

import base64
import io
import json
from datetime import datetime
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import ec
from twilio.request_validator import RequestValidator

from django_twilio_verify.backends.console import ConsoleBackend
from django_twilio_verify.backends.factor_options import (
    ChallengeDetails,
    PasskeyOptions,
    PushOptions,
    TotpOptions,
    check_name,
    is_identity,
    options_for,
)
from django_twilio_verify.backends.factor_results import AccessToken, FactorEvent
from django_twilio_verify.backends.options import IncompatibleOptions
from django_twilio_verify.backends.simulator import es256, totp
from django_twilio_verify.backends.simulator.factor_records import Notification
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.backends.twilio.factor_webhook import read_event
from django_twilio_verify.choices import FactorKind
from django_twilio_verify.testing import Authenticator, Browser, FactorRoutes, Phone, VerifyServer
from django_twilio_verify.testing.phone import DeviceRefused, HttpApi

ANN = "ann-00000001"
URL = "https://shop.test/verify/webhooks/factors/?a=b"

# RFC 6238 appendix B: the key is the ASCII digits, as long as the hash wants it.
KEYS = {"sha1": b"1234567890" * 2, "sha256": (b"1234567890" * 4)[:32], "sha512": (b"1234567890" * 7)[:64]}
VECTORS = [
    (59, "94287082", "46119246", "90693936"),
    (1111111109, "07081804", "68084774", "25091201"),
    (1111111111, "14050471", "67062674", "99943326"),
    (1234567890, "89005924", "91819424", "93441116"),
    (2000000000, "69279037", "90698825", "38618901"),
    (20000000000, "65353130", "77737706", "47863826"),
]


@pytest.mark.parametrize("vector", VECTORS)
def test_the_vectors_of_the_rfc(vector: tuple[int, str, str, str]) -> None:
    moment, *codes = vector
    for algorithm, code in zip(KEYS, codes, strict=True):
        secret = base64.b32encode(KEYS[algorithm]).decode()
        uri = f"otpauth://totp/x?secret={secret}&digits=8&algorithm={algorithm.upper()}"
        assert Authenticator.scan(uri, clock=lambda moment=moment: moment).code() == code
        step = totp.step_at(moment)
        assert totp.matching_step(KEYS[algorithm], code, range(step - 1, step + 2), 8, algorithm) == step


@pytest.mark.parametrize("code", ["", "1", "٩٤٢٨٧٠٨٢", "94287083", "942870820"])
def test_what_is_no_code(code: str) -> None:
    assert totp.matching_step(KEYS["sha1"], code, [1], 8, "sha1") is None


@pytest.mark.parametrize("secret", ["gezd gnbv", "GEZDGNBV", "GEZDGNBV===="])
def test_a_secret_as_people_type_it(secret: str) -> None:
    assert totp.key_of(secret) == b"12345"


@pytest.mark.parametrize("secret", ["1", "GEZDGNBV!", "é"])
def test_what_is_no_secret(secret: str) -> None:
    with pytest.raises(ValueError, match="base32"):
        totp.key_of(secret)


@pytest.mark.parametrize("uri", ["https://x.test", "otpauth://hotp/x?secret=GEZDGNBV"])
def test_what_an_app_cannot_scan(uri: str) -> None:
    with pytest.raises(ValueError, match="otpauth"):
        Authenticator.scan(uri)


# ------------------------------------------------------------------------------------------------- signatures


def tampered(token: str, part: int, value: dict[str, Any]) -> str:
    parts = token.split(".")
    parts[part] = es256.encoded(json.dumps(value).encode())
    return ".".join(parts)


def test_only_a_token_signed_with_es256_by_the_key_counts() -> None:
    key, other = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    token = es256.make_token(key, {"kid": "x"}, {"status": "denied"})
    assert es256.is_token_of(key.public_key(), token)
    assert es256.read_token(token) == ({"kid": "x", "typ": "JWT", "alg": "ES256"}, {"status": "denied"})
    head, body, _ = token.split(".")
    for wrong in (
        tampered(token, 1, {"status": "approved"}),
        tampered(token, 0, {"alg": "none"}),
        tampered(token, 0, {"alg": "HS256", "typ": "JWT"}),
        f"{head}.{body}.",
        f"{head}.{body}.AAAA",
        f"{head}.{body}.{es256.encoded(bytes(64))}",
        token + "!",
        "..",
        "W10.W10.AA",
        "é.é.é",
        "",
    ):
        assert not es256.is_token_of(key.public_key(), wrong), wrong
    assert not es256.is_token_of(other.public_key(), token)


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP256K1()])
def test_keys_of_other_curves_are_refused(curve: ec.EllipticCurve) -> None:
    class Other(Phone):
        def __init__(self) -> None:
            self._key = ec.generate_private_key(curve)

    with pytest.raises(ValueError, match="P-256"):
        es256.public_key(Other().public_key)


# ---------------------------------------------------------------------------------------------------- options


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (TotpOptions, {"time_step": 19}),
        (TotpOptions, {"time_step": 61}),
        (TotpOptions, {"skew": 3}),
        (TotpOptions, {"skew": -1}),
        (TotpOptions, {"code_length": 2}),
        (TotpOptions, {"alg": "md5"}),
        (TotpOptions, {"secret": "not base32"}),
        (TotpOptions, {"metadata": {"x": 1}}),
        (TotpOptions, {"metadata": {"x": "x" * 1024}}),
        (PushOptions, {"platform": "pigeon"}),
        (PushOptions, {"alg": "RS256"}),
        (PushOptions, {"app_id": "x" * 101}),
        (PushOptions, {"token": "short"}),
        (PasskeyOptions, {"relying_party_id": "https://shop.example"}),
        (PasskeyOptions, {"relying_party_id": "shop.example:443"}),
        (PasskeyOptions, {"origins": "https://shop.example"}),
        (PasskeyOptions, {"attachment": "glued"}),
        (PasskeyOptions, {"discoverable": "maybe"}),
        (PasskeyOptions, {"user_verification": "yes"}),
        (ChallengeDetails, {"message": "x" * 257}),
        (ChallengeDetails, {"fields": {"x" * 37: "x"}}),
        (ChallengeDetails, {"fields": {"x": "x" * 129}}),
        (ChallengeDetails, {"fields": {str(number): "x" for number in range(21)}}),
        (ChallengeDetails, {"hidden": {"x": "x" * 1024}}),
        (ChallengeDetails, {"expires_at": datetime(2026, 1, 1)}),
    ],
)
def test_what_cannot_be_told_to_the_provider(kind: type[Any], given: dict[str, Any]) -> None:
    with pytest.raises(IncompatibleOptions) as caught:
        kind(**given)
    assert str(caught.value).endswith(".")


def test_the_bounds_themselves_can() -> None:
    TotpOptions(20, 0, 3, "sha512", "GEZDGNBV")
    TotpOptions(60, 2, 8)
    PushOptions(platform="none", token="t" * 255)
    ChallengeDetails("x" * 256, {str(number).rjust(36): "x" * 128 for number in range(20)}, {"x": "x" * 1000})
    assert check_name("x" * 64)
    assert is_identity("a-b-c-d-e")
    for name in ("", "x" * 65):
        with pytest.raises(IncompatibleOptions):
            check_name(name)
    assert options_for(FactorKind.TOTP, None) == TotpOptions()


def test_nothing_secret_is_in_a_repr() -> None:
    shown = [
        repr(TotpOptions(secret="GEZDGNBV")),
        repr(PushOptions(token="GEZDGNBV" * 4, public_key="GEZDGNBV")),
        repr(AccessToken("YK1", ANN, "GEZDGNBV")),
        repr(Notification("a", ANN, "YF1", "YC1", "fcm", "Is it you?", "GEZDGNBV")),
    ]
    assert "GEZDGNBV" not in "".join(shown)


# ----------------------------------------------------------------------------------------------------- events


def signed_events(server: VerifyServer) -> FactorRoutes:
    routes = server.extension(FactorRoutes)
    phone = Phone(HttpApi(server.url), service_sid=server.service_sid, identity=ANN)
    phone.register(routes.simulator.create_token(ANN, "push")["token"])
    phone.deny(routes.simulator.create_challenge(ANN, phone.sid, message="Is it you?")["sid"])
    return routes


@pytest.mark.parametrize("as_json", [False, True])
def test_an_event_is_signed_and_read_in_both_encodings(
    backend: TwilioBackend, server: VerifyServer, as_json: bool
) -> None:
    routes = signed_events(server)
    for event in routes.simulator.events:
        posted = routes.webhook(event, URL, as_json=as_json)
        headers = {name.lower(): value for name, value in posted.headers.items()}
        assert backend.is_authentic(url=posted.url, body=posted.body, headers=headers)
        forged = posted.body.replace(b"denied", b"approved") + b" "
        assert not backend.is_authentic(url=posted.url, body=forged, headers=headers)
        content = posted.body.decode() if as_json else dict(event)
        assert RequestValidator(server.password).validate(posted.url, content, posted.signature)
        read = read_event(posted.body, posted.content_type)
        assert (read.uuid, read.type, read.service_sid) == (event["uuid"], event["type"], server.service_sid)
    assert (read.type, read.identity, read.factor_type) == ("challenge.denied", ANN, "push")
    assert read.challenge_sid.startswith("YC")
    assert read.factor_sid.startswith("YF")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b"uuid=1", "application/x-www-form-urlencoded"),
        (b"type=factor.created", ""),
        (b"\xff\xfe", "text/plain"),
        (b"&".join(b"a=1" for _ in range(200)), ""),
        (b"{", "application/json"),
        (b"[1]", "application/json"),
        (b'{"uuid": 1, "type": "factor.created"}', "application/json; charset=utf-8"),
        (b'{"uuid": "1", "type": ""}', "application/json"),
        (b"[" * 60_000, "application/json"),
        (b'{"uuid": "' + b"1" * 300 + b'", "type": "x"}', "application/json"),
        (b"uuid=1&type=x&" + b"a" * 70_000, ""),
    ],
)
def test_what_is_no_event(body: bytes, kind: str) -> None:
    with pytest.raises(ValueError, match=r"^(too long|no event|not JSON|not an object|not a form)$"):
        read_event(body, kind)


def test_an_event_of_tomorrow() -> None:
    body = b'{"uuid": "1", "type": "factor.lost", "factor_sid": null, "more": {}, "entity_identity": "ann"}'
    assert read_event(body, "application/json") == FactorEvent("1", "factor.lost", identity="ann")


# ------------------------------------------------------------------------------------------------- the others


def test_a_stranger_is_turned_away(server: VerifyServer, exchanges_are_as_described: list[str]) -> None:
    phone = Phone(HttpApi(server.url), service_sid=server.service_sid, identity=ANN)
    for token in ("", "x", "a.b.c"):
        with pytest.raises(DeviceRefused) as caught:
            phone.register(token)
        assert (caught.value.status, caught.value.code) == (403, 60313)
    # With Twilio's description at hand, the validator has noticed the empty password: it is meant to be there.
    exchanges_are_as_described.clear()


def test_a_phone_of_another_service(server: VerifyServer) -> None:
    token = server.extension(FactorRoutes).simulator.create_token(ANN, "push")["token"]
    phone = Phone(HttpApi(server.url), service_sid="VA" + "0" * 32, identity=ANN)
    with pytest.raises(DeviceRefused):
        phone.register(token)


def test_the_settings_of_the_service_take_effect(backend: TwilioBackend, server: VerifyServer) -> None:
    backend.enroll(ANN, FactorKind.TOTP, name="before")
    form = {
        "Totp.Issuer": "Shop",
        "Totp.CodeLength": 8,
        "Passkeys.RelyingParty.Id": "shop.example",
        "Passkeys.RelyingParty.Name": "Shop",
        "Passkeys.RelyingParty.Origins": "https://shop.example,https://www.shop.example",
        "Passkeys.AuthenticatorAttachment": "any",
        "Passkeys.DiscoverableCredentials": "required",
        "Passkeys.UserVerification": "required",
    }
    url = f"{server.url}/v2/Services/{server.service_sid}"
    assert requests.post(url, form, auth=(server.account_sid, server.password), timeout=5).status_code == 200
    app = backend.enroll(ANN, FactorKind.TOTP, name="after")
    assert (app.digits, app.uri.startswith("otpauth://totp/Shop:after?")) == (8, True)
    key = backend.enroll(ANN, FactorKind.PASSKEY, name="key")
    browser = Browser("https://www.shop.example")
    assert backend.confirm(ANN, key.sid, browser.create(key.options)).verified
    anybody = backend.challenge("", FactorKind.PASSKEY)
    found = backend.answer("", anybody.sid, browser.get(anybody.options))
    assert (found.approved, found.identity, found.factor_sid) == (True, "", "")
    assert backend.poll(ANN, anybody.sid).approved


def test_the_console_prints_a_push_and_no_secret() -> None:
    stream = io.StringIO()
    backend = ConsoleBackend("default", stream=stream)
    made = backend.enroll(ANN, FactorKind.TOTP, name="ann")
    backend.notified(Notification("default", ANN, "YF1", "YC1", "fcm", "Is it you?", "t0ken"))
    assert "Is it you? (YC1)" in stream.getvalue()
    assert [one.challenge_sid for one in backend.notifications] == ["YC1"]
    for secret in ("t0ken", made.secret):
        assert secret not in stream.getvalue()
    backend.reset()
    assert (len(backend.notifications), backend.factors(ANN)) == (0, ())


def test_a_browser_has_only_its_own_passkeys() -> None:
    with pytest.raises(LookupError):
        Browser("https://shop.example").get({"rpId": "shop.example", "challenge": "a", "allowCredentials": []})
