"""Having a payment approved on our pages, and using the approval once."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from ..choices import Purpose, RedeemProblem
from ..client import client_from
from ..exceptions import VerificationNotFound
from ..verifications import redeeming
from ..verifications.options import Payment
from ..verifications.redeeming import REDEEM_WITHIN
from ..verifications.results import Redeemed
from ..verifications.sending import MAX_AMOUNT, MAX_PAYEE
from . import enforcement, own_session, redirects, session


def begin(request: HttpRequest, payment: Payment, *, next: str) -> HttpResponseRedirect:
    """As ``login.begin_payment``."""
    paid = Payment.of(payment.amount, payment.payee)
    if not 0 < len(paid.amount) <= MAX_AMOUNT or not 0 < len(paid.payee) <= MAX_PAYEE:
        raise ValueError(f"A payment has an amount of 1 to {MAX_AMOUNT} and a payee of 1 to {MAX_PAYEE} characters.")
    own_session.must_be_own_session(request)
    key = session.ask_payment(request, paid)
    return HttpResponseRedirect(redirects.with_next(reverse("twilio_verify:payment", args=[key]), next))


def redeem(request: HttpRequest, payment: Payment) -> Redeemed:
    """As ``login.redeem_payment``."""
    # SECURITY: as on our own pages: a session that was ended elsewhere pays nothing.
    enforcement.look_again(request)
    refused = Redeemed(None, RedeemProblem.NOT_APPROVED)
    # The latest approval is the one that matters, unless an earlier one, of another tab, is of this very payment.
    for place, proof in enumerate(session.payment_proofs(request)):
        redeemed = _redeemed(request, proof, payment)
        if redeemed.accepted:
            return redeemed
        if place == 0:
            refused = redeemed
    return refused


def _redeemed(request: HttpRequest, proof: uuid.UUID, payment: Payment) -> Redeemed:
    user = request.user if request.user.is_authenticated else None
    paid = Payment.of(payment.amount, payment.payee)
    try:
        return redeeming.redeem(proof, client_from(request), user, Purpose.PAYMENT, paid, REDEEM_WITHIN)
    except VerificationNotFound:  # the session has passed to somebody else
        return Redeemed(None, RedeemProblem.NOT_APPROVED)
