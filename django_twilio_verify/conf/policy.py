"""Who must have a factor, for how long a browser is excused, and what may be opened meanwhile."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Any

from django.conf import settings as django_settings
from django.core.exceptions import ImproperlyConfigured

from . import readers
from .setting import Problem

POLICY_WORDS = ("enrolled", "staff", "superuser", "everyone")
POLICY_PREFIXES = ("group:", "perm:")
"""The words of ``TWILIO_VERIFY_REQUIRED_FOR``, and what the ones with a name after them begin with."""


def required_for(name: str, value: Any) -> tuple[str | Callable[..., object], ...]:
    """Read the rules: one, or a list of them. ``value`` is not looked at: ``None`` counts here."""
    return tuple(_policy_rule(name, one) for one in _written_policy())


def policy_digest() -> str:
    """Changes with ``TWILIO_VERIFY_REQUIRED_FOR`` as written, and with the days of grace.

    Of a callable it knows the name. Read in every request of somebody without a factor: imports nothing.
    """
    # Sorted: a set has another order in each process, and a list means the same in any.
    written = sorted(one if isinstance(one, str) else _name_of(one) for one in _written_policy())
    return _digest_of(*written, readers.written("TWILIO_VERIFY_GRACE_DAYS", 0))


@lru_cache
def _digest_of(*written: Any) -> str:
    return hashlib.blake2s(repr(written).encode(), digest_size=6).hexdigest()


def _written_policy() -> tuple[Any, ...]:
    # Not by readers.written(): None, as of an environment variable that nobody set, must not silently mean the
    # mildest policy.
    value = getattr(django_settings, "TWILIO_VERIFY_REQUIRED_FOR", "enrolled")
    written = tuple(value) if isinstance(value, list | tuple | set | frozenset) else (value,)
    if not written:
        raise ImproperlyConfigured(_BAD_POLICY)
    return written


_BAD_POLICY = (
    'TWILIO_VERIFY_REQUIRED_FOR must be "enrolled", "staff", "superuser", "everyone", "group:<name>", '
    '"perm:<app.codename>", a plain (not async) callable, the dotted path of one, or a list of these.'
)


def _policy_rule(name: str, value: Any) -> str | Callable[..., object]:
    if isinstance(value, str) and (value in POLICY_WORDS or _is_named_rule(value)):
        return value
    if isinstance(value, str) and "." in value and not value.startswith(POLICY_PREFIXES):
        value = readers.imported(name, value)
    if callable(value) and not inspect.iscoroutinefunction(value):
        return value  # type: ignore[no-any-return]
    raise ImproperlyConfigured(_BAD_POLICY)


def _is_named_rule(word: str) -> bool:
    kind, _, name = word.partition(":")
    app, _, codename = name.partition(".")
    return bool(name.strip()) if kind == "group" else kind == "perm" and bool(app and codename)


def _name_of(rule: Any) -> str:
    """Of a callable; of what is none, as ``None``, its type: what is wrong is told where the policy is asked."""
    return f"{getattr(rule, '__module__', '')}.{getattr(rule, '__qualname__', type(rule).__qualname__)}"


def trusted_browser_days(name: str, value: Any) -> int | Callable[..., object]:
    """Read a number of days, or a callable that gives one."""
    if callable(value) or (isinstance(value, str) and "." in value):
        return readers.function(name, value) or 0
    return readers.days(name, value)


def exemptions(name: str, value: Any) -> tuple[str, ...]:
    """Read what is open. Logging out must always be possible."""
    return ("logout", *readers.several(name, value))


def problems_of_exemptions(name: str, given: Iterable[object]) -> Iterable[Problem]:
    """Find out whether each is one."""
    if all(is_exemption(one) for one in given):
        return ()
    hint = 'As in "status", "shop:status" or "/status"; not "/", which is every page.'
    return (Problem(f"{name} must be a list of URL names and of prefixes of routes.", hint),)


def is_exemption(name: object) -> bool:
    """Whether ``name`` can stand in ``TWILIO_VERIFY_EXEMPT_URLS``."""
    if not isinstance(name, str) or not name:
        return False
    if not name.startswith("/"):
        return True
    # SECURITY: "/" is every page. An empty segment, and what a route never holds, opens something else than was meant.
    segments = name.removesuffix("/").split("/")[1:]
    return bool(segments) and all(segments) and not {".", ".."} & {*segments} and not {*"?#%\\"} & {*name}
