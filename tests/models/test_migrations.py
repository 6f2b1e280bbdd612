"""The migrations: complete, forwards and backwards, on the database of the run."""

from __future__ import annotations

from io import StringIO

import pytest
from django.apps import apps
from django.core.management import call_command
from django.db import connection

from django_twilio_verify.models import ConsentEvent
from tests.support.basics import agree, make_user
from tests.support.ledger import execute, still_refuses

APP = "twilio_verify"


def tables() -> set[str]:
    return {name for name in connection.introspection.table_names() if name.startswith(APP)}


def migrate(target: str) -> None:
    call_command("migrate", APP, target, verbosity=0)


@pytest.mark.django_db
def test_no_migration_is_missing() -> None:
    said = StringIO()
    call_command("makemigrations", APP, check=True, dry_run=True, stdout=said)
    assert "No changes detected" in said.getvalue()


@pytest.mark.django_db
def test_every_model_has_its_table() -> None:
    assert {model._meta.db_table for model in apps.get_app_config(APP).get_models()} <= tables()


@pytest.mark.django_db(transaction=True)
def test_backwards_leaves_nothing_and_forwards_guards_again() -> None:
    user = make_user()
    agree(user=user)
    try:
        migrate("zero")
        assert tables() == set()
        if connection.vendor == "postgresql":
            assert execute("SELECT count(*) FROM pg_proc WHERE proname = 'twilio_verify_append_only'") == [(0,)]
        if connection.vendor == "mysql":
            named = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
            assert execute(named) == []
    finally:
        call_command("migrate", APP, verbosity=0)
    agree(user=user)
    still_refuses()


@pytest.mark.django_db(transaction=True)
def test_the_guard_is_a_migration_of_its_own() -> None:
    agree()
    try:
        migrate("0001")
        assert ConsentEvent.objects.update(country="XX") == 1
        assert "twilio_verify_ledgergate" not in tables()
    finally:
        call_command("migrate", APP, verbosity=0)
    assert ConsentEvent.objects.get().country == "XX"
    still_refuses()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("migration", ["0001", "0002"])
@pytest.mark.parametrize("backwards", [False, True])
def test_the_statements_can_be_shown(migration: str, backwards: bool) -> None:
    said = StringIO()
    call_command("sqlmigrate", APP, migration, backwards=backwards, stdout=said, no_color=True)
    assert said.getvalue().strip()
