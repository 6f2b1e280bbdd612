"""The state of a user: three columns in one row, each written by a method of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from django_twilio_verify.login import grace, session_cutoffs
from django_twilio_verify.models import UserState
from django_twilio_verify.models.account import UserStateQuerySet
from django_twilio_verify.verifications import assurance
from tests.support.basics import make_user, race

pytestmark = pytest.mark.django_db
NOW = timezone.now()
BEFORE = NOW - timedelta(days=1)
COLUMNS = {
    "start_grace_period": "grace_started_at",
    "end_sessions": "sessions_ended_at",
    "dismiss_suggestion": "suggestion_dismissed_at",
}
NOT_WRITES = {"clear_grace_period", "delete"}
FIRST_WRITES: list[Callable[[Any], Any]] = [grace.ends_at, session_cutoffs.cut, assurance.not_now]


@pytest.fixture(autouse=True)
def two_weeks(settings: Any) -> None:
    settings.TWILIO_VERIFY_GRACE_DAYS = 14


def values() -> dict[str, datetime | None]:
    return UserState.objects.values(*COLUMNS.values()).get()


def test_every_method_is_named_here() -> None:
    own = {name for name, value in vars(UserStateQuerySet).items() if callable(value) and not name.startswith("_")}
    assert own == {*COLUMNS, *NOT_WRITES}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_method_inserts_the_row_and_then_writes_its_own_column_alone(name: str) -> None:
    ann = make_user("ann")
    write = getattr(UserState.objects, name)
    with CaptureQueriesContext(connection) as captured:
        write(ann.pk, BEFORE)
    assert [one["sql"].split()[0] for one in captured if UserState._meta.db_table in one["sql"]] == ["INSERT"]
    assert values() == dict.fromkeys(COLUMNS.values()) | {COLUMNS[name]: BEFORE}
    UserState.objects.update(**dict.fromkeys(COLUMNS.values(), BEFORE))
    with CaptureQueriesContext(connection) as captured:
        write(ann.pk, NOW)
    assert len([one for one in captured if UserState._meta.db_table in one["sql"]]) == 1
    assert values() == dict.fromkeys(COLUMNS.values(), BEFORE) | {COLUMNS[name]: NOW}


def test_a_method_writes_to_its_own_user_alone() -> None:
    ann, ben = make_user("ann"), make_user("ben")
    UserState.objects.end_sessions(ann.pk, BEFORE)
    UserState.objects.end_sessions(ben.pk, NOW)
    assert dict(UserState.objects.values_list("user_id", "sessions_ended_at")) == {ann.pk: BEFORE, ben.pk: NOW}


def test_a_cleared_grace_period_leaves_the_rest_and_starts_anew() -> None:
    ann = make_user("ann")
    UserState.objects.create(user=ann, **dict.fromkeys(COLUMNS.values(), NOW - timedelta(days=20)))
    mark = session_cutoffs.last(ann)
    assert grace.ends_at(ann) is None
    assert UserState.objects.filter(user=ann).clear_grace_period() == 1
    assert UserState.objects.filter(user=ann).clear_grace_period() == 0
    assert grace.ends_at(ann) is not None
    assert session_cutoffs.last(ann) == mark and assurance.said_not_now(ann)


def test_no_other_write_moves_the_mark_and_each_cutoff_has_a_new_one() -> None:
    ann = make_user("ann")
    marks = [session_cutoffs.last(ann)]
    for _ in range(3):
        marks.append(session_cutoffs.cut(ann))
        for write in (grace.ends_at, assurance.not_now):
            write(ann)
            assert session_cutoffs.last(ann) == marks[-1]
        UserState.objects.clear_grace_period()
        assert session_cutoffs.last(ann) == marks[-1]
    assert marks[0] == 0 and marks == sorted(set(marks))


@pytest.mark.parametrize(
    "delete",
    [
        lambda ann: ann.twilio_user_state.delete(),
        lambda ann: UserState.objects.filter(user=ann).delete(),
        lambda ann: UserState.objects.all().delete(),
    ],
)
def test_a_state_is_not_deleted_without_its_account(delete: Callable[[Any], Any]) -> None:
    ann = make_user("ann")
    mark = session_cutoffs.cut(ann)
    with pytest.raises(TypeError, match="clear_grace_period"):
        delete(ann)
    assert session_cutoffs.last(ann) == mark


@pytest.mark.parametrize("delete", [lambda ann: ann.delete(), lambda ann: type(ann).objects.filter(pk=ann.pk).delete()])
def test_it_is_deleted_with_its_account(delete: Callable[[Any], Any]) -> None:
    ann, ben = make_user("ann"), make_user("ben")
    for user in (ann, ben):
        session_cutoffs.cut(user)
    delete(ann)
    assert UserState.objects.get().user == ben


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_first_writes_of_all_columns_at_once_none_is_lost() -> None:
    ann = make_user("ann")
    race(9, lambda index: FIRST_WRITES[index % 3](ann))
    assert None not in values().values()


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_nor_inside_transactions_of_the_sites() -> None:
    """Of two users: an UPDATE before the INSERT would make a deadlock on MariaDB."""
    users = [make_user("ann"), make_user("ben")]

    def write(index: int) -> Any:
        with transaction.atomic():
            UserState.objects.count()  # a snapshot without the row
            return FIRST_WRITES[index % 3](users[index % 2])

    done = race(12, write)
    # SQLite lets one transaction at a time go from reading to writing, and tells the others so, whoever writes.
    refused = [index for index, one in enumerate(done) if isinstance(one, OperationalError)]
    assert not refused or connection.vendor == "sqlite"
    for number, user in enumerate(users):
        written = {index % 3 for index in range(12) if index % 2 == number and index not in refused}
        state = UserState.objects.filter(user=user).values_list(*COLUMNS.values()).first() or (None,) * 3
        assert {index for index, value in enumerate(state) if value is not None} == written
