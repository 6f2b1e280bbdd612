"""The lock of a recipient, which orders reserving a send to it and ending consent for it.

It stands in the database of the verifications, also where a router keeps the ledger elsewhere: who holds it reads or
writes the ledger in a transaction of the ledger's own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

from django.db.models import F

from . import RecipientLock
from .transactions import joined_transaction

T = TypeVar("T")


class Unlocked(Exception):
    """The row of the lock does not exist yet. Make it outside of the transaction and begin again."""


def take(prints: Iterable[str]) -> None:
    """Lock the recipient with these fingerprints until the transaction ends.

    Raises:
        Unlocked: A row is missing (``make``).
    """
    # One after the other, in one order: two processes never hold one row each and wait for the other's.
    for key in sorted(prints):
        # SECURITY: a write and not SELECT FOR UPDATE, which SQLite does not know and a snapshot does not notice.
        if not RecipientLock.objects.filter(pk=key).update(turns=F("turns") + 1):
            raise Unlocked


def make(prints: Iterable[str]) -> None:
    """Make the rows that are missing. Outside of the transaction: InnoDB deadlocks two that insert the same row."""
    rows = [RecipientLock(key=key) for key in sorted(prints)]
    RecipientLock.objects.bulk_create(rows, ignore_conflicts=True)


def holding(prints: Iterable[str], work: Callable[[], T]) -> T:
    """Return ``work()``, run with the recipient locked: in a transaction of its own, or in the caller's."""
    keys = list(prints)

    def locked() -> T:
        take(keys)
        return work()

    try:
        return joined_transaction(locked)
    except Unlocked:
        make(keys)
    return joined_transaction(locked)
