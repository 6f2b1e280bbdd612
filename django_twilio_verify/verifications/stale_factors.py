"""Numbers and addresses that were not used for long. They may be somebody else's by now: carriers give out a number
again weeks after its contract ended, and some mail providers an address after a year.

Such a factor does not open an account while anything else does. Where nothing else would, it does, since the person
could not come in any more, and the account is told by email when a code is sent there (``notices``).
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..choices import Purpose
from ..conf import settings
from ..core.client import ClientInfo
from ..models import Factor, RecoveryCode
from . import assurance


def is_stale(factor: Factor, now: datetime | None = None) -> bool:
    """Whether ``factor`` is a number or address that was not proved for ``TWILIO_VERIFY_REVERIFY_DAYS``."""
    days = settings.reverify_days
    if not days or not factor.recipient_value:
        return False
    proved = factor.last_used_at or factor.confirmed_at or factor.created_at
    return proved <= (now or timezone.now()) - timedelta(days=days)


def usable(user: AbstractBaseUser, held: list[Factor]) -> list[Factor]:
    """Those of ``held`` that open the account of ``user``: all that are not stale; if none of these does, nor a
    recovery code, the stale ones too, at the end. No SELECT, or one where a factor is stale.
    """
    now = timezone.now()
    fresh = [factor for factor in held if not is_stale(factor, now)]
    old = [factor for factor in held if is_stale(factor, now)]
    if not old or any(_opens(factor, user) for factor in fresh) or _has_codes(user):
        return fresh
    return [*fresh, *old]


def unusable(user: AbstractBaseUser) -> list[Factor]:
    """The numbers and addresses of ``user`` that open nothing until they are proved again. No SELECT where the site has
    no such rule.
    """
    if not settings.reverify_days:
        return []
    held = list(Factor.objects.confirmed_for(user.pk))
    opens = {factor.pk for factor in usable(user, held)}
    return [factor for factor in held if factor.pk not in opens]


def _opens(factor: Factor, user: AbstractBaseUser) -> bool:
    """SECURITY: by the site's own minimum: what is too weak for a sign-in is no other way in."""
    enough = assurance.is_enough(factor.channel, user=user, purpose=Purpose.LOGIN, client=ClientInfo())
    return factor.lost_at is None and enough


def _has_codes(user: AbstractBaseUser) -> bool:
    found: bool = RecoveryCode.objects.filter(user_id=user.pk, used_at=None).exists()
    return found
