"""Ending all sessions of a person: a mark, against which each of them is held.

Sessions that can be listed are deleted as well, and held against the mark only while a login is being completed: one
that is saved a moment later is not in the list.

A session notes at its sign-in which mark was the last one, and is over once that is the last one no more. Marks are
compared for equality. By time, a session that one server began would outlive what another one ended a moment later, by
as much as their clocks differ; and one that was ended would come back by a step-up, which renews when it was proved.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import router
from django.db.models import QuerySet
from django.utils import timezone

from ..models import UserState


def cut(user: AbstractBaseUser) -> int:
    """End every session of ``user`` that is not given the mark which this returns. One statement.

    Of two at the same instant the last one stands, as of any two.
    """
    now = timezone.now()
    UserState.objects.end_sessions(user.pk, now)
    return _mark(now)


def last(user: AbstractBaseUser) -> int:
    """The last mark of ``user``; 0 if there never was one. One SELECT."""
    return last_of(user.pk)


def last_of(user_id: Any) -> int:
    """The same, of the user with that primary key (or its text)."""
    ended_at = _of(user_id).values_list("sessions_ended_at", flat=True).first()
    return 0 if ended_at is None else _mark(ended_at)


def database() -> str:
    """The alias of the database that holds the marks."""
    return router.db_for_write(UserState)


def _of(user_id: Any) -> QuerySet[UserState]:
    # SECURITY: a replica that lags would let an ended session go on, and give a new one a mark of before.
    return UserState.objects.using(database()).filter(user_id=user_id)


def _mark(ended_at: datetime) -> int:
    # A number and not a text: databases answer with time zones of their own.
    return round(ended_at.timestamp() * 1_000_000)
