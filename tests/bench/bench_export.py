"""How fast evidence is exported, and what memory it takes, beside the floors measured in the same run.

    python -m tests.bench.bench_export [rows]

``TEST_DATABASE`` says on which database. The floors write the same cells of the same rows: on PostgreSQL one COPY with
cells escaped in SQL, written by hand; elsewhere ``values_list().iterator()`` with cells escaped in Python. Memory is
how much the peak of the process grows while the step runs, as the system sees it. ``BENCH_KEEP`` keeps the database
for the next run.
"""

# ruff: noqa: E402  Django has to be set up before models can be imported

from __future__ import annotations

import csv
import io
import os
import resource
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from django.db import connection

from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.ledger import sealing
from django_twilio_verify.ledger.export import bundle, receipts, spreadsheet
from django_twilio_verify.ledger.export.evidence import Selection
from django_twilio_verify.models import ConsentEvent
from tests.bench import ledgers
from tests.support.basics import agree

EVER = Selection(since=datetime(2020, 1, 1, tzinfo=UTC))
RUNS = 3


class Nowhere:
    """Takes everything, keeps the count."""

    size = 0

    def write(self, data: Any) -> int:
        self.size += len(data)
        return len(data)

    def flush(self) -> None:
        pass


def floor_copy() -> int:
    """COPY with escaped cells, by hand: the same columns, the same join."""
    signs = ", ".join(f"chr({ord(sign)})" for sign in spreadsheet.DANGEROUS)

    def time_cell(name: str) -> str:
        return f"to_char(e.{name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')"

    def text_cell(name: str) -> str:
        return f"CASE WHEN left({name}, 1) IN ({signs}) THEN '''' || {name} ELSE {name} END"

    cells = [
        time_cell("occurred_at"),
        "e.event, e.channel, e.purpose",
        "CASE WHEN p.recipient IS NULL THEN 'erased' WHEN e.recipient_kind = 'phone' THEN 'tel:' || p.recipient "
        f"ELSE {text_cell('p.recipient')} END",
        "e.country, e.person_kind",
        text_cell("p.person_label"),
        "e.medium, e.actor, e.language, d.digest",
        text_cell("e.origin"),
        *(time_cell(name) for name in ("received_at", "honour_by", "honoured_at")),
        "e.digest",
    ]
    sql = f"""COPY (SELECT {", ".join(cells)} FROM twilio_verify_consentevent e
        LEFT JOIN twilio_verify_consentevidence p ON p.event_id = e.id
        LEFT JOIN twilio_verify_disclosure d ON d.id = e.disclosure_id) TO STDOUT (FORMAT csv)"""  # noqa: S608
    out = Nowhere()
    with connection.cursor() as cursor:
        with cursor.copy(sql) as blocks:
            for block in blocks:
                out.write(block)
        return int(cursor.rowcount)


def floor_values() -> int:
    """``values_list().iterator()`` into the csv module, every cell of text escaped."""
    rows = ConsentEvent.objects.values_list("recipient_kind", *spreadsheet._FIELDS).order_by("pk")
    text, out, count = io.StringIO(newline=""), Nowhere(), 0
    writer = csv.writer(text)
    for kind, *cells in rows.iterator(chunk_size=2000):
        if kind == "phone":
            cells[4] = f"tel:{cells[4]}"
        writer.writerow(
            [
                f"'{cell}" if isinstance(cell, str) and cell and cell[0] in spreadsheet.DANGEROUS else cell
                for cell in cells
            ]
        )
        count += 1
        if count % 2000 == 0:
            out.write(text.getvalue().encode())
            text.seek(0)
            text.truncate()
    return count


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def measured(name: str, work: Callable[[], int], runs: int = RUNS) -> float:
    """Rows a second: the best of ``runs``, which on a shared machine is the one that was disturbed least."""
    before, best, rows = peak_mib(), 0.0, 0
    for _ in range(runs):
        start = time.perf_counter()
        rows = work()
        best = max(best, rows / (time.perf_counter() - start))
    print(f"| {name} | {rows:,} | {best:,.0f} | +{peak_mib() - before:.0f} |", flush=True)
    return best


def exported(write: Callable[..., Any], selection: Selection = EVER, **options: Any) -> Callable[[], int]:
    return lambda: int(write(Nowhere(), selection, "bench", "bench", **options).rows)


def main() -> None:
    agree("+12025550123")
    print("| step | rows | rows/s | MiB |\n| --- | --- | --- | --- |")
    is_postgres = connection.vendor == "postgresql"
    measured("warm-up", exported(spreadsheet.write), 1)
    floor = measured("floor: escaped COPY", floor_copy) if is_postgres else measured("floor: values_list", floor_values)
    ours = measured("csv", exported(spreadsheet.write))
    if is_postgres:
        spreadsheet._can_copy = lambda using: False
        plain = measured("floor: values_list", floor_values, 1)
        rows_only = measured("csv by rows (no psycopg 3)", exported(spreadsheet.write), 1)
    measured("twilio", exported(receipts.write_twilio), 1)
    measured("receipt", exported(receipts.write_receipts), 1)
    measured("bundle, nothing sealed, no pages", exported(bundle.write, page_limit=0), 1)
    sealing.seal()
    measured("bundle, one seal over all, no pages", exported(bundle.write, page_limit=0), 1)
    print(f"\ncsv: {ours / floor:.2f} of the floor")
    if is_postgres:
        print(f"csv by rows: {rows_only / plain:.2f} of its floor")
    start = time.perf_counter()
    exported(bundle.write, Selection(recipients=(Recipient.parse("+12025550123"),)))()
    print(f"bundle of one recipient, all under one seal: {time.perf_counter() - start:.2f} s")


if __name__ == "__main__":
    events = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with ledgers.filled(events):
        main()
