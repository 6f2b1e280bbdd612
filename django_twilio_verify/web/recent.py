"""When this process last found that nothing was owed in a session.

In memory, and for this process alone. In the session it would be a write every few minutes, which makes sessions live
for ever that end so long after a change. What is forgotten here costs a SELECT and is never a way in: only answers of
"nothing is owed" are noted, by the clock, under the key of one session.
"""

from __future__ import annotations

import hashlib
import time

from django.http import HttpRequest

KEPT = 10_000
"""Sessions that are remembered; then all are forgotten."""

_noted: dict[bytes, float] = {}


def note(request: HttpRequest, user_id: str) -> None:
    """Now it was found once more that ``user_id`` owes nothing in this session."""
    if len(_noted) >= KEPT:
        _noted.clear()
    _noted[_key(request, user_id)] = time.time()


def noted(request: HttpRequest, user_id: str) -> float:
    """When that was found, in seconds since 1970; 0 if never."""
    return _noted.get(_key(request, user_id), 0)


def _key(request: HttpRequest, user_id: str) -> bytes:
    # SECURITY: a digest, so that no session can be taken over by who reads this memory; and one is short, where the
    # key of signed_cookies is the cookie.
    return hashlib.sha256(f"{request.session.session_key}:{user_id}".encode()).digest()
