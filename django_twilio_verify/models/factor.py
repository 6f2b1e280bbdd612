"""What people have enrolled."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import Case, F, Q, Value, When
from django.utils.translation import gettext_lazy as _

from ..choices import Channel, FactorKind, RecipientKind
from ..core.recipients import Recipient
from .primary import FingerprintedQuerySet, PrimaryManager

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

    from .provider_entity import Entity

_NO_FAILURES: dict[str, Any] = {"failures": 0, "failures_told": 0, "held_at": None}


class FactorQuerySet(FingerprintedQuerySet["Factor"]):
    """Filters on factors, and their changes of state.

    Each change is one UPDATE of those rows whose state allows it, and returns how many they were. Nothing else writes
    to a factor once it is made.
    """

    fingerprint_column = "key"

    def usable(self) -> FactorQuerySet:
        """Those that are confirmed, and not lost at the provider."""
        return self.filter(confirmed_at__isnull=False, lost_at=None)

    def confirmed_for(self, user_id: Any) -> FactorQuerySet:
        """The factors that a person can sign in with, the default one first."""
        found = self.filter(user_id=user_id, confirmed_at__isnull=False)
        return found.order_by(F("default_for").desc(nulls_last=True), "id")

    # ---- enrolled, lost and found

    def confirm(self, now: datetime, *, credential_digest: str | None = None, used: bool = False) -> int:
        """Turn begun into confirmed. ``used``: it was proved by that, too.

        Raises ``IntegrityError`` where a passkey with that digest is somebody's already.
        """
        values: dict[str, Any] = {"confirmed_at": now}
        if credential_digest is not None:
            values["credential_digest"] = credential_digest
        if used:
            values["last_used_at"] = now
        return self.filter(confirmed_at=None).update(**values)

    def lose(self, now: datetime) -> int:
        """Turn known at the provider into lost, confirmed or not."""
        return self.filter(lost_at=None).update(lost_at=now)

    def regain(self) -> int:
        """Turn lost into known at the provider: ``lost_at`` is cleared."""
        return self.exclude(lost_at=None).update(lost_at=None)

    def hold(self, user_id: Any) -> int:
        """Lock the rows of ``user_id`` until the transaction ends, in any state, by writing them as they are."""
        return self.filter(user_id=user_id).update(user_id=user_id)

    # ---- used

    def record_use(self, now: datetime) -> int:
        """Note that it was proved, in any state."""
        return self.update(last_used_at=now)

    def prove(self, now: datetime) -> int:
        """Note that it was proved, of those that are usable. Clears its failures, and that it was held for them."""
        return self.usable().update(last_used_at=now, **_NO_FAILURES)

    def record_way(self, now: datetime, *, channel: str, line_type: str) -> int:
        """Note by which way it was proved, in any state: it goes first from here on.

        Clears its failures, and that it was held for them. An empty ``line_type`` leaves what is known of the number.
        """
        values: dict[str, Any] = {"last_used_at": now, "channel": channel, **_NO_FAILURES}
        if line_type:
            values["line_type"] = line_type
        return self.update(**values)

    def record_line_type(self, line_type: str) -> int:
        """Write down what the provider said of the number, in any state."""
        return self.update(line_type=line_type)

    def record_answers(self, read: Sequence[Any], answers: Sequence[Any]) -> int:
        """Remember the accepted ``answers`` of an authenticator app, in any state, if those of before are as ``read``.

        Each is when it was accepted, and its keyed digest.
        """
        # SECURITY: one conditional UPDATE on what was read: whoever comes second reads again and finds the code.
        return self.filter(used_answers=read).update(used_answers=answers)

    # ---- its failures

    def charge(self, now: datetime, most: int) -> int:
        """Count one failure more of those that are not held and have fewer than ``most``; the last one holds it."""
        return self.filter(failures__lt=most, held_at=None)._count_failure(now, most)

    def record_failure(self, now: datetime, most: int) -> int:
        """Count one failure more of what is no passkey, held or not; from ``most`` on it is held."""
        return self.exclude(kind=FactorKind.PASSKEY)._count_failure(now, most)

    def _count_failure(self, now: datetime, most: int) -> int:
        """One failure more; the last one holds the factor.

        In the same statement: of an answer that is lost on its way back, or whose process dies, nobody would hold it
        later, and what is not held is not released either.
        """
        # MariaDB assigns from left to right.
        held_at = Case(When(held_at=None, failures__gte=most - 1, then=Value(now)), default=F("held_at"))
        return self.update(held_at=held_at, failures=F("failures") + 1)

    def refund(self, most: int) -> int:
        """Take back one failure of those that have any. Clears that it was held, unless its user was told so."""
        # Of one whose user was told that it is held, it stays so.
        held_at = Case(When(failures_told__lt=most, then=Value(None)), default=F("held_at"))
        return self.filter(failures__gt=0).update(held_at=held_at, failures=F("failures") - 1)

    def record_told(self, step: int) -> int:
        """Note that its user is told of ``step`` failures, of those that have so many and whose user was not."""
        return self.filter(failures__gte=step, failures_told__lt=step).update(failures_told=step)

    def release(self, held_at: datetime) -> int:
        """Let answers be given again to what has been held since ``held_at``. Clears its failures."""
        return self.filter(held_at=held_at).update(**_NO_FAILURES)

    # ---- chosen and named

    def make_default(self, user_id: Any, *, chosen_at: datetime | None = None) -> int:
        """Make it the default of ``user_id``, whose it is. ``chosen_at``: when they said so, if they did.

        Raises ``IntegrityError`` where they have another default.
        """
        values: dict[str, Any] = {"default_for": user_id}
        if chosen_at is not None:
            values["chosen_at"] = chosen_at
        return self.filter(user_id=user_id).update(**values)

    def clear_default(self, user_id: Any) -> int:
        """Let it not be the default of ``user_id`` any more. Clears when it was chosen."""
        return self.filter(default_for=user_id).update(default_for=None, chosen_at=None)

    def inherit(self, old: Factor, label: str) -> int:
        """Put it in the place of ``old``, in any state: it has the ``label``, and is the default if that one was."""
        values: dict[str, Any] = {"label": label}
        if old.is_default:
            values |= {"default_for": old.default_for_id, "chosen_at": old.chosen_at}
        return self.update(**values)

    def rename(self, label: str) -> int:
        """Give it another name, in any state."""
        return self.update(label=label)


class _PrimaryFactors(PrimaryManager["Factor"]):
    """Says whose rows it reads, which type checkers without a plugin cannot tell from the queryset."""


FactorManager = _PrimaryFactors.from_queryset(FactorQuerySet)


class Factor(models.Model):
    """One thing that a person can prove to hold.

    ``recipient_*`` are filled for phone and email, ``sid`` (``YF…``) for the kinds that live at Twilio. ``key`` is what
    makes a factor one of a kind to its person: the recipient's fingerprint, or the SID.
    """

    user: models.ForeignKey[AbstractBaseUser, AbstractBaseUser] = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="twilio_factors",
        verbose_name=_("person"),
    )
    default_for: models.OneToOneField[AbstractBaseUser | None, AbstractBaseUser | None] = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        related_name="+",
        verbose_name=_("default for"),
    )
    """The same person as ``user`` if this is the default factor, else empty: unique, so there is never a second one."""
    chosen_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(null=True, editable=False)
    """When the person chose it to be the default: from then on none is put in its place, as long as it works."""
    kind: models.CharField[str, str] = models.CharField(_("kind"), max_length=8, choices=FactorKind)
    channel: models.CharField[str, str] = models.CharField(_("preferred way"), max_length=12, choices=Channel)
    key: models.CharField[str, str] = models.CharField(max_length=64, db_index=True, editable=False)
    recipient_value: models.CharField[str, str] = models.CharField(_("recipient"), max_length=254, blank=True)
    sid: models.CharField[str, str] = models.CharField(_("factor SID"), max_length=34, blank=True)
    entity: models.ForeignKey[Entity | None, Entity | None] = models.ForeignKey(
        "Entity", models.CASCADE, null=True, related_name="factors", verbose_name=_("entity")
    )
    """Who holds it in the provider's words, of the kinds that live there."""
    platform: models.CharField[str, str] = models.CharField(_("platform"), max_length=4, blank=True)
    """Of a push factor: ``apn``, ``fcm``, or ``none`` for one that approves silently."""
    digits: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(
        _("digits of a code"), default=0
    )
    """Of an authenticator app; 0 for what authenticator apps do by default, six."""
    credential_digest: models.CharField[str | None, str | None] = models.CharField(  # noqa: DJ001  NULLs do not clash
        max_length=64, null=True, unique=True, editable=False
    )
    """Of a passkey: SHA-256 of the credential's id in hex, by which a sign-in without a name finds its holder."""
    used_answers: models.JSONField[Any, Any] = models.JSONField(default=list, blank=True, editable=False)
    """Of an authenticator app: when each of the latest codes was accepted, and its keyed digest
    (``factors.replays``).
    """
    lost_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("lost at the provider"), null=True
    )
    """When the provider said that it does not know the factor (any more). Not offered from then on, but not gone: a
    person whose factors are lost is not let in without one.
    """
    failures: models.PositiveIntegerField[int, int] = models.PositiveIntegerField(_("consecutive failures"), default=0)
    """Wrong answers since the last right one, of all sessions together (``verifications.throttling``)."""
    failures_told: models.PositiveSmallIntegerField[int, int] = models.PositiveSmallIntegerField(
        default=0, editable=False
    )
    """At how many of them the user was last told by email."""
    held_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(_("held"), null=True)
    """Since when it takes no more answers, for too many failures."""
    line_type: models.CharField[str, str] = models.CharField(_("kind of line"), max_length=20, blank=True)
    label: models.CharField[str, str] = models.CharField(_("name"), max_length=64, blank=True)
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("enrolled"))
    confirmed_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("confirmed"), null=True
    )
    last_used_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("last used"), null=True
    )

    objects = FactorManager()

    if TYPE_CHECKING:
        user_id: int
        default_for_id: int | None
        entity_id: int | None

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("factor")
        verbose_name_plural = _("factors")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "key"], name="tv_factor_once_a_person"),
            models.CheckConstraint(
                condition=Q(default_for=None) | Q(default_for=F("user")), name="tv_factor_default_is_own"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.masked}"

    @property
    def recipient(self) -> Recipient:
        """The address of a phone or email factor."""
        return Recipient(RecipientKind(self.kind), self.recipient_value)

    @property
    def masked(self) -> str:
        """What may be shown of it."""
        if self.recipient_value:
            return self.recipient.masked
        return self.label

    @property
    def is_default(self) -> bool:
        return self.default_for_id is not None


class RecoveryCode(models.Model):
    """One recovery code: ``selector`` finds it, ``verifier`` is the hash of the rest. Spent once."""

    user: models.ForeignKey[AbstractBaseUser, AbstractBaseUser] = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="twilio_recovery_codes",
        verbose_name=_("person"),
    )
    selector: models.CharField[str, str] = models.CharField(max_length=8)
    verifier: models.CharField[str, str] = models.CharField(max_length=255)
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("made"))
    used_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(_("used"), null=True)

    objects: ClassVar[models.Manager[RecoveryCode]] = PrimaryManager()

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "selector"], name="tv_recovery_selector")
        ]

    def __str__(self) -> str:
        return f"recovery code of {self.created_at:%Y-%m-%d}"
