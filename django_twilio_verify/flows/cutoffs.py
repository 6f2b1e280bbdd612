"""Ending all sessions of a person where sessions cannot be listed: a mark, against which each of them is held.

A session notes at its sign-in which mark was the last one, and is over once that is the last one no more. Marks are
compared for equality. By time, a session that one server began would outlive what another one ended a moment later, by
as much as their clocks differ; and one that was ended would come back by a step-up, which renews when it was proved.
"""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import router
from django.db.models import QuerySet
from django.utils import timezone

from ..models import SessionCutoff


def cut(user: AbstractBaseUser) -> int:
    """End every session of ``user`` that is not given the mark which this returns. Two or three statements."""
    now = timezone.now()
    rows = _of(user)
    if not rows.update(ended_at=now):
        # Not update_or_create(), whose SELECT does not see the winner's row inside a transaction of MariaDB. Of two at
        # the same instant the last one stands, as of any two.
        new = SessionCutoff(user_id=user.pk, ended_at=now)
        SessionCutoff.objects.using(rows.db).bulk_create([new], ignore_conflicts=True)
        rows.update(ended_at=now)
    return _mark(now)


def last(user: AbstractBaseUser) -> int:
    """The last mark of ``user``; 0 if there never was one. One SELECT."""
    ended_at = _of(user).values_list("ended_at", flat=True).first()
    return 0 if ended_at is None else _mark(ended_at)


def _of(user: AbstractBaseUser) -> QuerySet[SessionCutoff]:
    # SECURITY: a replica that lags would let an ended session go on, and give a new one a mark of before.
    return SessionCutoff.objects.using(router.db_for_write(SessionCutoff)).filter(user_id=user.pk)


def _mark(ended_at: datetime) -> int:
    # A number and not a text: databases answer with time zones of their own.
    return round(ended_at.timestamp() * 1_000_000)
