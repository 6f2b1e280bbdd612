"""What backends answer about factors and challenges: frozen, named, never tuples or strings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from types import MappingProxyType
from typing import Any

from ..choices import FactorKind

NOTHING: Mapping[str, Any] = MappingProxyType({})


def nothing() -> Mapping[str, Any]:
    """``NOTHING``, as a default of a dataclass's field: up to Python 3.11 they take it for something mutable."""
    return NOTHING


class FactorStatus(Enum):
    """Where a factor stands at the provider. SECURITY: only ``VERIFIED`` may be enrolled."""

    UNVERIFIED = "unverified"
    VERIFIED = "verified"
    GONE = "gone"  # removed there, aged out before it was confirmed, or never there
    EXHAUSTED = "exhausted"  # five wrong answers at enrollment (Twilio error 60310): only a new factor helps
    UNKNOWN = "unknown"  # a word this version does not know, or what is said of another factor


class ChallengeStatus(Enum):
    """Where a challenge stands. SECURITY: anything that is not ``APPROVED`` never counts as proof."""

    PENDING = "pending"
    APPROVED = "approved"
    DENIED = "denied"
    EXPIRED = "expired"
    ANSWERED = "answered"  # an earlier answer settled it (60322); ``poll`` says how
    EXHAUSTED = "exhausted"  # five wrong answers (60308): a new challenge is needed
    GONE = "gone"  # it, its factor or its entity is not there; or the factor was never confirmed (60318)
    UNKNOWN = "unknown"  # a word this version does not know, or what is said of another challenge


@dataclass(frozen=True, slots=True)
class ProviderFactor:
    """A factor as the provider has it.

    ``sid``: ``YF…``; ``identity``: whose it is, in the words in which it was made; ``entity_sid``: the same at the
    provider (``YE…``), or ``""``. ``kind``: ``None`` for a type this version does not know. ``platform``: of a push
    factor, ``apn``, ``fcm`` or ``none``. ``digits``: of a TOTP factor's codes, 0 if not said. ``provider_code``: 0, or
    why an answer was not accepted (60311: it was wrong).

    Told once, by ``enroll``, and kept nowhere: ``secret`` (TOTP, base32), ``uri`` (``otpauth://…``, for the QR code)
    and ``options`` (passkey, for ``PublicKeyCredential.parseCreationOptionsFromJSON``).
    """

    sid: str
    status: FactorStatus
    identity: str = ""
    kind: FactorKind | None = None
    name: str = ""
    entity_sid: str = ""
    platform: str = ""
    digits: int = 0
    created_at: datetime | None = None
    provider_code: int = 0
    secret: str = field(default="", repr=False)  # SECURITY: who reads it, has the factor
    uri: str = field(default="", repr=False)
    options: Mapping[str, Any] = field(default_factory=nothing, repr=False)

    @property
    def verified(self) -> bool:
        """Whether the person has shown that they hold it."""
        return self.status is FactorStatus.VERIFIED


@dataclass(frozen=True, slots=True)
class ProviderChallenge:
    """A challenge as the provider has it.

    ``sid``: ``YC…``, ``""`` if none was made. ``factor_sid`` and ``identity``: of whom, ``""`` where the provider does
    not say (a passkey that the browser chose). ``challenge_missing``: with ``GONE``, the challenge itself is not there,
    which says nothing of its factor. ``provider_code``: 0, or why an answer was not accepted (60324: it was
    wrong). ``options``: of a passkey, for ``PublicKeyCredential.parseRequestOptionsFromJSON``, once. ``details`` (shown
    on the phone: ``message``, ``fields``) and ``hidden`` (not shown) are as they were given.
    """

    sid: str
    status: ChallengeStatus
    factor_sid: str = ""
    identity: str = ""
    kind: FactorKind | None = None
    expires_at: datetime | None = None
    responded_at: datetime | None = None
    created_at: datetime | None = None
    challenge_missing: bool = False
    provider_code: int = 0
    options: Mapping[str, Any] = field(default_factory=nothing, repr=False)
    details: Mapping[str, Any] = field(default_factory=nothing, repr=False)
    hidden: Mapping[str, Any] = field(default_factory=nothing, repr=False)

    @property
    def approved(self) -> bool:
        """Whether it is proof. SECURITY: of this challenge; whose it is and what for, the caller has to know."""
        return self.status is ChallengeStatus.APPROVED


@dataclass(frozen=True, slots=True)
class ProviderEntity:
    """A person as the provider has them: ``sid`` (``YE…``) and the ``identity`` that the site gave."""

    sid: str
    identity: str
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class EntitiesPage:
    """Some of the provider's entities, and how to ask for the next ones: ``next_page`` is ``""`` behind the last."""

    entities: tuple[ProviderEntity, ...]
    next_page: str = ""


@dataclass(frozen=True, slots=True)
class ProviderNotification:
    """A push notification is on its way once more. ``ttl``: seconds for which delivery is attempted."""

    sid: str
    challenge_sid: str
    ttl: int = 0


@dataclass(frozen=True, slots=True)
class AccessToken:
    """What lets a phone register a push factor for ``identity``, for ``ttl`` seconds from ``created_at``."""

    sid: str
    identity: str
    token: str = field(repr=False)  # SECURITY: who has it, registers a phone of their own for this person
    ttl: int = 0
    name: str = ""
    created_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FactorEvent:
    """What a webhook of the Verify Service says (https://www.twilio.com/docs/verify/api/webhooks).

    ``uuid``: of this event, the same when it is sent again. ``type``: ``factor.created``, ``factor.verified``,
    ``factor.deleted``, ``challenge.approved``, ``challenge.denied``, or a word this version does not know.
    ``factor_type``: as spelt there. SIDs are ``""`` where the event has none. SECURITY: a hint, even when signed: it is
    for the caller to ask the provider (``poll``, ``factor``) before anything rests on it.
    """

    uuid: str
    type: str
    account_sid: str = ""
    service_sid: str = ""
    identity: str = ""
    factor_sid: str = ""
    factor_type: str = ""
    factor_name: str = ""
    challenge_sid: str = ""
