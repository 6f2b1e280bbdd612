"""The state of a user's account beside its factors, and resets that staff asked for."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from django.conf import settings
from django.db import connections, models
from django.db.models import F, Q
from django.utils.translation import gettext_lazy as _

from .primary import PrimaryManager

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser

_NOT_DELETED = "A UserState is deleted with its account alone. Use clear_grace_period()."


class UserStateQuerySet(models.QuerySet["UserState"]):
    """The only writes to the states of users: each method has a column of its own and leaves the others as they are."""

    def start_grace_period(self, user_id: Any, now: datetime) -> None:
        """Start the grace period of a user who has none. Of two calls at the same instant, either clock is kept."""
        self._write(user_id, grace_started_at=now)

    def clear_grace_period(self) -> int:
        """Give the selected users a new grace period, from their next sign-in on. Returns how many had one."""
        return self.exclude(grace_started_at=None).update(grace_started_at=None)

    def end_sessions(self, user_id: Any, now: datetime) -> None:
        """Write the session cutoff of a user. It replaces the one before and is never cleared."""
        self._write(user_id, sessions_ended_at=now)

    def dismiss_suggestion(self, user_id: Any, now: datetime) -> None:
        """Remember that a user dismissed a suggestion."""
        self._write(user_id, suggestion_dismissed_at=now)

    def delete(self) -> NoReturn:
        """Refuse: a state is deleted with its account alone.

        Raises:
            TypeError: Always.
        """
        # SECURITY: with the row goes the session cutoff, and sessions that were ended would be good again.
        raise TypeError(_NOT_DELETED)

    def _write(self, user_id: Any, **values: datetime) -> None:
        # One statement that inserts the row or updates it. Two first writes at the same instant, of the same column or
        # of two, would otherwise lose one. An UPDATE before an INSERT, as in update_or_create(), takes a gap lock in a
        # transaction of MariaDB, with which two users' first writes make a deadlock. An INSERT that ignores a conflict
        # does not say that it was ignored.
        named = connections[self.db].features.supports_update_conflicts_with_target
        self.bulk_create(
            [self.model(user_id=user_id, **values)],
            update_conflicts=True,
            update_fields=list(values),
            unique_fields=["user"] if named else None,
        )


class _PrimaryUserStates(PrimaryManager["UserState"]):
    """Says whose rows it reads, which type checkers without a plugin cannot tell from the queryset."""


UserStateManager = _PrimaryUserStates.from_queryset(UserStateQuerySet)


class UserState(models.Model):
    """What the app remembers of a user beside factors: the grace period, the session cutoff, a dismissed suggestion.

    One row per user, inserted when the first of the three happens and deleted with the account. A session cutoff stays
    that long because the login view decides how long a session lives ("remember me"): nobody knows when the last
    session of before is gone.
    """

    user: models.OneToOneField[AbstractBaseUser, AbstractBaseUser] = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="twilio_user_state",
        verbose_name=_("user"),
    )
    grace_started_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("grace period started"), null=True
    )
    """When the user first signed in without the factor that is required."""
    sessions_ended_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("sessions ended"), null=True
    )
    """The session cutoff: when all sessions of the user were last ended."""
    suggestion_dismissed_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("suggestion dismissed"), null=True
    )
    """When the user last answered "not now" to a stronger factor, or to verifying an old one again."""

    objects = UserStateManager()

    if TYPE_CHECKING:
        user_id: int

    class Meta:
        verbose_name = _("account state")
        verbose_name_plural = _("account states")

    def __str__(self) -> str:
        return str(self.pk)

    def delete(self, using: str | None = None, keep_parents: bool = False) -> NoReturn:
        """Refuse, as the queryset does."""
        raise TypeError(_NOT_DELETED)


class FactorReset(models.Model):
    """Staff asked that all of a user's factors be removed.

    It is done at ``due_at`` and not before, so that the user, who is told at once, can say no. ``pending_for`` is the
    same person as ``user`` while it is neither done nor canceled: unique, so there is never a second one under way.

    From then on ``held_for`` is the user until they have a factor again: with the password of before they enroll one
    only in the session that opened the mailed link. ``password_digest``: SHA-256, in hex, of that password's stored
    hash; with another one nothing is held.
    """

    user: models.ForeignKey[AbstractBaseUser, AbstractBaseUser] = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="twilio_factor_resets",
        verbose_name=_("person"),
    )
    pending_for: models.OneToOneField[AbstractBaseUser | None, AbstractBaseUser | None] = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        related_name="+",
        verbose_name=_("under way for"),
    )
    requested_by: models.ForeignKey[AbstractBaseUser | None, AbstractBaseUser | None] = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("requested by"),
    )
    """Empty for a command, and once that account is gone."""
    by_command: models.BooleanField[bool, bool] = models.BooleanField(_("by command"), default=False)
    reason: models.CharField[str, str] = models.CharField(_("reason"), max_length=500)
    cancel_digest: models.CharField[str, str] = models.CharField(max_length=64, unique=True, editable=False)
    """SHA-256 in hex of the random value in the link by which the person cancels it."""
    requested_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("requested"))
    due_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("due"), db_index=True)
    canceled_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(_("canceled"), null=True)
    done_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(_("done"), null=True)
    held_for: models.OneToOneField[AbstractBaseUser | None, AbstractBaseUser | None] = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        null=True,
        related_name="+",
        verbose_name=_("waits for the link"),
    )
    released_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("new factor"), null=True
    )
    password_digest: models.CharField[str, str] = models.CharField(max_length=64, blank=True, editable=False)
    link_template: models.CharField[str, str] = models.CharField(max_length=500, blank=True, editable=False)
    """Address of the enrollment link, with a placeholder for the token: a scheduled command knows no host."""
    link_digest: models.CharField[str | None, str | None] = models.CharField(  # noqa: DJ001  NULLs do not clash
        max_length=64, null=True, unique=True, editable=False
    )
    """SHA-256 in hex of the random value in the newest enrollment link."""
    link_expires_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("link expires"), null=True
    )
    link_opened_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("link opened"), null=True
    )
    opened_by: models.CharField[str, str] = models.CharField(max_length=56, blank=True, editable=False)
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
