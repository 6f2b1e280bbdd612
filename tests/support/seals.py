"""A ledger with seals, and an attacker who has the database and drops its triggers."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db import connection

from django_twilio_verify.ledger import records, sealing
from django_twilio_verify.models import ConsentEvent, ConsentEvidence, ConsentSeal
from tests.support.basics import agree, make_client

TABLES = ("twilio_verify_consentevent", "twilio_verify_consentseal", "twilio_verify_disclosure")


def write(count: int, start: int = 0) -> list[int]:
    """Events of ``count`` people, whom no other test has seen. Returns their ids.

    Deleted rows linger in InnoDB's unique indexes until it purges them: who writes the same again takes gap locks
    there, and writers who have nothing to do with each other would wait. A ledger outside of tests deletes nothing.
    Each is in a network of their own: who counts for one waits for whoever else does, until that one has committed.
    """
    people = [
        make_client(session=f"s{number} {uuid.uuid4()}", ip=f"10.{number // 250}.{number % 250}.1")
        for number in range(start, start + count)
    ]
    return [agree(f"+1501712{2000 + number}", client=client).pk for number, client in enumerate(people, start)]


def seal() -> ConsentSeal:
    made = sealing.seal()
    assert made is not None
    return made.seal


def findings(**extent: Any) -> set[tuple[str, int | None, int | None]]:
    """What verifying finds: kind, event, seal."""
    found = sealing.verify(sealing.Extent(**extent))
    return {(one.kind, one.event_id, one.seal_number) for one in found if one.is_certain}


def drop_triggers() -> None:
    """As who owns the database would. On MariaDB the DDL would commit the test's transaction: there the triggers are
    made blind for the session instead.
    """
    with connection.cursor() as cursor:
        if connection.vendor == "mysql":
            cursor.execute("SET @twilio_verify_flush = 1")
            return
        for table in TABLES:
            for verb in ("update", "delete", "replace"):
                on = f" ON {table}" if connection.vendor == "postgresql" else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {table}_no_{verb}{on}")


def rewrite(pk: int, **values: Any) -> None:
    ConsentEvent.objects.filter(pk=pk).update(**values)


def redigest(pk: int) -> None:
    """Give the event the digest that fits what it says now."""
    event = ConsentEvent.objects.select_related("disclosure", "previous").get(pk=pk)
    assert event.disclosure is not None
    previous = event.previous.digest if event.previous else ""
    rewrite(pk, digest=records.digest(event, disclosure_digest=event.disclosure.digest, previous_digest=previous))


def remove(*pks: int) -> None:
    ConsentEvidence.objects.filter(event_id__in=pks).delete()
    ConsentEvent.objects.filter(pk__in=pks)._raw_delete("default")


def forge(pk: int | None, like: int, **values: Any) -> int:
    """A new event, right in itself, at ``pk`` or at the end."""
    event = ConsentEvent.objects.select_related("disclosure").get(pk=like)
    assert event.disclosure is not None
    event.pk, event._state.adding, event.place = pk, True, None
    for name, value in values.items():
        setattr(event, name, value)
    event.digest = records.digest(event, disclosure_digest=event.disclosure.digest, previous_digest="")
    event.save(force_insert=True)
    assert event.pk is not None
    return event.pk


def swap(one: int, other: int) -> None:
    """Exchange two events, with their personal halves."""
    for model, key in ((ConsentEvent, "pk"), (ConsentEvidence, "event_id")):
        names = [field.attname for field in model._meta.concrete_fields if not field.primary_key]
        rows = {number: model.objects.filter(**{key: number}).values(*names).get() for number in (one, other)}
        if model is ConsentEvent:
            rewrite(one, digest="0" * 64, place=None)
        model.objects.filter(**{key: other}).update(**rows[one])
        model.objects.filter(**{key: one}).update(**rows[other])


@dataclass(frozen=True, slots=True)
class Sealed:
    """Ids of the events under seal 1, under seal 2, and of those not sealed."""

    first: list[int]
    second: list[int]
    loose: list[int]


@dataclass(slots=True)
class Authority:
    """A time-stamping authority on the loopback. ``status``: what it answers with."""

    url: str
    certificate: Path
    status: int = 200
    body: bytes | None = None
