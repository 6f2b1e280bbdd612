"""Using a proof up: once, soon, by whose it is, and only for what it was made for."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..choices import Purpose, RedeemProblem, VerificationStatus
from ..core.client import ClientInfo
from ..exceptions import VerificationNotFound
from ..models import Verification
from . import checking, confirmed_factors
from .options import Payment
from .results import Redeemed

REDEEM_WITHIN = timedelta(minutes=10)
"""How old an approval may be when it is used."""


def redeem(
    verification_id: uuid.UUID,
    client: ClientInfo,
    user: AbstractBaseUser | None,
    purpose: Purpose,
    payment: Payment,
    within: timedelta,
) -> Redeemed:
    """Use an approval up, as ``verifications.redeem`` says. One SELECT and one UPDATE; one SELECT more if refused."""
    return redeem_loaded(checking.load(verification_id, client, user), user, purpose, payment, within)


def redeem_loaded(
    verification: Verification,
    user: AbstractBaseUser | None,
    purpose: Purpose,
    payment: Payment,
    within: timedelta,
) -> Redeemed:
    """As ``redeem``, of a verification that was read for its session a moment ago. One UPDATE.

    The UPDATE holds only if the record is still as it was read.
    """
    if verification.user_id is not None and user is None:
        # SECURITY: a session alone may change hands; what a person has proved is used for that person.
        raise VerificationNotFound
    now = timezone.now()
    if problem := _problem(verification, purpose, payment, now - within):
        return Redeemed(verification, problem)
    # SECURITY: promise 4: with all that was just read. Promise 3: also that what was proved still opens the account, in
    # the same statement.
    unused = Verification.objects.filter(
        confirmed_factors.proved_by(verification),
        pk=verification.pk,
        purpose=purpose,
        amount=verification.amount,
        payee=verification.payee,
        approved_at=verification.approved_at,
        user=verification.user_id,
        session=verification.session,
    )
    if not unused.redeem(now):
        is_there = confirmed_factors.is_still_proved(verification)
        return Redeemed(verification, RedeemProblem.USED if is_there else RedeemProblem.FACTOR_GONE)
    verification.redeemed_at = now
    return Redeemed(verification)


def _problem(verification: Verification, purpose: Purpose, payment: Payment, oldest: datetime) -> RedeemProblem | None:
    """Why the approval cannot be used, as it was read."""
    if verification.purpose != purpose:
        return RedeemProblem.OTHER_PURPOSE
    if verification.status != VerificationStatus.APPROVED or verification.approved_at is None:
        return RedeemProblem.NOT_APPROVED
    if verification.redeemed_at is not None:
        return RedeemProblem.USED
    if purpose == Purpose.PAYMENT and payment != Payment(verification.amount, verification.payee):
        return RedeemProblem.PAYMENT_CHANGED
    return RedeemProblem.TOO_LATE if verification.approved_at <= oldest else None
