"""Read-only views of the records, for everybody, superusers included. What can be done is an act of its own."""

from . import account, audit, consent, factor, provider, reset, verification

__all__ = ["account", "audit", "consent", "factor", "provider", "reset", "verification"]
