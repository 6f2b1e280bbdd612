"""Where Twilio's error numbers about factors meet our words: which of them are answers, and which answers.

The numbers and their meanings: https://www.twilio.com/docs/verify/api/error-codes. What is not an answer goes by the
table of ``errors``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from ..choices import FactorKind
from ..factor_results import ChallengeStatus, FactorStatus, ProviderChallenge, ProviderFactor
from .errors import VerifyError, called

T = TypeVar("T")

KINDS: Mapping[str, FactorKind] = {
    "totp": FactorKind.TOTP,
    "push": FactorKind.PUSH,
    "passkeys": FactorKind.PASSKEY,
}
TYPES: Mapping[FactorKind, str] = {kind: word for word, kind in KINDS.items()}
"""Our kinds, and Twilio's ``FactorType``."""

_NOT_FOUND = frozenset({20404, 60390, 60391, 60392})
"""Factor, challenge, entity; the documentation has the general number and, newer, one for each."""
_UNACCEPTABLE = frozenset({*range(60374, 60384), *range(60385, 60389)} - {60382})
"""What a browser's answer can be wrong in: id, attachment, authenticator data, client data, signature, attestation. The
settings of the relying party (60371 to 60373, 60382, 60384, 60393) are the operator's and not among them.
"""
_WRONG = frozenset({60311, 60324}) | _UNACCEPTABLE

_FACTOR: Mapping[int, FactorStatus] = {
    **dict.fromkeys(_NOT_FOUND, FactorStatus.GONE),
    **dict.fromkeys(_WRONG, FactorStatus.UNVERIFIED),
    60310: FactorStatus.EXHAUSTED,
}
_CHALLENGE: Mapping[int, ChallengeStatus] = {
    **dict.fromkeys(_NOT_FOUND, ChallengeStatus.GONE),
    **dict.fromkeys(_WRONG, ChallengeStatus.PENDING),
    60308: ChallengeStatus.EXHAUSTED,
    60318: ChallengeStatus.GONE,
    60322: ChallengeStatus.ANSWERED,
    60323: ChallengeStatus.EXPIRED,
    60535: ChallengeStatus.GONE,  # as 60318, in newer words
}


def factor_status(word: object) -> FactorStatus:
    """What Twilio's ``status`` of a factor means. SECURITY: only the very word ``verified`` counts."""
    if word in ("verified", "unverified"):
        return FactorStatus(word)
    return FactorStatus.UNKNOWN


def challenge_status(word: object) -> ChallengeStatus:
    """What Twilio's ``status`` of a challenge means. SECURITY: only the very word ``approved`` is proof."""
    if word in ("pending", "approved", "denied", "expired"):
        return ChallengeStatus(word)
    return ChallengeStatus.UNKNOWN


def judged_factor(action: Callable[[], ProviderFactor], sid: str) -> ProviderFactor:
    """As ``errors.called``, for a question about the factor ``sid``: a wrong answer and one too many are answers."""

    def asked() -> ProviderFactor:
        try:
            return action()
        except VerifyError as error:
            status = _standing(error, _FACTOR)
            if status is None:
                raise
            return ProviderFactor(sid, status, provider_code=error.code)

    return called(asked)


def judged_challenge(action: Callable[[], ProviderChallenge], sid: str = "") -> ProviderChallenge:
    """As ``errors.called``, for a question about the challenge ``sid``."""

    def asked() -> ProviderChallenge:
        try:
            return action()
        except VerifyError as error:
            status = _standing(error, _CHALLENGE)
            if status is None:
                raise
            return ProviderChallenge(sid, status, provider_code=error.code)

    return called(asked)


def found(action: Callable[[], T]) -> T | None:
    """As ``errors.called``; ``None`` where what was asked about is not there."""

    def asked() -> T | None:
        try:
            return action()
        except VerifyError as error:
            if _is_missing(error):
                return None
            raise

    return called(asked)


def _standing(error: VerifyError, table: Mapping[int, T]) -> T | None:
    # A 404 without a number is a missing resource as well.
    return table.get(20404 if _is_missing(error) else error.code)


def _is_missing(error: VerifyError) -> bool:
    return error.code in _NOT_FOUND or (error.status == 404 and not error.code)
