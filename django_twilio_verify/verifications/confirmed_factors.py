"""The one gate before what opens an account: only a factor that is confirmed now may be sent to, and may prove.

A verification remembers a recipient, and minutes or days later somebody presses a button beside it. Between the two the
user may have removed or replaced that number. So the question is never what the verification says of itself but what
the table of factors says at this moment. It is asked before a send and in the transaction that reserves it
(``sending``), in the transaction that approves (``checking``), and when an approval is used (``redeeming``).
"""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Exists, Q

from ..choices import Purpose
from ..conf import fingerprints, settings
from ..core.recipients import Recipient
from ..exceptions import FactorNotFound
from ..models import Factor, Verification
from ..models.factor import FactorQuerySet
from . import stale_factors

OPENING = (Purpose.LOGIN, Purpose.STEP_UP, Purpose.PAYMENT)
"""The purposes that open an account, or act in its name. Enrolling and proving an address need no factor."""


def require(user: AbstractBaseUser | None, recipient: Recipient, purpose: Purpose) -> Factor | None:
    """Refuse to send for ``purpose`` unless ``recipient`` is a factor that opens the account of ``user`` now.

    Returns that factor, or ``None`` for the purposes that need none.

    One SELECT for the purposes that open an account, none for others; one more where a factor is stale.

    Raises:
        FactorNotFound: also without a user, and alike for unknown recipients and other users' factors.
    """
    if purpose not in OPENING:
        return None
    factor = _opening(user, recipient)
    if factor is None:
        raise FactorNotFound
    return factor


def hold(user_id: Any, recipient: Recipient, purpose: Purpose) -> bool:
    """In a transaction: keep the factor that ``recipient`` is to the user from being removed or replaced until it ends.

    Returns whether there is such a factor, confirmed and not lost; always true for purposes that need none. One UPDATE,
    which writes the row as it is: removing and replacing write it too (``own_factors.hold``), so one of them is first.
    """
    return purpose not in OPENING or bool(_standing(user_id, recipient).hold(user_id))


def still_opens(verification: Verification) -> bool:
    """In the transaction that approves: whether what ``verification`` was sent to may open the account now.

    Holds the factor as ``hold`` does, and asks again whether it is stale: another factor may have been added since.
    """
    purpose = Purpose(verification.purpose)
    if purpose not in OPENING:
        return True
    # SECURITY: by the number and not by the verification's own reference, which names the row that it was sent for: it
    # is empty once that row is removed, and says nothing of whose it is by now.
    if verification.user_id is None or not verification.recipient_value:
        return False
    if not hold(verification.user_id, verification.recipient, purpose):
        return False
    return not settings.reverify_days or _opening(verification.user, verification.recipient) is not None


def proved_by(verification: Verification) -> Q:
    """The condition on a row of ``Verification`` that the factor which it proved is still there, for a conditional
    UPDATE. Empty for purposes that need none.
    """
    if verification.purpose not in OPENING:
        return Q()
    if verification.user_id is None:
        return Q(pk__in=())
    if verification.is_challenge:
        if verification.factor_id is None:
            return Q(pk__in=())
        found = Factor.objects.filter(pk=verification.factor_id, user_id=verification.user_id)
        return Q(Exists(found.usable()))
    if not verification.recipient_value:
        return Q(pk__in=())
    return Q(Exists(_standing(verification.user_id, verification.recipient)))


def is_still_proved(verification: Verification) -> bool:
    """Whether ``proved_by`` holds at this moment. One SELECT."""
    return Verification.objects.filter(proved_by(verification), pk=verification.pk).exists()


def _opening(user: AbstractBaseUser | None, recipient: Recipient) -> Factor | None:
    if user is None:
        return None
    keys = fingerprints(recipient)
    # SECURITY: among all that opens the account, by which a stale number is judged: it does while nothing else does.
    opening = stale_factors.usable(user, list(Factor.objects.confirmed_for(user.pk)))
    return next((factor for factor in opening if factor.key in keys and factor.lost_at is None), None)


def _standing(user_id: Any, recipient: Recipient) -> FactorQuerySet:
    return Factor.objects.filter(user_id=user_id, key__in=fingerprints(recipient)).usable()
