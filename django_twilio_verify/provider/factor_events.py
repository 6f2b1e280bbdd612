"""What the webhooks of a Verify Service say (``factor.*``, ``challenge.*``): hints, applied once.

SECURITY: none of them is a proof, even when signed. One makes the next ``challenges.poll`` ask the provider at once, or
has the provider asked here whether a factor is really gone, or a phone has really said no; what comes of that is
decided by the answer.
"""

from __future__ import annotations

import logging
from datetime import datetime

from django.db import IntegrityError, router, transaction
from django.db.models import Q
from django.utils import timezone

from ..backends.factor_results import FactorEvent, FactorStatus
from ..backends.handler import backends
from ..choices import FACTOR_CHANNELS, Channel, Purpose, VerificationStatus
from ..models import Entity, Factor, ProviderEvent, Verification
from ..models.verification import GIVEN_UP
from ..verifications import challenge_rules, push

logger = logging.getLogger("django_twilio_verify")


def receive(event: FactorEvent, *aliases: str) -> bool:
    """Apply ``event``, which is authentic and about the Service of the backends ``aliases``; whether it was news.
    However often it comes, and however many at once, it is applied once; one of an unknown type, or about nobody here,
    is kept and not applied.

    Raises ``BackendUnavailable`` and ``BackendRejected`` where the provider has to be asked and does not answer. After
    that, or any other failure, the event is not kept, so that it counts when it is sent again.
    """
    now = timezone.now()
    if ProviderEvent.objects.filter(event_id=event.uuid[:64]).exists():
        return False
    try:
        with transaction.atomic(using=router.db_for_write(ProviderEvent)):
            row = ProviderEvent.objects.create(
                event_id=event.uuid[:64],
                kind=event.type[:128],
                backend=aliases[0] if aliases else "",
                verification_sid=(event.challenge_sid or event.factor_sid)[:34],
                received_at=now,
            )
    except IntegrityError:
        return False
    try:
        applied = sum(_apply(event, alias, now) for alias in aliases) > 0  # each of them, whichever applies
    except Exception:
        row.delete()
        raise
    ProviderEvent.objects.filter(pk=row.pk).update(applied=applied)
    return True


def _apply(event: FactorEvent, backend: str, now: datetime) -> bool:
    if event.type == "challenge.approved":
        return _hurry(event, backend)
    if event.type == "challenge.denied":
        return _learn_of_no(event, backend) or _hurry(event, backend)
    if event.type == "factor.verified":
        return _hurry_enrollment(event, backend)
    if event.type == "factor.deleted":
        return _look_after(event, backend, now)
    return False


def _hurry(event: FactorEvent, backend: str) -> bool:
    """Have the next poll ask at once. By the factor too: the event may be here before the request that made the
    challenge has come back with its SID.
    """
    asked = Verification.objects.filter(backend=backend, channel__in=FACTOR_CHANNELS).exclude(purpose=Purpose.ENROLL)
    unnamed = Q(sid="", factor__sid=event.factor_sid) if event.factor_sid else Q(pk__in=[])
    named = Q(sid=event.challenge_sid) if event.challenge_sid else Q(pk__in=[])
    return bool(asked.filter(named | unnamed).hurry())


def _learn_of_no(event: FactorEvent, backend: str) -> bool:
    """Have the provider asked now: whoever waited for the answer may have left the page, or typed a wrong number."""
    if not event.challenge_sid:
        return False
    asked = Verification.objects.filter(
        sid=event.challenge_sid,
        backend=backend,
        channel__in=(Channel.PUSH, Channel.SILENT),
        status__in=(VerificationStatus.PENDING, *GIVEN_UP),
    ).exclude(purpose=Purpose.ENROLL)
    return sum(push.learn_of_no(one) for one in asked) > 0  # each of them, as above


def _hurry_enrollment(event: FactorEvent, backend: str) -> bool:
    entity = Entity.objects.filter(backend=backend, identity=event.identity).first()
    if entity is None:
        return False
    begun = Verification.objects.filter(
        backend=backend, purpose=Purpose.ENROLL, channel__in=FACTOR_CHANNELS, user=entity.user_id
    )
    return bool(begun.hurry())


def _look_after(event: FactorEvent, backend: str, now: datetime) -> bool:
    factor = Factor.objects.select_related("entity").filter(sid=event.factor_sid, entity__backend=backend).first()
    if factor is None or factor.entity is None or factor.lost_at is not None:
        return False
    if backends[backend].factor(factor.entity.identity, factor.sid).status != FactorStatus.GONE:
        return False
    challenge_rules.lose(factor, now)
    return True
