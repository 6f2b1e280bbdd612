"""Replacing the secrets that Twilio's requests are told by: the procedures of docs/howto/rotate-twilio-secrets.md."""

from __future__ import annotations

import hashlib
import hmac
from typing import Any

import pytest

from django_twilio_verify import verifications
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.testing import VerifyServer
from tests.support.attempts import make_attempt
from tests.support.basics import PHONE, agree, make_client
from tests.support.cloud_events import ACCOUNT, PATH, SERVICE, backend, basic, deliver, of_message, signed

pytestmark = pytest.mark.django_db
OLD, NEW = "1" * 32, "2" * 32
URL = "http://testserver" + PATH


def answers(*secrets: str, **values: Any) -> list[int]:
    """The status of a request that each of ``secrets`` has signed."""
    found = []
    for secret in secrets:
        body = b"[]"
        query, signature = signed(body, url=URL, token=secret)
        headers = {"X-Twilio-Signature": signature}
        found.append(deliver(body, path=f"{PATH}?{query}", headers=headers).status_code)
    return found


@pytest.mark.parametrize("by_key", [True, False])
def test_the_auth_token(settings: Any, by_key: bool) -> None:
    """Beside an API key it is ``auth_token``; where it is what calls are made with, it is ``password``."""
    settings.TWILIO_VERIFY_WEBHOOK = None

    def deploy(given: Any) -> None:
        options = {"auth_token": given} if by_key else {"username": ACCOUNT, "password": given}
        settings.TWILIO_VERIFY_BACKENDS = {"default": backend(**options)}

    deploy(OLD)
    assert answers(OLD, NEW) == [200, 403]
    deploy([NEW, OLD])
    assert answers(OLD, NEW, "", NEW + OLD) == [200, 200, 403, 403]
    deploy((NEW,))
    assert answers(OLD, NEW) == [403, 200]


def test_calls_are_made_with_the_first_password(settings: Any) -> None:
    with VerifyServer() as server:
        settings.TWILIO_VERIFY_BACKENDS = {
            "default": backend(
                account_sid=server.account_sid,
                username=server.account_sid,
                password=[server.password, OLD],
                service_sid=server.service_sid,
                base_url=server.url,
            )
        }
        agree(PHONE)
        verifications.start(recipient=PHONE, channel="sms", client=make_client())
        assert len(server.sent) == 1


def test_the_sinks_password(settings: Any) -> None:
    def deploy(username: Any, password: Any) -> list[int]:
        settings.TWILIO_VERIFY_WEBHOOK = {"username": username, "password": password}
        pairs = [("old", OLD), ("new", NEW), ("old", ""), ("new", OLD + NEW)]
        return [deliver([], headers={"Authorization": basic(*pair)}).status_code for pair in pairs]

    assert deploy("old", OLD) == [200, 403, 403, 403]
    assert deploy(["new", "old"], [NEW, OLD]) == [200, 200, 403, 403]
    assert deploy("new", [NEW]) == [403, 200, 403, 403]


def test_a_right_event_counts_under_each(settings: Any) -> None:
    settings.TWILIO_VERIFY_WEBHOOK = {"username": "sink", "password": [NEW, OLD]}
    for password in (OLD, NEW):
        ours = make_attempt()
        answer = deliver([of_message(ours, "delivered")], headers={"Authorization": basic("sink", password)})
        assert answer.status_code == 200
        ours.refresh_from_db()
        assert ours.delivery == "delivered"


def test_a_shared_key_beside_several_tokens(settings: Any) -> None:
    settings.TWILIO_VERIFY_WEBHOOK = None
    settings.TWILIO_VERIFY_BACKENDS = {"default": backend(auth_token=[NEW, OLD], shared_keys={"k1": "first"})}
    digest = hashlib.sha256(b"[]").hexdigest()
    url = f"{URL}?bodySHA256={digest}"
    made = TwilioBackend("x", account_sid=ACCOUNT, password="x", service_sid=SERVICE, shared_keys={"k1": "first"})
    import base64  # noqa: PLC0415

    signature = base64.b64encode(hmac.new(b"first", url.encode(), "sha256").digest()).decode()
    headers = {
        "x-twilio-signature": signature,
        "x-twilio-webhooks-signature-settings": "key=k1,algorithm=HMAC_SHA256",
    }
    assert made.is_authentic(url=url, body=b"[]", headers=headers)
    assert backends["default"].is_authentic(url=url, body=b"[]", headers=headers)
    headers["x-twilio-webhooks-signature-settings"] = "key=k2,algorithm=HMAC_SHA256"
    assert not backends["default"].is_authentic(url=url, body=b"[]", headers=headers), "no token stands in for a key"


@pytest.mark.parametrize("given", [{"a": "b"}, 7, ["x", ""], ["x", None], [[]], b"x"])
def test_what_is_no_secret_opens_nothing(settings: Any, given: Any) -> None:
    settings.TWILIO_VERIFY_WEBHOOK = None
    settings.TWILIO_VERIFY_BACKENDS = {"default": backend(auth_token=given)}
    assert answers("x", "", "b", "a", "7") == [403] * 5
