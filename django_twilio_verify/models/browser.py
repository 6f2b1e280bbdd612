"""Browsers that are excused from the second factor for a while."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from .primary import PrimaryManager

if TYPE_CHECKING:
    from django.contrib.auth.base_user import AbstractBaseUser


class TrustedBrowser(models.Model):
    """One browser of one person. Revoked by a row, not by hoping that a cookie runs out.

    ``token_digest``: SHA-256 in hex of the random value in the browser's cookie. ``setup``: keyed digest of the
    person's password and factors as they were; of another setup it excuses nothing any more.
    """

    user: models.ForeignKey[AbstractBaseUser, AbstractBaseUser] = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="twilio_trusted_browsers",
        verbose_name=_("person"),
    )
    token_digest: models.CharField[str, str] = models.CharField(max_length=64, unique=True, editable=False)
    setup: models.CharField[str, str] = models.CharField(max_length=64, editable=False)
    browser: models.CharField[str, str] = models.CharField(_("browser"), max_length=64, blank=True)
    ip: models.GenericIPAddressField[str | None, str | None] = models.GenericIPAddressField(_("address"), null=True)
    """Of the last use."""
    created_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("trusted since"))
    last_used_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("last used"))
    expires_at: models.DateTimeField[datetime, datetime] = models.DateTimeField(_("trusted until"), db_index=True)
    revoked_at: models.DateTimeField[datetime | None, datetime | None] = models.DateTimeField(_("revoked"), null=True)

    objects: ClassVar[models.Manager[TrustedBrowser]] = PrimaryManager()

    if TYPE_CHECKING:
        user_id: int

    class Meta:
        verbose_name = _("trusted browser")
        verbose_name_plural = _("trusted browsers")

    def __str__(self) -> str:
        return f"{self.browser} {self.created_at:%Y-%m-%d}"
