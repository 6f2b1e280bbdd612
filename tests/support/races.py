"""Do what a rival does right before one statement."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import connection


@contextmanager
def first(table: str, column: str, rival: Callable[[], Any]) -> Iterator[list[Any]]:
    """Have ``rival`` done once, right before the first UPDATE of ``table`` that sets ``column``; what came of it."""
    came: list[Any] = []

    def before(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        is_it = sql.startswith("UPDATE") and table in sql.split("SET")[0] and column in sql.split("WHERE")[0]
        if is_it and not came:
            came.append(None)
            came[0] = rival()
        return execute(sql, params, many, context)

    with connection.execute_wrapper(before):
        yield came
