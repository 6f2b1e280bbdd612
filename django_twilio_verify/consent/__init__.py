"""Consent: grant it, withdraw it, opt out, and ask whether it is there."""

from .api import (
    Act,
    NewConsent,
    carry_over,
    expire,
    grant,
    invalidate,
    live,
    opt_out,
    record,
    release,
    require,
    withdraw,
)

__all__ = [
    "Act",
    "NewConsent",
    "carry_over",
    "expire",
    "grant",
    "invalidate",
    "live",
    "opt_out",
    "record",
    "release",
    "require",
    "withdraw",
]
