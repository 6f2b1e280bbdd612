"""Sends that were reserved and have not reached the provider, when the consent for them ends.

A reserved send is claimed by its sender with one conditional UPDATE, right before the provider is called. Ending
consent recalls what is not claimed yet, by another. What is claimed has ``HANDOVER`` seconds to enter the provider's
call, or has to be claimed again, for which consent is read again: so ending consent waits that long, and no longer.
What is already in the provider's hands cannot be taken back.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import router, transaction
from django.db.models import QuerySet
from django.utils import timezone

from ..choices import FALLBACKS, AttemptStatus, Channel
from ..models import ConsentEvent, VerificationAttempt

HANDOVER = 1.0
"""Seconds for which a claim lets its sender enter the provider's call."""
_POLL = 0.02
_ABANDONED = timedelta(minutes=1)
"""A claim of before was used long ago, or its sender died."""


def claim(attempt: VerificationAttempt, now: datetime) -> bool:
    """Return whether the send may be handed to the provider; ``False`` if it was recalled. One conditional UPDATE."""
    attempt.claimed_at = now
    rows = VerificationAttempt.objects.filter(pk=attempt.pk, status=AttemptStatus.RESERVED)
    return bool(rows.update(claimed_at=now))


def recall(prints: Collection[str], channel: Channel, ended: Collection[str] | None) -> None:
    """Recall what is reserved for a recipient and ``channel``, or for a channel that may fall back to it.

    To be called with the recipient locked, after the event is written: what is reserved later sees the event.

    Args:
        prints: The recipient's fingerprints.
        ended: Fingerprints of the persons whose consent ends; ``None`` for everybody's.
    """
    ways = _carried_by(channel)
    reserved = dict(_reserved(prints, ways).filter(claimed_at=None).values_list("pk", "consent_event_id"))
    if reserved and ended is not None:
        using = router.db_for_write(ConsentEvent)
        theirs = ConsentEvent.objects.using(using).filter(pk__in=set(reserved.values()), person_fingerprint__in=ended)
        events = set(theirs.values_list("pk", flat=True))
        reserved = {pk: event for pk, event in reserved.items() if event in events}
    if reserved:
        unclaimed = VerificationAttempt.objects.filter(pk__in=reserved, status=AttemptStatus.RESERVED, claimed_at=None)
        unclaimed.update(status=AttemptStatus.NOT_SENT, settled_at=timezone.now())
    # Within a caller's transaction only when it commits: until then the lock keeps new sends out, and the answer to
    # those under way may not be visible.
    using = router.db_for_write(VerificationAttempt)
    transaction.on_commit(lambda: _wait_for_claimed(prints, ways), using=using)


def _wait_for_claimed(prints: Collection[str], ways: Collection[str]) -> None:
    """Return when nothing that was claimed before can enter the provider's call any more."""
    claimed = _reserved(prints, ways).filter(claimed_at__gt=timezone.now() - _ABANDONED)
    until = time.monotonic() + HANDOVER
    while claimed.exists() and time.monotonic() < until:
        time.sleep(_POLL)


def _reserved(prints: Collection[str], ways: Collection[str]) -> QuerySet[VerificationAttempt]:
    return VerificationAttempt.objects.filter(
        status=AttemptStatus.RESERVED, channel__in=ways, verification__recipient_fingerprint__in=prints
    )


def _carried_by(channel: Channel) -> list[str]:
    """The channels whose messages may come by ``channel``."""
    return [channel.value, *(way.value for way, others in FALLBACKS.items() if channel in others)]
