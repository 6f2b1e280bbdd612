"""Erasure of the personal half (GDPR Art. 17): the proof stays verifiable, and a stop stays a stop.

What is removed is what says who it is, and with the proof of consent goes the consent: it is declared void first. Events stay, with keyed fingerprints only: their digests and commitments still
verify, and an opt-out among them is still found by fingerprint before every send.
"""

from __future__ import annotations

from dataclasses import dataclass

from django.core.exceptions import PermissionDenied
from django.db import router, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from ..choices import AGREED, FOR_EVERYBODY, Actor, AuditKind, Channel, ConsentMedium, VerificationStatus
from ..models import ConsentEvent, ConsentEvidence, Factor, LegalHold, Verification
from . import audit, consent, delivery, locks, recall, retention
from .addressees import Addressee, ledger_database
from .consent import Act


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


def erase(addressee: Addressee, *, reason: str, actor: str, factors: bool = False) -> Erased:
    """Remove what says who ``addressee`` is: its evidence rows, and the address in closed verifications.

    ``factors``: delete the factors with this address too; the people lose them as a way to sign in. ``reason`` and
    ``actor`` go into the audit event, which is written also when nothing was left to erase. Raises ``LegallyHeld``,
    and ``ValueError`` without a reason or an actor. Doing it again does no harm.
    """
    if not audit.cleaned(reason):
        raise ValueError("Say why it is erased.")
    # SECURITY: locked as withdrawal is, so that no send is reserved on consent whose proof is going.
    return locks.holding(addressee.fingerprints, lambda: _erase_locked(addressee, reason, actor, factors))


def _erase_locked(addressee: Addressee, reason: str, actor: str, factors: bool) -> Erased:
    with (
        transaction.atomic(using=ledger_database()),
        transaction.atomic(using=router.db_for_write(Verification)),
        transaction.atomic(using=audit.database()),
    ):
        # SECURITY: asked inside the transaction, so that a hold set a moment ago counts.
        if hold := retention.hold_on(addressee):
            raise LegallyHeld(hold)
        ended = _end_consent(addressee, reason, actor)
        erased = _erase(addressee, factors, ended)
        counts = {"evidence": erased.evidence, "verifications": erased.verifications, "factors": erased.factors}
        audit.record(AuditKind.ERASED, actor=actor, reason=reason, fingerprint=addressee.fingerprint, details=counts)
    return erased


def _end_consent(addressee: Addressee, reason: str, actor: str) -> int:
    """Declare void what anybody's consent still lets out; how many events that took."""
    if addressee.recipient is None:
        return 0  # erased before, and ended then
    act = Act(ConsentMedium.ADMIN, actor=Actor.STAFF, actor_label=actor[:150], origin="erasure", note=reason)
    ended = 0
    for channel in delivery.channels_to(addressee.recipient):
        if _is_agreed(addressee, channel):
            ended += consent.invalidate(recipient=addressee.recipient, channel=channel, act=act) is not None
        recall.recall(addressee.fingerprints, channel, None)
    return ended


def _is_agreed(addressee: Addressee, channel: Channel) -> bool:
    """Whether anybody has agreed since consent by ``channel`` last ended for everybody."""
    events = ConsentEvent.objects.using(ledger_database())
    here = events.filter(recipient_fingerprint__in=addressee.fingerprints, channel=channel)
    ended = here.filter(event__in=FOR_EVERYBODY).order_by("-id").values_list("pk", flat=True).first()
    return here.filter(event__in=AGREED, pk__gt=ended or 0).exists()


def _erase(addressee: Addressee, factors: bool, ended: int) -> Erased:
    prints, now = list(addressee.fingerprints), timezone.now()
    evidence = ConsentEvidence.objects.using(ledger_database()).filter(event__recipient_fingerprint__in=prints)
    named = Verification.objects.using(router.db_for_write(Verification)).filter(recipient_fingerprint__in=prints)
    named = named.exclude(recipient_value="")
    # A code under way still needs its address; ten minutes later it does not, and the next call takes it.
    is_open = Q(status=VerificationStatus.PENDING, expires_at__gt=now)
    owned = Factor.objects.using(router.db_for_write(Factor)).filter(key__in=prints)
    return Erased(
        evidence=evidence.delete()[0] - ended,  # the personal half of what was written just now goes too
        # The payee of a payment may be a person too.
        verifications=named.exclude(is_open).update(recipient_value="", payee=""),
        factors=owned.delete()[1].get("twilio_verify.Factor", 0) if factors else 0,
        factors_left=0 if factors else owned.count(),
        open_left=named.filter(is_open).count(),
    )
