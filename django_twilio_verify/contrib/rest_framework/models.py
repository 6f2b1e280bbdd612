"""Which tokens were given out after a second factor."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, ClassVar

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from ...models.primary import PrimaryManager


class ProvedToken(models.Model):
    """A token that a person got by two factors. ``digest``: SHA-256 of the token in hex; it is random and long, so no
    key and no slow hash is needed, and who reads this table has no token.
    """

    digest = models.CharField(max_length=64, primary_key=True, editable=False)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="twilio_proved_tokens", verbose_name=_("person")
    )
    channel = models.CharField(_("proved by"), max_length=12)
    proved_at = models.DateTimeField(_("proved"))

    objects: ClassVar[models.Manager[ProvedToken]] = PrimaryManager()

    if TYPE_CHECKING:
        user_id: int

    class Meta:
        verbose_name = _("proved token")
        verbose_name_plural = _("proved tokens")

    def __str__(self) -> str:
        return f"{self.channel} {self.proved_at:%Y-%m-%d}"


class SpentLogin(models.Model):
    """A login of a program that has led to a token, and leads to no second one. Kept until the login has expired.

    ``digest``: SHA-256, in hex, of the random part that the program holds.
    """

    digest = models.CharField(max_length=64, primary_key=True, editable=False)
    spent_at = models.DateTimeField(_("used"), db_index=True)

    objects: ClassVar[models.Manager[SpentLogin]] = PrimaryManager()

    class Meta:
        verbose_name = _("used login")
        verbose_name_plural = _("used logins")

    def __str__(self) -> str:
        return f"{self.spent_at:%Y-%m-%d}"


def digest_of(token: Any) -> str:
    """The digest of a token: text, or an object whose text is the token, as DRF's ``Token``."""
    return hashlib.sha256(str(token).encode()).hexdigest()
