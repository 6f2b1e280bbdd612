"""What is removed here, is removed at the provider too: at once if it answers, else until it does.

Removing is deleting: a ``Factor`` row, an ``Entity`` row, or the user whose they are, from wherever that is done. The
rows of what the provider has yet to remove (``ProviderRemoval``) are written in the same transaction.
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.db.models import F, Q
from django.db.models.signals import post_delete, pre_delete
from django.utils import timezone

from ..backends.handler import backends
from ..choices import Purpose, VerificationStatus
from ..conf import fingerprints
from ..exceptions import BackendError
from ..models import Entity, Factor, ProviderRemoval, Verification
from ..verifications import checking

logger = logging.getLogger("django_twilio_verify")

FIRST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(days=1)
AT_ONCE = 10
"""How many removals of the last minute are tried by whoever removes; ``sync_factors`` sees to the rest of a mass."""


def connect() -> None:
    """Listen for what is deleted. Called once, when the app is ready."""
    pre_delete.connect(_end_proofs, sender=Factor, dispatch_uid="twilio_verify.factor_proofs")
    post_delete.connect(_factor_removed, sender=Factor, dispatch_uid="twilio_verify.factor_removed")
    post_delete.connect(_entity_removed, sender=Entity, dispatch_uid="twilio_verify.entity_removed")


def due(now: datetime) -> list[int]:
    """The outstanding removals that may be tried at ``now``, the oldest first."""
    return list(ProviderRemoval.objects.filter(next_try_at__lte=now).order_by("pk").values_list("pk", flat=True))


def attempt(removal_id: int, now: datetime | None = None) -> bool:
    """Try an outstanding removal that is due; whether it is gone at the provider now, by this call.

    Of simultaneous calls one tries. What goes wrong is kept and logged, and tried again later: after a minute, two,
    four, and at last once a day, until it is gone.
    """
    now = now or timezone.now()
    removal = ProviderRemoval.objects.filter(pk=removal_id, next_try_at__lte=now).first()
    if removal is None:
        return False
    taken = ProviderRemoval.objects.filter(pk=removal.pk, next_try_at=removal.next_try_at)
    if not taken.update(next_try_at=now + _wait(removal.tries), tries=F("tries") + 1):
        return False
    try:
        _remove(removal)
    except (BackendError, ImproperlyConfigured) as error:  # the alias may have left the settings
        _failed(removal, error)
        return False
    ProviderRemoval.objects.filter(pk=removal.pk).delete()
    return True


def _remove(removal: ProviderRemoval) -> None:
    backend = backends[removal.backend]
    if removal.factor_sid:
        backend.remove(removal.identity, removal.factor_sid)
    else:
        backend.remove_entity(removal.identity)


def _failed(removal: ProviderRemoval, error: BackendError | ImproperlyConfigured) -> None:
    code = error.provider_code if isinstance(error, BackendError) else 0
    logger.warning(
        "Not removed at the provider yet: removal=%s tries=%s error=%s provider_code=%s",
        removal.pk,
        removal.tries + 1,
        type(error).__name__,
        code,
    )
    ProviderRemoval.objects.filter(pk=removal.pk).update(last_error_code=code or None)


def _wait(tries: int) -> timedelta:
    return min(FIRST_WAIT * (1 << min(tries, 12)), LONGEST_WAIT)


def _end_proofs(sender: type[Factor], instance: Factor, using: str, **kwargs: Any) -> None:
    # SECURITY: a code that a factor was sent proves nothing once that factor is gone: the phone may be in a thief's
    # hands. One conditional UPDATE, which an answer that is being judged meets or not. (Where the provider keeps the
    # factor, the answer is judged by whether the person still has it, and comes to "lost".)
    # Also those that name no row, which a site's own code may have begun, and those of ``verify``, by which an app may
    # sign in, as allauth's login by code. An enrollment of the number is an owner's who is verified.
    sent_there = Q(factor=instance)
    if instance.recipient_value:
        prints = fingerprints(instance.recipient)
        sent_there |= Q(user_id=instance.user_id, recipient_fingerprint__in=prints) & ~Q(purpose=Purpose.ENROLL)
    for asked in Verification.objects.using(using).filter(sent_there, status=VerificationStatus.PENDING):
        if not asked.is_challenge:
            checking.close(asked, VerificationStatus.CANCELED)


def _factor_removed(sender: type[Factor], instance: Factor, using: str, **kwargs: Any) -> None:
    if instance.entity_id is None or not instance.sid:
        return
    entity = Entity.objects.using(using).filter(pk=instance.entity_id).first()
    if entity is not None:  # else all of the person goes
        _write(using, entity, instance.sid)


def _entity_removed(sender: type[Entity], instance: Entity, using: str, **kwargs: Any) -> None:
    # Their factors go with them.
    ProviderRemoval.objects.using(using).filter(backend=instance.backend, identity=instance.identity).delete()
    _write(using, instance, "")


def _write(using: str, entity: Entity, factor_sid: str) -> None:
    now = timezone.now()
    removals = ProviderRemoval.objects.using(using)
    row = removals.get_or_create(
        backend=entity.backend,
        identity=entity.identity,
        factor_sid=factor_sid,
        defaults={"created_at": now, "next_try_at": now},
    )[0]
    if removals.filter(created_at__gt=now - timedelta(minutes=1)).count() <= AT_ONCE:
        transaction.on_commit(partial(attempt, row.pk), using=using, robust=True)
