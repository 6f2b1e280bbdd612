"""Whatever may wait for the provider can be awaited, by a twin that takes the same."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

from django_twilio_verify import client, consent, factors, login, verifications
from django_twilio_verify.factors import devices, passkey_login
from django_twilio_verify.verifications import challenges, handover, lifecycle, passkey, push, routing, totp

MODULES = [verifications.api, lifecycle, handover, routing, challenges, totp, push, passkey, devices, passkey_login]

LOCAL = {
    *(verifications.parse_recipient, verifications.api.given_answer),
    *(lifecycle.link, lifecycle.validate, lifecycle.get, lifecycle.describe, lifecycle.is_open),
    *(handover.offer, handover.read),
    *(routing.possible, routing.keeps),
    *(challenges.describe, passkey.credential_digest, passkey.holder_of),
    *(totp.typed_code, push.may_ask),
    *(devices.phone_since, devices.rename, devices.removed),
    passkey_login.are_kept,
}
"""What asks our own records alone. A new function belongs here, or needs a twin."""


def returned(function: Callable[..., Any]) -> str:
    return str(inspect.signature(function).return_annotation)


def functions(module: ModuleType) -> Iterator[Callable[..., Any]]:
    """The public functions of ``module``, but for steps, which are neither sync nor async."""
    for name, value in vars(module).items():
        own = inspect.isfunction(value) and value.__module__ == module.__name__
        if own and not name.startswith("_") and not returned(value).startswith("Steps["):
            yield value


def verbs() -> list[Any]:
    found = [(module, one) for module in MODULES for one in functions(module) if not inspect.iscoroutinefunction(one)]
    return [pytest.param(module, one, id=f"{module.__name__}.{one.__name__}") for module, one in found]


@pytest.mark.parametrize(("module", "verb"), verbs())
def test_what_may_wait_has_a_twin_of_the_same_signature(module: ModuleType, verb: Callable[..., Any]) -> None:
    if verb in LOCAL:
        work = inspect.unwrap(verb)
        assert not returned(work).startswith("Steps[") and "run" not in work.__code__.co_names, "it asks the provider"
        return
    twin = getattr(module, f"a{verb.__name__}", None)
    assert inspect.iscoroutinefunction(twin), f"{verb.__name__} has no twin"
    assert twin.__name__ == f"a{verb.__name__}" and twin.__doc__
    assert inspect.signature(twin) == inspect.signature(verb)


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_every_module_has_functions(module: ModuleType) -> None:
    assert [*functions(module)], "a package that only hands names on has none of its own"


@pytest.mark.parametrize("module", MODULES, ids=lambda module: module.__name__)
def test_a_twin_is_a_twin_of_something(module: ModuleType) -> None:
    twins = [one.__name__ for one in functions(module) if inspect.iscoroutinefunction(one)]
    assert [name for name in twins if not hasattr(module, name.removeprefix("a"))] == []


PUBLIC = [verifications, factors, login, consent, client]
WITHOUT_QUERIES = {verifications.parse_recipient, client.client_ip, client.region_from, factors.due_for_reverification}
"""Public functions that make no query; the last one gives a queryset, which has async methods of its own."""


def exported() -> list[Any]:
    found = [
        (module, name) for module in PUBLIC for name in module.__all__ if inspect.isfunction(getattr(module, name))
    ]
    return [pytest.param(module, name, id=f"{module.__name__}.{name}") for module, name in found]


@pytest.mark.parametrize(("module", "name"), exported())
def test_public_functions_that_may_query_have_a_twin(module: ModuleType, name: str) -> None:
    function = getattr(module, name)
    if inspect.iscoroutinefunction(function):
        plain = getattr(module, name.removeprefix("a"))
        assert name.startswith("a") and plain.__name__ in module.__all__, "a twin of something that is exported"
        return
    if function in WITHOUT_QUERIES:
        assert f"a{name}" not in module.__all__
        return
    assert f"a{name}" in module.__all__, "a function without a twin"
    twin = getattr(module, f"a{name}")
    assert inspect.iscoroutinefunction(twin) and twin.__name__ == f"a{name}" and twin.__doc__
    assert inspect.signature(twin) == inspect.signature(function)
