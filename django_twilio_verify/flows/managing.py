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
from ..clientinfo import ClientInfo
from ..exceptions import LastFactor
from ..models import Factor, TrustedBrowser, Verification
from ..signals import default_changed
from . import announcing, devicefactors, factors, plan, stale
from .factors import Confirmed
from .plan import Asked
from .transactions import deleting, short_transaction


def make_default(user: AbstractBaseUser, factor_id: int, *, client: ClientInfo) -> bool:
    """Have ``user`` asked by this factor first, from here on and for as long as it works; whether it is another one
    than before. Raises ``LookupError`` for a factor that is not theirs, is lost at the provider or was not used for
    long.
    """
    chosen = factors.own(user, factor_id)
    if not can_be_default(chosen):
        raise LookupError("This factor does not open the account.")
    if not short_transaction(partial(_choose, user.pk, factor_id)):
        return False
    chosen.refresh_from_db()
    default_changed.send(sender=Factor, factor=chosen, user=user, client=client)
    return True


def can_be_default(factor: Factor) -> bool:
    """Whether it makes sense to be asked by ``factor`` first."""
    return factor.lost_at is None and not stale.is_stale(factor)


def _choose(user_id: Any, factor_id: int) -> bool:
    factors.hold(user_id)
    before = Factor.objects.filter(default_for=user_id)
    changes = not before.filter(pk=factor_id).exists()
    before.exclude(pk=factor_id).update(default_for=None, chosen_at=None)
    Factor.objects.filter(pk=factor_id).update(default_for=user_id, chosen_at=timezone.now())
    return changes


def reprove_way(user: AbstractBaseUser, factor: Factor) -> Channel | None:
    """The way by which ``user`` can prove ``factor`` again: the one that worked last, or the first that is offered;
    ``None`` for what lives at the provider, or where none is offered.
    """
    if not factor.recipient_value:
        return None
    asked = Asked(factor.recipient, Purpose.ENROL, preferred=factor.channel, line_type=factor.line_type, user=user)
    return next(iter(plan.among(asked, frozenset())), None)


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
    the same instant for the last two, one is refused. The rest as ``devicefactors.remove``.
    """
    allowed = partial(check_removal, required=required)
    return devicefactors.remove(user, factor_id, client=client, allowed=allowed, then=then)


def check_removal(factor: Factor, left: list[Factor], *, required: bool) -> None:
    """Raise ``LastFactor`` if ``factor`` may not go when ``left`` are all that would be left."""
    if any(other.lost_at is None for other in left):
        return
    if required:
        raise LastFactor
    if left and factor.lost_at is None:
        # The wall stands as long as there is any factor, so that an error at the provider opens no account.
        raise LastFactor("lost_left")


@dataclass(frozen=True, slots=True)
class _Swapped:
    new: Factor
    created: bool
    old: Factor | None


def replace(
    verification: Verification, factor_id: int, *, client: ClientInfo, then: Callable[[], object] | None = None
) -> Confirmed:
    """Put the number or address that an approved ``enrol`` verification proved in the place of ``factor_id``.

    In one transaction the new one is enrolled, is the default if the old one was, keeps its name, and the old one is
    removed: until then the old one is in force. ``factor_id`` must come from our own record of what the person asked
    for. One that is not of the person who proved (any more), or that lives at the provider, is let be, and the new one
    is added; the same number proved again replaces nothing. ``then``: as of ``devicefactors.remove``. Raises as
    ``factors.confirm``, and ``RuntimeError`` within a transaction of the caller's.
    """
    fresh = factors.proof(verification)
    assert fresh.user_id is not None
    swapped = deleting(partial(_swap, fresh, fresh.user_id, factor_id))
    new, user = swapped.new, swapped.new.user
    acts = [then] if then else []
    if swapped.old is not None:
        acts.append(partial(devicefactors.removed, swapped.old, user, client, replaced_by=new))
    if swapped.created:
        acts.append(partial(factors.announce, new, client, replaced=swapped.old))
    announcing.each(*acts)
    return Confirmed(new, created=swapped.created)


def _swap(verification: Verification, user_id: int, factor_id: int) -> _Swapped:
    factors.hold(user_id)
    known = factors.enrolled_by(verification, user_id)
    new = known or factors.create(verification, user_id)
    factors.used(new.pk, timezone.now())
    # SECURITY: looked up among the person's own, whoever's number stood in the request.
    old = Factor.objects.confirmed_for(user_id).filter(pk=factor_id, entity=None).exclude(pk=new.pk).first()
    if old is None:
        return _Swapped(new, known is None, None)
    heritage: dict[str, Any] = {"label": new.label or old.label}
    if old.is_default:
        heritage |= {"default_for": user_id, "chosen_at": old.chosen_at}
    old.delete()
    old.pk = factor_id
    Factor.objects.filter(pk=new.pk).update(**heritage)
    factors.choose_default(user_id)
    new.refresh_from_db()
    return _Swapped(new, known is None, old)


def distrust(user: AbstractBaseUser) -> int:
    """Revoke every browser that is excused from the second factor; how many there were."""
    now = timezone.now()
    return TrustedBrowser.objects.filter(user_id=user.pk, revoked_at=None).update(revoked_at=now)
