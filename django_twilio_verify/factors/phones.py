"""One phone number for each account, for apps that keep people's phones: ``Factor`` rows, proved and not."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import router, transaction
from django.utils import timezone

from ..choices import Channel, FactorKind
from ..conf import fingerprint, fingerprints
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..models import Factor
from . import devices, reset_holds
from . import own_factors as own_factors


def phone_of(user: AbstractBaseUser) -> Factor | None:
    """The phone of ``user``: the default one, or another one that is proved, or else one that is not yet."""
    phones = Factor.objects.filter(user_id=user.pk, kind=FactorKind.PHONE)
    return min(phones, key=lambda one: (one.confirmed_at is None, not one.is_default, -one.pk), default=None)


def holder_of(recipient: Recipient) -> Any:
    """The one account that has proved ``recipient``, or else the one that claims it; ``None`` for none, and for
    several: SECURITY: a number that two accounts share names neither.
    """
    claims = Factor.objects.filter(key__in=fingerprints(recipient)).select_related("user")
    proved = [claim.user for claim in claims if claim.confirmed_at is not None]
    found = proved or [claim.user for claim in claims]
    return found[0] if len(found) == 1 else None


def is_fresh(user: AbstractBaseUser, recipient: Recipient) -> bool:
    """Whether ``recipient`` is a factor of ``user`` already. One SELECT."""
    return bool(Factor.objects.confirmed_for(user.pk).filter(key__in=fingerprints(recipient)).exists())


def used(user: AbstractBaseUser, recipient: Recipient) -> bool:
    """Note that ``user`` has proved ``recipient`` just now; whether it is a factor at this moment. One UPDATE."""
    held = Factor.objects.filter(user_id=user.pk, key__in=fingerprints(recipient), confirmed_at__isnull=False)
    return bool(held.record_use(timezone.now()))


def claim(user: AbstractBaseUser, recipient: Recipient, *, channel: Channel = Channel.SMS) -> Factor:
    """Remember ``recipient`` as the phone that ``user`` says is theirs, in place of any other that they never proved.
    It opens nothing until it is ``proved``.
    """
    with transaction.atomic(using=router.db_for_write(Factor)):
        claims = Factor.objects.filter(user_id=user.pk, kind=FactorKind.PHONE, confirmed_at=None)
        claims.exclude(key__in=fingerprints(recipient)).delete()
        known = Factor.objects.filter(user_id=user.pk, key__in=fingerprints(recipient)).first()
        return known or Factor.objects.create(
            user_id=user.pk,
            kind=FactorKind.PHONE,
            channel=channel.value,
            key=fingerprint(recipient),
            recipient_value=recipient.value,
            created_at=timezone.now(),
        )


def proved(
    user: AbstractBaseUser,
    recipient: Recipient,
    *,
    channel: Channel = Channel.SMS,
    client: ClientInfo | None = None,
) -> bool:
    """``user`` has proved ``recipient``: it is their phone from here on, and a factor, in place of the one they had.
    Whether this call made it so, and it is their first factor of any kind.

    SECURITY: for callers that have an approved verification of it in their hands. Raises ``ResetLinkRequired`` after a
    reset, unless ``client`` is the session that opened the mailed link.
    """
    reset_holds.check(user, client)
    first = not Factor.objects.confirmed_for(user.pk).exists()
    factor = claim(user, recipient, channel=channel)
    now = timezone.now()
    with transaction.atomic(using=router.db_for_write(Factor)):
        fresh = Factor.objects.filter(pk=factor.pk).confirm(now)
        Factor.objects.filter(pk=factor.pk).record_use(now)
        before = _replaced(factor) if fresh else []
    if not fresh:
        return False
    factor.refresh_from_db()
    if not Factor.objects.filter(default_for=user.pk).exists():
        own_factors.make_default(factor)
    for old in before:
        devices.removed(old, user, None, replaced_by=factor)
    own_factors.announce(factor, None, replaced=before[0] if before else None)
    return first


def _replaced(factor: Factor) -> list[Factor]:
    """Remove the person's other phones; those that were proved, as they were."""
    others = list(Factor.objects.filter(user_id=factor.user_id, kind=FactorKind.PHONE).exclude(pk=factor.pk))
    for other in others:
        key = other.pk
        other.delete()
        other.pk = key
    return [other for other in others if other.confirmed_at is not None]
