"""ECDSA on P-256 with SHA-256, as a phone signs for Verify Push. Needs the package ``cryptography``.

Used by the simulator and by ``testing.Phone``; Twilio and its libraries do it in production.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from importlib.util import find_spec
from typing import Any

_HALF = 32
"""Bytes of R and of S in a JSON Web Signature (RFC 7518 section 3.4)."""


def is_available() -> bool:
    """Whether ``cryptography`` is installed."""
    return find_spec("cryptography") is not None


def public_key(text: str) -> Any:
    """The P-256 key that ``text`` (SubjectPublicKeyInfo, DER, in base64) holds. Raises ``ValueError`` for another."""
    from cryptography.exceptions import UnsupportedAlgorithm  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric import ec  # noqa: PLC0415
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415

    try:
        key = load_der_public_key(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError, UnsupportedAlgorithm):
        raise ValueError("not a public key") from None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP256R1):
        raise ValueError("not a P-256 key")
    return key


def is_signed(key: Any, signature: bytes, message: bytes) -> bool:
    """Whether ``signature`` (DER) is ``key``'s of ``message``."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    try:
        key.verify(signature, message, ECDSA(SHA256()))
    except InvalidSignature:
        return False
    return True


def read_token(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims of a JSON Web Token, unchecked. Raises ``ValueError`` for what is none."""
    parts = token.split(".")
    if len(parts) != 3:
        raise ValueError("not a token")
    header, claims = (json.loads(decoded(part)) for part in parts[:2])
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise ValueError("not a token")
    return header, claims


def is_token_of(key: Any, token: str) -> bool:
    """Whether ``key`` signed ``token``. SECURITY: as ES256 and nothing else, whatever the token says of itself."""
    from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature  # noqa: PLC0415

    try:
        header, _ = read_token(token)
        message, _, signature = token.rpartition(".")
        raw = decoded(signature)
    except ValueError:
        return False
    if header.get("alg") != "ES256" or len(raw) != 2 * _HALF:
        return False
    numbers = (int.from_bytes(raw[:_HALF], "big"), int.from_bytes(raw[_HALF:], "big"))
    return is_signed(key, encode_dss_signature(*numbers), message.encode())


def make_token(private_key: Any, header: Mapping[str, Any], claims: Mapping[str, Any]) -> str:
    """A JSON Web Token of ``claims``, signed with ES256."""
    from cryptography.hazmat.primitives.asymmetric.ec import ECDSA  # noqa: PLC0415
    from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature  # noqa: PLC0415
    from cryptography.hazmat.primitives.hashes import SHA256  # noqa: PLC0415

    parts = ({**header, "typ": "JWT", "alg": "ES256"}, claims)
    message = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    numbers = decode_dss_signature(private_key.sign(message.encode(), ECDSA(SHA256())))
    return f"{message}.{encoded(b''.join(number.to_bytes(_HALF, 'big') for number in numbers))}"


def encoded(data: bytes) -> str:
    """Base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def decoded(text: str) -> bytes:
    """What base64url ``text`` holds, padding or not. Raises ``ValueError`` for anything else."""
    plain = text.rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise ValueError("not base64url") from None
