"""The loopback server refuses what Twilio refuses: asked through the SDK, past the checks of a declaration."""

from __future__ import annotations

from typing import Any

import pytest

from django_twilio_verify.backends.service import Administration, Kind, Refused, Resource
from django_twilio_verify.provider import service_provisioning
from django_twilio_verify.testing.verify_server_services import MAX_BUCKETS, MAX_RATE_LIMITS
from tests.support.service import FULL, Site

SENDER = {"messaging_service_sid": "MG" + "0" * 32}
HOOK = {"event_types": ("*",), "webhook_url": "https://acme.example/"}


@pytest.fixture
def admin(site: Site) -> Administration:
    return service_provisioning.administration("default")


def service(admin: Administration) -> Resource:
    return service_provisioning.look(admin)[0]


def code_of(attempt: Any) -> int:
    with pytest.raises(Refused) as raised:
        attempt()
    return raised.value.code


@pytest.mark.parametrize(
    "values",
    [
        {"friendly_name": "A" * 31},
        {"friendly_name": "Acme 12345"},
        {"friendly_name": "acme.example"},
        {"code_length": 3},
        {"code_length": 11},
        {"totp_skew": 3},
        {"totp_time_step": 61},
        {"whatsapp_from": "+12025550143"},
        {"passkeys_authenticator_attachment": "usb"},
        {"passkeys_user_verification": "any"},
    ],
)
def test_a_service_keeps_its_bounds(admin: Administration, values: dict[str, Any]) -> None:
    before = service(admin)
    assert code_of(lambda: admin.change(before, {"tts_name": "Polly.Joanna", **values})) == 60200
    assert service(admin) == before


@pytest.mark.parametrize(
    "wanted",
    [
        Resource(Kind.MESSAGING_CONFIGURATION, "XX", SENDER),
        Resource(Kind.WEBHOOK, "hook", {**HOOK, "event_types": ("verification.approved",)}),
        Resource(Kind.WEBHOOK, "hook", {**HOOK, "webhook_url": "ftp://acme.example/"}),
        Resource(Kind.WEBHOOK, "", HOOK),
    ],
)
def test_what_belongs_to_it_too(admin: Administration, wanted: Resource) -> None:
    assert code_of(lambda: admin.create(wanted)) == 60200


def test_rate_limits_and_buckets_have_names_of_their_own_and_a_number(admin: Administration) -> None:
    def limit(name: str) -> str:
        return admin.create(Resource(Kind.RATE_LIMIT, name, {}))

    def bucket(interval: int, most: int = 1) -> str:
        return admin.create(Resource(Kind.BUCKET, str(interval), {"max": most}, parent_sid=sid))

    sid = limit("ip")
    assert code_of(lambda: limit("ip")) == 60208
    assert code_of(lambda: limit("a b")) == 60209
    assert code_of(lambda: bucket(60, most=0)) == 60200
    for number in range(MAX_BUCKETS):
        bucket(60 + number)
    assert code_of(lambda: bucket(600)) == 60210
    found = next(one for one in service_provisioning.look(admin) if one.kind is Kind.BUCKET)
    assert code_of(lambda: admin.change(found, {"interval": 61})) == 60211
    for number in range(MAX_RATE_LIMITS - 1):
        limit(f"limit-{number}")
    assert code_of(lambda: limit("more")) == 60207


def test_a_country_has_one_sender(admin: Administration) -> None:
    wanted = Resource(Kind.MESSAGING_CONFIGURATION, "US", SENDER)
    assert admin.create(wanted) == "US"
    assert code_of(lambda: admin.create(wanted)) == 60213


def test_psd2_has_to_be_opened(site: Site, admin: Administration) -> None:
    site.account.psd2_allowed = False
    assert code_of(lambda: admin.change(service(admin), {"psd2_enabled": True})) == 60204


def test_what_is_not_there_is_not_found(admin: Administration) -> None:
    missing = Resource(Kind.RATE_LIMIT, "ip", {}, sid="RK" + "0" * 32)
    assert code_of(lambda: admin.change(missing, {"description": "x"})) == 20404
    bucket = Resource(Kind.BUCKET, "60", {"max": 1}, parent_sid=missing.sid)
    assert code_of(lambda: admin.create(bucket)) == 20404
    assert code_of(lambda: admin.of("VA" + "0" * 32).create(Resource(Kind.WEBHOOK, "hook", HOOK))) == 20404
    admin.remove(missing)


def test_a_limit_takes_its_buckets_along(site: Site, admin: Administration) -> None:
    site.run("apply", "--yes")
    for one in service_provisioning.look(admin):
        if one.kind is Kind.RATE_LIMIT:
            admin.remove(one)
    assert not [one for one in service_provisioning.look(admin) if one.kind in (Kind.RATE_LIMIT, Kind.BUCKET)]
    assert site.server.simulator.rate_limits == {}


def test_part_of_an_object_leaves_the_rest(site: Site, admin: Administration) -> None:
    site.run("apply", "--yes")
    admin.change(service(admin), {"passkeys_relying_party_name": "Other"})
    values = service(admin).values
    assert values["passkeys_relying_party_name"] == "Other"
    assert values["passkeys_relying_party_origins"] == tuple(FULL["passkeys_relying_party_origins"])
    assert values["passkeys_user_verification"] == "required"


def test_neither_the_administration_nor_its_errors_show_a_secret(site: Site, admin: Administration) -> None:
    assert repr(admin) == f"<TwilioAdministration {site.server.service_sid}>"
    current = service(admin)
    site.server.fail_next(status=400, body='{"code": 60200, "message": "bad\\u001b[31m\\n value", "status": 400}')
    with pytest.raises(Refused) as raised:
        admin.change(current, {"tts_name": "x"})
    assert "bad [31m value" in str(raised.value)
    assert str(raised.value).isprintable()
