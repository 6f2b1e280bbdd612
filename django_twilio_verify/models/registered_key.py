"""The register of keys, beside the ledger."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from ..choices import KeyRecord


class RegisteredKey(models.Model):
    """One fact about a fingerprint key: it began to write, or nothing depends on its secret any longer.

    Append-only, as the ledger is. ``check_value`` is an HMAC of a constant under the secret
    (``derived_keys.check_value``): it tells whether a process has the same secret, and does not reveal it.
    """

    key_id = models.CharField(_("key"), max_length=12)
    kind = models.CharField(_("record"), max_length=8, choices=KeyRecord)
    check_value = models.CharField(_("check value"), max_length=64, blank=True)
    entry = models.CharField(max_length=24, unique=True, editable=False)
    """``<kind>:<id in lower case>``: the database refuses a second secret for one id."""
    recorded_at = models.DateTimeField(_("time"))

    class Meta:
        verbose_name = _("registered key")
        verbose_name_plural = _("registered keys")

    def __str__(self) -> str:
        return f"{self.key_id} {self.kind}"
