"""Everything that Entities, Factors, Challenges, Notifications, AccessTokens and Passkeys take, can be told."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from twilio.rest.verify.v2.service.entity.new_factor import NewFactorList

from django_twilio_verify.backends.factor_results import ChallengeStatus
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.choices import FactorKind
from django_twilio_verify.testing import Authenticator, VerifyServer
from django_twilio_verify.testing.verify_server import Request
from tests.support.factor_backends import ANN, use_everything
from tests.support.openapi_plugin import description

_TOTP = {"Config.TimeStep", "Config.Skew", "Config.CodeLength", "Config.Alg"}
_PUSH = {"Config.NotificationPlatform", "Config.NotificationToken", "Config.SdkVersion"}
_CREDENTIAL = {"id", "rawId", "authenticatorAttachment", "type", "response"}

PARAMETERS: Mapping[str, set[str]] = {
    "Entities": {"Identity"},
    "Entities/{Identity}/Factors": {
        *(
            "FriendlyName",
            "FactorType",
            "Binding.Alg",
            "Binding.PublicKey",
            "Binding.Secret",
            "Config.AppId",
            "Metadata",
        ),
        *_PUSH,
        *_TOTP,
    },
    "Entities/{Identity}/Factors/{Sid}": {"AuthPayload", "FriendlyName", *_PUSH, *_TOTP},
    "Entities/{Identity}/Challenges": {
        *("FactorSid", "ExpirationDate", "Details.Message", "Details.Fields", "HiddenDetails", "AuthPayload"),
    },
    "Entities/{Identity}/Challenges/{Sid}": {"AuthPayload", "Metadata"},
    "Entities/{Identity}/Challenges/{ChallengeSid}/Notifications": {"Ttl"},
    "AccessTokens": {"Identity", "FactorType", "FactorFriendlyName", "Ttl"},
    "Passkeys/Factors": {
        *("friendly_name", "identity", "config", "config.relying_party", "config.relying_party.id"),
        *("config.relying_party.name", "config.relying_party.origins", "config.authenticator_attachment"),
        *("config.discoverable_credentials", "config.user_verification"),
    },
    "Passkeys/VerifyFactor": {
        *_CREDENTIAL,
        *("response.attestationObject", "response.clientDataJSON", "response.transports"),
    },
    "Passkeys/Challenges": {"identity", "factor_sid"},
    "Passkeys/ApproveChallenge": {
        *_CREDENTIAL,
        *("response.authenticatorData", "response.clientDataJSON", "response.signature", "response.userHandle"),
    },
}
"""Of every POST. There is none that cannot be told. Webhooks are ``administration()``'s."""
QUERIES = {"PageSize", "Page", "PageToken", "FactorSid", "Status", "Order"}


def shape(server: VerifyServer, request: Request) -> str:
    """The path of a request in the words of ``PARAMETERS``."""
    parts = request.path.removeprefix(f"/v2/Services/{server.service_sid}/").split("/")
    if parts[0] == "Entities" and len(parts) > 1:
        parts[1] = "{Identity}"
    if len(parts) > 3:
        parts[3] = "{ChallengeSid}" if len(parts) == 5 else "{Sid}"
    return "/".join(parts)


def names(value: object, prefix: str = "") -> Iterator[str]:
    if isinstance(value, dict):
        for name, one in value.items():
            yield prefix + name
            yield from names(one, f"{prefix}{name}.")


def test_every_parameter_of_every_post_is_reachable(backend: TwilioBackend, server: VerifyServer) -> None:
    use_everything(backend, server)
    told: dict[str, set[str]] = {}
    for request in server.requests:
        body = json.loads(request.body) if request.headers.get("content-type") == "application/json" else None
        given = {*names(body)} if body is not None else {name for name, _ in request.form}
        told.setdefault(shape(server, request), set()).update(given)
    assert told == PARAMETERS


def test_the_table_above_is_twilios() -> None:
    """With Twilio's description at hand, that nothing is missing in it; without, that the SDK knows what is there."""
    known = description()
    if known is None:
        annotated = NewFactorList.create.__annotations__
        assert len(annotated) - 1 == len(PARAMETERS["Entities/{Identity}/Factors"])
        return
    described: dict[str, Any] = {}
    prefix = "/v2/Services/{ServiceSid}/"
    for path, item in known.paths.items():
        words = ("Entities", "AccessTokens", "Passkeys")
        if path.removeprefix(prefix).startswith(words) and "post" in item:
            (content,) = item["post"]["requestBody"]["content"].values()
            described[path.removeprefix(prefix)] = {*properties(content["schema"])}
    assert described == PARAMETERS


def properties(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, one in schema.get("properties", {}).items():
        yield prefix + name
        yield from properties(one, f"{prefix}{name}.")


def test_lists_are_filtered_and_paged(backend: TwilioBackend, server: VerifyServer) -> None:
    made = backend.enroll(ANN, FactorKind.TOTP, name="app")
    backend.confirm(ANN, made.sid, Authenticator.scan(made.uri).code())
    several = [backend.challenge(ANN, FactorKind.TOTP, factor_sid=made.sid).sid for _ in range(3)]
    server.requests.clear()
    assert len(backend.challenges(ANN, factor_sid=made.sid, limit=2)) == 2
    waiting = backend.challenges(ANN, factor_sid=made.sid, status=ChallengeStatus.PENDING)
    assert [one.sid for one in waiting] == several[::-1]
    backend.create_entity("ben-00000001")
    page = backend.entities(size=1)
    backend.entities(size=1, page=page.next_page)
    assert {name for request in server.requests for name, _ in request.query} == QUERIES


@pytest.mark.parametrize("size", [1, 2, 50])
def test_all_factors_come_whatever_the_size_of_a_page(
    backend: TwilioBackend, server: VerifyServer, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    monkeypatch.setattr("django_twilio_verify.backends.twilio.factors.PAGE_SIZE", size)
    made = {backend.enroll(ANN, FactorKind.TOTP, name=f"app {number}").sid for number in range(5)}
    server.requests.clear()
    assert {one.sid for one in backend.factors(ANN)} == made
    assert len(server.requests) == -(-5 // size)
