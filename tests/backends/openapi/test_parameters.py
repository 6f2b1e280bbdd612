"""Everything that Verify's Verifications and VerificationCheck take can be said through this package.

Held against the signatures of the installed SDK, and, with ``TWILIO_OPENAPI``, against Twilio's own description.
"""

from __future__ import annotations

import inspect
import json
import os
import re
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from twilio.rest.verify.v2.service.verification import VerificationList
from twilio.rest.verify.v2.service.verification_check import VerificationCheckList

from django_twilio_verify.backends.base import BaseBackend
from django_twilio_verify.backends.options import SendOptions
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.choices import VERIFICATION_CHANNELS, Channel, Feature
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.testing import VerifyServer
from django_twilio_verify.testing.contract import SAMPLES

VERIFICATIONS, CHECK = "/v2/Services/{ServiceSid}/Verifications", "/v2/Services/{ServiceSid}/VerificationCheck"
ONLY_IN_THE_SDK = {"Templates"}
"""Newer than the description of 2026-04."""
TO, MAIL = Recipient.phone("+12025550143"), Recipient.email("ann@example.com")


def described(path: str) -> set[str]:
    document = json.loads(Path(os.environ["TWILIO_OPENAPI"]).read_text())
    content = document["paths"][path]["post"]["requestBody"]["content"]
    return {name for one in content.values() for name in one["schema"]["properties"]}


def of_the_sdk(method: Any) -> set[str]:
    names = set(inspect.signature(method).parameters) - {"self"}
    return {"".join(word.capitalize() for word in name.split("_")) for name in names}


@pytest.fixture
def backend(server: VerifyServer) -> Iterator[TwilioBackend]:
    made = TwilioBackend("default", **server.options(timeout=5))
    yield made
    made.close()


@pytest.fixture
def server() -> Iterator[VerifyServer]:
    with VerifyServer() as running:
        yield running


def sent_by(server: VerifyServer, endpoint: str) -> set[str]:
    return {name for one in server.requests if one.endpoint == endpoint for name, _ in one.form}


def send_all(backend: TwilioBackend) -> None:
    for channel, options in SAMPLES.values():
        sid = backend.start(MAIL if channel is Channel.EMAIL else TO, channel, options).sid
        backend.cancel(sid)


def check_all(backend: TwilioBackend) -> None:
    sid = backend.start(TO, Channel.SNA).sid
    backend.check(TO, "", sid=sid, sna_client_token="t")
    backend.check(TO, "123456", amount="1", payee="Acme")


def test_every_parameter_of_a_send_is_reachable(backend: TwilioBackend, server: VerifyServer) -> None:
    send_all(backend)
    reached = sent_by(server, "Verifications")
    assert of_the_sdk(VerificationList.create) - reached == set(), "unreachable"
    if "TWILIO_OPENAPI" in os.environ:
        assert described(VERIFICATIONS) ^ reached == ONLY_IN_THE_SDK


def test_every_parameter_of_a_check_is_reachable(backend: TwilioBackend, server: VerifyServer) -> None:
    check_all(backend)
    reached = sent_by(server, "VerificationCheck")
    assert of_the_sdk(VerificationCheckList.create) - reached == set(), "unreachable"
    if "TWILIO_OPENAPI" in os.environ:
        assert described(CHECK) == reached


def test_what_is_sent_arrives_as_it_was_said(backend: TwilioBackend, server: VerifyServer) -> None:
    for channel, options in SAMPLES.values():
        backend.start(MAIL if channel is Channel.EMAIL else TO, channel, options)
        # Back from the form, by the server's own reading of it.
        told = next(one.options for one in reversed(server.sent))
        for name, value in options.given().items():
            plain = json.loads(json.dumps(value))
            assert getattr(told, name) == plain, name
        backend.cancel(server.sent[-1].sid)


def test_every_feature_has_options_and_every_option_a_feature() -> None:
    used = {name for _, options in SAMPLES.values() for name in options.given()}
    assert used == {one.name for one in fields(SendOptions)}
    assert {*SAMPLES} == {*Feature}
    for feature, (_, options) in SAMPLES.items():
        assert options.features == {feature}


def test_a_features_label_is_what_twilio_calls_it() -> None:
    words = {word for feature in Feature for word in re.findall(r"\w+", str(feature.label))}
    of_all = of_the_sdk(VerificationList.create) - {"To", "Channel"}
    assert words == of_all


def test_every_channel_of_the_resource_is_carried() -> None:
    assert {*VERIFICATION_CHANNELS} == TwilioBackend.channels
    assert issubclass(TwilioBackend, BaseBackend)
