"""How much a way of proving is worth, which ways are good enough, and when a stronger one is offered.

The order is that of what an attacker has to do: an inbox is read from afar, a number is moved to another SIM, a silent
check of the network or of a device needs the device and no person, a code of an app can be asked for by a false site,
and a passkey answers to the true site alone (NIST SP 800-63B: email is not allowed, the telephone network restricted,
passkeys resist phishing).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from ..choices import FACTOR_CHANNELS, Channel, FactorKind, Purpose
from ..conf import ASSURANCE, settings
from ..core.client import ClientInfo
from ..exceptions import ChannelTooWeak
from ..models import Factor, UserState
from . import routing
from .routing import RouteRequest

LATELY = timedelta(days=90)
"""A factor that has not worked for so long is not put first, however strong."""
NOT_NOW = timedelta(days=30)
"""How long "not now" is remembered."""

_GUARDED = (Purpose.LOGIN, Purpose.STEP_UP, Purpose.PAYMENT)
_STRONGER = (FactorKind.PASSKEY, FactorKind.TOTP)


@dataclass(frozen=True, slots=True)
class AssuranceRequest:
    """What ``TWILIO_VERIFY_MINIMUM_ASSURANCE`` may decide by, if it is a callable ``(AssuranceRequest) -> word``."""

    user: AbstractBaseUser | None
    purpose: Purpose
    client: ClientInfo


def level(channel: str) -> int:
    """How strong ``channel`` is: the place of its word in ``conf.ASSURANCE``; a recovery code is as good as any, since
    there is nothing behind it.
    """
    return ASSURANCE[Channel(channel).value]


def minimum(user: AbstractBaseUser | None, purpose: str, client: ClientInfo) -> int:
    """The level that is asked for; 0 for what is no sign-in, step-up or payment. Raises ``ImproperlyConfigured`` for a
    word that is none.
    """
    wanted = settings.minimum_assurance
    word = wanted if isinstance(wanted, str) else wanted(AssuranceRequest(user, Purpose(purpose), client)) or ""
    if not word or Purpose(purpose) not in _GUARDED:
        return 0
    if not isinstance(word, str) or word not in ASSURANCE:
        raise ImproperlyConfigured(f"TWILIO_VERIFY_MINIMUM_ASSURANCE gave what is none of {', '.join(ASSURANCE)}.")
    return ASSURANCE[word]


def is_enough(channel: str, *, user: AbstractBaseUser | None, purpose: str, client: ClientInfo) -> bool:
    """Whether ``channel`` is good enough for ``purpose``."""
    return level(channel) >= minimum(user, purpose, client)


def require(channel: str, *, user: AbstractBaseUser | None, purpose: str, client: ClientInfo) -> None:
    """Refuse a way that is too weak. Raises ``ChannelTooWeak``, whose sentence says why."""
    if not is_enough(channel, user=user, purpose=purpose, client=client):
        raise ChannelTooWeak


def strongest(factors: Iterable[Factor], now: datetime | None = None) -> Factor | None:
    """The strongest factor that worked lately; else the strongest; else none. Lost ones come last."""
    since = (now or timezone.now()) - LATELY

    def rank(factor: Factor) -> tuple[bool, bool, int, datetime, int]:
        used = factor.last_used_at or factor.created_at
        return factor.lost_at is None, used > since, level(factor.channel), used, factor.pk

    return max(factors, key=rank, default=None)


def channels(user: AbstractBaseUser, client: ClientInfo, *, purpose: str = Purpose.LOGIN) -> list[Channel]:
    """The channels of ``FACTOR_CHANNELS`` by which ``user`` can be asked and that are good enough, strongest first."""
    held = Factor.objects.filter(user_id=user.pk, confirmed_at__isnull=False, lost_at=None, entity__isnull=False)
    found = {Channel(word) for word in held.values_list("channel", flat=True)}
    enough = [
        one for one in found if one in FACTOR_CHANNELS and is_enough(one, user=user, purpose=purpose, client=client)
    ]
    return sorted(enough, key=level, reverse=True)


def enrollable(
    backend: str | None = None, *, user: AbstractBaseUser | None = None, client: ClientInfo | None = None
) -> frozenset[FactorKind]:
    """What people are offered to enroll, by ``TWILIO_VERIFY_DEVICE_FACTORS``, of what ``backend`` keeps. The rest as
    ``is_enrollable``.
    """
    return frozenset(one for one in settings.device_factors if is_enrollable(one, backend, user=user, client=client))


def is_enrollable(
    kind: FactorKind,
    backend: str | None = None,
    *,
    user: AbstractBaseUser | None = None,
    client: ClientInfo | None = None,
) -> bool:
    """Whether ``kind`` is among them: kept by ``backend``, or else where the router has ``user`` enroll it, or by any
    backend that it may name if nobody is known so far.
    """
    if kind not in settings.device_factors:
        return False
    if backend or user is None:
        return routing.keeps([backend] if backend else routing.possible(), kind)
    asked = RouteRequest.of_device(kind, Purpose.ENROLL, user, client or ClientInfo())
    return routing.keeps([routing.choose(asked)], kind)


def offer(
    user: AbstractBaseUser, channel: str, *, client: ClientInfo | None = None, backend: str | None = None
) -> FactorKind | None:
    """What to offer ``user`` who has just signed in by ``channel``: a passkey, an authenticator app, or ``None``.

    Nothing to who has something as strong already, or signed in with it, and nothing for 30 days after ``not_now``.
    To be asked once the person is signed in, not before. ``client``: for the router, where ``backend`` names no alias.
    Two SELECTs.
    """
    if said_not_now(user):
        return None
    held = list(Factor.objects.confirmed_for(user.pk).filter(lost_at=None).values_list("channel", flat=True))
    strongest_held = max([level(channel), *(level(one) for one in held)])
    for kind in _STRONGER:
        if level(kind.value) > strongest_held and is_enrollable(kind, backend, user=user, client=client):
            return kind
    return None


def said_not_now(user: AbstractBaseUser) -> bool:
    """Whether ``user`` has refused within 30 days what was asked of them after a sign-in. One SELECT."""
    since = timezone.now() - NOT_NOW
    return UserState.objects.filter(user_id=user.pk, suggestion_dismissed_at__gt=since).exists()


def not_now(user: AbstractBaseUser) -> None:
    """Remember that ``user`` does not want to be bothered now: by a stronger factor, or an old number."""
    UserState.objects.dismiss_suggestion(user.pk, timezone.now())
