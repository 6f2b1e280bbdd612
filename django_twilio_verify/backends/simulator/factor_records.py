"""What ``FactorSimulator`` keeps, and how Twilio would show it.

The bodies are those of https://www.twilio.com/docs/verify/api: entity, factor, challenge, passkeys.
"""

from __future__ import annotations

import secrets
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from ..factor_options import PasskeyOptions
from .es256 import encoded
from .passkey_judge import Credential

KEPT_CHALLENGES = 1000
"""Challenges kept of one person; the oldest go first, as a console server may run for weeks."""


def new_sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def utc(seconds: float) -> str:
    """A moment as the API writes it."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True)
class Place:
    """Where the pretended Service stands: its account, itself, and the address that its answers name."""

    account_sid: str = "AC" + "0" * 32
    service_sid: str = "VA" + "0" * 32
    base_url: str = "https://verify.twilio.com"

    @property
    def url(self) -> str:
        return f"{self.base_url}/v2/Services/{self.service_sid}"

    @property
    def names(self) -> dict[str, str]:
        return {"account_sid": self.account_sid, "service_sid": self.service_sid}


@dataclass(frozen=True, slots=True)
class Notification:
    """A push that a phone would have received. ``token``: its address at ``platform`` (``apn``, ``fcm``)."""

    alias: str
    identity: str
    factor_sid: str
    challenge_sid: str
    platform: str
    message: str
    token: str = field(default="", repr=False)


@dataclass(slots=True)
class Entity:
    """A person. ``made``: when factors were made for them, in the last day."""

    sid: str
    identity: str
    created: float
    factors: dict[str, Factor] = field(default_factory=dict)
    challenges: dict[str, Challenge] = field(default_factory=dict)
    made: deque[float] = field(default_factory=deque)

    def body(self, place: Place) -> dict[str, Any]:
        url = f"{place.url}/Entities/{self.identity}"
        names = ("factors", "new_factors", "challenges")
        paths = ("Factors", "Factors", "Challenges")
        return {
            "sid": self.sid,
            "identity": self.identity,
            **place.names,
            "date_created": utc(self.created),
            "date_updated": utc(self.created),
            "url": url,
            "links": {name: f"{url}/{path}" for name, path in zip(names, paths, strict=True)},
        }


@dataclass(slots=True)
class Factor:
    """A factor. ``type``: ``totp``, ``push``, ``passkeys``. ``secret``: key of a TOTP factor; ``last_step``: the latest
    time step whose code was accepted. ``public_key``: of a push factor. ``credential`` and ``passkey``: of a passkey,
    and its settings. ``asked``: when challenges were made, in the last day.
    """

    sid: str
    entity: Entity
    type: str
    name: str
    created: float
    updated: float
    config: dict[str, Any]
    metadata: Mapping[str, Any] | None = None
    status: str = "unverified"
    tries: int = 0
    secret: bytes = field(default=b"", repr=False)
    last_step: int = -1
    public_key: Any = None
    key_text: str = ""
    credential: Credential | None = None
    passkey: PasskeyOptions = field(default_factory=PasskeyOptions)
    asked: deque[float] = field(default_factory=deque)

    def body(self, place: Place) -> dict[str, Any]:
        return {
            "sid": self.sid,
            **place.names,
            "entity_sid": self.entity.sid,
            "identity": self.entity.identity,
            "date_created": utc(self.created),
            "date_updated": utc(self.updated),
            "friendly_name": self.name,
            "status": self.status,
            "factor_type": self.type,
            "config": dict(self.config),
            "metadata": self.metadata,
            "url": f"{place.url}/Entities/{self.entity.identity}/Factors/{self.sid}",
        }

    def new_body(self, place: Place, *, binding: Any = None, options: Any = None) -> dict[str, Any]:
        """As it is shown once, when it was made."""
        return {**self.body(place), "binding": binding, "options": options}


@dataclass(slots=True)
class Challenge:
    """A challenge. ``entity`` and ``factor`` are ``None`` for a passkey that the browser chooses, until it did."""

    sid: str
    type: str
    created: float
    updated: float
    expires: float
    entity: Entity | None = None
    factor: Factor | None = None
    state: str = "pending"
    responded: float | None = None
    details: Mapping[str, Any] | None = None
    hidden: Mapping[str, Any] | None = None
    metadata: Mapping[str, Any] | None = None
    tries: int = 0
    notified: int = 0
    passkey: PasskeyOptions = field(default_factory=PasskeyOptions)

    def status(self, now: float) -> str:
        """``pending`` becomes ``expired`` by itself."""
        return "expired" if self.state == "pending" and now >= self.expires else self.state

    def body(self, place: Place, now: float) -> dict[str, Any]:
        named = self.entity is not None
        url = f"{place.url}/Entities/{self.entity.identity}/Challenges/{self.sid}" if self.entity else None
        return {
            "sid": self.sid,
            **place.names,
            "entity_sid": self.entity.sid if self.entity else None,
            "identity": self.entity.identity if self.entity else None,
            "factor_sid": self.factor.sid if self.factor else None,
            "factor_type": self.type,
            "date_created": utc(self.created),
            "date_updated": utc(self.updated),
            "date_responded": utc(self.responded) if self.responded is not None else None,
            "expiration_date": utc(self.expires),
            "status": self.status(now),
            "responded_reason": "none",
            "details": self.details,
            "hidden_details": self.hidden,
            "metadata": self.metadata,
            "url": url if named else f"{place.url}/Passkeys/Challenges",
            "links": {"notifications": f"{url}/Notifications"} if named else None,
        }


@dataclass(frozen=True, slots=True)
class Token:
    """An access token: what a phone registers with."""

    sid: str
    identity: str
    name: str
    ttl: int
    created: float
    text: str = field(repr=False)

    def body(self, place: Place) -> dict[str, Any]:
        return {
            "sid": self.sid,
            **place.names,
            "entity_identity": self.identity,
            "factor_type": "push",
            "factor_friendly_name": self.name,
            "token": self.text,
            "url": f"{place.url}/AccessTokens/{self.sid}",
            "ttl": self.ttl,
            "date_created": utc(self.created),
        }


def creation_options(factor: Factor, known: list[str]) -> dict[str, Any]:
    """For the browser, as Twilio's example shows them: the challenge is the factor's SID, the user the entity's, and
    ``pubKeyCredParams`` one object. ``known``: ids of passkeys that the person has.
    """
    wish = factor.passkey
    attachment = {} if wish.attachment == "any" else {"authenticatorAttachment": wish.attachment}
    return {
        "rp": {"id": wish.relying_party_id, "name": wish.relying_party_name},
        "user": {"id": encoded(factor.entity.sid.encode()), "name": factor.name, "displayName": factor.name},
        "challenge": encoded(factor.sid.encode()),
        "pubKeyCredParams": {"type": "public-key", "alg": -7},
        "timeout": 600_000,
        "excludeCredentials": [{"type": "public-key", "id": one} for one in known],
        "authenticatorSelection": {
            **attachment,
            "requireResidentKey": wish.discoverable == "required",
            "residentKey": wish.discoverable,
            "userVerification": wish.user_verification,
        },
        "attestation": "none",
    }


def request_options(challenge: Challenge, allowed: list[str]) -> dict[str, Any]:
    """For the browser. ``allowed``: ids of passkeys; none lets the browser choose."""
    wish = challenge.passkey
    return {
        "rp": {"id": wish.relying_party_id, "name": wish.relying_party_name},
        "challenge": encoded(challenge.sid.encode()),
        "timeout": 600_000,
        "allowCredentials": [{"type": "public-key", "id": one} for one in allowed],
        "authenticatorSelection": {"userVerification": wish.user_verification},
    }
