"""What turns a value as written into one of a type, or raises ``ImproperlyConfigured`` that names the setting.

A reader takes the full name of the setting and the value, or its default where it is unset.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string


def written(name: str, default: Any) -> Any:
    """Return what the site wrote; ``None`` is as good as unset."""
    value = getattr(django_settings, name, None)
    return default if value is None else value


def mapping(name: str, value: Any) -> Mapping[str, Any]:
    """Read a dict."""
    if not isinstance(value, Mapping):
        raise ImproperlyConfigured(f"{name} must be a dict.")
    return value


def several(name: str, value: Any) -> tuple[Any, ...]:
    """Read a list of anything."""
    # A string is a sequence of letters, and a dict one of its keys: neither is ever meant.
    if isinstance(value, str | bytes | Mapping) or not isinstance(value, Iterable):
        raise ImproperlyConfigured(f"{name} must be a list.")
    return tuple(value)


def words(name: str, value: Any) -> tuple[str, ...]:
    """Read a list of texts."""
    given = several(name, value)
    if any(not isinstance(word, str) for word in given):
        raise ImproperlyConfigured(f"{name} must be a list of words.")
    return given


def capitals(name: str, value: Any) -> tuple[str, ...]:
    """Read a list of codes, which are kept in capitals."""
    return tuple(str(one).upper() for one in several(name, value))


def whole(name: str, value: Any) -> int:
    """Read a whole number."""
    try:
        # Text too, as it comes from the environment; not 6.5, and not True.
        if isinstance(value, int | str) and not isinstance(value, bool):
            return int(value)
    except ValueError:
        pass
    raise ImproperlyConfigured(f"{name} must be a whole number.")


def seconds(name: str, value: Any) -> int:
    """Read whole seconds, or a ``timedelta`` of such."""
    if type(value) is int:  # read in every request: no call more than it takes
        return value
    return _duration(name, value, timedelta(seconds=1), "seconds")


def hours(name: str, value: Any) -> int:
    """Read whole hours, or a ``timedelta`` of such."""
    return _duration(name, value, timedelta(hours=1), "hours")


def days(name: str, value: Any) -> int:
    """Read whole days, or a ``timedelta`` of such."""
    return _duration(name, value, timedelta(days=1), "days")


def _duration(name: str, value: Any, unit: timedelta, plural: str) -> int:
    try:
        if not isinstance(value, timedelta):
            return whole(name, value)
        count, rest = divmod(value, unit)
        if not rest:
            return count
    except ImproperlyConfigured:
        pass
    # Half a day is refused, not rounded: a limit that is shorter than written surprises.
    raise ImproperlyConfigured(f"{name} must be a whole number of {plural}, or a timedelta of whole {plural}.")


def text(name: str, value: Any) -> str:
    """Read what is a text or is made one."""
    return str(value)


def app_name(name: str, value: Any) -> str:
    """Read the name of an app: text and nothing else."""
    if not isinstance(value, str):
        raise ImproperlyConfigured(f"{name} must be the name of an app.")
    return value


def truth(name: str, value: Any) -> bool:
    """Read what is true or false in Python's sense."""
    return bool(value)


def flag(name: str, value: Any) -> bool:
    """Read ``True`` or ``False``."""
    if not isinstance(value, bool):  # "0", as it comes from the environment, would be true
        raise ImproperlyConfigured(f"{name} must be True or False.")
    return value


def function(name: str, value: Any) -> Callable[..., object] | None:
    """Read a plain callable, or its dotted path; ``None`` for none."""
    if isinstance(value, str):
        value = imported(name, value)
    if value is not None and (not callable(value) or inspect.iscoroutinefunction(value)):
        raise ImproperlyConfigured(f"{name} must be a plain (not async) callable, or its dotted path.")
    return value  # type: ignore[no-any-return]


def imported(name: str, path: str) -> Any:
    """Import what a dotted path leads to."""
    try:
        return import_string(path)
    except (ImportError, TypeError, ValueError) as error:  # the last two: a path that begins or ends with a dot
        raise ImproperlyConfigured(f"{name}: {error}") from error
