"""Out of somebody else's transaction: django-otp has tokens verified within one, and ours refuse to run in one."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import TypeVar

from django.core.exceptions import ImproperlyConfigured
from django.db import connections, router, transaction
from django.views.decorators.debug import sensitive_variables

from ...models import Verification

T = TypeVar("T")


def outside(work: Callable[[], T]) -> T:
    """What ``work`` returns, run with no transaction open: in this thread if there is none, else in one of its own.

    A thread of its own has connections of its own, so that what ``work`` commits stays, whatever becomes of the
    caller's transaction, and the caller's holds no lock of ours while the provider is asked. ``work`` sees nothing that
    the caller has not committed. SQLite lets nobody else write while a transaction has so much as read, so there this
    raises ``ImproperlyConfigured`` instead of waiting for itself.
    """
    alias = router.db_for_write(Verification)
    if not is_within_transaction(alias):
        return work()
    if connections[alias].vendor == "sqlite":
        raise ImproperlyConfigured(
            "On SQLite, verify outside of a transaction: use the forms of django_twilio_verify.contrib.otp.forms."
        )
    return _in_thread(work)


def is_within_transaction(alias: str) -> bool:
    """Whether a transaction is open that is not Django's ``TestCase``'s."""
    if not connections[alias].in_atomic_block:
        return False
    try:
        with transaction.atomic(using=alias, durable=True):
            return False
    except RuntimeError:
        return True


def _in_thread(work: Callable[[], T]) -> T:
    # SECURITY: a closure, marked: no code stands in the frames that an error report shows.
    @sensitive_variables()
    def run() -> T:
        try:
            return work()
        finally:
            connections.close_all()  # this thread's

    with ThreadPoolExecutor(1, thread_name_prefix="twilio-verify-otp") as pool:
        return pool.submit(copy_context().run, run).result()  # the language is part of the context
