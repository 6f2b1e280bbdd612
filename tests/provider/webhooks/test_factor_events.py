"""``webhooks/factors/``: what a Verify Service's own webhook brings, signed as Twilio signs it, with the real SDK."""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from django.test import Client, RequestFactory
from django.urls import reverse

from django_twilio_verify.backends.twilio.factor_webhook import MAX_BODY
from django_twilio_verify.choices import CheckOutcome
from django_twilio_verify.models import Entity, ProviderEvent, Verification
from django_twilio_verify.provider import factor_events
from django_twilio_verify.testing import FactorRoutes, VerifyServer
from django_twilio_verify.views.webhooks import FactorEventsView
from tests.support.basics import make_client, make_user, race
from tests.support.cloud_events import CREDENTIALS, basic
from tests.support.devices import World
from tests.support.push import poll, shown, start, type_number

pytestmark = pytest.mark.django_db
PATH = "/verify/webhooks/factors/"
URL = "http://testserver" + PATH
FORM, JSON = "application/x-www-form-urlencoded", "application/json"


@pytest.fixture
def server(settings: Any) -> Iterator[VerifyServer]:
    with VerifyServer() as running:
        settings.TWILIO_VERIFY_BACKENDS = running.setting(timeout=10)
        settings.TWILIO_VERIFY_WEBHOOK = None
        yield running


@pytest.fixture
def world(server: VerifyServer) -> World:
    return World("sync", server)


@pytest.fixture
def ann() -> Any:
    return make_user("ann")


def event(server: VerifyServer, kind: str, **values: str) -> dict[str, str]:
    return {"uuid": str(uuid.uuid4()), "type": kind, "service_sid": server.service_sid, **values}


def deliver(server: VerifyServer, told: Mapping[str, str], *, as_json: bool = False, **change: Any) -> Any:
    """Post ``told`` as Twilio would; ``change`` replaces parts of the request."""
    made = server.extension(FactorRoutes).webhook(told, URL, as_json=as_json)
    given = {
        "body": made.body,
        "content_type": made.content_type,
        "signature": made.signature,
        "url": made.url,
        **change,
    }
    headers = {"X-Twilio-Signature": given["signature"], **given.get("headers", {})}
    path = given["url"].partition("testserver")[2] or PATH
    return Client(enforce_csrf_checks=True).post(path, given["body"], given["content_type"], headers=headers)


def words(response: Any) -> tuple[int, str]:
    return response.status_code, response.content.decode()


def test_its_place() -> None:
    assert reverse("twilio_verify:factor_webhook") == PATH


@pytest.mark.parametrize("as_json", [False, True])
def test_an_answer_on_the_phone_is_known_at_once(server: VerifyServer, world: World, ann: Any, as_json: bool) -> None:
    _, phone = world.phone(ann)
    started = start(world, ann)
    [challenge] = phone.pending()
    assert type_number(world, started, shown(challenge)).outcome == CheckOutcome.WAITING
    phone.approve(challenge["sid"])
    assert poll(world, started).outcome == CheckOutcome.WAITING, "asked a moment ago"
    told = world.simulator.events[-1]
    assert told["type"] == "challenge.approved"
    assert words(deliver(server, told, as_json=as_json)) == (200, "stored")
    assert words(deliver(server, told, as_json=not as_json)) == (200, "known")
    assert poll(world, started).approved
    assert ProviderEvent.objects.filter(applied=True, backend="default").count() == 1


def test_in_any_order_and_twice(server: VerifyServer, world: World, ann: Any) -> None:
    """All that happened in the life of a factor, told backwards: what is true at the provider is what holds."""
    factor, phone = world.phone(ann)
    started = start(world, ann)
    [challenge] = phone.pending()
    phone.deny(challenge["sid"])
    happened = [*world.simulator.events]
    assert {one["type"] for one in happened} >= {"factor.created", "factor.verified", "challenge.denied"}
    for told in [*reversed(happened), *happened]:
        assert deliver(server, told).status_code == 200
    assert ProviderEvent.objects.count() == len(happened)
    assert poll(world, started).outcome == CheckOutcome.DENIED
    factor.refresh_from_db()
    assert factor.lost_at is None


def test_a_factor_deleted_at_the_provider_is_asked_about(server: VerifyServer, world: World, ann: Any) -> None:
    factor, _ = world.totp(ann)
    gone = event(server, "factor.deleted", factor_sid=factor.sid, entity_identity=Entity.objects.get().identity)
    assert words(deliver(server, gone)) == (200, "stored"), "a lie: it is still there"
    factor.refresh_from_db()
    assert factor.lost_at is None
    world.simulator.delete_factor(Entity.objects.get().identity, factor.sid)
    assert words(deliver(server, world.simulator.events[-1])) == (200, "stored")
    factor.refresh_from_db()
    assert factor.lost_at is not None


def test_a_phone_that_registers(server: VerifyServer, world: World, ann: Any) -> None:
    begun = world.flow("devicefactors.begin_push", ann, make_client(), name="Pixel")
    world.flow("devicefactors.confirm", begun.verification, client=make_client(), user=ann)
    assert Verification.objects.get().poll_after is not None
    deliver(server, event(server, "factor.verified", entity_identity=begun.identity))
    assert Verification.objects.get().poll_after is None


def test_unknown_words_are_kept(server: VerifyServer) -> None:
    assert words(deliver(server, event(server, "factor.polished"))) == (200, "stored")
    assert not ProviderEvent.objects.get().applied


def test_while_the_provider_is_down_it_may_come_again(
    server: VerifyServer, world: World, ann: Any, caplog: Any
) -> None:
    factor, _ = world.totp(ann)
    world.simulator.delete_factor(Entity.objects.get().identity, factor.sid)
    told = world.simulator.events[-1]
    server.fail_next(status=503)
    assert words(deliver(server, told)) == (503, "later")
    assert not ProviderEvent.objects.exists() and factor.sid not in caplog.text
    assert words(deliver(server, told)) == (200, "stored")
    factor.refresh_from_db()
    assert factor.lost_at is not None


def test_whatever_goes_wrong_it_may_come_again(server: VerifyServer, monkeypatch: Any, caplog: Any) -> None:
    def broken(*args: Any) -> bool:
        raise RuntimeError("with a secret in it")

    monkeypatch.setattr(factor_events, "_apply", broken)
    assert words(deliver(server, event(server, "factor.created"))) == (503, "later")
    assert not ProviderEvent.objects.exists()
    assert "RuntimeError" in caplog.text and "secret" not in caplog.text


@pytest.mark.parametrize("as_json", [False, True])
@pytest.mark.parametrize(
    "change",
    [
        {"signature": ""},
        {"signature": "x"},
        {"signature": "ü"},
        {"body": b"uuid=1&type=factor.deleted"},
        {"body": b'{"uuid": "1", "type": "factor.deleted"}'},
        {"body": b""},
        {"url": URL + "?other=1"},
        {"url": URL + "?bodySHA256=" + "0" * 64},
        {"content_type": "text/plain"},
    ],
)
def test_a_strangers_request_opens_nothing(
    server: VerifyServer, caplog: Any, as_json: bool, change: dict[str, Any]
) -> None:
    told = event(server, "factor.deleted", factor_sid="YF" + "1" * 32)
    response = deliver(server, told, as_json=as_json, **change)
    # As JSON, all of the body is in the address and signed, whatever it is called: then its type is what is wrong.
    assert words(response) == ((415, "type") if as_json and "content_type" in change else (403, "forbidden"))
    assert not ProviderEvent.objects.exists()
    assert "YF1" not in caplog.text


def test_each_encoding_has_its_own_rule(server: VerifyServer) -> None:
    """A signature of the one kind is worth nothing for a body of the other."""
    told = event(server, "factor.created")
    made = server.extension(FactorRoutes).webhook(told, URL, as_json=True)
    assert words(deliver(server, told, signature=made.signature)) == (403, "forbidden")
    assert words(deliver(server, told, as_json=True, content_type=FORM)) == (400, "malformed"), "signed, and no form"
    assert words(deliver(server, told, as_json=True, url=made.url + "&x=1")) == (403, "forbidden")


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", JSON),
        (b"[]", JSON),
        (b'"text"', JSON),
        (b"[" * 9000, JSON),
        (b"\xff", JSON),
        (b'{"uuid": 1, "type": "factor.created"}', JSON),
        (b'{"uuid": "a\\u0000b", "type": "factor.created"}', JSON),
        (b'{"uuid": "\\ud800", "type": "factor.created"}', JSON),
        (b'{"uuid": "1"}', JSON),
        (b"type=factor.created", FORM),
        (b"uuid=" + b"1" * 300 + b"&type=x", FORM),
        (b"&".join(b"a%d=1" % number for number in range(200)), FORM),
        (b"uuid=%ff%fe", FORM),
    ],
)
def test_what_is_no_event(server: VerifyServer, settings: Any, body: bytes, kind: str) -> None:
    settings.TWILIO_VERIFY_WEBHOOK = dict(CREDENTIALS)
    answer = Client().post(PATH, body, kind, headers={"Authorization": basic()})
    assert words(answer) == (400, "malformed")
    assert not ProviderEvent.objects.exists()


def test_credentials_open_too_and_the_service_says_whose_it_is(server: VerifyServer, settings: Any) -> None:
    settings.TWILIO_VERIFY_WEBHOOK = dict(CREDENTIALS)
    told = event(server, "factor.created")
    answer = Client().post(PATH, json.dumps(told), JSON, headers={"Authorization": basic()})
    assert words(answer) == (200, "stored")
    assert ProviderEvent.objects.get().backend == "default"
    wrong = Client().post(PATH, json.dumps(told), JSON, headers={"Authorization": basic(password="x")})
    assert wrong.status_code == 403


def test_of_another_service_it_is_kept_and_not_applied(server: VerifyServer, world: World, ann: Any) -> None:
    factor, _ = world.totp(ann)
    world.simulator.delete_factor(Entity.objects.get().identity, factor.sid)
    for service in ("VA" + "9" * 32, ""):
        told = {**world.simulator.events[-1], "uuid": str(uuid.uuid4()), "service_sid": service}
        assert words(deliver(server, told)) == (200, "stored")
    assert not ProviderEvent.objects.filter(applied=True).exists()
    factor.refresh_from_db()
    assert factor.lost_at is None


@pytest.mark.parametrize("method", ["get", "head", "options", "put", "delete", "patch"])
def test_other_methods(server: VerifyServer, method: str) -> None:
    response = getattr(Client(), method)(PATH)
    assert response.status_code == 405 and response["Cache-Control"] == "no-store, private"


def test_a_body_without_end_is_not_read(server: VerifyServer) -> None:
    request = RequestFactory().post(PATH, b"", content_type=FORM)
    request.META["CONTENT_LENGTH"] = str(MAX_BODY + 1)
    assert words(FactorEventsView.as_view()(request)) == (413, "large")
    assert words(deliver(server, event(server, "x"), body=b"a" * (MAX_BODY + 1))) == (413, "large")
    assert words(deliver(server, event(server, "x"), headers={"Content-Encoding": "gzip"})) == (415, "type")


def test_a_site_may_name_the_public_address_itself(server: VerifyServer, settings: Any) -> None:
    public = "https://shop.example/hooks/factors"
    settings.TWILIO_VERIFY_WEBHOOK = {"factors_url": public}
    told = event(server, "factor.created")
    made = server.extension(FactorRoutes).webhook(told, public)
    assert deliver(server, told, signature=made.signature).status_code == 200
    assert deliver(server, event(server, "factor.created")).status_code == 403, "called by another address"


@pytest.mark.race
@pytest.mark.django_db(transaction=True)
def test_of_many_at_once_one_is_applied(server: VerifyServer, caplog: Any) -> None:
    told = event(server, "factor.created")
    with caplog.at_level(logging.ERROR):
        answers = race(8, lambda index: words(deliver(server, told)))
    assert sorted(map(str, answers)) == sorted(map(str, [(200, "known")] * 7 + [(200, "stored")]))
    assert ProviderEvent.objects.count() == 1
