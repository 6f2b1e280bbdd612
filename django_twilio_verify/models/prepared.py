"""Statements whose SQL the ORM writes once, and which are then run with other values.

Writing the SQL of a large queryset costs Django a hundred times what a database takes to answer it. The statements that
every send needs are therefore kept as text, with the places of their values.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any, TypeVar

from django.db import connections, models, transaction
from django.db.models.sql import UpdateQuery

M = TypeVar("M", bound=models.Model)

Values = Mapping[str, Any]
_KEPT = 256
"""Statements that a process keeps. A site needs a few dozen: more after its keys were changed."""


@dataclass(frozen=True, slots=True)
class _Statement:
    """``places``: for each parameter the name of its value, or ``None`` for a parameter of the statement's own."""

    sql: str
    params: Sequence[Any]
    places: Sequence[str | None]
    compiler: Any
    queryset: Any

    def bound(self, using: str, values: Values) -> tuple[Any, ...]:
        given = {name: _adapted(value, using) for name, value in values.items()}
        return tuple(own if name is None else given[name] for name, own in zip(self.places, self.params, strict=True))


_statements: dict[Any, _Statement] = {}


def fetch(build: Callable[[Values], models.QuerySet[M]], values: Values, *, using: str, shape: object = ()) -> list[M]:
    """Return the rows of the queryset that ``build`` makes of ``values``, read from the database ``using``.

    Args:
        build: A function of a module; it is called once for each ``shape``, with placeholders. Nothing of what it
            makes may depend on a value, other than that the value is among the parameters.
        values: Texts, whole numbers and aware times by name.
        shape: What else the statement depends on, hashable.
    """
    statement = _statement(build, values, using, shape, _selected)
    compiler = copy.copy(statement.compiler)
    compiler.connection = connections[using]  # of this thread
    compiler.as_sql = partial(_as_sql, (statement.sql, statement.bound(using, values)))
    queryset = statement.queryset._chain()
    queryset.query = copy.copy(queryset.query)
    queryset.query.get_compiler = partial(_get_compiler, compiler)
    return list(queryset)


def update(
    build: Callable[[Values], tuple[models.QuerySet[Any], Mapping[str, Any]]],
    values: Values,
    *,
    using: str,
    shape: object = (),
) -> int:
    """As ``fetch``, for an UPDATE: ``build`` returns the rows, and what to set. Return how many rows matched."""
    statement = _statement(build, values, using, shape, _updated)
    with transaction.mark_for_rollback_on_error(using=using), connections[using].cursor() as cursor:
        cursor.execute(statement.sql, statement.bound(using, values))
        return int(cursor.rowcount)


def _as_sql(compiled: tuple[str, tuple[Any, ...]], *args: object, **kwargs: object) -> tuple[str, tuple[Any, ...]]:
    return compiled


def _get_compiler(compiler: Any, *args: object, **kwargs: object) -> Any:
    return compiler


def _selected(built: models.QuerySet[Any], using: str) -> tuple[Any, Any]:
    queryset = built.using(using)
    return queryset, queryset.query.get_compiler(using=using)


def _updated(built: tuple[models.QuerySet[Any], Mapping[str, Any]], using: str) -> tuple[Any, Any]:
    rows, changes = built
    query: Any = rows.query.chain(UpdateQuery)
    query.add_update_values(changes)
    return None, query.get_compiler(using=using)


def _statement(
    build: Callable[[Values], Any], values: Values, using: str, shape: object, compile_it: Callable[..., Any]
) -> _Statement:
    key = (build, using, tuple(values), shape)
    # Looked up once: another thread may empty the memory at any moment.
    statement = _statements.get(key)
    if statement is None:
        placeholders = {name: _placeholder(value, number) for number, (name, value) in enumerate(values.items())}
        queryset, compiler = compile_it(build(placeholders), using)
        sql, params = compiler.as_sql()
        names = {_adapted(placeholder, using): name for name, placeholder in placeholders.items()}
        places = [names.get(param) for param in params]
        # A value that is not among the parameters would be that of the first call for ever.
        missing = {*values} - {*places}
        if missing:
            raise ValueError(f"Not parameters of the statement: {sorted(missing)}.")
        if len(_statements) >= _KEPT:
            _statements.clear()
        statement = _statements[key] = _Statement(sql, params, places, compiler, queryset)
    return statement


def _placeholder(value: object, number: int) -> Any:
    """Return a value of the same type that stands nowhere else in the statement."""
    if isinstance(value, str):
        return f"placeholder {number}"
    if isinstance(value, datetime):
        return datetime(1800, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    if isinstance(value, int):
        return 1_900_000_000 + number
    raise TypeError(f"No placeholder for {type(value).__name__}.")


def _adapted(value: Any, using: str) -> Any:
    return connections[using].ops.adapt_datetimefield_value(value) if isinstance(value, datetime) else value
