"""Tell the site that a limit was reached: once for each window and subject."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Q

from ..core import receivers
from ..core.client import ClientInfo
from ..models import Factor, LimitCounter
from ..signals import locked_out


@dataclass(frozen=True, slots=True)
class Refused:
    """Whose request was refused. ``country``: of the recipient, as ``"AT"``, or ``""``."""

    user: AbstractBaseUser | None
    client: ClientInfo | None
    country: str = ""
    factor: Factor | None = None


def is_first(key: str, start: datetime) -> bool:
    """Return whether this is the first refusal by the counter ``key`` in the window that begins at ``start``.

    True for one call. The row is made where nothing was counted.
    """
    rows = LimitCounter.objects.filter(key=key)
    # One conditional UPDATE: of simultaneous refusals one is told so.
    untold = rows.filter(Q(locked_out_since=None) | Q(locked_out_since__lt=start))
    if untold.update(locked_out_since=start):
        return True
    if rows.exists():
        return False
    LimitCounter.objects.bulk_create([LimitCounter(key=key, since=start)], ignore_conflicts=True)
    return bool(untold.update(locked_out_since=start))


def announce(reason: str, refused: Refused, *, until: datetime | None) -> None:
    """Send ``locked_out``."""
    receivers.send(
        locked_out,
        get_user_model(),
        user=refused.user,
        client=refused.client,
        reason=reason,
        until=until,
        recipient_country=refused.country,
        factor=refused.factor,
    )
