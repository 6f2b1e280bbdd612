"""Fixtures of every test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.utils import translation

from django_twilio_verify import testing

from .plugin_openapi import exchanges_are_as_described

__all__ = ["exchanges_are_as_described"]


@pytest.fixture(autouse=True)
def the_sites_language() -> None:
    """A request of an earlier test may have left its own language active in this thread."""
    translation.deactivate()


@pytest.fixture(autouse=True)
def nothing_was_sent() -> Iterator[None]:
    """Each test begins with an empty outbox and nothing pending at the fake provider."""
    testing.reset()
    yield
    testing.reset()
