"""What is wrong with a declared Service is told without asking anybody: by system checks that name the place."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import hypothesis
import pytest
from django.core.checks import CheckMessage
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from twilio.rest.verify.v2.service import ServiceContext, ServiceList

from django_twilio_verify.backends.service import SERVICE_PARAMETERS, Kind
from django_twilio_verify.checks import configuration
from django_twilio_verify.provider import service_declaration
from tests.support.service import FULL

ROOT = Path(__file__).resolve().parents[3]
BUCKET = {"max": 1, "interval": 60}
HOOK = FULL["webhooks"][0]


def checked(
    settings: Any, declared: Any, keys: Mapping[str, Any] = MappingProxyType({}), **others: Any
) -> list[CheckMessage]:
    """What is said of ``declared`` beside ``keys`` of the alias ``shop``."""
    for name, value in others.items():
        setattr(settings, f"TWILIO_VERIFY_{name}", value)
    locmem = "django_twilio_verify.backends.locmem.LocMemBackend"
    settings.TWILIO_VERIFY_BACKENDS = {
        "default": {"BACKEND": locmem},
        "shop": {"BACKEND": locmem, "SERVICE": declared, **keys},
    }
    return configuration.check_services()


def limits(**values: Any) -> dict[str, Any]:
    return {"rate_limits": values}


# What is declared, the check, the place it names, words of its sentence.
HOSTILE: list[tuple[Any, str, str, str]] = [
    ([], "E032", "", "must be a dict"),
    ("friendly_name", "E032", "", "must be a dict"),
    ({"ttl": 600}, "E031", "'ttl'", "Twilio Support"),
    ({"do_force_check_once": True}, "E031", "'do_force_check_once'", "no such parameter"),
    ({"mailer_sid": "MD"}, "E031", "'mailer_sid'", "Console"),
    ({"channels": ["sms"]}, "E031", "'channels'", "Console"),
    ({"fraud_guard": "max"}, "E031", "'fraud_guard'", "Console"),
    ({"geo_permissions": []}, "E031", "'geo_permissions'", "Console"),
    ({"FriendlyName": "Acme"}, "E031", "'FriendlyName'", "no parameter"),
    ({5: 5}, "E031", "5", "no parameter"),
    ({"friendly_name": ""}, "E032", "'friendly_name'", "1 to 30"),
    ({"friendly_name": "   "}, "E032", "'friendly_name'", "1 to 30"),
    ({"friendly_name": "A" * 31}, "E032", "'friendly_name'", "1 to 30"),
    ({"friendly_name": 5}, "E032", "'friendly_name'", "1 to 30"),
    ({"friendly_name": "Acme 1 2 3 4 5"}, "E032", "'friendly_name'", "4 digits"),
    ({"friendly_name": "Acme 12345"}, "E032", "'friendly_name'", "4 digits"),
    ({"friendly_name": "acme.example"}, "E032", "'friendly_name'", "no links"),
    ({"friendly_name": "Acme & Sons"}, "E032", "'friendly_name'", "no links"),
    ({"friendly_name": "Acme\nSons"}, "E032", "'friendly_name'", "no links"),
    ({"code_length": 3}, "E032", "'code_length'", "from 4 to 10"),
    ({"code_length": 11}, "E032", "'code_length'", "from 4 to 10"),
    ({"code_length": "6"}, "E032", "'code_length'", "whole number"),
    ({"code_length": 6.0}, "E032", "'code_length'", "whole number"),
    ({"code_length": True}, "E032", "'code_length'", "whole number"),
    ({"code_length": 8}, "E034", "'code_length'", "['shop']['CODE_LENGTH'], which is 6"),
    ({"psd2_enabled": True}, "E034", "'psd2_enabled'", "['shop']['PSD2'], which is False"),
    ({"lookup_enabled": "yes"}, "E032", "'lookup_enabled'", "True or False"),
    ({"lookup_enabled": 1}, "E032", "'lookup_enabled'", "True or False"),
    ({"skip_sms_to_landlines": True}, "E033", "'skip_sms_to_landlines'", "lookup_enabled"),
    (
        {"skip_sms_to_landlines": True, "lookup_enabled": False},
        "E033",
        "'skip_sms_to_landlines'",
        "lookup_enabled",
    ),
    ({"tts_name": "a\x1b[31m"}, "E032", "'tts_name'", "one line"),
    ({"tts_name": "a" * 256}, "E032", "'tts_name'", "one line"),
    ({"push_apn_credential_sid": "CR1"}, "E032", "'push_apn_credential_sid'", "CR and 32"),
    ({"push_fcm_credential_sid": "AC" + "0" * 32}, "E032", "'push_fcm_credential_sid'", "CR and 32"),
    ({"default_template_sid": "HJ" + "g" * 32}, "E032", "'default_template_sid'", "HJ and 32"),
    ({"totp_time_step": 19}, "E032", "'totp_time_step'", "from 20 to 60"),
    ({"totp_time_step": 61}, "E032", "'totp_time_step'", "from 20 to 60"),
    ({"totp_code_length": 2}, "E032", "'totp_code_length'", "from 3 to 8"),
    ({"totp_code_length": 9}, "E032", "'totp_code_length'", "from 3 to 8"),
    ({"totp_skew": -1}, "E032", "'totp_skew'", "from 0 to 2"),
    ({"totp_skew": 3}, "E032", "'totp_skew'", "from 0 to 2"),
    ({"whatsapp_from": "+12025550143"}, "E032", "'whatsapp_from'", "whatsapp:"),
    ({"whatsapp_from": "whatsapp:+12025550143"}, "E033", "'whatsapp_from'", "whatsapp_msg_service_sid"),
    ({"whatsapp_msg_service_sid": "MG" + "0" * 32}, "E033", "'whatsapp_from'", "whatsapp_msg_service_sid"),
    ({"passkeys_relying_party_id": "https://acme.example"}, "E032", "'passkeys_relying_party_id'", "without scheme"),
    ({"passkeys_relying_party_id": "acme.example:443"}, "E032", "'passkeys_relying_party_id'", "without scheme"),
    ({"passkeys_relying_party_origins": 5}, "E032", "'passkeys_relying_party_origins'", "list of origins"),
    ({"passkeys_relying_party_origins": ["acme.example"]}, "E032", "'passkeys_relying_party_origins'", "full origins"),
    ({"passkeys_relying_party_origins": "http://acme.example"}, "E032", "'passkeys_relying_party_origins'", "full"),
    ({"passkeys_relying_party_origins": "https://acme.example/x"}, "E032", "'passkeys_relying_party_origins'", "full"),
    ({"passkeys_relying_party_origins": "android:apk-key-hash:"}, "E032", "'passkeys_relying_party_origins'", "full"),
    (
        {"passkeys_relying_party_id": "acme.example", "passkeys_relying_party_origins": "https://evilacme.example"},
        "E033",
        "'passkeys_relying_party_origins'",
        "or below it",
    ),
    ({"passkeys_authenticator_attachment": "usb"}, "E032", "'passkeys_authenticator_attachment'", "one of"),
    ({"passkeys_discoverable_credentials": "any"}, "E032", "'passkeys_discoverable_credentials'", "one of"),
    ({"passkeys_user_verification": True}, "E032", "'passkeys_user_verification'", "one of"),
    ({"rate_limits": ["ip"]}, "E032", "'rate_limits'", "must be a dict"),
    (limits(ip=None), "E032", "'rate_limits'['ip']", "must be a dict"),
    (limits(ip={}), "E032", "'rate_limits'['ip']['buckets']", "nothing is limited"),
    (limits(ip={"buckets": []}), "E032", "'rate_limits'['ip']['buckets']", "nothing is limited"),
    (limits(ip={"buckets": {"max": 1}}), "E032", "'rate_limits'['ip']['buckets']", "must be a list"),
    (limits(ip={"buckets": [5]}), "E032", "'rate_limits'['ip']['buckets'][0]", "must be a dict"),
    (limits(ip={"buckets": [{"max": 0, "interval": 1}]}), "E032", "'rate_limits'['ip']['buckets'][0]['max']", "1 or"),
    (limits(ip={"buckets": [{"max": 1}]}), "E032", "'rate_limits'['ip']['buckets'][0]['interval']", "whole number"),
    (
        limits(ip={"buckets": [{"max": 1, "interval": -5}]}),
        "E032",
        "'rate_limits'['ip']['buckets'][0]['interval']",
        "whole number",
    ),
    (
        limits(ip={"buckets": [{**BUCKET, "per": "ip"}]}),
        "E031",
        "'rate_limits'['ip']['buckets'][0]['per']",
        "no parameter",
    ),
    (
        limits(ip={"buckets": [BUCKET, {**BUCKET, "max": 9}]}),
        "E032",
        "'rate_limits'['ip']['buckets']",
        "has an interval twice.",
    ),
    (limits(ip={"buckets": [BUCKET], "description": 5}), "E032", "'rate_limits'['ip']['description']", "one line"),
    (limits(ip={"buckets": [BUCKET], "limit": 5}), "E031", "'rate_limits'['ip']['limit']", "no parameter"),
    ({"messaging_configurations": ["US"]}, "E032", "'messaging_configurations'", "must be a dict"),
    ({"messaging_configurations": {"us": "MG" + "0" * 32}}, "E032", "'messaging_configurations'['us']", "ISO 3166"),
    ({"messaging_configurations": {"UK": "MG" + "0" * 32}}, "E032", "'messaging_configurations'['UK']", "ISO 3166"),
    ({"messaging_configurations": {"US": "+12025550143"}}, "E032", "'messaging_configurations'['US']", "MG and 32"),
    ({"messaging_configurations": {"US": ""}}, "E032", "'messaging_configurations'['US']", "MG and 32"),
    ({"webhooks": HOOK}, "E032", "'webhooks'", "must be a list"),
    ({"webhooks": ["https://acme.example/"]}, "E032", "'webhooks'[0]", "must be a dict"),
    ({"webhooks": [{**HOOK, "friendly_name": ""}]}, "E032", "'webhooks'[0]['friendly_name']", "one line"),
    ({"webhooks": [{**HOOK, "event_types": "*"}]}, "E032", "'webhooks'[0]['event_types']", "must be a list"),
    ({"webhooks": [{**HOOK, "event_types": []}]}, "E032", "'webhooks'[0]['event_types']", "must be a list"),
    (
        {"webhooks": [{**HOOK, "event_types": ["verification.approved"]}]},
        "E032",
        "'webhooks'[0]['event_types']",
        "factor.created",
    ),
    ({"webhooks": [{**HOOK, "event_types": ["*", "*"]}]}, "E032", "'webhooks'[0]['event_types']", "once"),
    ({"webhooks": [{**HOOK, "event_types": [{}]}]}, "E032", "'webhooks'[0]['event_types']", "once"),
    ({"webhooks": [{**HOOK, "webhook_url": "http://acme.example/"}]}, "E032", "'webhooks'[0]['webhook_url']", "https"),
    ({"webhooks": [{**HOOK, "webhook_url": "https://[::1"}]}, "E032", "'webhooks'[0]['webhook_url']", "https"),
    ({"webhooks": [{**HOOK, "webhook_url": "https:///x"}]}, "E032", "'webhooks'[0]['webhook_url']", "https"),
    ({"webhooks": [{**HOOK, "status": "on"}]}, "E032", "'webhooks'[0]['status']", "one of"),
    ({"webhooks": [{**HOOK, "version": 2}]}, "E032", "'webhooks'[0]['version']", "one of"),
    ({"webhooks": [{**HOOK, "method": "GET"}]}, "E031", "'webhooks'[0]['method']", "no parameter"),
    ({"webhooks": [HOOK, HOOK]}, "E032", "'webhooks'", "twice"),
]


@pytest.mark.parametrize(("declared", "check", "where", "what"), HOSTILE)
def test_what_is_wrong_is_told_with_its_place(settings: Any, declared: Any, check: str, where: str, what: str) -> None:
    found = checked(settings, declared)
    assert [one.id for one in found] == [f"twilio_verify.{check}"]
    place = "TWILIO_VERIFY_BACKENDS['shop']['SERVICE']"
    assert found[0].msg.startswith(f"{place}: {where}: " if where else place)
    assert what in found[0].msg


PERSONAL = ["+12025550143", "ann@example.org", "12025550143", "203.0.113.7"]


@pytest.mark.parametrize("name", PERSONAL)
def test_a_rate_limit_is_not_named_after_somebody_and_the_name_is_not_repeated(settings: Any, name: Any) -> None:
    found = checked(settings, {"rate_limits": {name: {"buckets": [BUCKET]}}})
    assert [one.id for one in found] == ["twilio_verify.E032"]
    assert name not in found[0].msg


@pytest.mark.parametrize("name", ["a b", "ü", "", "x" * 65, 5, None])
def test_a_rate_limit_has_the_characters_that_twilio_takes(settings: Any, name: Any) -> None:
    found = checked(settings, {"rate_limits": {name: {"buckets": [BUCKET]}}})
    assert [one.id for one in found] == ["twilio_verify.E032"]
    assert "1 to 64 letters" in found[0].msg


def test_everything_may_be_declared(settings: Any) -> None:
    assert {*SERVICE_PARAMETERS} == {name for name in FULL if name not in service_declaration.RELATED}
    assert checked(settings, FULL, CHANNELS=["sms", "email"]) == []


def test_what_can_be_declared_is_what_the_sdk_can_tell() -> None:
    for method in (ServiceList.create, ServiceContext.update):
        assert {*inspect.signature(method).parameters} - {"self"} == {*SERVICE_PARAMETERS}


@pytest.mark.parametrize(
    "declared",
    [
        None,
        {},
        {"friendly_name": "Café Österreich_24-7"},
        {"code_length": None, "rate_limits": None, "webhooks": None, "messaging_configurations": None},
        {"whatsapp_from": "", "whatsapp_msg_service_sid": "", "default_template_sid": "", "tts_name": ""},
        {"passkeys_relying_party_origins": "https://acme.example, android:apk-key-hash:47DEQpj8HBSa-_TImW"},
        {"passkeys_relying_party_id": "localhost"},
        {"webhooks": ({**HOOK, "status": None, "version": "v1", "event_types": ("*",)},)},
    ],
)
def test_what_is_left_open_is_no_problem(settings: Any, declared: Any) -> None:
    assert checked(settings, declared, CHANNELS=["sms", "email"]) == []


def test_several_problems_are_told_at_once(settings: Any) -> None:
    declared = copy.deepcopy(FULL) | {"ttl": 1, "totp_skew": 9, "code_length": 1}
    assert [one.id[-4:] for one in checked(settings, declared)] == ["E032", "E032", "E031"]


def test_other_settings_that_get_in_its_way_are_warned_of(settings: Any) -> None:
    assert checked(settings, {"psd2_enabled": True, "code_length": 8}, {"PSD2": True, "CODE_LENGTH": 8}) == []
    assert "which is True" in checked(settings, {"psd2_enabled": False}, {"PSD2": True})[0].msg
    assert checked(settings, {}, {"PSD2": True, "CODE_LENGTH": 8}) == []
    settings.TWILIO_VERIFY_CHANNELS = ["sms", "whatsapp"]
    assert checked(settings, {"whatsapp_from": "", "whatsapp_msg_service_sid": ""})[-1].msg.endswith(
        "no whatsapp_from."
    )


@pytest.mark.parametrize(
    "others",
    [{"CHANNELS": "sms"}, {"ROUTER": 5}, {"BACKENDS": 5}, {"BACKENDS": {"a": 5}}],
)
def test_settings_that_another_check_speaks_of_are_left_to_it(settings: Any, others: dict[str, Any]) -> None:
    assert checked(settings, {"psd2_enabled": True, "code_length": 6}, {"PSD2": True}, **others)[1:] == []
    for name, value in others.items():
        setattr(settings, f"TWILIO_VERIFY_{name}", value)
    assert configuration.check_services() == []


@pytest.mark.parametrize("keys", [{"CODE_LENGTH": "six"}, {"CODE_LIFETIME_SECONDS": 5}, {"PSD2": 5}])
def test_keys_of_the_alias_that_cannot_be_read_are_told_by_another_check(settings: Any, keys: dict[str, Any]) -> None:
    assert checked(settings, {"code_length": 8}, keys) == []
    assert len(configuration.check_alias_keys()) == 1


def test_what_the_declaration_leaves_out_is_taken_from_the_alias(settings: Any) -> None:
    checked(settings, {}, {"CODE_LENGTH": 8, "PSD2": True})
    (service,) = service_declaration.resources("shop", {})
    assert dict(service.values) == {"code_length": 8, "psd2_enabled": True}
    (service,) = service_declaration.resources("default", {})
    assert dict(service.values) == {"code_length": 6}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from([*SERVICE_PARAMETERS, *service_declaration.RELATED, *service_declaration.NO_PARAMETERS, "other"])


@hypothesis.settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(KEYS, JSON | st.sampled_from([HOOK, [HOOK], {"ip": {"buckets": [BUCKET]}}]), max_size=6))
def test_nothing_that_can_be_written_in_settings_is_a_traceback(declared: Any) -> None:
    if not service_declaration.problems("default", declared):
        kinds = [one.kind for one in service_declaration.resources("default", declared)]
        assert kinds[0] is Kind.SERVICE and Kind.SERVICE not in kinds[1:]


def test_every_parameter_is_in_the_reference() -> None:
    text = (ROOT / "docs" / "reference" / "settings.md").read_text(encoding="utf-8")
    section = text.partition("\n### SERVICE\n")[2].partition("\n## ")[0]
    assert [name for name in (*SERVICE_PARAMETERS, *service_declaration.RELATED) if f"`{name}`" not in section] == []
