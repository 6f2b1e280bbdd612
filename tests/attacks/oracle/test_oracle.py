"""No oracle: whoever asks cannot tell what is there from what is not.

Status, body, headers, cookies and the shape of the session are the same; so are the statements, the hashes and the
messages, which is where the time goes. ``tests/bench/bench_oracle.py`` measures the time itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest
import time_machine
from django.contrib.auth.hashers import MD5PasswordHasher
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from django_twilio_verify import urls
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.testing import outbox
from tests.attacks.oracle.probes import PROBES, Nothing, Probe, World
from tests.support.rewind import undone

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)

ROWS = [(name, probe) for name, probes in PROBES.items() if not isinstance(probes, Nothing) for probe in probes]
REDIRECTS = {"status_code", "Location"}


class CountingHasher(MD5PasswordHasher):
    """Counts the hashes that are made: at a site's own hasher, each is most of a request's time."""

    made = 0

    def encode(self, password: str, salt: str) -> str:
        CountingHasher.made += 1
        return super().encode(password, salt)


@pytest.fixture(autouse=True)
def a_site_that_uses_all_of_it(settings):
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "call", "whatsapp", "email", "sna", "auto"]
    settings.TWILIO_VERIFY_TRUSTED_BROWSER_DAYS = 30
    settings.TWILIO_VERIFY_PUSH_APP_NAME = "Acme Go"
    settings.TWILIO_VERIFY_WEBHOOK = {"username": "sink", "password": "password"}
    settings.PASSWORD_HASHERS = ["tests.attacks.oracle.test_oracle.CountingHasher"]
    simulator = backends["default"].factor_simulator
    before = simulator.passkeys
    with time_machine.travel(NOON, tick=False):
        yield
    simulator.passkeys = before


@dataclass(frozen=True)
class Seen:
    """All that whoever asked can see, and what took the time."""

    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    body: str
    statements: list[str]
    hashes: int
    messages: int


def masked(text: str) -> str:
    """Without what is random or typed."""
    text = re.sub(r"[0-9a-f]{8}(-?[0-9a-f]{4}){3}-?[0-9a-f]{12}", "<id>", text)
    text = re.sub(r'(name="csrfmiddlewaretoken" value=)"\w+"', r"\1", text)
    text = re.sub(r"(/handover|/payment|/resume|/reset)/[^/]+/(\d+/)?", r"\1/<key>/", text)
    text = re.sub(r"/(consents|browsers|challenge|factors|step-up)/\d+/", r"/\1/<pk>/", text)
    text = re.sub(r"\b(tv-[a-z]+)-\d+\b", r"\1-<pk>", text)
    return re.sub(
        r"\+?1?[ 0-9().-]*501[ 0-9().-]*712[ 0-9-]{4,6}|•[ •0-9]*\d\d|value=\"[0-9a-z-]{1,19}\"", "<typed>", text
    )


def shape(statement: str) -> str:
    statement = re.sub(r'"s\d+_x\d+"', "<savepoint>", statement)
    statement = re.sub(r"'(?:[^']|'')*'|\b\d+(\.\d+)?\b|X'\w*'|\bNULL\b", "?", statement)
    return re.sub(r"\((\?(, )?)+\)", "(?)", statement)


def all_seen(probe: Probe) -> list[tuple[str, Seen]]:
    """What each variant shows; in one world where nothing changes, after a first request that warms it up."""
    world = World()
    if not probe.writes:
        probe.ask(world, probe.variants[0])()
        return [(variant, seen(probe, variant, world)) for variant in probe.variants]
    found = []
    for variant in probe.variants:
        with undone(world):
            found.append((variant, seen(probe, variant, world)))
    return found


def seen(probe: Probe, variant: str, world: World) -> Seen:
    request = probe.ask(world, variant)
    hashes, messages = CountingHasher.made, len(outbox)
    with CaptureQueriesContext(connection) as captured:
        response = request()
    return Seen(
        status=response.status_code,
        headers={name: masked(value) for name, value in response.headers.items() if name != "Content-Length"},
        cookies={name: re.sub(r"[^;]*", "", str(cookie), count=1) for name, cookie in response.cookies.items()},
        body=masked(response.content.decode()),
        statements=[shape(query["sql"]) for query in captured],
        hashes=CountingHasher.made - hashes,
        messages=len(outbox) - messages,
    )


def test_every_endpoint_is_in_the_table():
    """An endpoint that is added without a row fails here: say what it could tell, and prove that it does not."""
    assert {pattern.name for pattern in urls.urlpatterns} | {"login"} == {*PROBES}


@pytest.mark.parametrize(("name", "probe"), ROWS, ids=lambda value: str(value))
def test_nobody_can_tell(name, probe):
    first, *others = all_seen(probe)
    for variant, other in others:
        for part in Seen.__dataclass_fields__.keys() - {*probe.aside}:
            assert getattr(other, part) == getattr(first[1], part), (part, first[0], variant)
    assert first[1].status < 500


def test_a_limit_answers_with_429_to_all():
    """The rows about limits really meet them."""
    world = World()
    for name, probe in ROWS:
        if "limit" in probe.name:
            with undone(world):
                assert seen(probe, probe.variants[0], world).status == 429, (name, probe)


@pytest.mark.parametrize("name", ["passkey_sign_in", "challenge_channel", "step_up_channel", "enroll_passkey"])
def test_a_refused_passkey_is_told_in_a_sentence(name):
    """The rows about passkeys really get as far as an answer that is judged."""
    probe = next(one for one in PROBES[name] if "passkey" in one.name)
    assert "could not be confirmed" in seen(probe, probe.variants[-1], World()).body


@pytest.mark.parametrize("pattern", urls.urlpatterns, ids=lambda pattern: pattern.name)
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_visitor_learns_nothing_from_a_forged_session(pattern, method):
    path = re.sub(r"<int:\w+>", "1", "/verify/" + str(pattern.pattern))
    path = re.sub(r"<uuid:\w+>", "3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2", path)
    path = re.sub(r"<str:\w+>", "sms", path)
    answers = []
    for cookie in ("", "x" * 32, "../../etc"):
        browser = Client()
        if cookie:
            browser.cookies["sessionid"] = cookie
        response = getattr(browser, method)(path)
        answers.append((response.status_code, masked(response.content.decode()), response.headers.get("Location")))
    assert answers[0] == answers[1] == answers[2]
    assert answers[0][0] < 500
