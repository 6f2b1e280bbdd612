"""Fills a ledger with many events, each of which holds."""

from __future__ import annotations

import hashlib
import os
import random
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import islice

from django.db import connection, connections

from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from django_twilio_verify.ledger import records
from django_twilio_verify.models import ConsentEvent, ConsentEvidence, ConsentSeal, Disclosure
from django_twilio_verify.models.append_only import flushing

BATCH = 2000
START = datetime(2026, 1, 1, tzinfo=UTC)
_COUNTRIES = ("US", "GB", "AT", "DE", "FR")
_LANGUAGES = ("en", "de", "fr")
_BUTTONS = ("Continue", "Send the code — now", "Weiter")


@contextmanager
def filled(count: int) -> Iterator[None]:
    """A test database with ``count`` events in it, taken away afterwards; with ``BENCH_KEEP`` set, kept for the next
    run, since filling takes longer than measuring.
    """
    keep, name = "BENCH_KEEP" in os.environ, connection.settings_dict["NAME"]
    connection.creation.create_test_db(verbosity=0, autoclobber=True, keepdb=keep)
    try:
        began, there = time.perf_counter(), ConsentEvent.objects.count()
        if there < count:
            fill(count - there)
        _unseal()
        _analyse()
        spent = time.perf_counter() - began
        print(f"{connection.vendor}, {count:,} events, {there:,} of them kept, filled in {spent:.0f} s\n", flush=True)
        yield
    finally:
        connections.close_all()
        if not keep:
            connection.creation.destroy_test_db(name, verbosity=0)


def _unseal() -> None:
    """Take away the seals of an earlier run."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE twilio_verify_consentseal")
    else:
        with flushing("default"):
            ConsentSeal.objects.all()._raw_delete("default")


def _analyse() -> None:
    statements = {"mysql": "ANALYZE TABLE twilio_verify_consentevent", "postgresql": "VACUUM ANALYZE"}
    with connection.cursor() as cursor:
        cursor.execute(statements.get(connection.vendor, "ANALYZE"))


def fill(count: int, *, personal: bool = True) -> None:
    """Write ``count`` events, and their personal halves where ``personal``; every fourth one follows another."""
    shown = _disclosures()
    events = _events(count, shown)
    while batch := list(islice(events, BATCH)):
        made = [event for event, _ in batch]
        ConsentEvent.objects.bulk_create(made)
        if made[-1].pk is None:  # MySQL hands out no numbers after a bulk insert
            ids = ConsentEvent.objects.order_by("-pk").values_list("pk", flat=True)[: len(made)]
            for event, number in zip(made, sorted(ids), strict=True):
                event.pk = number
        if personal:
            for event, half in batch:
                half.event_id = event.pk
            ConsentEvidence.objects.bulk_create([half for _, half in batch])


def _disclosures() -> list[Disclosure]:
    made = []
    for channel in (Channel.SMS, Channel.CALL, Channel.EMAIL):
        text = disclosures.compose(channel)
        made.append(
            Disclosure.objects.create(
                digest=text.digest,
                record_version=1,
                channel=channel.value,
                language="en",
                text=text.text,
                checkbox_label=text.checkbox_label,
                terms_url=text.terms_url,
                privacy_url=text.privacy_url,
                first_used_at=START,
            )
        )
    return made


def _events(count: int, shown: list[Disclosure]) -> Iterator[tuple[ConsentEvent, ConsentEvidence]]:
    dice = random.Random(1)
    earlier: list[ConsentEvent] = []
    for number in range(count):
        event, half = _event(number, dice, shown[number % len(shown)], _followed(earlier, number))
        earlier = [*earlier[-BATCH:], event] if number % BATCH == 0 else earlier
        yield event, half


def _followed(earlier: list[ConsentEvent], number: int) -> ConsentEvent | None:
    """An event of an earlier batch, which has its number by now."""
    saved = [event for event in earlier[-2:] if event.pk]
    return saved[0] if saved and number % 4 == 0 else None


def _event(
    number: int, dice: random.Random, shown: Disclosure, previous: ConsentEvent | None
) -> tuple[ConsentEvent, ConsentEvidence]:
    half = ConsentEvidence(
        salt=secrets.token_hex(32),
        recipient=f"+1501{number:07}",
        person_label=f"person{number}",
        ip=f"203.0.113.{number % 256}",
        user_agent="Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari",
        page="https://shop.test/enroll/",
    )
    event = ConsentEvent(
        event="renewed" if previous else "granted",
        channel=shown.channel,
        purpose="verify",
        disclosure=shown,
        previous=previous,
        language=dice.choice(_LANGUAGES),
        medium="web",
        control="checkbox",
        control_final=True,
        button_label=dice.choice(_BUTTONS),
        person_kind="user",
        person_fingerprint=f"k1.{hashlib.sha256(b'p%d' % number).hexdigest()[:40]}",
        recipient_kind="phone",
        recipient_fingerprint=f"k1.{hashlib.sha256(b'r%d' % number).hexdigest()[:40]}",
        country=dice.choice(_COUNTRIES),
        occurred_at=START + timedelta(seconds=number, microseconds=dice.randrange(1_000_000)),
        record_version=records.RECORD_VERSION,
        commitment=records.commitment(half),
    )
    event.digest = records.digest(
        event, disclosure_digest=shown.digest, previous_digest=previous.digest if previous else ""
    )
    return event, half
