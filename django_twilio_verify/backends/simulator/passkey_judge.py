"""Who judges passkeys behind the simulator: the package ``webauthn``. Twilio does in production."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, Protocol


class PasskeyRefused(Exception):
    """The browser's answer is no proof. SECURITY: it does not say why; the reason may quote the answer."""


@dataclass(frozen=True, slots=True)
class Credential:
    """A registered passkey: its ``id`` (base64url), public key (COSE) and signature counter."""

    id: str
    public_key: bytes
    sign_count: int


class PasskeyJudge(Protocol):
    """Holds a browser's answers against what was asked. Both methods raise ``PasskeyRefused``."""

    def register(
        self, answer: Mapping[str, Any], *, challenge: bytes, rp_id: str, origins: Sequence[str], verify_user: bool
    ) -> Credential:
        """The passkey that ``answer`` (of ``navigator.credentials.create``) brings."""

    def authenticate(
        self,
        answer: Mapping[str, Any],
        credential: Credential,
        *,
        challenge: bytes,
        rp_id: str,
        origins: Sequence[str],
        verify_user: bool,
    ) -> Credential:
        """``credential`` as it stands after ``answer`` (of ``navigator.credentials.get``), its counter moved on."""


class WebauthnJudge:
    """The judge that the package ``webauthn`` makes: attestation, signature, origin, relying party, challenge, user
    presence and verification, and the counter, which a copied authenticator betrays itself by.
    """

    def register(
        self, answer: Mapping[str, Any], *, challenge: bytes, rp_id: str, origins: Sequence[str], verify_user: bool
    ) -> Credential:
        from webauthn import verify_registration_response  # noqa: PLC0415
        from webauthn.helpers import bytes_to_base64url  # noqa: PLC0415

        try:
            found = verify_registration_response(
                credential=dict(answer),
                expected_challenge=challenge,
                expected_rp_id=rp_id,
                expected_origin=[*origins],
                require_user_verification=verify_user,
            )
        except Exception:
            raise PasskeyRefused from None  # whatever a hostile answer makes a parser stumble over
        return Credential(bytes_to_base64url(found.credential_id), found.credential_public_key, found.sign_count)

    def authenticate(
        self,
        answer: Mapping[str, Any],
        credential: Credential,
        *,
        challenge: bytes,
        rp_id: str,
        origins: Sequence[str],
        verify_user: bool,
    ) -> Credential:
        from webauthn import verify_authentication_response  # noqa: PLC0415

        try:
            found = verify_authentication_response(
                credential=dict(answer),
                expected_challenge=challenge,
                expected_rp_id=rp_id,
                expected_origin=[*origins],
                credential_public_key=credential.public_key,
                credential_current_sign_count=credential.sign_count,
                require_user_verification=verify_user,
            )
        except Exception:
            raise PasskeyRefused from None
        return Credential(credential.id, credential.public_key, found.new_sign_count)


def installed_judge() -> PasskeyJudge | None:
    """A judge, if ``webauthn`` is installed."""
    return WebauthnJudge() if find_spec("webauthn") is not None else None
