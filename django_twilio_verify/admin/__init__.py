"""Read-only views of the records, for everybody, superusers included."""

from . import audit, consent, factor, provider, verification

__all__ = ["audit", "consent", "factor", "provider", "verification"]
