"""What people have enrolled."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from ..choices import Channel, FactorKind, RecipientKind
from ..recipients import Recipient
from .primary import PrimaryManager


class FactorQuerySet(models.QuerySet["Factor"]):
    """Filters on factors."""

    def confirmed_for(self, user_id: Any) -> FactorQuerySet:
        """The factors that a person can sign in with, the default one first."""
        found = self.filter(user_id=user_id, confirmed_at__isnull=False)
        return found.order_by(F("default_for").desc(nulls_last=True), "id")


FactorManager = PrimaryManager.from_queryset(FactorQuerySet)


class Factor(models.Model):
    """One thing that a person can prove to hold.

    ``recipient_*`` are filled for phone and email, ``sid`` (``YF…``) for the kinds that live at Twilio. ``key`` is what
    makes a factor one of a kind to its person: the recipient's fingerprint, or the SID.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="twilio_factors",
        verbose_name=_("person"),
    )
    default_for = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        related_name="+",
        verbose_name=_("default for"),
    )
    """The same person as ``user`` if this is the default factor, else empty: unique, so there is never a second one."""
    chosen_at = models.DateTimeField(null=True, editable=False)
    """When the person chose it to be the default: from then on none is put in its place, as long as it works."""
    kind = models.CharField(_("kind"), max_length=8, choices=FactorKind)
    channel = models.CharField(_("preferred way"), max_length=12, choices=Channel)
    key = models.CharField(max_length=64, db_index=True, editable=False)
    recipient_value = models.CharField(_("recipient"), max_length=254, blank=True)
    sid = models.CharField(_("factor SID"), max_length=34, blank=True)
    entity = models.ForeignKey("Entity", models.CASCADE, null=True, related_name="factors", verbose_name=_("entity"))
    """Who holds it in the provider's words, of the kinds that live there."""
    platform = models.CharField(_("platform"), max_length=4, blank=True)
    """Of a push factor: ``apn``, ``fcm``, or ``none`` for one that approves silently."""
    digits = models.PositiveSmallIntegerField(_("digits of a code"), default=0)
    """Of an authenticator app; 0 for what authenticator apps do by default, six."""
    credential_digest = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001  NULLs do not clash
    """Of a passkey: SHA-256 of the credential's id in hex, by which a sign-in without a name finds its holder."""
    used_answers = models.CharField(max_length=1024, blank=True, editable=False)
    """Of an authenticator app: when the latest codes were accepted, and their keyed digests (``flows.replays``)."""
    lost_at = models.DateTimeField(_("lost at the provider"), null=True)
    """When the provider said that it does not know the factor (any more). Not offered from then on, but not gone: a
    person whose factors are lost is not let in without one.
    """
    failures = models.PositiveIntegerField(_("consecutive failures"), default=0)
    """Wrong answers since the last right one, of all sessions together (``flows.guesses``)."""
    failures_told = models.PositiveSmallIntegerField(default=0, editable=False)
    """At how many of them the user was last told by email."""
    held_at = models.DateTimeField(_("held"), null=True)
    """Since when it takes no more answers, for too many failures."""
    line_type = models.CharField(_("kind of line"), max_length=20, blank=True)
    label = models.CharField(_("name"), max_length=64, blank=True)
    created_at = models.DateTimeField(_("enrolled"))
    confirmed_at = models.DateTimeField(_("confirmed"), null=True)
    last_used_at = models.DateTimeField(_("last used"), null=True)

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

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="twilio_recovery_codes",
        verbose_name=_("person"),
    )
    selector = models.CharField(max_length=8)
    verifier = models.CharField(max_length=255)
    created_at = models.DateTimeField(_("made"))
    used_at = models.DateTimeField(_("used"), null=True)

    objects: ClassVar[models.Manager[RecoveryCode]] = PrimaryManager()

    class Meta:
        verbose_name = _("recovery code")
        verbose_name_plural = _("recovery codes")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "selector"], name="tv_recovery_selector")
        ]

    def __str__(self) -> str:
        return f"recovery code of {self.created_at:%Y-%m-%d}"
