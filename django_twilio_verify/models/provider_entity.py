"""How people are named to the provider that keeps their factors, and what it has yet to forget."""

from __future__ import annotations

import uuid
from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .primary import PrimaryManager

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


def new_identity() -> str:
    """36 random characters. SECURITY: made from nothing, so that it tells nothing of the person."""
    return str(uuid.uuid4())


class Entity(models.Model):
    """What the provider calls a person: one row for each and a backend, made with the first factor, never changed."""

    user: models.ForeignKey[AbstractBaseUser, AbstractBaseUser] = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="twilio_entities",
        verbose_name=_("person"),
    )
    backend: models.CharField[str, str] = models.CharField(_("backend"), max_length=64)
    identity: models.CharField[str, str] = models.CharField(
        _("identity"), max_length=36, unique=True, default=new_identity, editable=False
    )
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("made"))
    compared_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(
        _("compared"), null=True, db_index=True
    )
    """When ``sync_factors`` last began to hold it against the provider; also by which its runs share the work."""

    objects: ClassVar[models.Manager[Entity]] = PrimaryManager()

    if TYPE_CHECKING:
        user_id: int

    class Meta:
        verbose_name = _("entity")
        verbose_name_plural = _("entities")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["user", "backend"], name="tv_entity_once")
        ]

    def __str__(self) -> str:
        return self.identity


class ProviderRemoval(models.Model):
    """A factor, or with ``factor_sid`` empty a whole person, that the provider is still to be told to remove.

    Written in the transaction that removes it here, deleted when it is gone there. ``next_try_at``: from when
    ``sync_factors`` tries again; also the lease of who is trying now.
    """

    backend: models.CharField[str, str] = models.CharField(_("backend"), max_length=64)
    identity: models.CharField[str, str] = models.CharField(_("identity"), max_length=36)
    factor_sid: models.CharField[str, str] = models.CharField(_("factor SID"), max_length=34, blank=True)
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("removed here"))
    tries: models.PositiveIntegerField[int, int] = models.PositiveIntegerField(_("tries"), default=0)
    next_try_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("next try from"), db_index=True)
    last_error_code: models.PositiveIntegerField[int | None, int | None] = models.PositiveIntegerField(
        _("provider's error"), null=True
    )

    objects: ClassVar[models.Manager[ProviderRemoval]] = PrimaryManager()

    class Meta:
        verbose_name = _("outstanding removal")
        verbose_name_plural = _("outstanding removals")
        constraints: ClassVar[list[models.BaseConstraint]] = [
            models.UniqueConstraint(fields=["backend", "identity", "factor_sid"], name="tv_removal_once")
        ]

    def __str__(self) -> str:
        return f"{self.identity} {self.factor_sid}".strip()
