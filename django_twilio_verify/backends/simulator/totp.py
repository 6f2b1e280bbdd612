"""Time-based codes (RFC 6238 over RFC 4226): the simulator judges them, and ``testing.Authenticator`` shows them."""

from __future__ import annotations

import base64
import hmac
from collections.abc import Iterable

TIME_STEP = 30
DIGITS = 6
ALGORITHM = "sha1"


def key_of(secret: str) -> bytes:
    """The key that a base32 ``secret`` stands for; case, spaces and missing padding do not matter. Raises
    ``ValueError``.
    """
    text = "".join(secret.split()).upper().rstrip("=")
    try:
        return base64.b32decode(text + "=" * (-len(text) % 8))
    except ValueError:  # binascii.Error is one
        raise ValueError("not base32") from None


def step_at(moment: float, time_step: int = TIME_STEP) -> int:
    """The number of the time step that ``moment`` (seconds since 1970) is in: T of RFC 6238 section 4.2, T0 = 0."""
    return int(moment // time_step)


def code_of_step(key: bytes, step: int, digits: int = DIGITS, algorithm: str = ALGORITHM) -> str:
    """HOTP of ``step`` (RFC 4226 section 5.3), with the hash that ``algorithm`` names."""
    digest = hmac.digest(key, step.to_bytes(8, "big"), algorithm)
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return f"{number % 10**digits:0{digits}d}"


def matching_step(key: bytes, code: str, steps: Iterable[int], digits: int, algorithm: str) -> int | None:
    """The first of ``steps`` whose code is ``code``, or ``None``."""
    # SECURITY: as bytes, for digits of other scripts would make compare_digest raise.
    given = code.encode()
    codes = ((one, code_of_step(key, one, digits, algorithm).encode()) for one in steps)
    return next((one for one, right in codes if hmac.compare_digest(right, given)), None)
