"""Events and disclosures stay as they were written, whoever asks, by whatever way."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.db.models import F, ProtectedError

from django_twilio_verify import consent
from django_twilio_verify.ledger import records
from django_twilio_verify.models import ConsentEvent, ConsentEvidence, Disclosure
from tests.support.basics import PHONE, agree, make_client, make_user
from tests.support.ledger import execute, refused

pytestmark = pytest.mark.django_db

Row = ConsentEvent | Disclosure


def written(model: type[Row]) -> Row:
    """A row of ``model`` as it is read from the database, with nothing that hangs on it."""
    if model is Disclosure:
        # One that no event names, so that only the trigger is in the way.
        event = agree()
        assert event.disclosure is not None
        event.disclosure.pk = None
        event.disclosure.digest = "0" * 64
        event.disclosure._state.adding = True
        event.disclosure.save()
        return Disclosure.objects.get(digest="0" * 64)
    event = agree()
    ConsentEvidence.objects.filter(event=event).delete()
    return ConsentEvent.objects.get(pk=event.pk)


REPLACE = {
    "postgresql": "INSERT INTO {table} ({columns}) SELECT {changed} FROM {table} WHERE id = {id} "
    "ON CONFLICT (id) DO UPDATE SET language = EXCLUDED.language",
    "mysql": "REPLACE INTO {table} ({columns}) SELECT {changed} FROM {table} WHERE id = {id}",
    "sqlite": "INSERT OR REPLACE INTO {table} ({columns}) SELECT {changed} FROM {table} WHERE id = {id}",
}
"""A changed copy of the row in its place, in the way that the database has for it."""


def raw(row: Row, statement: str) -> None:
    """Run a statement about the row."""
    columns = [field.column for field in row._meta.concrete_fields]
    changed = ", ".join("'zz'" if column == "language" else column for column in columns)
    execute(statement.format(table=row._meta.db_table, columns=", ".join(columns), changed=changed, id=row.pk))


def save(row: Row) -> None:
    row.language = "zz"
    row.save()


def save_one_field(row: Row) -> None:
    row.language = "zz"
    row.save(update_fields=["language"])


def bulk_update(row: Row) -> None:
    row.language = "zz"
    type(row)._default_manager.bulk_update([row], ["language"])


def upsert(row: Row) -> None:
    row.language = "zz"
    options = {} if connection.vendor == "mysql" else {"unique_fields": ["digest"]}
    type(row)._default_manager.bulk_create([row], update_conflicts=True, update_fields=["language"], **options)


WAYS: dict[str, Callable[[Row], object]] = {
    "save": save,
    "save of nothing new": lambda row: row.save(),
    "save of one field": save_one_field,
    "delete": lambda row: row.delete(),
    "queryset update": lambda row: type(row)._default_manager.filter(pk=row.pk).update(language="zz"),
    "queryset update by expression": lambda row: type(row)._default_manager.update(channel=F("language")),
    "queryset delete": lambda row: type(row)._default_manager.filter(pk=row.pk).delete(),
    "bulk update": bulk_update,
    "upsert": upsert,
    "update or create": lambda row: type(row)._default_manager.update_or_create(pk=row.pk, defaults={"language": "zz"}),
    "raw update": lambda row: raw(row, "UPDATE {table} SET language = 'zz' WHERE id = {id}"),
    "raw update of every row": lambda row: raw(row, "UPDATE {table} SET id = id"),
    "raw delete": lambda row: raw(row, "DELETE FROM {table} WHERE id = {id}"),
    "raw replace": lambda row: raw(row, REPLACE[connection.vendor]),
}


@pytest.mark.parametrize("model", [ConsentEvent, Disclosure])
@pytest.mark.parametrize("way", WAYS)
def test_a_row_is_neither_changed_nor_deleted(model: type[Row], way: str) -> None:
    row = written(model)
    before = type(row)._default_manager.filter(pk=row.pk).values().get()
    refused(lambda: WAYS[way](row))
    assert type(row)._default_manager.filter(pk=row.pk).values().get() == before


def test_what_hangs_on_a_row_protects_it_before_the_database_does() -> None:
    event = agree()
    assert event.disclosure is not None
    for row in (event, event.disclosure):
        with pytest.raises(ProtectedError):
            row.delete()


def test_rows_can_be_added_for_ever() -> None:
    first = agree()
    ended = consent.withdraw(recipient=PHONE, channel="sms", client=make_client())
    again = agree()
    assert [event.pk for event in ConsentEvent.objects.order_by("id")] == [first.pk, ended and ended.pk, again.pk]
    assert again.previous == ended
    assert Disclosure.objects.count() == 1


def test_deleting_the_account_leaves_the_evidence() -> None:
    user = make_user()
    event = agree(user=user)
    get_user_model().objects.all().delete()
    kept = ConsentEvent.objects.select_related("disclosure", "evidence").get()
    assert kept == event
    assert kept.evidence.recipient == PHONE
    assert kept.disclosure is not None
    assert records.holds(kept)


def test_the_personal_half_can_be_erased_and_the_event_still_holds() -> None:
    event = agree(user=make_user())
    assert ConsentEvidence.objects.filter(event=event).delete()[0] == 1
    kept = ConsentEvent.objects.get()
    assert not hasattr(kept, "evidence")
    assert records.holds(kept)
    assert kept.commitment == event.commitment


def test_erasing_the_personal_half_ends_the_consent() -> None:
    agree()
    ConsentEvidence.objects.all().delete()
    assert consent.find(recipient=PHONE, channel="sms", client=make_client()) is None
