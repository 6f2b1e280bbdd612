"""Memory does not grow with the number of rows."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable
from copy import copy
from datetime import UTC, datetime
from typing import Any

import pytest
from django.contrib.auth.models import User

from django_twilio_verify.ledger import inclusion, sealing
from django_twilio_verify.ledger.export import bundle, evidence, receipts, spreadsheet
from django_twilio_verify.ledger.export.evidence import Selection
from django_twilio_verify.models import ConsentEvent, ConsentEvidence
from tests.support.basics import agree

pytestmark = pytest.mark.django_db


class Nowhere:
    def write(self, data: bytes) -> int:
        return len(data)

    def flush(self) -> None:
        pass


def filled(user: User, count: int) -> None:
    """``count`` events more: copies of one, whose digests differ."""
    event = agree(user=user)
    half = event.evidence
    first = ConsentEvent.objects.order_by("-pk")[0].pk + 1
    events, halves = [], []
    for number in range(first, first + count):
        one, its_half = copy(event), copy(half)
        one.pk, one.digest, one.place = number, f"{number:064x}", f"{number:040x}"
        one.recipient_fingerprint, its_half.event_id = f"s0.{number % 300:040x}", number
        events.append(one)
        halves.append(its_half)
    ConsentEvent.objects.bulk_create(events, batch_size=200)
    ConsentEvidence.objects.bulk_create(halves, batch_size=200)


def peak(work: Callable[[], Any]) -> int:
    work()  # what is imported and compiled once
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("write", [bundle.write, spreadsheet.write, receipts.write_twilio, receipts.write_receipts])
def test_six_times_the_rows_take_no_more_memory(ann: User, monkeypatch: pytest.MonkeyPatch, write: Any) -> None:
    monkeypatch.setattr(evidence.chunks, "__kwdefaults__", {"size": 50})
    monkeypatch.setattr(evidence.in_chunks, "__kwdefaults__", {"size": 50})
    monkeypatch.setattr(inclusion, "BLOCK", 64)

    def work() -> None:
        options = {"page_limit": 2} if write is bundle.write else {}
        write(Nowhere(), Selection(since=datetime(2020, 1, 1, tzinfo=UTC)), "why", "ann", **options)

    filled(ann, 200)
    sealing.seal()
    small = peak(work)
    filled(ann, 1000)
    sealing.seal()
    assert ConsentEvidence.objects.count() > 1200
    large = peak(work)
    assert large < small * 1.3 + 60_000, (small, large)
