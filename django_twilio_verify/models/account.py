"""What is remembered of people who must enroll, who signed out everywhere, and whom staff helps back in."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from .primary import PrimaryManager


class EnrollmentGrace(models.Model):
    """Since when a person without a factor has been asked to enroll one. One row for a person."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="twilio_enrollment_grace",
        verbose_name=_("person"),
    )
    started_at = models.DateTimeField(_("asked since"))

    objects: ClassVar[models.Manager[EnrollmentGrace]] = PrimaryManager()

    if TYPE_CHECKING:
        user_id: int

    class Meta:
        verbose_name = _("time to enroll")
        verbose_name_plural = _("times to enroll")

    def __str__(self) -> str:
        return f"{self.started_at:%Y-%m-%d}"


class SessionCutoff(models.Model):
    """When all sessions of a person were last ended. One row for a person.

    It stays as long as the account: how long a session lives is up to the login view ("remember me"), so nobody knows
    when the last one of before is gone.
    """

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="twilio_session_cutoff",
        verbose_name=_("person"),
    )
    ended_at = models.DateTimeField(_("sessions ended"))

    objects: ClassVar[models.Manager[SessionCutoff]] = PrimaryManager()

    if TYPE_CHECKING:
        user_id: int

    class Meta:
        verbose_name = _("end of sessions")
        verbose_name_plural = _("ends of sessions")

    def __str__(self) -> str:
        return f"{self.ended_at:%Y-%m-%d}"


class FactorReset(models.Model):
    """Staff asked that all of a user's factors be removed.

    It is done at ``due_at`` and not before, so that the user, who is told at once, can say no. ``pending_for`` is the
    same person as ``user`` while it is neither done nor canceled: unique, so there is never a second one under way.

    From then on ``held_for`` is the user until they have a factor again: with the password of before they enroll one
    only in the session that opened the mailed link. ``password_digest``: SHA-256, in hex, of that password's stored
    hash; with another one nothing is held.
    """

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="twilio_factor_resets",
        verbose_name=_("person"),
    )
    pending_for = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        related_name="+",
        verbose_name=_("under way for"),
    )
    requested_by = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("requested by"),
    )
    """Empty for a command, and once that account is gone."""
    by_command = models.BooleanField(_("by command"), default=False)
    reason = models.CharField(_("reason"), max_length=500)
    cancel_digest = models.CharField(max_length=64, unique=True, editable=False)
    """SHA-256 in hex of the random value in the link by which the person cancels it."""
    requested_at = models.DateTimeField(_("requested"))
    due_at = models.DateTimeField(_("due"), db_index=True)
    canceled_at = models.DateTimeField(_("canceled"), null=True)
    done_at = models.DateTimeField(_("done"), null=True)
    held_for = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        related_name="+",
        verbose_name=_("waits for the link"),
    )
    released_at = models.DateTimeField(_("new factor"), null=True)
    password_digest = models.CharField(max_length=64, blank=True, editable=False)
    link_template = models.CharField(max_length=500, blank=True, editable=False)
    """Address of the enrollment link, with a placeholder for the token: a scheduled command knows no host."""
    link_digest = models.CharField(max_length=64, null=True, unique=True, editable=False)  # noqa: DJ001  NULLs do not clash
    """SHA-256 in hex of the random value in the newest enrollment link."""
    link_expires_at = models.DateTimeField(_("link expires"), null=True)
    link_opened_at = models.DateTimeField(_("link opened"), null=True)
    opened_by = models.CharField(max_length=56, blank=True, editable=False)
    """Fingerprint of the session that opened the link."""

    objects: ClassVar[models.Manager[FactorReset]] = PrimaryManager()

    if TYPE_CHECKING:
        user_id: int
        pending_for_id: int | None
        held_for_id: int | None
        requested_by_id: int | None

    class Meta:
        base_manager_name = "objects"
        verbose_name = _("reset of factors")
        verbose_name_plural = _("resets of factors")
        permissions = [("reset_factors", _("Can have a person's factors reset"))]
        constraints = [
            models.CheckConstraint(
                condition=Q(pending_for=None) | Q(pending_for=F("user")), name="tv_reset_pending_is_own"
            ),
            models.CheckConstraint(condition=Q(held_for=None) | Q(held_for=F("user")), name="tv_reset_held_is_own"),
        ]

    def __str__(self) -> str:
        return f"{self.requested_at:%Y-%m-%d}"
