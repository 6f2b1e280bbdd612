"""Read-only views of the records, for everybody, superusers included. What can be done is an act of its own."""

from . import audit, consent, factor, people, provider, reset, verification

__all__ = ["audit", "consent", "factor", "people", "provider", "reset", "verification"]
