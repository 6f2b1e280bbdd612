"""Codes of authenticator apps that were accepted: once each, whatever the provider says.

RFC 6238 section 5.2: "The verifier MUST NOT accept the second attempt of the OTP after the successful validation has
been issued for the first OTP". Whether Verify remembers across challenges is not documented, so it is remembered here.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..conf import settings
from ..models import Factor

REMEMBERED = timedelta(minutes=10)
"""How long an accepted code is remembered. The longest that one can live at Verify is 5 minutes: steps of 60 seconds
and a skew of 2 either way.
"""
_KEPT = 14
_TRIES = 20


def was_accepted(factor_id: int, code: str, now: datetime) -> bool:
    """Whether ``code`` was accepted for the factor a short while ago."""
    read = Factor.objects.filter(pk=factor_id).values_list("used_answers", flat=True).first() or []
    return bool(_digests(factor_id, code) & {digest for _, digest in _remembered(read, now)})


def accept(factor_id: int, code: str, now: datetime) -> bool:
    """Remember that ``code`` was accepted for the factor; false if it was before, or if the factor is not there.

    Of any number of simultaneous calls with one code, one is told true. Also false where more codes were accepted than
    can be remembered: rather a code too few than one twice.
    """
    for _ in range(_TRIES):
        read = Factor.objects.filter(pk=factor_id).values_list("used_answers", flat=True).first()
        if read is None:
            return False
        remembered = _remembered(read, now)
        used = {digest for _, digest in remembered}
        if len(remembered) >= _KEPT or _digests(factor_id, code) & used:
            return False
        answers = [*remembered, (int(now.timestamp()), _digest(factor_id, code))]
        if Factor.objects.filter(pk=factor_id).record_answers(read, answers):
            return True
    return False


def _digest(factor_id: int, code: str) -> str:
    # SECURITY: keyed: a code has a million values, so a plain digest would be the code.
    return settings.fingerprint_keys[0].fingerprint("accepted answer", f"{factor_id}:{code}")


def _digests(factor_id: int, code: str) -> set[str]:
    return {key.fingerprint("accepted answer", f"{factor_id}:{code}") for key in settings.fingerprint_keys}


def _remembered(read: list[Any], now: datetime) -> list[tuple[int, str]]:
    oldest = int((now - REMEMBERED).timestamp())
    return [(moment, digest) for moment, digest in read if moment > oldest]
