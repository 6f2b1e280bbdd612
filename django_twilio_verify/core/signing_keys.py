"""Keys that sign seals: Ed25519, which a stranger can check, or HMAC-SHA256, which only the site itself can."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Any

ED25519 = "ed25519"
HMAC_SHA256 = "hmac-sha256"
MIN_SECRET = 32
"""Bytes of an HMAC secret: as many as SHA-256 gives (RFC 2104 section 3)."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key for seals. ``id`` is stored beside each signature; ``secret`` is an HMAC's, or a PEM text of an Ed25519
    key: private (PKCS #8), or public where a retired key shall only check what it signed.
    """

    id: str
    secret: bytes

    def __repr__(self) -> str:
        return f"<SigningKey {self.id}>"

    @property
    def algorithm(self) -> str:
        """``ed25519`` or ``hmac-sha256``."""
        return ED25519 if self.secret.lstrip().startswith(b"-----BEGIN") else HMAC_SHA256

    @property
    def problem(self) -> str:
        """What keeps the key from being used, as the end of a sentence about it; empty if nothing does."""
        if self.algorithm == HMAC_SHA256:
            return "" if len(self.secret) >= MIN_SECRET else f"has a secret of fewer than {MIN_SECRET} bytes"
        try:
            _public(self.secret)
        except ImportError:
            return 'needs the package cryptography: install "django-twilio-verify[crypto]"'
        except Exception:
            # SECURITY: not the text of the error, which may quote the key.
            return "is a PEM text, but not of an Ed25519 key without a password"
        return ""

    @property
    def can_sign(self) -> bool:
        """False for a public key."""
        return self.algorithm == HMAC_SHA256 or b"PRIVATE" in self.secret.lstrip().split(b"\n", 1)[0]

    @property
    def public_pem(self) -> str:
        """The public key as PEM text, for who checks a signature elsewhere; empty for an HMAC, which has none."""
        if self.algorithm == HMAC_SHA256:
            return ""
        from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat  # noqa: PLC0415

        pem: bytes = _public(self.secret).public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        return pem.decode()

    def sign(self, content: bytes) -> bytes:
        """The signature over ``content``: 64 bytes of Ed25519 (RFC 8032) or 32 of HMAC-SHA256 (RFC 2104).

        Raises ``ImportError`` where an Ed25519 key meets no package cryptography, ``TypeError`` for a public key.
        """
        if self.algorithm == HMAC_SHA256:
            return hmac.digest(self.secret, content, "sha256")
        if not self.can_sign:
            raise TypeError("A public key signs nothing.")
        signature: bytes = _loaded(self.secret).sign(content)
        return signature

    def verifies(self, signature: bytes, content: bytes) -> bool:
        """Whether ``signature`` is this key's over ``content``. Raises ``ImportError`` as ``sign``."""
        if self.algorithm == HMAC_SHA256:
            return hmac.compare_digest(self.sign(content), signature)
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415

        try:
            _public(self.secret).verify(signature, content)
        except InvalidSignature:
            return False
        return True


def _loaded(pem: bytes) -> Any:
    """The key of a PEM text. Raises ``ValueError`` or ``TypeError`` for what is none, and for one of another kind."""
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415  an optional extra
    from cryptography.hazmat.primitives.serialization import (  # noqa: PLC0415
        load_pem_private_key,
        load_pem_public_key,
    )

    # A settings file indents its texts.
    lines = b"\n".join(line.strip() for line in pem.strip().splitlines())
    if b"PRIVATE" not in lines.split(b"\n", 1)[0]:
        public = load_pem_public_key(lines)
        if isinstance(public, ed25519.Ed25519PublicKey):
            return public
        raise ValueError("Not an Ed25519 key.")
    private = load_pem_private_key(lines, password=None)
    if isinstance(private, ed25519.Ed25519PrivateKey):
        return private
    raise ValueError("Not an Ed25519 key.")


def _public(pem: bytes) -> Any:
    key = _loaded(pem)
    return key.public_key() if hasattr(key, "public_key") else key
