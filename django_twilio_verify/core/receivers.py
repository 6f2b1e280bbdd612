"""Send signals so that a receiver that fails keeps nothing else from happening."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connections, router
from django.db.models import Model

from ..signals import Signal
from .client import ClientInfo

logger = logging.getLogger("django_twilio_verify")


def send(
    signal: Signal, sender: Any, *, user: AbstractBaseUser | None, client: ClientInfo | None, **named: Any
) -> None:
    """Send ``signal`` to all receivers, and log what they raise.

    In a transaction of the caller's, once that commits: a receiver that fails in the database would break it, and what
    is rolled back has not happened.
    """
    connection = connections[_database(sender)]
    if _is_in_transaction(connection):
        connection.on_commit(partial(send, signal, sender, user=user, client=client, **named))
        return
    handled = sys.exception()
    for receiver, answer in signal.send_robust(sender=sender, user=user, client=client, **named):
        if isinstance(answer, Exception):
            _log(signal, receiver, answer, handled)


def send_and_raise(signal: Signal, **named: Any) -> None:
    """Send ``signal`` to all receivers, then raise what one of them raised. For receivers of ours, which end sessions
    and tokens: whoever asked for it must learn that it was not done.
    """
    _raise_from([answer for _receiver, answer in signal.send_robust(**named) if isinstance(answer, Exception)])


def each(*acts: Callable[[], object]) -> None:
    """Do all of ``acts``, also those after one that fails, then raise what failed."""
    failures: list[Exception] = []
    for act in acts:
        try:
            act()
        except Exception as error:  # whatever the site's code raises; raised again below
            failures.append(error)
    _raise_from(failures)


def _raise_from(failures: list[Exception]) -> None:
    if len(failures) > 1:
        raise ExceptionGroup("Several steps failed.", failures)
    for failure in failures:
        raise failure


def _database(sender: Any) -> str:
    """The database that has what the signal tells of."""
    is_model = isinstance(sender, type) and issubclass(sender, Model)
    return router.db_for_write(sender if is_model else get_user_model())


def _is_in_transaction(connection: Any) -> bool:
    """Whether a transaction is open, other than the one that Django's ``TestCase`` keeps open. As of ``durable``."""
    blocks = connection.atomic_blocks
    return bool(blocks) and not blocks[-1]._from_testcase


def _log(signal: Signal, receiver: Any, error: Exception, handled: BaseException | None) -> None:
    # SECURITY: a signal may be sent while the flow handles an error of its own, which Python makes the context of what
    # the receiver raises. Its frames hold codes and secrets.
    _cut_off(error, handled)
    # SECURITY: from the receiver's own frame on. The one before holds the arguments of the signal.
    trace = error.__traceback__.tb_next if error.__traceback__ is not None else None
    name = getattr(receiver, "__qualname__", type(receiver).__qualname__)
    logger.error(
        "A receiver failed: signal=%s receiver=%s.%s error=%s",
        signal.name,
        getattr(receiver, "__module__", ""),
        name,
        type(error).__name__,
        exc_info=error.with_traceback(trace),
    )


def _cut_off(error: BaseException, handled: BaseException | None) -> None:
    """Remove ``handled`` from what ``error``, and all that led to it, names as its context."""
    known: set[int] = set()
    rest: list[BaseException | None] = [error]
    while rest:
        one = rest.pop()
        if one is None or id(one) in known:
            continue
        known.add(id(one))
        if one.__context__ is handled:
            one.__context__ = None
        if one.__cause__ is handled:
            one.__cause__ = None
        rest += [one.__context__, one.__cause__, *getattr(one, "exceptions", ())]
