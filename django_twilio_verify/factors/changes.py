"""What a person does with factors they have: which is asked first, putting one in the place of another, removing one.

Whether the person has just proved one is for the caller to ask (``verification_required``, ``StepUpMixin``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..choices import Channel, Purpose
from ..core import receivers
from ..core.client import ClientInfo
from ..exceptions import FactorNotFound, LastFactor, VerificationNotFound
from ..models import Factor, TrustedBrowser, Verification
from ..models.transactions import deleting, short_transaction
from ..signals import default_factor_changed
from ..verifications import channel_plan, stale_factors
from ..verifications.channel_plan import PlanRequest
from . import devices, own_factors
from .results import Enrolled


def make_default(user: AbstractBaseUser, factor_id: int, *, client: ClientInfo) -> bool:
    """Have ``user`` asked by this factor first, from here on and for as long as it works; whether it is another one
    than before. Raises ``FactorNotFound`` for a factor that is not theirs, is lost at the provider or was not used for
    long.
    """
    chosen = own_factors.get(user, factor_id)
    if not can_be_default(chosen):
        raise FactorNotFound
    if not short_transaction(partial(_choose, user.pk, factor_id)):
        return False
    chosen.refresh_from_db()
    receivers.send(default_factor_changed, Factor, user=user, client=client, factor=chosen)
    return True


def can_be_default(factor: Factor) -> bool:
    """Whether it makes sense to be asked by ``factor`` first."""
    return factor.lost_at is None and not stale_factors.is_stale(factor)


def _choose(user_id: Any, factor_id: int) -> bool:
    own_factors.hold(user_id)
    before = Factor.objects.filter(default_for=user_id)
    changes = not before.filter(pk=factor_id).exists()
    before.exclude(pk=factor_id).clear_default(user_id)
    Factor.objects.filter(pk=factor_id).make_default(user_id, chosen_at=timezone.now())
    return changes


def reverify_channel(user: AbstractBaseUser, factor: Factor) -> Channel | None:
    """The way by which ``user`` can prove ``factor`` again: the one that worked last, or the first that is offered;
    ``None`` for what lives at the provider, or where none is offered.
    """
    if not factor.recipient_value:
        return None
    asked = PlanRequest(
        factor.recipient, Purpose.ENROLL, preferred=factor.channel, line_type=factor.line_type, user=user
    )
    return next(iter(channel_plan.plan_among(asked, frozenset())), None)


def remove(
    user: AbstractBaseUser,
    factor_id: int,
    *,
    required: bool,
    client: ClientInfo,
    then: Callable[[], object] | None = None,
) -> bool:
    """Remove a factor because ``user`` asks for it; whether there was one, to one call alone.

    ``required``: whether the site demands one of this person. Raises ``LastFactor`` where they could not sign in
    afterwards: for the last one that works if one is required, or if others are left that do not work. Of two calls at
    the same instant for the last two, one is refused. The rest as ``devices.remove``.
    """
    allowed = partial(check_removal, required=required)
    return devices.remove(user, factor_id, client=client, allowed=allowed, then=then)


def check_removal(factor: Factor, left: list[Factor], *, required: bool) -> None:
    """Raise ``LastFactor`` if ``factor`` may not go when ``left`` are all that would be left."""
    if any(other.lost_at is None for other in left):
        return
    if required:
        raise LastFactor
    if left and factor.lost_at is None:
        # The wall stands as long as there is any factor, so that an error at the provider opens no account.
        raise LastFactor("unusable_left")


@dataclass(frozen=True, slots=True)
class _Swapped:
    new: Factor
    created: bool
    old: Factor | None
    accepted: bool = True


def replace(
    verification: Verification, factor_id: int, *, client: ClientInfo, then: Callable[[], object] | None = None
) -> Enrolled:
    """Put the number or address that an approved ``enroll`` verification proved in the place of ``factor_id``.

    In one transaction the new one is enrolled, is the default if the old one was, keeps its name, and the old one is
    removed: until then the old one is in force. ``factor_id`` must come from our own record of what the person asked
    for. One that is not of the person who proved (any more), or that lives at the provider, is let be, and the new one
    is added; the same number proved again replaces nothing. ``then``: as of ``devices.remove``. Raises as
    ``own_factors.confirm``, and ``RuntimeError`` within a transaction of the caller's.
    """
    fresh = own_factors.proof(verification)
    assert fresh.user_id is not None
    swapped = deleting(partial(_swap, fresh, fresh.user_id, factor_id))
    new, user = swapped.new, swapped.new.user
    acts = [then] if then else []
    if swapped.old is not None:
        acts.append(partial(devices.removed, swapped.old, user, client, replaced_by=new))
    if swapped.created:
        acts.append(partial(own_factors.announce, new, client, replaced=swapped.old))
    receivers.each(*acts)
    return Enrolled(new, created=swapped.created, accepted=swapped.accepted)


def _swap(verification: Verification, user_id: int, factor_id: int) -> _Swapped:
    own_factors.hold(user_id)
    known = own_factors.enrolled_by(verification, user_id)
    accepted = own_factors.use_up(verification)
    if known is None and not accepted:
        raise VerificationNotFound
    new = known or own_factors.create(verification, user_id)
    if not accepted:
        return _Swapped(new, created=False, old=None, accepted=False)
    own_factors.used(new.pk, timezone.now())
    # SECURITY: looked up among the person's own, whoever's number stood in the request.
    old = Factor.objects.confirmed_for(user_id).filter(pk=factor_id, entity=None).exclude(pk=new.pk).first()
    if old is None:
        return _Swapped(new, known is None, None)
    old.delete()
    old.pk = factor_id
    Factor.objects.filter(pk=new.pk).inherit(old, new.label or old.label)
    own_factors.choose_default(user_id)
    new.refresh_from_db()
    return _Swapped(new, known is None, old)


def distrust(user: AbstractBaseUser) -> int:
    """Revoke every browser that is excused from the second factor; how many there were."""
    now = timezone.now()
    return TrustedBrowser.objects.filter(user_id=user.pk, revoked_at=None).update(revoked_at=now)
