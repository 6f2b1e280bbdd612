"""Time to enroll: people of whom a factor is demanded and who have none may put it off for a while."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..conf import settings
from ..models import UserState


def ends_at(user: AbstractBaseUser) -> datetime | None:
    """Until when ``user`` may go on without a factor: started by the first call, ``TWILIO_VERIFY_GRACE_DAYS`` long.

    ``None`` if there is no grace, or it is over. It is not given a second time: who enrolls and removes the factor, or
    leaves the staff and comes back, has had it. One SELECT, the first time an INSERT too.
    """
    if settings.grace_days < 1:
        return None
    now = timezone.now()
    end = end_of(_started_at(user, now))
    return end if end is not None and end > now else None


def end_of(started_at: datetime | None) -> datetime | None:
    """When a grace period of that start ends, by the setting of today. ``None`` if there is none."""
    days = settings.grace_days
    return None if started_at is None or days < 1 else started_at + timedelta(days=days)


def _started_at(user: AbstractBaseUser, now: datetime) -> datetime:
    known = UserState.objects.filter(user_id=user.pk).values_list("grace_started_at", flat=True).first()
    if known is not None:
        return known
    UserState.objects.start_grace_period(user.pk, now)
    return now
