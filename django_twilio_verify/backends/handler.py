"""The backends by alias, in the manner of Django's ``DATABASES`` and ``TASKS``."""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.utils.module_loading import import_string

from ..conf import BACKEND_KEYS, SERVICE_KEYS, settings
from .base import BaseBackend


class UnknownBackend(ImproperlyConfigured, KeyError):
    """There is no backend of that alias."""

    def __str__(self) -> str:
        return str(self.args[0])


class BackendHandler:
    """``backends["default"]``: one instance for each alias in a process, made on first use.

    The setting is read at every look-up; an instance is made anew when its part of the setting changed. So no
    ``setting_changed`` receiver is needed, and a provider's connection is kept as long as it can be.
    """

    def __init__(self) -> None:
        self._made: dict[str, tuple[Mapping[str, Any], BaseBackend]] = {}
        self._lock = Lock()

    def __getitem__(self, alias: str) -> BaseBackend:
        """The backend ``alias``. Raises ``UnknownBackend`` or ``ImproperlyConfigured``, naming the alias."""
        try:
            config = settings.backends[alias]
        except KeyError:
            raise UnknownBackend(
                f"There is no backend {alias!r}. Add it to TWILIO_VERIFY_BACKENDS; without that setting the console "
                "backend serves while DEBUG is on."
            ) from None
        with self._lock:
            known, backend = self._made.get(alias, (None, None))
            if backend is None or known != _made_of(config):
                backend = make_backend(alias, config)
                self._made[alias] = (_made_of(config), backend)
        return backend

    def __iter__(self) -> Iterator[str]:
        return iter(settings.backends)

    @contextmanager
    def replaced(self, backend: BaseBackend) -> Iterator[None]:
        """Have ``backend`` answer for its alias, in the whole process, while the block runs. For tests."""
        alias = backend.alias
        with self._lock:
            before = self._made.pop(alias, None)
            self._made[alias] = (dict(settings.backends[alias]), backend)
        try:
            yield
        finally:
            with self._lock:
                del self._made[alias]
                if before is not None:
                    self._made[alias] = before


def _made_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """The part that an instance depends on: facts of the Service are read when they are needed."""
    return {key: value for key, value in config.items() if key not in SERVICE_KEYS}


def make_backend(alias: str, config: Mapping[str, Any]) -> BaseBackend:
    """A new backend from its part of the setting. Raises ``ImproperlyConfigured``, naming the alias."""
    where = f"TWILIO_VERIFY_BACKENDS[{alias!r}]"
    unknown = set(config) - set(BACKEND_KEYS)
    if unknown or "BACKEND" not in config:
        problem = (
            f"unknown keys {sorted(map(str, unknown))}. Keys: {', '.join(BACKEND_KEYS)}"
            if unknown
            else "BACKEND is missing"
        )
        raise ImproperlyConfigured(f"{where}: {problem}.")
    try:
        backend_class = import_string(config["BACKEND"])
    except ImportError as error:
        raise ImproperlyConfigured(f"{where}: {error}") from error
    options = config.get("OPTIONS", {})
    try:
        inspect.signature(backend_class).bind(alias, **options)
    except TypeError as error:
        # The message names the keyword, never its value: options hold secrets.
        raise ImproperlyConfigured(f"{where}: OPTIONS: {error}.") from None
    backend: BaseBackend = backend_class(alias, **options)
    return backend


backends = BackendHandler()
