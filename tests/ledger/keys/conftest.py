"""Sites that change their fingerprint keys."""

from __future__ import annotations
