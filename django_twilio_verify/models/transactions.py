"""Short transactions of our own."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from django.db import IntegrityError, OperationalError, router, transaction

from . import Verification

T = TypeVar("T")

_POSTGRESQL_DEADLOCK = "40P01"
_MYSQL_DEADLOCKS = (
    1213,
    1205,
    1020,
)  # deadlock, lock wait timeout, record changed (MariaDB snapshot isolation)
_TRIES = 5


def short_transaction(work: Callable[[], T], *, using: str | None = None) -> T:
    """Run ``work`` in a transaction that begins and commits here, again if the database chose it to break a deadlock.

    ``using``: a database; that of the verifications if none is given. Durable: within a transaction of the caller's it
    raises ``RuntimeError``. A site's rollback would otherwise undo the record of a message that was really sent, and
    its locks would be held while the provider is called. Views that call a flow under ``ATOMIC_REQUESTS`` therefore
    want ``@transaction.non_atomic_requests``. (Django lets its ``TestCase`` pass.)
    """
    for tried in range(1, _TRIES + 1):
        try:
            with transaction.atomic(using=using or router.db_for_write(Verification), durable=True):
                return work()
        except OperationalError as error:
            if tried == _TRIES or not is_deadlock(error):
                raise
            time.sleep(0.01 * tried)
    raise AssertionError  # pragma: no cover  the loop returns or raises


def joined_transaction(work: Callable[[], T], *, using: str | None = None) -> T:
    """Run ``work`` as ``short_transaction`` does, or within the caller's transaction if one is open.

    Rolled back to where it began if ``work`` raises. What it locks then stays locked until the caller commits.
    """
    alias = using or router.db_for_write(Verification)
    if not transaction.get_connection(alias).in_atomic_block:
        return short_transaction(work, using=alias)
    with transaction.atomic(using=alias):
        return work()


def deleting(work: Callable[[], T]) -> T:
    """As ``short_transaction``, for ``work`` that deletes a factor: again if something has come to point to it since.

    Raises ``RuntimeError`` if that never ends.
    """
    for _ in range(_TRIES):
        try:
            return short_transaction(work)
        except IntegrityError:  # it has just proved something: a verification points to it
            continue
    raise RuntimeError("The factor is being used all the time.")


def is_deadlock(error: OperationalError) -> bool:
    """Whether the database ended a transaction because it and another waited for each other."""
    if getattr(error.__cause__, "sqlstate", "") == _POSTGRESQL_DEADLOCK:
        return True
    return bool(error.args) and error.args[0] in _MYSQL_DEADLOCKS
