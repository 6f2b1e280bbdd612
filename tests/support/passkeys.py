"""Passkeys on pages: what the script asks for and posts."""

from __future__ import annotations

import json
import re
from typing import Any

from django.test import Client

from django_twilio_verify.testing import Browser

ENROLL = "/verify/enroll/passkey/"
SIGN_IN = "/verify/passkey/"


def options(client: Client, page: str, **fields: str) -> Any:
    """What the script is told."""
    answer = client.post(f"{page}options/", fields)
    assert answer.status_code == 200, answer.content
    return answer.json()


def post(client: Client, page: str, told: Any, credential: Any, **fields: str) -> Any:
    """What the script posts."""
    text = credential if isinstance(credential, str) else json.dumps(credential)
    return client.post(page, {"verification": told["verification"], "credential": text, **fields})


def enroll(client: Client, browser: Browser, name: str = "Laptop", **fields: str) -> Any:
    told = options(client, ENROLL, name=name)
    return post(client, ENROLL, told, browser.create(told["options"]), name=name, **fields)


def sign_in_with(client: Client, browser: Browser, **fields: str) -> Any:
    told = options(client, SIGN_IN)
    return post(client, SIGN_IN, told, browser.get(told["options"]), **fields)


def problem(response: Any) -> str:
    """The sentence above everything else."""
    assert response.status_code == 200
    found = re.search(r'class="tv-problem".*?<p>(.*?)</p>', response.content.decode(), re.DOTALL)
    return found[1] if found else ""
