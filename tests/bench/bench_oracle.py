"""How long each endpoint takes about what is there and about what is not, with the hashers that sites have.

    python -m tests.bench.bench_oracle 20                       everything; half an hour
    python -m tests.bench.bench_oracle 20 login recovery stop   the probes of these endpoints alone

Prints, for each probe of ``tests/oracle``, the ratio of the slowest variant to the fastest: by the medians of the
processor's time, which a busy machine disturbs least, and by the fastest requests by the clock on the wall. Then, for
each variant, the fastest request by the wall, and median and quartiles of the processor's time, in ms. Somebody should
look at a ratio over 1.2 that stays when it is run again.
"""

from __future__ import annotations

import copy
import copyreg
import logging
import os
import sqlite3
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db import connection  # noqa: E402
from django.test import Client  # noqa: E402
from django.test.utils import override_settings, setup_test_environment  # noqa: E402

from django_twilio_verify.backends.handler import backends  # noqa: E402
from tests.attacks.oracle.probes import PROBES, Nothing, Probe, World  # noqa: E402

SITE = {
    "TWILIO_VERIFY_CHANNELS": ["sms", "call", "whatsapp", "email", "sna", "auto"],
    "TWILIO_VERIFY_TRUSTED_BROWSER_DAYS": 30,
    "TWILIO_VERIFY_PUSH_APP_NAME": "Acme Go",
    "TWILIO_VERIFY_WEBHOOK": {"username": "sink", "password": "password"},
    "PASSWORD_HASHERS": [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.ScryptPasswordHasher",
    ],
}

copyreg.pickle(MappingProxyType, lambda one: (MappingProxyType, (dict(one),)))  # which ``deepcopy`` asks as well


class Moment:
    """The database, the provider in memory and a browser's cookies as they are now, to go back to again and again: a
    world of its own for each request would take seconds of hashing.
    """

    def __init__(self, client: Client) -> None:
        self.client, self.cookies = client, copy.deepcopy(client.cookies)
        self.database = sqlite3.connect(":memory:")
        connection.connection.backup(self.database)
        self.provider = [(one, copy.deepcopy(_state(one))) for one in _provider()]

    def restore(self) -> None:
        self.database.backup(connection.connection)
        self.client.cookies = copy.deepcopy(self.cookies)
        for one, state in self.provider:
            one.__dict__.update(copy.deepcopy(state))


def _provider() -> list[Any]:
    backend: Any = backends["default"]
    return [backend.simulator, backend.factor_simulator]


def _state(simulator: Any) -> dict[str, Any]:
    return {name: value for name, value in vars(simulator).items() if isinstance(value, dict | list | set)}


def prepared(probe: Probe, variant: str, world: World, start: Moment) -> tuple[Callable[[], Any], Moment]:
    """The request of ``variant``, and the moment before it."""
    start.restore()
    own = copy.copy(world)
    own.asking, own._ready = Client(), set()
    request = probe.ask(own, variant)
    return request, Moment(own.asking)


@dataclass
class Spent:
    """What a variant took each time, in ms."""

    wall: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        low, middle, high = statistics.quantiles(self.processor, n=4)
        return f"{min(self.wall):.2f}, {middle:.2f} [{low:.2f} to {high:.2f}]"


def times(probe: Probe, rounds: int, world: World, start: Moment) -> dict[str, Spent]:
    """How long each variant took. In turn, so that a slow moment of the machine falls on all variants; the first round
    warms up and does not count. Raises ``ValueError`` where they are answered with different statuses: then it is not
    time that tells.
    """
    ready = {variant: prepared(probe, variant, world, start) for variant in probe.variants}
    found = {variant: Spent() for variant in probe.variants}
    statuses = set()
    for turn in range(rounds + 1):
        for variant, (request, moment) in ready.items():
            moment.restore()
            wall, processor = time.perf_counter(), time.process_time()
            response = request()
            if turn:
                found[variant].processor.append((time.process_time() - processor) * 1000)
                found[variant].wall.append((time.perf_counter() - wall) * 1000)
            statuses.add(response.status_code)
    if len(statuses) > 1:
        raise ValueError(f"{probe}: {sorted(statuses)}")
    return found


def ratio(values: list[float]) -> float:
    return max(values) / min(values)


def main(rounds: int, names: list[str]) -> None:
    if unknown := {*names} - {*PROBES}:
        sys.exit(f"No such endpoint: {', '.join(sorted(unknown))}.")
    logging.disable(logging.WARNING)
    setup_test_environment()
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    with override_settings(**SITE):
        world = World()
        start = Moment(world.asking)
        print("processor wall  endpoint: variant wall, processor [quartiles] ms")
        for name in names or PROBES:
            rows = PROBES[name]
            for probe in [] if isinstance(rows, Nothing) else rows:
                found = times(probe, rounds, world, start)
                processor = ratio([statistics.median(one.processor) for one in found.values()])
                wall = ratio([min(one.wall) for one in found.values()])
                each = "; ".join(f"{what} {one}" for what, one in found.items())
                print(f"{processor:9.2f} {wall:4.2f}  {name}, {probe.name}: {each}", flush=True)


if __name__ == "__main__":
    main(max(2, int(sys.argv[1])) if len(sys.argv) > 1 else 20, sys.argv[2:])
