"""What the guides' examples write to."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class Seller(models.Model):
    """A user who sells. Deleting users asks nothing of it."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.DO_NOTHING, db_constraint=False)
    phone = models.CharField(max_length=20, blank=True)

    def __str__(self) -> str:
        return self.phone
