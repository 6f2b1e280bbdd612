"""A door for a site's checkout: have a payment approved on our pages, and use the approval once.

def pay(request):
    return payments.begin(request, amount="49.90 EUR", payee="The Corner Shop", next=reverse("paid"))

def paid(request):
    approval = payments.redeem(request, amount=the_amount_as_it_is_now, payee="The Corner Shop")
    if not approval:
        return refused(approval.sentence)
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from .. import verifications
from ..choices import Purpose
from ..exceptions import VerificationNotFound
from ..verifications.options import Payment
from ..verifications.results import RedeemProblem
from ..verifications.sending import MAX_AMOUNT, MAX_PAYEE
from . import enforcement, own_session, redirects, session
from .client import client_from
from .messages import redeem_sentence


@dataclass(frozen=True, slots=True)
class Approval:
    """Whether a payment may go ahead. SECURITY: true for exactly one call, false for all others.

    ``problem``: why not, ``None`` if it may; ``sentence``: the same for the person, in the active language.
    """

    problem: RedeemProblem | None = None

    def __bool__(self) -> bool:
        return self.problem is None

    @property
    def sentence(self) -> str:
        return redeem_sentence(self.problem) if self.problem else ""


def begin(request: HttpRequest, *, amount: str, payee: str, next: str) -> HttpResponseRedirect:
    """To the page where the signed-in person has a code sent for this payment, and from there, approved, to ``next``.

    ``amount``: with its currency, as it is shown, up to 32 characters (``"49.90 EUR"``); ``payee``: who gets it, up to
    128. ``next``: an address of this site. Nothing is sent yet. Raises ``ValueError`` for an empty or overlong text,
    and ``PermissionDenied`` for somebody who acts as the user.
    """
    payment = Payment.of(amount, payee)
    if not 0 < len(payment.amount) <= MAX_AMOUNT or not 0 < len(payment.payee) <= MAX_PAYEE:
        raise ValueError(f"A payment has an amount of 1 to {MAX_AMOUNT} and a payee of 1 to {MAX_PAYEE} characters.")
    own_session.must_be_own_session(request)
    key = session.ask_payment(request, payment)
    return HttpResponseRedirect(redirects.with_next(reverse("twilio_verify:payment", args=[key]), next))


def redeem(request: HttpRequest, *, amount: str, payee: str) -> Approval:
    """Use the approval of exactly this payment up, in the session that approved it.

    ``amount`` and ``payee``: of what is about to be paid, as the site itself knows it at this moment, and not as a form
    or the address says. May be called in a transaction, together with what it pays for.
    """
    # SECURITY: as on our own pages: a session that was ended elsewhere pays nothing.
    enforcement.look_again(request)
    problem = RedeemProblem.NOT_APPROVED
    # The latest approval is the one that matters, unless an earlier one, of another tab, is of this very payment.
    for place, proof in enumerate(session.payment_proofs(request)):
        approval = _redeemed(request, proof, amount, payee)
        if approval:
            return approval
        if place == 0 and approval.problem is not None:
            problem = approval.problem
    return Approval(problem)


def _redeemed(request: HttpRequest, proof: uuid.UUID, amount: str, payee: str) -> Approval:
    user = request.user if request.user.is_authenticated else None
    try:
        redeemed = verifications.redeem(
            proof,
            purpose=Purpose.PAYMENT,
            client=client_from(request),
            user=user,
            amount=amount,
            payee=payee,
        )
    except VerificationNotFound:  # the session has passed to somebody else
        return Approval(RedeemProblem.NOT_APPROVED)
    return Approval(redeemed.problem)
