"""Time to enroll: people of whom a factor is demanded and who have none may put it off for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..conf import settings
from ..models import EnrollmentGrace


def ends_at(user: AbstractBaseUser) -> datetime | None:
    """Until when ``user`` may go on without a factor: started by the first call, ``TWILIO_VERIFY_GRACE_DAYS`` long.

    ``None`` if there is no grace, or it is over. It is not given a second time: who enrolls and removes the factor, or
    leaves the staff and comes back, has had it. One SELECT, the first time an INSERT too.
    """
    days = settings.grace_days
    if days < 1:
        return None
    now = timezone.now()
    end = _started_at(user, now) + timedelta(days=days)
    return end if end > now else None


def _started_at(user: AbstractBaseUser, now: datetime) -> datetime:
    known = EnrollmentGrace.objects.filter(user_id=user.pk).values_list("started_at", flat=True).first()
    if known is not None:
        return known
    # Two first sign-ins at the same instant: one row, and the loser's clock is as good. Not get_or_create(), whose
    # second SELECT does not see the winner's row inside a transaction of MariaDB.
    EnrollmentGrace.objects.bulk_create([EnrollmentGrace(user_id=user.pk, started_at=now)], ignore_conflicts=True)
    return now
