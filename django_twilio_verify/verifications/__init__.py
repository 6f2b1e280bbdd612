"""Verifications: send a code, check the answer, and use the approval once."""

from ..core.recipients import Recipient
from .api import (
    VerificationRef,
    acancel,
    acheck,
    aget,
    aget_state,
    apoll,
    aredeem,
    aresend,
    astart,
    cancel,
    check,
    get,
    get_state,
    parse_recipient,
    poll,
    redeem,
    resend,
    start,
)
from .options import Payment
from .results import Checked, Redeemed, Started, VerificationState

__all__ = [
    "Checked",
    "Payment",
    "Recipient",
    "Redeemed",
    "Started",
    "VerificationRef",
    "VerificationState",
    "acancel",
    "acheck",
    "aget",
    "aget_state",
    "apoll",
    "aredeem",
    "aresend",
    "astart",
    "cancel",
    "check",
    "get",
    "get_state",
    "parse_recipient",
    "poll",
    "redeem",
    "resend",
    "start",
]
