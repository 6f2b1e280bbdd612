"""How fast the admin's slowest questions are answered at a big ledger of five years.

    TEST_DATABASE=postgres python -m tests.bench.bench_admin 200000

Its events do not hold: nothing here looks at their digests.
"""

from __future__ import annotations

import hashlib
import os
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from unittest.mock import patch

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django_twilio_verify.admin import charts  # noqa: E402
from django_twilio_verify.admin.filters import _narrowed, overdue  # noqa: E402
from django_twilio_verify.models import ConsentEvent  # noqa: E402
from tests.bench import ledgers  # noqa: E402

END = datetime(2026, 11, 1, tzinfo=UTC)
YEARS = timedelta(days=5 * 365)
CHANNELS = ("sms", "call", "whatsapp", "email")
COUNTRIES = ("US", "US", "GB", "AT", "DE", "FR", "ES", "IT", "")


def fill(count: int) -> None:
    """``count`` events, spread over the five years before ``END``; every sixth is a stop, one in 4000 late."""
    events = _events(count)
    while batch := list(islice(events, ledgers.BATCH)):
        ConsentEvent.objects.bulk_create(batch)


def _events(count: int) -> Iterator[ConsentEvent]:
    for number in range(count):
        digest = hashlib.sha256(b"%d" % number).hexdigest()
        moment = END - YEARS + YEARS * number / count
        stop: dict[str, datetime] = {}
        if number % 6 == 5:
            late = timedelta(days=20 if number % 4000 < 6 else 0)
            stop = {"received_at": moment, "honour_by": moment + timedelta(days=14), "honoured_at": moment + late}
        yield ConsentEvent(
            event="opted_out" if stop else "granted",
            channel=CHANNELS[number % 4],
            purpose="verify",
            medium="web",
            person_kind="user",
            person_fingerprint=f"k1.{digest[:40]}",
            recipient_kind="phone",
            recipient_fingerprint=f"k1.{digest[20:60]}",
            country=COUNTRIES[number % 9],
            occurred_at=moment,
            record_version=1,
            commitment=digest,
            digest=digest,
            **stop,
        )


STEPS: list[tuple[str, Callable[[], int]]] = [
    ("overdue, one page", lambda: len(ConsentEvent.objects.filter(_narrowed(overdue())).order_by("-id")[:101])),
    ("charts, half a year", lambda: len(charts.charts(END - timedelta(weeks=26), END))),
    ("charts, five years", lambda: len(charts.charts(END - YEARS, END))),
]


def main(count: int) -> None:
    with patch.object(ledgers, "fill", fill), ledgers.filled(count):
        for what, work in STEPS:
            spent = []
            for _ in range(5):
                began = time.perf_counter()
                work()
                spent.append(time.perf_counter() - began)
            print(f"{what:24} {min(spent) * 1000:8.1f} ms", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200_000)
