"""Erasure of the personal half (GDPR Art. 17): the proof stays verifiable, and a stop stays a stop.

What is removed is what says who it is, and with the proof of consent goes the consent (``consentlog.Position.live``).
Events stay, with keyed fingerprints only: their digests and commitments still verify, and an opt-out among them is
still found by fingerprint before every send.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from ..choices import CONSENT_CHANNELS, AuditKind, VerificationStatus
from ..consent import recall
from ..ledger import audit, key_register, retention
from ..ledger.addressees import Addressee, ledger_database
from ..models import ConsentEvidence, Factor, LegalHold, Verification, locks
from . import resets


class LegallyHeld(PermissionDenied):
    """A legal hold forbids it. ``hold`` says why and since when."""

    def __init__(self, hold: LegalHold) -> None:
        super().__init__(_("A legal hold of %(day)s forbids it.") % {"day": f"{hold.set_at:%Y-%m-%d}"})
        self.hold = hold


@dataclass(frozen=True, slots=True)
class Erased:
    """Rows that were rid of the address, and those that still have it: ``factors_left`` (people sign in by them) and
    ``open_left`` (verifications whose code may still be answered).
    """

    evidence: int = 0
    verifications: int = 0
    factors: int = 0
    factors_left: int = 0
    open_left: int = 0

    @property
    def anything(self) -> bool:
        return bool(self.evidence or self.verifications or self.factors)


def erase(
    addressee: Addressee, *, reason: str, actor: str, factors: bool = False, by: AbstractBaseUser | None = None
) -> Erased:
    """Remove what says who ``addressee`` is: its evidence rows, and the address in closed verifications.

    ``factors``: delete the factors with this address too; the people lose them as a way to sign in. ``by``: the member
    of staff who asks for it, ``None`` for a command, which may delete anybody's. ``reason`` and ``actor`` go into the
    audit event, which is written also when nothing was left to erase. Raises ``LegallyHeld``, ``KeysDoNotFit``,
    ``ResetRefused`` for factors of a user whom ``by`` may not reset, and ``ValueError`` without a reason or an actor.
    Doing it again does no harm.
    """
    if not audit.cleaned(reason):
        raise ValueError("Say why it is erased.")
    # SECURITY: locked as withdrawal is, so that no send is reserved on consent whose proof is going.
    return locks.holding(addressee.fingerprints, lambda: _erase_locked(addressee, reason, actor, factors, by))


def _erase_locked(addressee: Addressee, reason: str, actor: str, factors: bool, by: AbstractBaseUser | None) -> Erased:
    with (
        transaction.atomic(using=ledger_database()),
        transaction.atomic(using=router.db_for_write(Verification)),
        transaction.atomic(using=audit.database()),
    ):
        # SECURITY: asked inside the transaction, so that a hold set a moment ago counts.
        key_register.require()
        if hold := retention.hold_on(addressee):
            raise LegallyHeld(hold)
        addressee.require_found()
        if factors:
            _check_rank(addressee, by)
        erased = _erase(addressee, factors)
        counts = {"evidence": erased.evidence, "verifications": erased.verifications, "factors": erased.factors}
        audit.record(AuditKind.ERASED, actor=actor, reason=reason, fingerprint=addressee.fingerprint, details=counts)
    for channel in CONSENT_CHANNELS:
        recall.recall(addressee.fingerprints, channel, None)
    return erased


def _check_rank(addressee: Addressee, by: AbstractBaseUser | None) -> None:
    """Raise ``ResetRefused`` if ``by`` may not reset each of the users whose factors would go.

    SECURITY: without the phone, a password alone may open the account: it is a reset by another name.
    """
    owned = Factor.objects.using(router.db_for_write(Factor)).filter(key__in=addressee.fingerprints)
    for factor in owned.select_related("user"):
        resets.check_rank(factor.user, by)


def _erase(addressee: Addressee, factors: bool) -> Erased:
    prints, now = list(addressee.fingerprints), timezone.now()
    evidence = ConsentEvidence.objects.using(ledger_database()).filter(event__recipient_fingerprint__in=prints)
    named = Verification.objects.using(router.db_for_write(Verification)).filter(recipient_fingerprint__in=prints)
    named = named.exclude(recipient_value="")
    # A code under way still needs its address; ten minutes later it does not, and the next call takes it.
    is_open = Q(status=VerificationStatus.PENDING, expires_at__gt=now)
    owned = Factor.objects.using(router.db_for_write(Factor)).filter(key__in=prints)
    return Erased(
        evidence=evidence.delete()[0],
        verifications=named.erase(now),
        factors=owned.delete()[1].get("twilio_verify.Factor", 0) if factors else 0,
        factors_left=0 if factors else owned.count(),
        open_left=named.filter(is_open).count(),
    )
