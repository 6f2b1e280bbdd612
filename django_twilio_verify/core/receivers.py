"""Telling the site of what is done: every receiver hears of it, whichever fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.dispatch import Signal


def send(signal: Signal, **named: Any) -> None:
    """Send ``signal`` to all receivers, then raise what one of them raised.

    SECURITY: receivers end sessions and tokens, and write to the user. Django's ``send`` stops at the first one that
    fails, which may be any of the site's.
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
        raise ExceptionGroup("Several receivers failed.", failures)
    for failure in failures:
        raise failure
