"""Fixtures of every test."""

from __future__ import annotations

from collections.abc import Iterator
from contextvars import copy_context
from inspect import iscoroutinefunction
from typing import Any

import pytest
from django.contrib.contenttypes.management import create_contenttypes
from django.contrib.contenttypes.models import ContentType
from django.core.signals import setting_changed
from django.db.models.signals import post_migrate
from django.test.signals import root_urlconf_changed
from django.urls import set_urlconf
from django.utils import translation

from django_twilio_verify import testing
from django_twilio_verify.conf import LIMIT_RULES
from tests.support import commit_hooks
from tests.support.openapi_plugin import exchanges_are_as_described

__all__ = ["exchanges_are_as_described"]


def pytest_configure() -> None:
    commit_hooks.install()
    # Django forgets all it has resolved when ROOT_URLCONF changes. It keeps that by the name of the URLconf, which no
    # test changes in place; reading the admin's and ours anew was a fifth of the time of tests that have URLs of their
    # own.
    setting_changed.disconnect(root_urlconf_changed)
    setting_changed.connect(_forget_the_threads_urls)


def _forget_the_threads_urls(*, setting: str, **kwargs: object) -> None:
    if setting == "ROOT_URLCONF":
        set_urlconf(None)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Each test in a context of its own.

    Django makes context variables for each set of URLs and caches that a test overrides; they stay for as long as their
    context does, and every step between threads and event loops looks at all of them.
    """
    if iscoroutinefunction(pyfuncitem.obj):
        return None  # pytest says that nobody would wait for it
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    assert copy_context().run(pyfuncitem.obj, **arguments) is None, "a test returns nothing"
    return True


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None) -> Iterator[None]:
    """Tables that were emptied stay empty: making every content type and permission anew after each test that commits
    took a tenth of the suite's time. ``support.all_permissions`` is for the tests that ask.
    """
    post_migrate.disconnect(create_contenttypes)
    post_migrate.disconnect(dispatch_uid="django.contrib.auth.management.create_permissions")
    post_migrate.connect(_forget_content_types)
    yield
    post_migrate.disconnect(_forget_content_types)


def _forget_content_types(**kwargs: object) -> None:
    ContentType.objects.clear_cache()


@pytest.fixture(autouse=True)
def the_sites_language() -> None:
    """A request of an earlier test may have left its own language active in this thread."""
    translation.deactivate()


@pytest.fixture(autouse=True)
def nothing_was_sent() -> Iterator[None]:
    """Each test begins with an empty outbox and nothing pending at the fake provider."""
    testing.clear_outbox(factors=True)
    yield
    testing.clear_outbox(factors=True)


@pytest.fixture
def claimants_have_room(settings: Any) -> None:
    """A site whose visitors may have as many sends and answers as Twilio grants, for tests of something else."""
    rules = (rule for rule in LIMIT_RULES if rule.startswith("claim_"))
    settings.TWILIO_VERIFY_LIMITS = dict.fromkeys(rules, 1000)
