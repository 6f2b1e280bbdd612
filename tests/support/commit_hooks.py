"""What waits for a commit runs in tests whose transaction never commits, when a site's own would.

Django keeps such callbacks for a commit that does not come in a test that is rolled back, so that "nothing was told"
would be true of every such test. Tests that commit need tables emptied afterwards, which costs more than the test.
"""

from __future__ import annotations

import functools
import logging
from typing import Any

from django.db import transaction
from django.db.backends.base.base import BaseDatabaseWrapper

logger = logging.getLogger(__name__)


def install() -> None:
    """From now on, for every test of this process."""
    leave, register = transaction.Atomic.__exit__, BaseDatabaseWrapper.on_commit

    @functools.wraps(leave)
    def leave_and_run(block: Any, *raised: Any) -> None:
        leave(block, *raised)
        _run(transaction.get_connection(block.using))

    @functools.wraps(register)
    def register_and_run(connection: Any, *args: Any, **values: Any) -> None:
        register(connection, *args, **values)
        _run(connection)

    transaction.Atomic.__exit__ = leave_and_run
    BaseDatabaseWrapper.on_commit = register_and_run


def _run(connection: Any) -> None:
    """Run what waits on ``connection``, if nothing but the test's own transaction is open there."""
    if connection.needs_rollback or not connection.atomic_blocks or not connection.atomic_blocks[-1]._from_testcase:
        return
    while connection.run_on_commit:
        _, callback, is_robust = connection.run_on_commit.pop(0)
        try:
            callback()
        except Exception:  # as Django itself: logged of robust callbacks, raised of all others
            if not is_robust:
                raise
            logger.exception("A callback that waited for the commit failed.")
