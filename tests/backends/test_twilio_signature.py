"""Whether a request came from Twilio: by the SDK's validator, over requests signed as Twilio signs them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import logging
from typing import Any
from urllib.parse import urlencode

import pytest

from django_twilio_verify.backends.base import BaseBackend
from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.backends.twilio.backend import TwilioBackend

TOKEN = "the-auth-token-of-the-account"
ACCOUNT = "AC" + "1" * 32
KEY = "SK" + "2" * 32
URL = "https://shop.example/verify/webhooks/verify/"
BODY = '[{"id": "EZ1", "data": {"name": "Zoë"}}]'.encode()


def make(**options: Any) -> TwilioBackend:
    given = {"account_sid": ACCOUNT, "password": TOKEN, "service_sid": "VA" + "3" * 32, **options}
    return TwilioBackend("default", **given)


def sign(text: str, secret: str = TOKEN, algorithm: str = "sha1") -> str:
    """By hand, not by the SDK: https://www.twilio.com/docs/usage/webhooks/webhooks-security."""
    return base64.b64encode(hmac.new(secret.encode(), text.encode(), algorithm).digest()).decode()


def json_url(body: bytes = BODY, url: str = URL) -> str:
    return f"{url}?bodySHA256={hashlib.sha256(body).hexdigest()}"


def asked(backend: BaseBackend, url: str, body: bytes, signature: Any, **headers: str) -> bool:
    given = {"content-type": "application/json", **headers}
    if signature is not None:
        given["x-twilio-signature"] = signature
    return backend.is_authentic(url=url, body=body, headers=given)


def test_json_is_vouched_for_by_the_hash_in_the_url() -> None:
    url = json_url()
    assert asked(make(), url, BODY, sign(url)) is True
    assert asked(make(), url, BODY + b" ", sign(url)) is False
    assert asked(make(), url, b"", sign(url)) is False


def test_a_form_is_vouched_for_field_by_field() -> None:
    fields = [("b", "2"), ("a", "1"), ("b", "1"), ("empty", "")]
    body = urlencode(fields).encode()
    signature = sign(URL + "a1" + "b1" + "b2" + "empty")
    form = {"content-type": "application/x-www-form-urlencoded; charset=utf-8"}
    assert asked(make(), URL, body, signature, **form) is True
    assert asked(make(), URL, body + b"&c=3", signature, **form) is False
    assert asked(make(), URL, body.replace(b"a=1", b"a=2"), signature, **form) is False


def test_a_form_does_not_pass_for_the_body_of_a_hashed_url() -> None:
    # The SDK's own validator finds any mapping good for such a URL.
    url = json_url()
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert asked(make(), url, b"forged=1", sign(url), **form) is False
    assert asked(make(), url, b"", sign(url), **form) is False


def test_a_body_that_nothing_vouches_for_is_refused() -> None:
    assert asked(make(), URL, b"", sign(URL)) is True
    assert asked(make(), URL, BODY, sign(URL)) is False
    assert asked(make(), URL + "?bodySHA256=", BODY, sign(URL + "?bodySHA256=")) is False


@pytest.mark.parametrize("port", [":443", ":8443"])
def test_the_port_may_be_signed_or_not(port: str) -> None:
    with_port = json_url(url=URL.replace(".example", f".example{port}"))
    assert asked(make(), with_port, BODY, sign(with_port))
    assert asked(make(), with_port, BODY, sign(json_url()))


@pytest.mark.parametrize(
    ("url", "body", "signature"),
    [
        (json_url(), BODY, None),
        (json_url(), BODY, ""),
        (json_url(), BODY, "no base64"),
        (json_url(), BODY, "ü" * 28),
        (json_url(), BODY, b"bytes"),
        (json_url(), BODY, sign(json_url(), "another token")),
        (json_url(url=URL.replace("https", "http")), BODY, sign(json_url())),
        (json_url(url=URL + "x"), BODY, sign(json_url())),
        (json_url(b"\xff\xfe"), b"\xff\xfe", sign(json_url(b"\xff\xfe"))),
        ("https://[broken/?bodySHA256=00", BODY, "x"),
        ("https://shop.example:99999/", b"", "x"),
        ("", BODY, "x"),
        ("\ud800", b"", "x"),
    ],
)
def test_what_is_not_twilios_is_refused_and_raises_nothing(url: str, body: bytes, signature: Any) -> None:
    assert asked(make(), url, body, signature) is False


@pytest.mark.parametrize("body", [b"\xff=1", b"&".join(b"a=1" for _ in range(1001))])
def test_a_form_that_cannot_be_read_is_refused(body: bytes) -> None:
    form = {"content-type": "application/x-www-form-urlencoded"}
    assert asked(make(), URL, body, sign(URL + "a1"), **form) is False


def test_only_the_auth_token_signs() -> None:
    url = json_url()
    by_key = make(username=KEY, password="the-secret-of-the-key")
    assert not by_key.can_authenticate
    assert not asked(by_key, url, BODY, sign(url, "the-secret-of-the-key"))
    assert not asked(by_key, url, BODY, sign(url, ""))
    told = make(username=KEY, password="the-secret-of-the-key", auth_token=TOKEN)
    assert told.can_authenticate
    assert asked(told, url, BODY, sign(url))
    assert make().can_authenticate
    assert not make(password="").can_authenticate


def test_a_shared_key_signs_for_itself_alone() -> None:
    url = json_url()
    backend = make(shared_keys={"webhooks_sharedkey_1": "first", "webhooks_sharedkey_2": "second"})

    def by(key: str, secret: str, algorithm: str = "HMAC_SHA256") -> bool:
        header = {"x-twilio-webhooks-signature-settings": f"key={key}, algorithm={algorithm}"}
        digest = "sha1" if algorithm == "HMAC_SHA1" else "sha256"
        return asked(backend, url, BODY, sign(url, secret, digest), **header)

    assert by("webhooks_sharedkey_1", "first")
    assert by("webhooks_sharedkey_2", "second")
    assert not by("webhooks_sharedkey_1", "second")
    assert not by("webhooks_sharedkey_1", TOKEN)
    assert not by("webhooks_sharedkey_3", TOKEN)
    assert not by("webhooks_sharedkey_3", "")
    assert asked(backend, url, BODY, sign(url)), "without the header it is the Auth Token's"
    assert make(username=KEY, shared_keys={"webhooks_sharedkey_1": "first"}).can_authenticate


def test_an_unknown_algorithm_is_refused_and_not_repeated(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    header = {"x-twilio-webhooks-signature-settings": "algorithm=none\r\nforged line"}
    assert not asked(make(), json_url(), BODY, sign(json_url()), **header)
    assert caplog.text == ""


def test_the_backends_without_a_provider_vouch_for_nothing() -> None:
    backend = LocMemBackend("default")
    assert not backend.can_authenticate
    assert not asked(backend, json_url(), BODY, sign(json_url()))
