"""Channels that the provider refuses for everybody: noted once, told to the operator once, not offered for a while."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.db import IntegrityError, router, transaction
from django.utils import timezone

from ..choices import Channel
from ..core import receivers
from ..models import ChannelOutage
from ..signals import channel_unavailable

logger = logging.getLogger("django_twilio_verify")

NOT_OFFERED = timedelta(hours=1)
"""How long a channel that was refused is not offered; then the next person tries it again."""

Outages = frozenset[tuple[str, str]]
"""Pairs of backend and channel."""


def current(now: datetime | None = None) -> Outages:
    """The channels that are out at ``now``, of every backend. One SELECT."""
    out = ChannelOutage.objects.filter(until__gt=now or timezone.now())
    return frozenset(out.values_list("backend", "channel"))


def note(backend: str, channel: Channel, error_code: int, now: datetime) -> bool:
    """Note that ``backend`` refuses ``channel`` for everybody, as ``error_code`` says.

    Returns whether that is news: of any number of calls one is told so, logs an error for the operator and sends
    ``channel_unavailable``; the others, and later ones until the outage is over, change nothing.
    """
    if not _begin(backend, channel, error_code, now):
        return False
    outage = ChannelOutage.objects.get(backend=backend, channel=channel)
    logger.error(
        "Channel %s of %r is not usable (Twilio error %s) and not offered until %s",
        channel.value,
        backend,
        error_code,
        outage.until.isoformat(timespec="seconds"),
    )
    receivers.send(channel_unavailable, ChannelOutage, user=None, client=None, outage=outage)
    return True


def clear(backend: str, channel: Channel) -> bool:
    """Offer ``channel`` of ``backend`` again at once: the operator has mended it. Whether it was out."""
    out = ChannelOutage.objects.filter(backend=backend, channel=channel.value, until__gt=timezone.now())
    return bool(out.update(until=timezone.now()))


def _begin(backend: str, channel: Channel, error_code: int, now: datetime) -> bool:
    """Write an outage that begins now; false if one is running. One row for each backend and channel."""
    values = {"error_code": error_code, "seen_at": now, "until": now + NOT_OFFERED}
    row = ChannelOutage.objects.filter(backend=backend, channel=channel.value)
    if row.filter(until__lte=now).update(**values):
        return True
    if row.exists():
        return False
    try:
        with transaction.atomic(using=router.db_for_write(ChannelOutage)):
            ChannelOutage.objects.create(backend=backend, channel=channel.value, **values)
    except IntegrityError:  # somebody was refused at the same instant, and has told
        return False
    return True
