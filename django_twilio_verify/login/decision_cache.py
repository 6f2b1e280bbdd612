"""When this process last found that a session may go on: that nothing is owed in it, and that it was not ended.

In memory, and for this process alone. In the session it would be a write every few minutes, which makes sessions live
for ever that end so long after a change. What is forgotten here costs a SELECT and is never a way in: only answers of
"it may go on" are noted, by the clock, under the key of one session.
"""

from __future__ import annotations

import hashlib
import time

from django.http import HttpRequest

from . import session

KEPT = 10_000
"""Sessions that are remembered; then all are forgotten."""

_noted: dict[bytes, float] = {}


def note(request: HttpRequest, user_id: str) -> None:
    """Now it was found once more that ``user_id`` may go on in this session."""
    if len(_noted) >= KEPT:
        _noted.clear()
    _noted[_key(request, user_id)] = time.time()


def noted(request: HttpRequest, user_id: str) -> float:
    """When that was found, in seconds since 1970; 0 if never."""
    return _noted.get(_key(request, user_id), 0)


def _key(request: HttpRequest, user_id: str) -> bytes:
    # SECURITY: a digest, so that no session can be taken over by who reads this memory.
    return hashlib.sha256(f"{session.name_of(request)}:{user_id}".encode()).digest()
