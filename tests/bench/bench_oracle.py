"""How long each endpoint takes about what is there and about what is not, with the hashers that sites have.

    python -m tests.bench.bench_oracle 20

Prints, for each probe of ``tests/oracle``, the fastest and the median request of each variant in ms, and the ratio of
the slowest variant to the fastest by their fastest requests, which a busy machine disturbs least. Somebody should look
at a ratio over 1.2 that stays when it is run again.
"""

from __future__ import annotations

import logging
import os
import statistics
import sys
import time

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.core.management import call_command  # noqa: E402
from django.db import connection  # noqa: E402
from django.test.utils import override_settings, setup_test_environment  # noqa: E402

from django_twilio_verify import testing  # noqa: E402
from tests.oracle.probes import PROBES, Nothing, Probe, World  # noqa: E402

SITE = {
    "TWILIO_VERIFY_CHANNELS": ["sms", "call", "whatsapp", "email", "sna", "auto"],
    "TWILIO_VERIFY_TRUST_DAYS": 30,
    "TWILIO_VERIFY_PUSH_APP": "Acme Go",
    "TWILIO_VERIFY_WEBHOOK": {"username": "sink", "password": "password"},
    "PASSWORD_HASHERS": [
        "django.contrib.auth.hashers.PBKDF2PasswordHasher",
        "django.contrib.auth.hashers.ScryptPasswordHasher",
    ],
}


def spent(probe: Probe, variant: str, world: World) -> float:
    request = probe.ask(world, variant)
    began = time.perf_counter()
    request()
    return (time.perf_counter() - began) * 1000


def fresh() -> World:
    call_command("flush", interactive=False, verbosity=0)
    testing.reset()
    return World()


def times(probe: Probe, rounds: int) -> dict[str, list[float]]:
    """How long each variant took, each time. In turn, so that a slow moment of the machine falls on all variants."""
    found: dict[str, list[float]] = {variant: [] for variant in probe.variants}
    world = fresh()
    spent(probe, probe.variants[0], world)
    for _ in range(rounds):
        for variant in probe.variants:
            found[variant].append(spent(probe, variant, fresh() if probe.writes else world))
    return found


def main(rounds: int) -> None:
    logging.disable(logging.WARNING)
    setup_test_environment()
    connection.creation.create_test_db(verbosity=0, autoclobber=True)
    with override_settings(**SITE):
        for name, probes in PROBES.items():
            for probe in [] if isinstance(probes, Nothing) else probes:
                found = times(probe, rounds)
                fastest = [min(one) for one in found.values()]
                ratio = max(fastest) / min(fastest)
                each = ", ".join(f"{what} {min(one):.2f}/{statistics.median(one):.2f}" for what, one in found.items())
                print(f"{ratio:5.2f}  {name:16} {probe.name}: {each}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
