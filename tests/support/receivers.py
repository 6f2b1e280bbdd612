"""A site's receivers, some of which fail."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django_twilio_verify.signals import Signal


class Broken(Exception):
    """The site's task queue is down."""


class Heard:
    """What receivers heard of."""

    def __init__(self) -> None:
        self.told: list[tuple[Signal, dict[str, Any]]] = []

    def __call__(self, signal: Signal, **named: Any) -> None:
        self.told.append((signal, named))

    @property
    def names(self) -> Counter[str]:
        return Counter(signal.name for signal, _named in self.told)

    def of(self, name: str) -> list[dict[str, Any]]:
        return [named for signal, named in self.told if signal.name == name]


@contextmanager
def listening(signals: Iterable[Signal]) -> Iterator[Heard]:
    heard, signals = Heard(), [*signals]
    for signal in signals:
        signal.connect(heard)
    try:
        yield heard
    finally:
        for signal in signals:
            signal.disconnect(heard)


@contextmanager
def broken(*signals: Signal) -> Iterator[None]:
    """A receiver that fails, before all others: as one that the site connects while it is imported."""

    def fail(**named: Any) -> None:
        raise Broken

    for signal in signals:
        signal.connect(fail)
        signal.receivers.insert(0, signal.receivers.pop())
        signal.sender_receivers_cache.clear()
    try:
        yield
    finally:
        for signal in signals:
            signal.disconnect(fail)
