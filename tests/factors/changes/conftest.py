"""A person who has just proved a factor, in a browser."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.test import Client

from django_twilio_verify.models import Factor
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, make_factor, make_user
from tests.support.changes import INBOX, proved


@pytest.fixture(autouse=True)
def urls(settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.factors.changes.urls"


@pytest.fixture
def ann(db: Any) -> Any:
    return make_user("ann", email=INBOX)


@pytest.fixture
def phone(ann: Any) -> Factor:
    return make_factor(ann)


@pytest.fixture
def inbox(phone: Factor) -> Factor:
    return make_factor(phone.user, EMAIL, channel="email")


@pytest.fixture
def browser(phone: Factor, client: Client) -> Client:
    """Signed in as ann with her phone a moment ago."""
    return proved(client)


__all__ = ["EMAIL", "INBOX", "OTHER_PHONE", "PHONE", "get_user_model"]
