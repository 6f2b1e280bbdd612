"""Facts of one Verify Service: keys of its alias in ``TWILIO_VERIFY_BACKENDS``, beside ``BACKEND`` and ``OPTIONS``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from ..core.codes import MAX_LENGTH, MIN_LENGTH
from . import readers
from .setting import Problem

SERVICE_KEYS = ("CODE_LENGTH", "CODE_LIFETIME_SECONDS", "PSD2")
BACKEND_KEYS = ("BACKEND", "OPTIONS", "SERVICE", *SERVICE_KEYS)
"""All that an alias may hold. ``SERVICE`` is what ``manage.py twilio_service`` sets up; no backend reads it."""

SHORTEST_LIFETIME, LONGEST_LIFETIME = 120, 86_400


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """What the site says of the Service behind one alias.

    ``code_length``: digits in a code. ``code_lifetime_seconds``: how long a code is valid; 600 unless Twilio Support
    changed it. ``psd2``: the Service is set to PSD2, so it gets amount and payee of a payment; ``None`` if not said.
    """

    code_length: int = 6
    code_lifetime_seconds: int = 600
    psd2: bool | None = None


def place(alias: str, key: str) -> str:
    """Return where in the settings ``key`` of ``alias`` is."""
    return f"TWILIO_VERIFY_BACKENDS[{alias!r}][{key!r}]"


def service(alias: str, configs: Mapping[str, Any]) -> ServiceSettings:
    """Read the facts of ``alias``. An alias that was removed has the defaults: its verifications still have pages.

    Raises:
        ImproperlyConfigured: The alias is no dict, or a value is of the wrong type. The message names the alias.
    """
    config = configs.get(alias, {})
    if not isinstance(config, Mapping):
        raise ImproperlyConfigured(f"TWILIO_VERIFY_BACKENDS[{alias!r}] must be a dict.")
    given = {key: config[key] for key in SERVICE_KEYS if config.get(key) is not None}
    return ServiceSettings(
        **{key.lower(): _READERS[key](place(alias, key), value) for key, value in given.items()}  # type: ignore[arg-type]
    )


_READERS = {
    "CODE_LENGTH": readers.whole,
    "CODE_LIFETIME_SECONDS": readers.seconds,
    "PSD2": readers.flag,
}
_BOUNDS = {
    "CODE_LENGTH": (MIN_LENGTH, MAX_LENGTH),
    "CODE_LIFETIME_SECONDS": (SHORTEST_LIFETIME, LONGEST_LIFETIME),
}


def problems_of_numbers(alias: str, config: Mapping[str, Any]) -> Iterator[Problem]:
    """Find numbers of ``alias`` that are none, or out of bounds."""
    for key, (low, high) in _BOUNDS.items():
        if config.get(key) is None:
            continue
        try:
            fits = low <= _READERS[key](place(alias, key), config[key]) <= high
        except ImproperlyConfigured:
            fits = False
        if not fits:
            kind = "whole seconds, or a timedelta of such," if key.endswith("_SECONDS") else "a whole number"
            yield Problem(f"{place(alias, key)} must be {kind} from {low} to {high}.")
