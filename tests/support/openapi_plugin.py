"""With ``TWILIO_OPENAPI`` set to the path of Twilio's description, each test that talks to a
``VerifyServer`` also fails if a request or an answer is not as described.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from django_twilio_verify.testing.verify_server import Request, Response, VerifyServer
from tests.support.openapi import Description


@cache
def description() -> Description | None:
    """The description that the environment names, read once; ``None`` if it names none."""
    path = os.environ.get("TWILIO_OPENAPI")
    return Description(json.loads(Path(path).read_text())) if path else None


@pytest.fixture(autouse=True)
def exchanges_are_as_described() -> Iterator[list[str]]:
    """Collects what is not as described, from every server of the test, and fails the test for
    it.
    """
    problems: list[str] = []
    described = description()

    def observe(request: Request, response: Response) -> None:
        assert described is not None
        problems.extend(described.problems(request, response))

    if described is not None:
        VerifyServer.observers.append(observe)
    yield problems
    if described is not None:
        VerifyServer.observers.remove(observe)
    assert not problems, "not as Twilio describes it:\n" + "\n".join(problems)
