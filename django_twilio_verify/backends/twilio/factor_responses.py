"""What Verify's answers about factors mean, and whether they are about what was asked.

One reading for both: an ``answer`` has the fields of https://www.twilio.com/docs/verify/api as attributes, whether the
SDK made it or ``FactorSimulator``.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from .. import webauthn
from ..factor_results import (
    NOTHING,
    AccessToken,
    ChallengeStatus,
    FactorStatus,
    ProviderChallenge,
    ProviderEntity,
    ProviderFactor,
    ProviderNotification,
)
from .errors import KINDS, Unanswered, challenge_status, factor_status

_HEX = frozenset("0123456789abcdefABCDEF")


def made_factor(answer: Any, identity: str) -> ProviderFactor:
    made = factor_of(answer)
    if not is_sid("YF", made.sid) or made.identity not in ("", identity):
        raise Unanswered(may_have_been_done=True)  # 2xx, and not a factor of this person
    return made


def made_challenge(answer: Any, identity: str, factor_sid: str) -> ProviderChallenge:
    made = challenge_of(answer)
    if not is_sid("YC", made.sid):
        raise Unanswered(may_have_been_done=True)
    return _of(made, identity, made.sid, factor_sid)


def said_of_factor(answer: Any, identity: str, sid: str) -> ProviderFactor:
    said = factor_of(answer)
    if said.sid != sid or (identity and said.identity not in ("", identity)):
        # SECURITY: neither endpoint for passkeys is told which factor is meant; it finds one by what was signed. What
        # is said of another is never this one's confirmation.
        return ProviderFactor(sid, FactorStatus.UNKNOWN)
    return said


def said_of_challenge(answer: Any, identity: str, sid: str) -> ProviderChallenge:
    return _of(challenge_of(answer), identity, sid)


def _of(said: ProviderChallenge, identity: str, sid: str, factor_sid: str = "") -> ProviderChallenge:
    """``said``, if it is of this challenge, person and factor. SECURITY: else it is no proof; as with factors."""
    strange = identity and said.identity not in ("", identity)
    other = factor_sid and said.factor_sid not in ("", factor_sid)
    return ProviderChallenge(sid, ChallengeStatus.UNKNOWN) if said.sid != sid or strange or other else said


def factor_of(answer: Any) -> ProviderFactor:
    config, binding = _mapping(answer.config), _mapping(getattr(answer, "binding", None))
    return ProviderFactor(
        answer.sid or "",
        factor_status(answer.status),
        answer.identity or "",
        KINDS.get(str(answer.factor_type)),
        answer.friendly_name or "",
        answer.entity_sid or "",
        str(config.get("notification_platform") or ""),
        _whole(config.get("code_length")),
        _time(answer.date_created),
        secret=str(binding.get("secret") or ""),
        uri=str(binding.get("uri") or ""),
        options=webauthn.creation_options(getattr(answer, "options", None)) or NOTHING,
    )


def challenge_of(answer: Any) -> ProviderChallenge:
    return ProviderChallenge(
        answer.sid or "",
        challenge_status(answer.status),
        answer.factor_sid or "",
        answer.identity or "",
        KINDS.get(str(answer.factor_type)),
        _time(answer.expiration_date),
        _time(answer.date_responded),
        _time(answer.date_created),
        options=webauthn.request_options(getattr(answer, "options", None)) or NOTHING,
        details=_mapping(answer.details),
        hidden=_mapping(answer.hidden_details),
    )


def entity_of(answer: Any) -> ProviderEntity:
    return ProviderEntity(answer.sid or "", answer.identity or "", _time(answer.date_created))


def notification_of(answer: Any, challenge_sid: str) -> ProviderNotification:
    return ProviderNotification(answer.sid or "", challenge_sid, _whole(answer.ttl))


def token_of(answer: Any, identity: str = "") -> AccessToken:
    if not answer.token or (identity and answer.entity_identity not in ("", None, identity)):
        # SECURITY: with a token for somebody else, this phone would approve that person's sign-ins.
        raise Unanswered(may_have_been_done=True)
    return AccessToken(
        answer.sid or "",
        answer.entity_identity or "",
        answer.token,
        _whole(answer.ttl),
        answer.factor_friendly_name or "",
        _time(answer.date_created),
    )


def is_sid(prefix: str, sid: object) -> bool:
    return isinstance(sid, str) and len(sid) == 34 and sid.startswith(prefix) and _HEX.issuperset(sid[2:])


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else NOTHING


def _time(value: object) -> datetime | None:
    """A time of the API. The SDK has read it, or left it as text where it did not know the form."""
    try:
        moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    except ValueError:
        return None
    return moment if isinstance(moment, datetime) and moment.tzinfo else None


def _whole(value: object) -> int:
    return int(str(value)) if str(value).isdecimal() else 0
