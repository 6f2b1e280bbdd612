"""Keys derived from Django's ``SECRET_KEY``, for settings files that replace them by keys of their own.

Imports nothing of Django, so that a settings module may import it.
"""

from __future__ import annotations

import hashlib
import hmac
from functools import lru_cache

_CONSTANT = b"django_twilio_verify.key-check"
_ID_DIGITS = 10


def check_value(secret: bytes) -> str:
    """Return the HMAC-SHA-256 of a constant under ``secret``, in hex: it tells secrets apart and reveals none."""
    return hmac.new(secret, _CONSTANT, hashlib.sha256).hexdigest()


def fingerprint_key(secret_key: str | bytes) -> tuple[str, bytes]:
    """Return the pair for ``TWILIO_VERIFY_FINGERPRINT_KEYS`` that was derived from this ``SECRET_KEY``."""
    return _pair(b"django_twilio_verify.fingerprint", secret_key)


def signing_key(secret_key: str | bytes) -> tuple[str, bytes]:
    """Return the pair for ``TWILIO_VERIFY_SIGNING_KEYS`` that was derived from this ``SECRET_KEY``."""
    return _pair(b"django_twilio_verify.seal", secret_key)


@lru_cache(maxsize=16)  # asked for at every fingerprint
def _pair(purpose: bytes, secret_key: str | bytes) -> tuple[str, bytes]:
    # Keyed by purpose, so that no key equals another one made of SECRET_KEY.
    content = secret_key if isinstance(secret_key, bytes) else str(secret_key).encode()
    secret = hashlib.sha256(purpose + b"\0" + content).digest()
    # The id comes from the key: SECRET_KEY and each fallback must be told apart in what they wrote.
    return f"s{check_value(secret)[:_ID_DIGITS]}", secret
