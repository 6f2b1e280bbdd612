"""Proofs in progress: one row a verification, one a send, one an answer."""

from __future__ import annotations

import uuid
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
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
from ..core.recipients import Recipient
from .primary import FingerprintedQuerySet, PrimaryManager

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from .consent import ConsentEvent
    from .factor import Factor


MAX_SID = 128
"""Characters of a provider's id. Twilio's SIDs have 34."""

GIVEN_UP = (VerificationStatus.CANCELED, VerificationStatus.EXPIRED)
"""What ended here without an answer of the phone, whose no counts all the same."""

CLEARED: dict[str, Any] = {"link": "", "code_digest": "", "browser_options": "", "match_number": ""}
"""What a verification that is over does not keep."""


class VerificationQuerySet(FingerprintedQuerySet["Verification"]):
    """Filters on verifications, and their changes of state.

    Each change is one UPDATE of those rows whose state allows it, and returns how many they were. Nothing else writes
    to a verification once it is made.
    """

    fingerprint_column = "recipient_fingerprint"

    def open_at(self, now: datetime) -> VerificationQuerySet:
        """Those whose code may still be answered at ``now``."""
        return self.filter(status=VerificationStatus.PENDING, expires_at__gt=now)

    # ---- its end

    def approve(self, now: datetime) -> int:
        """Turn pending into approved.

        Frees its place, ends the wait for an answer, and clears what only an open one keeps (``CLEARED``).
        """
        # SECURITY: promise 4. The one conditional UPDATE that turns a right code into a proof.
        return self.filter(status=VerificationStatus.PENDING).update(
            status=VerificationStatus.APPROVED, approved_at=now, pending_key=None, checking_until=None, **CLEARED
        )

    def close(self, status: VerificationStatus) -> int:
        """Turn pending into ``status``, which is no proof.

        Frees its place, ends the wait for an answer, and clears what only an open one keeps (``CLEARED``). Raises
        ``ValueError`` for a status that is no such end.
        """
        if status in (VerificationStatus.PENDING, VerificationStatus.APPROVED):
            raise ValueError(f"{status} is no end without proof.")
        values: dict[str, Any] = {"status": status.value, "checking_until": None, **CLEARED}
        if status != VerificationStatus.MAX_ATTEMPTS_REACHED:
            values["pending_key"] = None
        # Used up keeps its place until it would have expired: the provider takes no answers until then, so another
        # send would be money for nothing.
        return self.filter(status=VerificationStatus.PENDING).update(**values)

    def deny(self) -> int:
        """Turn pending, and what was given up (``GIVEN_UP``), into denied. Clears what ``close`` does."""
        may_be_denied = (VerificationStatus.PENDING, *GIVEN_UP)
        return self.filter(status__in=may_be_denied).update(
            status=VerificationStatus.DENIED, pending_key=None, checking_until=None, **CLEARED
        )

    def leave_place(self) -> int:
        """Free the place that one which is over, as it was used up, still has. Clears what ``close`` does."""
        return self.exclude(status=VerificationStatus.PENDING).update(pending_key=None, checking_until=None, **CLEARED)

    def redeem(self, now: datetime) -> int:
        """Use up those that are approved and were not used. Clears nothing."""
        # SECURITY: promise 4. The one conditional UPDATE that lets one caller go ahead.
        return self.filter(status=VerificationStatus.APPROVED, redeemed_at=None).update(redeemed_at=now)

    def attach(self, user_id: Any, since: datetime) -> int:
        """Give to ``user_id`` what a visitor proved after ``since`` and nobody has; not what was erased."""
        # SECURITY: one conditional UPDATE: a proof becomes one account's, and never a second one's.
        free = self.filter(
            user=None, purpose=Purpose.VERIFY, status=VerificationStatus.APPROVED, approved_at__gt=since
        ).exclude(recipient_value="")
        return free.update(user_id=user_id)

    def erase(self, now: datetime) -> int:
        """Clear the address, and the payee, who may be a person too, of those that are not open at ``now``.

        A code under way still needs its address; ten minutes later it does not.
        """
        is_open = Q(status=VerificationStatus.PENDING, expires_at__gt=now)
        return self.exclude(is_open).exclude(recipient_value="").update(recipient_value="", payee="")

    # ---- its sends

    def count_send(
        self,
        read: Verification,
        now: datetime,
        *,
        resend_at: datetime,
        channel: str,
        withheld: bool,
        code_digest: str,
        has_custom_code: bool,
    ) -> int:
        """Count one more send of a pending one that is as ``read``. Clears the link: this send brings its own.

        ``code_digest``, ``has_custom_code``: of the code that is good from here on.
        """
        unchanged = self.open_at(now).filter(sends=read.sends, resend_at=read.resend_at)
        return unchanged.update(
            sends=read.sends + 1,
            resend_at=resend_at,
            channel=channel,
            link="",
            withheld=withheld,
            code_digest=code_digest,
            has_custom_code=has_custom_code,
        )

    def uncount_send(self, *, resend_at: datetime, channel: str, link: str) -> int:
        """Take one send of a pending one back. What was sent before still counts, by the way that it went."""
        pending = self.filter(status=VerificationStatus.PENDING)
        return pending.update(sends=F("sends") - 1, resend_at=resend_at, channel=channel, link=link)

    def restore_code(self, replaced: str, *, code_digest: str, has_custom_code: bool) -> int:
        """Make the code before good again, of a pending one, unless another send has replaced ``replaced`` since."""
        pending = self.filter(status=VerificationStatus.PENDING, code_digest=replaced)
        return pending.update(code_digest=code_digest, has_custom_code=has_custom_code)

    def record_sent(self, *, sid: str, channel: str, link: str, line_type: str) -> int:
        """Write down what the provider made of the send of a pending one. Clears nothing."""
        # SECURITY: a link is not written beside a verification that is over meanwhile.
        pending = self.filter(status=VerificationStatus.PENDING)
        return pending.update(sid=sid, channel=channel, link=link, line_type=line_type)

    def record_challenge(self, *, sid: str, browser_options: str) -> int:
        """Write down what the provider made of the challenge of a pending one. Clears nothing."""
        return self.filter(status=VerificationStatus.PENDING).update(sid=sid, browser_options=browser_options)

    def record_sid(self, sid: str) -> int:
        """Write down by which SID the provider knows it, in any state."""
        return self.update(sid=sid)

    def record_lost_sid(self, sid: str) -> int:
        """Write down the SID of one, in any state, that has none: it was lost with the provider's answer."""
        return self.filter(sid="").update(sid=sid)

    def record_line_type(self, line_type: str) -> int:
        """Write down what the provider said of the number, in any state."""
        return self.update(line_type=line_type)

    def withhold(self) -> int:
        """Put nothing of it to the provider any more, in any state, if that is new."""
        return self.filter(withheld=False).update(withheld=True)

    # ---- its answers

    def count_check(self, read: Verification, counter: str, now: datetime, lease: timedelta) -> int:
        """Count an answer that is about to be judged, and hold the place of an open one until it is (``lease``).

        ``counter``: ``checks`` or ``link_checks``; it must be as ``read``, and no other answer be judged.
        """
        # SECURITY: one conditional UPDATE on the count that was read (less than its bound): never more answers judged,
        # whatever runs beside it.
        free = Q(checking_until__isnull=True) | Q(checking_until__lte=now)
        row = self.open_at(now).filter(free, **{counter: getattr(read, counter)})
        return row.update(checking_until=now + lease, **{counter: F(counter) + 1})

    def release_check(self, *, uncounted: str = "") -> int:
        """End the wait for an answer, in any state. ``uncounted``: a counter that this answer is taken from again."""
        values = {uncounted: F(uncounted) - 1} if uncounted else {}
        return self.update(checking_until=None, **values)

    def end_link(self, link: str, now: datetime) -> int:
        """Clear the ``link`` of a pending one, if it still has it, so that another way may go ahead at once."""
        row = self.filter(status=VerificationStatus.PENDING, link=link)
        return row.update(link="", resend_at=now, checking_until=None)

    def match(self, number: str, now: datetime) -> int:
        """Note that the ``number`` which the phone shows was typed, of an open one. The provider is asked at once."""
        return self.open_at(now).filter(match_number=number).update(matched_at=now, poll_after=None)

    def claim_poll(self, read: Verification, until: datetime) -> int:
        """Let nobody else ask the provider before ``until``, in any state, if nobody has since it was ``read``."""
        return self.filter(poll_after=read.poll_after).update(poll_after=until)

    def hurry(self) -> int:
        """Have the next poll of a pending one ask the provider at once."""
        return self.filter(status=VerificationStatus.PENDING).update(poll_after=None)

    def record_factor(self, factor: Factor, user_id: Any) -> int:
        """Write down which factor, of which user, answered, in any state."""
        return self.update(factor=factor, user=user_id)

    def record_enrollment(self, factor: Factor, sid: str) -> int:
        """Write down which factor it enrolls, in any state."""
        return self.update(factor=factor, sid=sid)


class _PrimaryVerifications(PrimaryManager["Verification"]):
    """Says whose rows it reads, which type checkers without a plugin cannot tell from the queryset."""


VerificationManager = _PrimaryVerifications.from_queryset(VerificationQuerySet)


class Verification(models.Model):
    """One proof in progress, by whichever channel.

    Its id is random and may stand in a URL, and is worthless without the session that started it (``session``
    holds that session's fingerprint). ``pending_key`` is unique while the verification occupies its place (same
    person, session, recipient, purpose and backend) and empty afterwards: the database itself refuses a second one.
    ``recipient_value`` is empty once it was erased; ``recipient_kind`` too where nothing is sent to an address: an
    answer from an authenticator app, a phone's app or a passkey (``is_challenge``). ``sid`` is then ``YC…``, or
    ``YF…`` while the factor is enrolled.
    """

    id: models.UUIDField[uuid.UUID, uuid.UUID] = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    user: models.ForeignKey[AbstractBaseUser | None, AbstractBaseUser | None] = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="twilio_verifications",
        verbose_name=_("person"),
    )
    session: models.CharField[str, str] = models.CharField(max_length=56, blank=True, editable=False)
    purpose: models.CharField[str, str] = models.CharField(_("purpose"), max_length=12, choices=Purpose)
    recipient_kind: models.CharField[str, str] = models.CharField(
        _("kind of address"), max_length=8, choices=RecipientKind, blank=True
    )
    recipient_value: models.CharField[str, str] = models.CharField(_("recipient"), max_length=254, blank=True)
    recipient_fingerprint: models.CharField[str, str] = models.CharField(max_length=56, blank=True, db_index=True)
    country: models.CharField[str, str] = models.CharField(_("country"), max_length=2, blank=True)
    channel: models.CharField[str, str] = models.CharField(_("way"), max_length=12, choices=Channel)
    factor: models.ForeignKey[Factor | None, Factor | None] = models.ForeignKey(
        "Factor", models.SET_NULL, null=True, related_name="verifications", verbose_name=_("factor")
    )
    backend: models.CharField[str, str] = models.CharField(_("backend"), max_length=64, default="default")
    sid: models.CharField[str, str] = models.CharField(
        _("verification SID"), max_length=MAX_SID, blank=True, db_index=True
    )
    precedence: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(
        _("precedence"), choices=Precedence, default=Precedence.OWNER
    )
    withheld: models.BooleanField[bool, bool] = models.BooleanField(_("withheld"), default=False)
    """The owner's verification has taken its place at the provider: no send and no answer of it goes there."""
    status: models.CharField[str, str] = models.CharField(
        _("status"), max_length=24, choices=VerificationStatus, default=VerificationStatus.PENDING
    )
    pending_key: models.CharField[str | None, str | None] = models.CharField(  # noqa: DJ001  NULLs do not clash
        max_length=64, null=True, unique=True, editable=False
    )
    sends: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(_("sends"), default=0)
    checks: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(_("answers"), default=0)
    link_checks: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(
        _("questions after the link"), default=0
    )
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("started"))
    expires_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("expires"))
    resend_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("next send from"))
    approved_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(_("approved"), null=True)
    redeemed_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(_("used"), null=True)
    """When the proof was used up by what it was for: once (``verifications.redeem``)."""
    amount: models.CharField[str, str] = models.CharField(_("amount"), max_length=32, blank=True)
    payee: models.CharField[str, str] = models.CharField(_("payee"), max_length=128, blank=True)
    link: models.CharField[str, str] = models.CharField(max_length=2000, blank=True, editable=False)
    """Of silent network authentication: what the phone has to open. Empty once it is over."""
    code_digest: models.CharField[str, str] = models.CharField(max_length=128, blank=True, editable=False)
    """Of a code that is judged here, a custom one or one that the app made: salted hash."""
    has_custom_code: models.BooleanField[bool, bool] = models.BooleanField(default=False, editable=False)
    """Whether the site named the code, which may have letters, and may itself find it right (``accept``)."""
    line_type: models.CharField[str, str] = models.CharField(_("kind of line"), max_length=20, blank=True)
    browser_options: models.TextField[str, str] = models.TextField(blank=True, editable=False)
    """Of a passkey: what the browser is asked, as JSON; public. Empty once it is over."""
    match_number: models.CharField[str, str] = models.CharField(max_length=2, blank=True, editable=False)
    """Of a push: the number that the phone shows and the person types on the page. Empty once it is over."""
    matched_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("number matched"), null=True
    )
    poll_after: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(null=True, editable=False)
    """From when the provider may be asked again what became of a push."""
    checking_until: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        null=True, editable=False
    )
    """Until when an answer is with the provider; others wait. A lease, not a lock: no transaction is held."""

    is_charged: bool = False
    """Of this object alone: the answer that is being judged counts as a failure of the factor until it is right."""

    is_locked_out: bool = False
    """Of this object alone: this answer was the last one, and the site is to be told."""

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

    verification: models.ForeignKey[Verification, Verification] = models.ForeignKey(
        Verification, models.CASCADE, related_name="attempts", verbose_name=_("verification")
    )
    channel: models.CharField[str, str] = models.CharField(_("way asked for"), max_length=12, choices=Channel)
    channel_used: models.CharField[str, str] = models.CharField(_("way used"), max_length=16, blank=True)
    status: models.CharField[str, str] = models.CharField(
        _("status"), max_length=12, choices=AttemptStatus, default=AttemptStatus.RESERVED
    )
    sid: models.CharField[str, str] = models.CharField(_("attempt SID"), max_length=MAX_SID, blank=True, db_index=True)
    error_code: models.PositiveIntegerField[int | None, int | None] = models.PositiveIntegerField(
        _("provider's error"), null=True
    )
    consent_event: models.ForeignKey[ConsentEvent, ConsentEvent] = models.ForeignKey(
        "ConsentEvent",
        models.DO_NOTHING,
        db_constraint=False,
        related_name="attempts",
        verbose_name=_("consent relied on"),
    )
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("reserved"))
    claimed_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("handed to the provider"), null=True
    )
    """When the sender last claimed it, right before the provider is called. Until then it can be recalled."""
    settled_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(_("settled"), null=True)
    delivery: models.CharField[str, str] = models.CharField(_("delivery"), max_length=24, blank=True)
    delivery_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("delivery known"), null=True
    )
    converted: models.BooleanField[bool | None, bool | None] = models.BooleanField(_("converted"), null=True)
    price: models.DecimalField[Decimal | None, Decimal | None] = models.DecimalField(
        _("price"), max_digits=10, decimal_places=5, null=True
    )
    currency: models.CharField[str, str] = models.CharField(_("currency"), max_length=3, blank=True)

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

    verification: models.ForeignKey[Verification, Verification] = models.ForeignKey(
        Verification, models.CASCADE, related_name="answers", verbose_name=_("verification")
    )
    outcome: models.CharField[str, str] = models.CharField(_("outcome"), max_length=20, choices=CheckOutcome)
    error_code: models.PositiveIntegerField[int | None, int | None] = models.PositiveIntegerField(
        _("provider's error"), null=True
    )
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("time"))

    objects: ClassVar[models.Manager[VerificationCheck]] = PrimaryManager()

    class Meta:
        verbose_name = _("answer")
        verbose_name_plural = _("answers")

    def __str__(self) -> str:
        return self.outcome
