"""How fast a big ledger is sealed and verified, and in how much memory, beside the floors measured in the same run.

    TEST_DATABASE=postgres python -m tests.bench.bench_ledger 1000000

Makes a test database, fills it, measures each step in a process of its own, and takes the database away again
(unless ``BENCH_KEEP`` is set: see ``ledgers.filled``).
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db import connections  # noqa: E402

from django_twilio_verify.ledger import seal_records, sealing, stream  # noqa: E402
from django_twilio_verify.models import ConsentEvent  # noqa: E402
from tests.bench.ledgers import filled  # noqa: E402


def floor_ready_bytes() -> int:
    """SHA-256 of bytes that are there already: 100,000 canonical events."""
    writer = stream.Writer()
    page = next(stream.pages(1, 10**12, stream.COLUMNS))
    ready = [writer.canonical(row) for row in page]
    rounds = max(1, 100_000 // len(ready))
    began = time.perf_counter()
    for _ in range(rounds):
        for content in ready:
            hashlib.sha256(content).hexdigest()
    _SPENT.append(time.perf_counter() - began)
    return rounds * len(ready)


def floor_streamed_json() -> int:
    """What one writes first: the same columns streamed by Django, ``json.dumps``, SHA-256. No trees, no links."""
    done = 0
    rows = seal_records.events().order_by("pk").values_list(*stream.COLUMNS)
    for row in rows.iterator(chunk_size=2000):
        content = dict(zip(stream.COLUMNS, row, strict=True))
        hashlib.sha256(json.dumps(content, sort_keys=True, default=datetime.isoformat).encode()).hexdigest()
        done += 1
    return done


def seal() -> int:
    made = sealing.seal()
    return made.seal.count if made else 0


def verify(extent: sealing.Extent) -> Callable[[], int]:
    def work() -> int:
        tally = sealing.Verified()
        found = list(sealing.verify(extent, tally=tally))
        assert not found, found[:3]
        return tally.events

    return work


def prove() -> int:
    ids = list(ConsentEvent.objects.order_by("pk").values_list("pk", flat=True)[:1000])
    return len(sealing.inclusions(ids))


STEPS: list[tuple[str, Callable[[], int]]] = [
    ("floor: SHA-256 of ready bytes", floor_ready_bytes),
    ("floor: streamed, JSON, SHA-256", floor_streamed_json),
    ("seal", seal),
    ("verify, personal halves too", verify(sealing.Extent())),
    ("verify, events and seals", verify(sealing.Extent(personal=False))),
    ("verify --quick", verify(sealing.Extent(contents=False))),
    ("1000 inclusion proofs", prove),
]
_SPENT: list[float] = []


def measured(work: Callable[[], int]) -> tuple[int, float, float, float]:
    """Rows, seconds, CPU seconds on this side and MiB of extra peak memory of ``work``.

    Run in a child, so that peaks do not hide each other. CPU seconds, because on a busy machine the clock measures
    the neighbours.
    """
    connections.close_all()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        ConsentEvent.objects.first()
        before, began, cpu = _peak(), time.perf_counter(), time.process_time()
        rows = work()
        spent = _SPENT[0] if _SPENT else time.perf_counter() - began
        cpu = time.process_time() - cpu
        os.write(writing, json.dumps([rows, spent, cpu, (_peak() - before) / 1024]).encode())
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    rows, spent, cpu, memory = json.loads(answer)
    return rows, spent, cpu, memory


def _peak() -> int:
    """The most memory that this process ever had, in KiB."""
    status = Path("/proc/self/status").read_text()
    return int(next(line for line in status.splitlines() if line.startswith("VmHWM")).split()[1])


def main(count: int) -> None:
    with filled(count):
        floor = 0.0
        for what, work in STEPS:
            rows, spent, cpu, memory = measured(work)
            rate = rows / spent
            floor = rate if "streamed" in what else floor
            ratio = f"{rate / floor:5.2f} x streamed floor" if floor else ""
            speed = f"{rate:>11,.0f} rows/s {rows / cpu:>11,.0f} rows/CPU s"
            print(f"{what:32} {speed} {spent:6.1f} s {memory:+6.1f} MiB {ratio}", flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100_000)
