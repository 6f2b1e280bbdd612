"""A site's own tests empty the ledger after themselves, and its triggers stand when they are done."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.color import no_style
from django.db import DatabaseError, connection, connections, transaction
from django.db.models.signals import post_migrate
from django.test import LiveServerTestCase, TestCase, TransactionTestCase

from django_twilio_verify.models import ConsentEvent, ConsentEvidence, Disclosure
from django_twilio_verify.models.append_only import flushing
from tests.support.basics import agree, make_user
from tests.support.ledger import execute, refused, still_refuses


@pytest.fixture(autouse=True)
def flushed_as_on_a_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """On PostgreSQL by TRUNCATE, which our own tests are spared elsewhere (``tests/support/postgres``)."""
    if connection.vendor == "postgresql":
        monkeypatch.setattr(type(connection.ops), "truncates", True)
        tables = connection.introspection.django_table_names(only_existing=False)
        assert "TRUNCATE" in connection.ops.sql_flush(no_style(), tables)[0]


def begins_empty_and_writes() -> None:
    assert not ConsentEvent.objects.exists()
    assert not Disclosure.objects.exists()
    agree(user=make_user())
    still_refuses()


def flush_row_by_row() -> None:
    """As Django's tests flush. By itself the command resets sequences too, for which MariaDB ends the transaction."""
    call_command("flush", interactive=False, verbosity=0, reset_sequences=False)


class SiteTransactionTests(TransactionTestCase):
    """What a site writes, several to a class, so that each meets what the one before it left."""

    def test_one(self) -> None:
        begins_empty_and_writes()

    def test_two(self) -> None:
        begins_empty_and_writes()

    def test_three(self) -> None:
        begins_empty_and_writes()
        with transaction.atomic():
            agree(user=make_user("bob"))
            transaction.set_rollback(True)
        assert ConsentEvent.objects.count() == 1


class SiteTestsThatResetSequences(TransactionTestCase):
    reset_sequences = True

    def test_one(self) -> None:
        begins_empty_and_writes()
        assert ConsentEvent.objects.get().pk == 1

    def test_two(self) -> None:
        begins_empty_and_writes()
        assert ConsentEvent.objects.get().pk == 1


class SiteTestsOfSomeApps(TransactionTestCase):
    """``available_apps`` makes Django flush with CASCADE."""

    available_apps = [
        "django.contrib.auth",
        "django.contrib.contenttypes",
        "django.contrib.sessions",
        "django_twilio_verify",
    ]

    def test_one(self) -> None:
        begins_empty_and_writes()

    def test_two(self) -> None:
        begins_empty_and_writes()


class SiteTestsInATransaction(TestCase):
    @classmethod
    def setUpTestData(cls) -> None:
        cls.event = agree(user=make_user())

    def test_one(self) -> None:
        still_refuses()
        agree("+15017122662")
        assert ConsentEvent.objects.count() == 2

    def test_two(self) -> None:
        still_refuses()
        assert ConsentEvent.objects.get() == self.event


class SiteLiveServerTests(LiveServerTestCase):
    def visit(self) -> None:
        with urllib.request.urlopen(f"{self.live_server_url}/public/") as answer:  # noqa: S310  loopback
            assert answer.read() == b"public"

    def test_one(self) -> None:
        self.visit()
        begins_empty_and_writes()

    def test_two(self) -> None:
        begins_empty_and_writes()
        self.visit()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("number", range(3))
def test_the_transactional_database_of_pytest_django(number: int) -> None:
    begins_empty_and_writes()


@pytest.mark.django_db(transaction=True, reset_sequences=True)
@pytest.mark.parametrize("number", range(2))
def test_the_transactional_database_with_sequences_reset(number: int) -> None:
    begins_empty_and_writes()
    assert ConsentEvent.objects.get().pk == 1


@pytest.mark.django_db(transaction=True)
def test_the_live_server_of_pytest_django(live_server: Any) -> None:
    with urllib.request.urlopen(f"{live_server.url}/public/") as answer:  # noqa: S310  loopback
        assert answer.status == 200
    begins_empty_and_writes()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(
    "options", [{}, {"reset_sequences": True}, {"reset_sequences": False}, {"allow_cascade": True}], ids=str
)
def test_flush_empties_the_ledger_and_closes_the_gate(options: dict[str, Any]) -> None:
    agree(user=make_user())
    call_command("flush", interactive=False, verbosity=0, **options)
    assert not ConsentEvent.objects.exists()
    assert not ConsentEvidence.objects.exists()
    assert not Disclosure.objects.exists()
    agree()
    still_refuses()


@pytest.mark.django_db(transaction=True)
def test_flush_within_a_transaction_is_undone_with_it() -> None:
    agree()
    with transaction.atomic():
        flush_row_by_row()
        transaction.set_rollback(True)
    still_refuses()


@pytest.mark.django_db(transaction=True)
def test_a_flush_that_is_not_confirmed_does_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    agree()
    monkeypatch.setattr("sys.stdin", StringIO("no\n"))
    said = StringIO()
    call_command("flush", interactive=True, stdout=said)
    assert "cancelled" in said.getvalue()
    still_refuses()


class Failure(Exception):
    """Somebody's receiver failed."""


@pytest.fixture(params=["fails", "fails and breaks the transaction"])
def failing_flush(request: pytest.FixtureRequest) -> Iterator[None]:
    """A flush that fails after the tables were emptied: a receiver of ``post_migrate`` raises."""

    def fail(**kwargs: Any) -> None:
        if connection.in_atomic_block and "breaks" in request.param:
            transaction.set_rollback(True)
        raise Failure

    post_migrate.connect(fail)
    yield
    post_migrate.disconnect(fail)


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("failing_flush")
def test_the_gate_is_closed_after_a_flush_that_failed_half_way() -> None:
    agree()
    with pytest.raises(Failure):
        call_command("flush", interactive=False, verbosity=0)
    agree()
    still_refuses()
    # What follows the test flushes again, without the receiver.


@pytest.mark.django_db(transaction=True)
@pytest.mark.usefixtures("failing_flush")
def test_the_gate_is_closed_after_a_flush_that_failed_in_a_transaction() -> None:
    agree()
    with pytest.raises(Failure), transaction.atomic():
        flush_row_by_row()
    still_refuses()


@pytest.mark.django_db(transaction=True)
def test_the_gate_is_closed_when_the_connection_is_lost_meanwhile() -> None:
    agree()
    if connection.vendor == "sqlite":  # a lost connection takes its transaction with it
        with pytest.raises(Failure), flushing("default"):
            raise Failure
    else:
        with flushing("default"):
            connection.close()
    still_refuses()


@pytest.mark.django_db(transaction=True)
def test_an_open_gate_is_open_to_its_own_connection_alone() -> None:
    agree()
    outcome: list[Any] = []

    def elsewhere() -> None:
        try:
            if connection.vendor == "sqlite":  # a write would wait for the other's transaction
                outcome.append(execute("SELECT COUNT(*) FROM twilio_verify_ledgergate") == [(0,)])
            else:
                ConsentEvent.objects.update(country="XX")
        except DatabaseError as error:
            outcome.append("append-only" in str(error))
        finally:
            connections.close_all()

    with flushing("default"):
        other = threading.Thread(target=elsewhere)
        other.start()
        other.join()
    assert outcome == [True]
    still_refuses()


@pytest.mark.django_db(transaction=True)
def test_the_personal_half_can_be_emptied_without_a_gate() -> None:
    event = agree()
    ConsentEvidence.objects.all().delete()
    refused(lambda: ConsentEvent.objects.filter(pk=event.pk).delete())
