"""Base of the results that public functions return."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import ClassVar, NoReturn


class Result:
    """A result with named fields and no truth value.

    ``if check(...)`` would be true for a wrong code, so asking for the truth of a result is a mistake in the code.
    """

    __slots__ = ()

    answer: ClassVar[str]
    """The field or property to read instead."""

    def __bool__(self) -> NoReturn:
        # SECURITY: an error and not an answer: whichever it were, somebody would take it for the other one.
        raise TypeError(f"A {type(self).__name__} has no truth value: read .{self.answer} instead.")


def json_time(moment: datetime | None) -> str | None:
    """Write ``moment`` for JSON: ISO 8601 in UTC, to the second, as ``2026-11-30T12:00:00Z``."""
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ}"
