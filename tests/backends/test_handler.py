"""Backends by alias."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings

from django_twilio_verify.backends.base import BaseBackend
from django_twilio_verify.backends.console import ConsoleBackend
from django_twilio_verify.backends.handler import BackendHandler, UnknownBackend, backends
from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.choices import Channel
from django_twilio_verify.core.recipients import Recipient

LOCMEM = "django_twilio_verify.backends.locmem.LocMemBackend"
TWILIO = "django_twilio_verify.backends.twilio.TwilioBackend"


def configured(**aliases: Any) -> override_settings:
    return override_settings(TWILIO_VERIFY_BACKENDS=aliases)


@configured(default={"BACKEND": LOCMEM}, brand={"BACKEND": LOCMEM, "OPTIONS": {"timeout": 4.0}})
def test_one_instance_for_each_alias() -> None:
    assert isinstance(backends["default"], LocMemBackend)
    assert backends["default"] is backends["default"]
    assert backends["brand"] is not backends["default"]
    assert backends["brand"].alias == "brand"
    assert [*backends] == ["default", "brand"]


def test_an_instance_lives_as_long_as_its_part_of_the_setting() -> None:
    options = {"timeout": 4.0}
    with configured(default={"BACKEND": LOCMEM}, brand={"BACKEND": LOCMEM, "OPTIONS": options}):
        kept, changed = backends["default"], backends["brand"]
    with configured(default={"BACKEND": LOCMEM}, brand={"BACKEND": LOCMEM}):
        assert backends["default"] is kept
        assert backends["brand"] is not changed


@pytest.mark.parametrize(
    ("config", "sentence"),
    [
        ({}, "BACKEND is missing"),
        ({"BACKEND": LOCMEM, "OPTION": {}}, "unknown keys ['OPTION']"),
        ({"BACKEND": "nowhere.Backend"}, "No module named 'nowhere'"),
        ({"BACKEND": LOCMEM + "x"}, "LocMemBackendx"),
        ({"BACKEND": LOCMEM, "OPTIONS": {"colour": "hunter2"}}, "OPTIONS: got an unexpected"),
        ({"BACKEND": TWILIO, "OPTIONS": {"password": "hunter2"}}, "OPTIONS: missing a required"),
    ],
)
def test_what_is_wrong_names_the_alias_and_no_value(config: dict[str, Any], sentence: str) -> None:
    with configured(brand=config), pytest.raises(ImproperlyConfigured) as caught:
        backends["brand"]
    assert "TWILIO_VERIFY_BACKENDS['brand']" in str(caught.value)
    assert sentence in str(caught.value)
    assert "hunter2" not in str(caught.value)


@configured(default={"BACKEND": LOCMEM})
def test_an_unknown_alias() -> None:
    with pytest.raises(UnknownBackend, match="no backend 'brand'") as caught:
        backends["brand"]
    assert isinstance(caught.value, KeyError)
    assert isinstance(caught.value, ImproperlyConfigured)


@override_settings(TWILIO_VERIFY_BACKENDS=None, DEBUG=True)
def test_the_console_serves_while_debugging() -> None:
    assert isinstance(backends["default"], ConsoleBackend)


@override_settings(TWILIO_VERIFY_BACKENDS=None, DEBUG=False)
def test_nothing_serves_by_itself_otherwise() -> None:
    assert [*backends] == []
    with pytest.raises(UnknownBackend):
        backends["default"]


def test_twilio_from_the_settings() -> None:
    options = {"account_sid": "AC", "password": "p", "service_sid": "VA", "timeout": 3}
    with configured(default={"BACKEND": TWILIO, "OPTIONS": options}):
        backend = backends["default"]
    assert isinstance(backend, TwilioBackend)
    assert backend.timeout == 3


@configured(default={"BACKEND": LOCMEM})
def test_threads_get_the_same_instance() -> None:
    handler = BackendHandler()
    with ThreadPoolExecutor(8) as pool:
        made = [*pool.map(lambda _: handler["default"], range(32))]
    assert len({id(one) for one in made}) == 1


def test_the_base_does_nothing_by_itself() -> None:
    backend, recipient = BaseBackend("default"), Recipient.phone("+12025550143")
    calls: list[Any] = [
        lambda: backend.start(recipient, Channel.SMS),
        lambda: backend.check(recipient, "123456"),
        lambda: backend.cancel("VE"),
        lambda: backend.fetch("VE"),
    ]
    for call in calls:
        with pytest.raises(NotImplementedError):
            call()
    assert backend.system_checks() == []
