"""A browser with an authenticator, for tests without either: real keys, real signatures (WebAuthn Level 3).

Needs the packages that ``webauthn`` brings. The judge is theirs, so the two do not share their mistakes.
"""

from __future__ import annotations

import copy
import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ..backends.simulator.es256 import decoded, encoded

USER_PRESENT, USER_VERIFIED, ATTESTED = 0x01, 0x04, 0x40


@dataclass(slots=True)
class _Kept:
    id: bytes
    key: Any
    rp_id: str
    handle: str
    count: int = 0


@dataclass(slots=True)
class Browser:
    """A browser at ``origin`` whose authenticator keeps what is made with it.

    ``create`` and ``get`` take what ``PublicKeyCredential.parse…OptionsFromJSON`` would, and give what
    ``credential.toJSON()`` would. ``verifies_user``: it asks for a finger or PIN. ``counts``: it has a signature
    counter; many synchronised passkeys have none.
    """

    origin: str
    verifies_user: bool = True
    counts: bool = True
    attachment: str = "platform"
    _kept: list[_Kept] = field(default_factory=list)

    def create(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """``navigator.credentials.create``. Raises ``LookupError`` (InvalidStateError) for an excluded passkey."""
        from cbor2 import dumps  # noqa: PLC0415
        from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415

        excluded = {decoded(one["id"]) for one in options["excludeCredentials"]}
        if any(one.id in excluded for one in self._kept):
            raise LookupError("InvalidStateError")
        kept = _Kept(
            secrets.token_bytes(16),
            ec.generate_private_key(ec.SECP256R1()),
            options["rp"]["id"],
            options["user"]["id"],
        )
        self._kept.append(kept)
        numbers = kept.key.public_key().public_numbers()
        # COSE_Key of ES256: kty EC2, alg -7, crv P-256, x, y (RFC 9053 section 7.1.1).
        cose = dumps({1: 2, 3: -7, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")})
        attested = bytes(16) + len(kept.id).to_bytes(2, "big") + kept.id + cose
        data = self._authenticator_data(kept, ATTESTED) + attested
        response = {
            "attestationObject": encoded(dumps({"fmt": "none", "attStmt": {}, "authData": data})),
            "clientDataJSON": self._client_data("webauthn.create", options["challenge"]),
            "transports": ["internal" if self.attachment == "platform" else "usb"],
        }
        return self._shown(kept, response)

    def get(self, options: Mapping[str, Any]) -> dict[str, Any]:
        """``navigator.credentials.get``. Raises ``LookupError`` (NotAllowedError) if there is no such passkey."""
        from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415
        from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

        kept = self._chosen(options)
        if self.counts:
            kept.count += 1
        data = self._authenticator_data(kept, 0)
        client = self._client_data("webauthn.get", options["challenge"])
        signature = kept.key.sign(data + hashlib.sha256(decoded(client)).digest(), ECDSA(SHA256()))
        response = {
            "authenticatorData": encoded(data),
            "clientDataJSON": client,
            "signature": encoded(signature),
            "userHandle": kept.handle,
        }
        return self._shown(kept, response)

    def clone(self) -> Browser:
        """A copy with the same keys and the counters as they stand: what a thief of an authenticator would have."""
        made = Browser(self.origin, self.verifies_user, self.counts, self.attachment)
        made._kept = [copy.copy(one) for one in self._kept]
        return made

    def _chosen(self, options: Mapping[str, Any]) -> _Kept:
        allowed = {decoded(one["id"]) for one in options.get("allowCredentials") or ()}
        fitting = [one for one in self._kept if one.rp_id == options["rpId"] and (not allowed or one.id in allowed)]
        if not fitting:
            raise LookupError("NotAllowedError")
        return fitting[-1]

    def _authenticator_data(self, kept: _Kept, flags: int) -> bytes:
        """Section 6.1 of WebAuthn."""
        flags |= USER_PRESENT | (USER_VERIFIED if self.verifies_user else 0)
        return hashlib.sha256(kept.rp_id.encode()).digest() + bytes([flags]) + kept.count.to_bytes(4, "big")

    def _client_data(self, kind: str, challenge: str) -> str:
        """Section 5.8.1."""
        client = {"type": kind, "challenge": challenge, "origin": self.origin, "crossOrigin": False}
        return encoded(json.dumps(client).encode())

    def _shown(self, kept: _Kept, response: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": encoded(kept.id),
            "rawId": encoded(kept.id),
            "authenticatorAttachment": self.attachment,
            "type": "public-key",
            "response": response,
            "clientExtensionResults": {},
        }
