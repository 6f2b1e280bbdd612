"""The shapes in which Verify and browsers speak of passkeys."""

from __future__ import annotations

from typing import Any

import pytest

from django_twilio_verify.backends.webauthn import creation_options, credential, request_options

# https://www.twilio.com/docs/verify/api/passkeys-factor, the example of a new factor; and of a new challenge.
TWILIO = {
    "publicKey": {
        "rp": {"id": "example.com", "name": "Example"},
        "user": {"id": "WUU0ZmQz", "name": "friendly_name", "displayName": "friendly_name"},
        "challenge": "WUYwNDhk",
        "pubKeyCredParams": {"type": "public-key", "alg": -7},
        "timeout": 600000,
        "excludeCredentials": [],
        "authenticatorSelection": {"requireResidentKey": False, "userVerification": "preferred"},
        "attestation": "none",
    }
}


def with_changes(**changes: Any) -> dict[str, Any]:
    return {"publicKey": {**TWILIO["publicKey"], **changes}}


@pytest.mark.parametrize(
    ("given", "member", "expected"),
    [
        (TWILIO, "pubKeyCredParams", [{"type": "public-key", "alg": -7}]),
        (with_changes(pubKeyCredParams=[{"alg": -8}]), "pubKeyCredParams", [{"alg": -8}]),
        (with_changes(pubKeyCredParams=None), "pubKeyCredParams", [{"type": "public-key", "alg": -7}]),
        (with_changes(challenge="a+b/c=="), "challenge", "a-b_c"),
        (with_changes(user={"id": "a+/=", "name": "x"}), "user", {"id": "a-_", "name": "x"}),
        (with_changes(excludeCredentials=None), "excludeCredentials", []),
        (with_changes(excludeCredentials={"id": "a="}), "excludeCredentials", [{"type": "public-key", "id": "a"}]),
        (with_changes(excludeCredentials=["x", {}]), "excludeCredentials", []),
        (TWILIO["publicKey"], "attestation", "none"),
        (TWILIO, "timeout", 600000),
    ],
)
def test_creation_options(given: Any, member: str, expected: object) -> None:
    assert creation_options(given)[member] == expected


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (
            TWILIO,
            {
                "challenge": "WUYwNDhk",
                "timeout": 600000,
                "rpId": "example.com",
                "allowCredentials": [],
                "userVerification": "preferred",
            },
        ),
        ({"publicKey": {"challenge": "a="}}, {"challenge": "a", "allowCredentials": []}),
        (
            {"challenge": "a", "rpId": "x.test", "rp": {"id": "y.test"}, "allowCredentials": [{"id": "b+/="}]},
            {"challenge": "a", "rpId": "x.test", "allowCredentials": [{"type": "public-key", "id": "b-_"}]},
        ),
    ],
)
def test_request_options(given: Any, expected: object) -> None:
    assert request_options(given) == expected


@pytest.mark.parametrize("given", [None, {}, [], "x", {"publicKey": None}, {"publicKey": {"challenge": ""}}])
def test_no_options(given: object) -> None:
    assert creation_options(given) == request_options(given) == {}


@pytest.mark.parametrize(
    ("given", "attachment"),
    [
        ({"authenticatorAttachment": "cross-platform"}, "cross-platform"),
        ({"authenticatorAttachment": None}, "platform"),
        ({"response": {"transports": ["usb", "nfc"]}}, "cross-platform"),
        ({"response": {"transports": ["internal", "hybrid"]}}, "platform"),
        ({"response": "x"}, "platform"),
    ],
)
def test_the_attachment_is_always_said(given: dict[str, Any], attachment: str) -> None:
    assert credential(given)["authenticatorAttachment"] == attachment


def test_a_credential_keeps_its_answer_and_nothing_else() -> None:
    given = {"id": "a", "response": {"signature": "s"}, "clientExtensionResults": {"x": 1}}
    assert credential(given) == {
        "id": "a",
        "rawId": "a",
        "authenticatorAttachment": "platform",
        "type": "public-key",
        "response": {"signature": "s"},
    }
