"""Trusted browsers, as staff ends them."""

from __future__ import annotations

from collections.abc import Sequence

from django.utils import timezone

from ..models import TrustedBrowser


def revoke(ids: Sequence[int]) -> int:
    """Trust these no more; how many were trusted until now."""
    return TrustedBrowser.objects.filter(pk__in=ids, revoked_at=None).update(revoked_at=timezone.now())
