"""Keys derived from Django's ``SECRET_KEY``, for settings that replace them. Imports nothing of Django."""

from .core.derived_keys import fingerprint_key, signing_key

__all__ = ["fingerprint_key", "signing_key"]
