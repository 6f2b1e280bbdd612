"""Proofs in progress: one row a verification, one a send, one an answer."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from ..choices import (
    FACTOR_CHANNELS,
    AttemptStatus,
    Channel,
    CheckOutcome,
    Precedence,
    Purpose,
    RecipientKind,
    VerificationStatus,
)
from ..recipients import Recipient
from .primary import PrimaryManager


class VerificationQuerySet(models.QuerySet["Verification"]):
    """Filters on verifications."""

    def open_at(self, now: datetime) -> VerificationQuerySet:
        """Those whose code may still be answered at ``now``."""
        return self.filter(status=VerificationStatus.PENDING, expires_at__gt=now)


VerificationManager = PrimaryManager.from_queryset(VerificationQuerySet)


class Verification(models.Model):
    """One proof in progress, by whichever channel.

    Its id is random and may stand in a URL, and is worthless without the session that started it (``session``
    holds that session's fingerprint). ``pending_key`` is unique while the verification occupies its place (same
    person, session, recipient, purpose and backend) and empty afterwards: the database itself refuses a second one.
    ``recipient_value`` is empty once it was erased; ``recipient_kind`` too where nothing is sent to an address: an
    answer from an authenticator app, a phone's app or a passkey (``is_challenge``). ``sid`` is then ``YC…``, or
    ``YF…`` while the factor is enrolled.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="twilio_verifications",
        verbose_name=_("person"),
    )
    session = models.CharField(max_length=56, blank=True, editable=False)
    purpose = models.CharField(_("purpose"), max_length=12, choices=Purpose)
    recipient_kind = models.CharField(_("kind of address"), max_length=8, choices=RecipientKind, blank=True)
    recipient_value = models.CharField(_("recipient"), max_length=254, blank=True)
    recipient_fingerprint = models.CharField(max_length=56, blank=True, db_index=True)
    country = models.CharField(_("country"), max_length=2, blank=True)
    channel = models.CharField(_("way"), max_length=12, choices=Channel)
    factor = models.ForeignKey(
        "Factor", models.SET_NULL, null=True, related_name="verifications", verbose_name=_("factor")
    )
    backend = models.CharField(_("backend"), max_length=64, default="default")
    sid = models.CharField(_("verification SID"), max_length=34, blank=True, db_index=True)
    precedence = models.PositiveSmallIntegerField(_("precedence"), choices=Precedence, default=Precedence.OWNER)
    withheld = models.BooleanField(_("withheld"), default=False)
    """The owner's verification has taken its place at the provider: no send and no answer of it goes there."""
    status = models.CharField(
        _("status"), max_length=24, choices=VerificationStatus, default=VerificationStatus.PENDING
    )
    pending_key = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001  NULLs do not clash
    sends = models.PositiveSmallIntegerField(_("sends"), default=0)
    checks = models.PositiveSmallIntegerField(_("answers"), default=0)
    link_checks = models.PositiveSmallIntegerField(_("questions after the link"), default=0)
    created_at = models.DateTimeField(_("started"))
    expires_at = models.DateTimeField(_("expires"))
    resend_at = models.DateTimeField(_("next send from"))
    approved_at = models.DateTimeField(_("approved"), null=True)
    redeemed_at = models.DateTimeField(_("used"), null=True)
    """When the proof was used up by what it was for: once (``verifications.redeem``)."""
    amount = models.CharField(_("amount"), max_length=32, blank=True)
    payee = models.CharField(_("payee"), max_length=128, blank=True)
    link = models.CharField(max_length=2000, blank=True, editable=False)
    """Of silent network authentication: what the phone has to open. Empty once it is over."""
    code_digest = models.CharField(max_length=128, blank=True, editable=False)
    """Of a custom code, which the site judges itself: salted hash."""
    line_type = models.CharField(_("kind of line"), max_length=20, blank=True)
    browser_options = models.TextField(blank=True, editable=False)
    """Of a passkey: what the browser is asked, as JSON; public. Empty once it is over."""
    match_number = models.CharField(max_length=2, blank=True, editable=False)
    """Of a push: the number that the phone shows and the person types on the page. Empty once it is over."""
    matched_at = models.DateTimeField(_("number matched"), null=True)
    poll_after = models.DateTimeField(null=True, editable=False)
    """From when the provider may be asked again what became of a push."""
    checking_until = models.DateTimeField(null=True, editable=False)
    """Until when an answer is with the provider; others wait. A lease, not a lock: no transaction is held."""

    is_charged: bool = False
    """Of this object alone: the answer that is being judged counts as a failure of the factor until it is right."""

    objects = VerificationManager()

    if TYPE_CHECKING:
        user_id: int | None
        factor_id: int | None

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("verification")
        verbose_name_plural = _("verifications")
        indexes: ClassVar[list[models.Index]] = [models.Index(fields=["created_at"], name="tv_verification_time")]

    def __str__(self) -> str:
        if self.is_challenge:
            return f"{self.purpose} {self.channel}"
        return f"{self.purpose} {self.recipient.masked if self.recipient_value else 'erased'}"

    @property
    def recipient(self) -> Recipient:
        return Recipient(RecipientKind(self.recipient_kind), self.recipient_value)

    @property
    def is_challenge(self) -> bool:
        """Whether a factor that the provider keeps is asked, and nothing is sent to an address."""
        return self.channel in FACTOR_CHANNELS

    @property
    def is_claim(self) -> bool:
        """Whether whoever started it had not confirmed the recipient as a factor."""
        return self.precedence == Precedence.CLAIMANT

    @property
    def no_sid(self) -> str:
        """A SID that the provider has never given out, by which nothing is found there."""
        return f"VE{self.pk.hex}"

    def is_open(self, now: datetime) -> bool:
        """Whether its code may still be answered at ``now``."""
        return self.status == VerificationStatus.PENDING and self.expires_at > now


class VerificationAttempt(models.Model):
    """One send: what was asked for, what the provider made of it, and the consent it relied on.

    ``consent_event`` has no constraint in the database, because a router may keep the ledger elsewhere.
    """

    verification = models.ForeignKey(
        Verification, models.CASCADE, related_name="attempts", verbose_name=_("verification")
    )
    channel = models.CharField(_("way asked for"), max_length=12, choices=Channel)
    channel_used = models.CharField(_("way used"), max_length=16, blank=True)
    status = models.CharField(_("status"), max_length=12, choices=AttemptStatus, default=AttemptStatus.RESERVED)
    sid = models.CharField(_("attempt SID"), max_length=34, blank=True, db_index=True)
    error_code = models.PositiveIntegerField(_("provider's error"), null=True)
    consent_event = models.ForeignKey(
        "ConsentEvent",
        models.DO_NOTHING,
        db_constraint=False,
        related_name="attempts",
        verbose_name=_("consent relied on"),
    )
    created_at = models.DateTimeField(_("reserved"))
    claimed_at = models.DateTimeField(_("handed to the provider"), null=True)
    """When the sender last claimed it, right before the provider is called. Until then it can be recalled."""
    settled_at = models.DateTimeField(_("settled"), null=True)
    delivery = models.CharField(_("delivery"), max_length=24, blank=True)
    delivery_at = models.DateTimeField(_("delivery known"), null=True)
    converted = models.BooleanField(_("converted"), null=True)
    price = models.DecimalField(_("price"), max_digits=10, decimal_places=5, null=True)
    currency = models.CharField(_("currency"), max_length=3, blank=True)

    objects: ClassVar[models.Manager[VerificationAttempt]] = PrimaryManager()

    if TYPE_CHECKING:
        verification_id: uuid.UUID
        consent_event_id: int

    class Meta:
        verbose_name = _("attempt")
        verbose_name_plural = _("attempts")

    def __str__(self) -> str:
        return f"{self.channel} {self.status}"


class VerificationCheck(models.Model):
    """One answer tried, and what came of it; never the code."""

    verification = models.ForeignKey(
        Verification, models.CASCADE, related_name="answers", verbose_name=_("verification")
    )
    outcome = models.CharField(_("outcome"), max_length=16, choices=CheckOutcome)
    error_code = models.PositiveIntegerField(_("provider's error"), null=True)
    created_at = models.DateTimeField(_("time"))

    objects: ClassVar[models.Manager[VerificationCheck]] = PrimaryManager()

    class Meta:
        verbose_name = _("answer")
        verbose_name_plural = _("answers")

    def __str__(self) -> str:
        return self.outcome
