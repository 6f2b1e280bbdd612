"""Nothing that can be done with Entities, Factors, Challenges, AccessTokens, Passkeys and Webhooks is out of reach.

Held against the methods of the installed SDK, and, with ``TWILIO_OPENAPI``, against Twilio's own description.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import pytest
from twilio.rest.verify.v2.service import (
    access_token,
    approve_challenge,
    entity,
    new_challenge,
    new_factor,
    new_verify_factor,
    webhook,
)
from twilio.rest.verify.v2.service.entity import challenge, factor
from twilio.rest.verify.v2.service.entity import new_factor as new_factor_of_entity
from twilio.rest.verify.v2.service.entity.challenge import notification

from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.testing import VerifyServer
from tests.support.factor_backends import ANN, use_everything
from tests.support.openapi_plugin import description
from tests.support.service import FULL, Site, site

__all__ = ["site"]

PREFIX = "/v2/Services/{ServiceSid}/"
VERBS = ("create", "list", "fetch", "update", "delete")
OPERATIONS: Mapping[tuple[type, str], str] = {
    (entity.EntityList, "create"): "POST Entities",
    (entity.EntityList, "list"): "GET Entities",
    (entity.EntityContext, "fetch"): "GET Entities/{Identity}",
    (entity.EntityContext, "delete"): "DELETE Entities/{Identity}",
    (new_factor_of_entity.NewFactorList, "create"): "POST Entities/{Identity}/Factors",
    (factor.FactorList, "list"): "GET Entities/{Identity}/Factors",
    (factor.FactorContext, "fetch"): "GET Entities/{Identity}/Factors/{Sid}",
    (factor.FactorContext, "update"): "POST Entities/{Identity}/Factors/{Sid}",
    (factor.FactorContext, "delete"): "DELETE Entities/{Identity}/Factors/{Sid}",
    (challenge.ChallengeList, "create"): "POST Entities/{Identity}/Challenges",
    (challenge.ChallengeList, "list"): "GET Entities/{Identity}/Challenges",
    (challenge.ChallengeContext, "fetch"): "GET Entities/{Identity}/Challenges/{Sid}",
    (challenge.ChallengeContext, "update"): "POST Entities/{Identity}/Challenges/{Sid}",
    (notification.NotificationList, "create"): "POST Entities/{Identity}/Challenges/{ChallengeSid}/Notifications",
    (access_token.AccessTokenList, "create"): "POST AccessTokens",
    (access_token.AccessTokenContext, "fetch"): "GET AccessTokens/{Sid}",
    (new_factor.NewFactorList, "create"): "POST Passkeys/Factors",
    (new_verify_factor.NewVerifyFactorList, "update"): "POST Passkeys/VerifyFactor",
    (new_challenge.NewChallengeContext, "create"): "POST Passkeys/Challenges",
    (approve_challenge.ApproveChallengeList, "update"): "POST Passkeys/ApproveChallenge",
    (webhook.WebhookList, "create"): "POST Webhooks",
    (webhook.WebhookList, "list"): "GET Webhooks",
    (webhook.WebhookContext, "update"): "POST Webhooks/{Sid}",
    (webhook.WebhookContext, "delete"): "DELETE Webhooks/{Sid}",
    (webhook.WebhookContext, "fetch"): "GET Webhooks/{Sid}",
}
NOT_ASKED = {"GET Webhooks/{Sid}"}
"""The list of webhooks, of which there are few, holds all that one alone would tell."""


def asked(server: VerifyServer) -> set[str]:
    """What was asked of ``server``, in the words of the table."""
    return {f"{one.method} {_shape(one.path.partition('/Services/')[2].partition('/')[2])}" for one in server.requests}


def _shape(path: str) -> str:
    path = re.sub(r"^Entities/[^/]+", "Entities/{Identity}", path)
    path = re.sub(r"/YC\w{32}(?=/Notifications)", "/{ChallengeSid}", path)
    return re.sub(r"/(YF|YC|YK|YW)\w{32}", "/{Sid}", path)


def do_everything(backend: TwilioBackend, server: VerifyServer) -> None:
    use_everything(backend, server)
    token = backend.access_token(ANN)
    backend.fetch_access_token(token.sid)
    backend.entity(ANN)
    backend.entities()
    made = backend.factors(ANN)[0]
    backend.factor(ANN, made.sid)
    backend.poll(ANN, backend.challenges(ANN)[0].sid)
    backend.remove(ANN, made.sid)
    backend.remove_entity(ANN)


@pytest.mark.django_db
def test_every_operation_is_reachable(site: Site) -> None:
    backend = TwilioBackend("default", **site.server.options(timeout=5))
    do_everything(backend, site.server)
    backend.close()
    site.run("apply", "--yes")
    site.declare({**FULL, "webhooks": [{**FULL["webhooks"][0], "status": "disabled"}]})
    site.run("apply", "--yes")
    site.declare({**FULL, "webhooks": []})
    site.run("apply", "--yes", "--prune")
    assert {*OPERATIONS.values()} - asked(site.server) == NOT_ASKED


def test_the_table_has_all_that_the_sdk_has() -> None:
    classes = {one for one, _ in OPERATIONS}
    modules = {inspect.getmodule(one) for one in classes}
    known = {
        (one, verb)
        for module in modules
        for name, one in vars(module).items()
        if inspect.isclass(one) and one.__module__ == module.__name__ and name.endswith(("List", "Context"))  # type: ignore[union-attr]
        for verb in VERBS
        if verb in vars(one)
    }
    assert known == {*OPERATIONS}


def test_the_table_is_twilios() -> None:
    known = description()
    if known is None:
        return
    words = ("Entities", "AccessTokens", "Passkeys", "Webhooks")
    described = {
        f"{method.upper()} {path.removeprefix(PREFIX)}"
        for path, item in known.paths.items()
        for method in item
        if path.removeprefix(PREFIX).startswith(words) and method in ("get", "post", "delete")
    }
    assert described == {*OPERATIONS.values()}


@pytest.mark.parametrize(
    ("method", "path"), [(webhook.WebhookList.create, "Webhooks"), (webhook.WebhookContext.update, "Webhooks/{Sid}")]
)
@pytest.mark.django_db
def test_every_parameter_of_a_webhook_is_reachable(site: Site, method: Any, path: str) -> None:
    site.run("apply", "--yes")
    only = FULL["webhooks"][0]
    other = {"event_types": ["*"], "webhook_url": "https://acme.example/", "status": "disabled", "version": "v1"}
    site.declare({**FULL, "webhooks": [{**only, **other}]})
    site.run("apply", "--yes")
    told = {
        name
        for one in site.server.requests
        if f"{one.method} {_shape(one.path.partition('/Services/')[2].partition('/')[2])}" == f"POST {path}"
        for name, _ in one.form
    }
    words = {"resource_version": "Version"}  # the SDK keeps "version" for its own
    names = set(inspect.signature(method).parameters) - {"self"}
    takes = {words.get(name) or "".join(word.capitalize() for word in name.split("_")) for name in names}
    # By its friendly name a webhook is found again, so that is never changed.
    assert told == takes - ({"FriendlyName"} if "{" in path else set())
    known = description()
    if known is not None:
        (content,) = known.paths[PREFIX + path]["post"]["requestBody"]["content"].values()
        assert {*content["schema"]["properties"]} == takes
