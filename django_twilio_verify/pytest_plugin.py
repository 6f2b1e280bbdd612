"""Fixtures for sites that test with pytest. Registered as a ``pytest11`` entry point, so it loads by itself.

Every pytest run of an environment that has this package loads this module, also those of other projects. So it imports
nothing of Django or of this app before a fixture is asked for.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from django.test import Client

    from .backends.locmem import Message

_LOCMEM = f"{__package__}.backends.locmem"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Empty the outbox before each test."""
    # Where nobody has imported the backend, there is nothing to empty.
    locmem = sys.modules.get(_LOCMEM)
    if locmem is not None:
        locmem.clear_outbox()


@pytest.fixture
def twilio_verify_outbox() -> Iterator[list[Message]]:
    """What was sent in this test, oldest first. Every backend of the site is a ``LocMemBackend`` meanwhile."""
    from django.test import override_settings  # noqa: PLC0415

    from .backends.locmem import clear_outbox, outbox  # noqa: PLC0415
    from .testing.helpers import testing_settings  # noqa: PLC0415

    with override_settings(**testing_settings()):
        clear_outbox()
        yield outbox


@pytest.fixture
def verified_client(db: None, twilio_verify_outbox: list[Message], django_user_model: Any) -> Client:
    """A test client that is signed in with the second factor, as a new user who has a phone. The user is ``.user``.

    Needs pytest-django. Uses ``twilio_verify_outbox``.
    """
    from django.test import Client  # noqa: PLC0415

    from .testing import enroll, sign_in  # noqa: PLC0415

    client = Client()
    user = _make_user(django_user_model)
    enroll(user)
    sign_in(client, user)
    client.user = user  # type: ignore[attr-defined]
    return client


def _make_user(model: Any) -> Any:
    """A user by the means that every user model has which keeps to Django's manager."""
    names = {model.USERNAME_FIELD: "verified"}
    if (email := model.get_email_field_name()) in {field.name for field in model._meta.get_fields()}:
        names[email] = "verified@example.com"
    return model._default_manager.create_user(**names, password=None)
