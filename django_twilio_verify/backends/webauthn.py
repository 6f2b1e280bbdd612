"""What Verify and browsers say to each other about passkeys, put into the one shape that both take.

The options' shape is that of WebAuthn Level 3 (https://www.w3.org/TR/webauthn-3/, sections 5.4 and 5.5, as JSON: 5.1.8
and 5.1.9). Verify's own examples differ from it in places, each named below.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CREATION = (
    "rp",
    "user",
    "challenge",
    "pubKeyCredParams",
    "timeout",
    "excludeCredentials",
    "authenticatorSelection",
    "hints",
    "attestation",
    "attestationFormats",
    "extensions",
)
_REQUEST = ("challenge", "timeout", "rpId", "allowCredentials", "userVerification", "hints", "extensions")
_ES256 = {"type": "public-key", "alg": -7}


def creation_options(given: object) -> dict[str, Any]:
    """What ``PublicKeyCredential.parseCreationOptionsFromJSON`` takes, from the ``options`` of a new factor; empty if
    there are none.
    """
    options = _public_key(given)
    if not options:
        return {}
    # Twilio's examples show one object where WebAuthn wants an array.
    parameters = options.get("pubKeyCredParams") or _ES256
    options["pubKeyCredParams"] = [parameters] if isinstance(parameters, Mapping) else [*parameters]
    if isinstance(options.get("user"), Mapping):
        options["user"] = {**options["user"], "id": _base64url(options["user"].get("id"))}
    options["excludeCredentials"] = _descriptors(options.get("excludeCredentials"))
    return _said(options, _CREATION)


def request_options(given: object) -> dict[str, Any]:
    """What ``PublicKeyCredential.parseRequestOptionsFromJSON`` takes, from the ``options`` of a new challenge; empty if
    there are none.
    """
    options = _public_key(given)
    if not options:
        return {}
    # Twilio's examples show the members of a registration here; two of them say the same in other words.
    party, selection = options.get("rp"), options.get("authenticatorSelection")
    if isinstance(party, Mapping):
        options.setdefault("rpId", party.get("id"))
    if isinstance(selection, Mapping):
        options.setdefault("userVerification", selection.get("userVerification"))
    options["allowCredentials"] = _descriptors(options.get("allowCredentials"))
    return _said(options, _REQUEST)


def credential(given: Mapping[str, Any]) -> dict[str, Any]:
    """A browser's ``credential.toJSON()`` as Verify's Passkeys endpoints take it.

    ``authenticatorAttachment`` is needed there (60377), and not every browser says it.
    """
    response = given.get("response")
    answer = dict(response) if isinstance(response, Mapping) else {}
    transports = answer.get("transports") or ()
    roaming = bool(transports) and "internal" not in transports
    attachment = "cross-platform" if roaming else "platform"
    return {
        "id": given.get("id"),
        "rawId": given.get("rawId") or given.get("id"),
        "authenticatorAttachment": given.get("authenticatorAttachment") or attachment,
        "type": given.get("type") or "public-key",
        "response": answer,
    }


def _public_key(given: object) -> dict[str, Any]:
    options = given.get("publicKey", given) if isinstance(given, Mapping) else None
    if not isinstance(options, Mapping) or not options.get("challenge"):
        return {}
    return {**options, "challenge": _base64url(options["challenge"])}


def _descriptors(given: object) -> list[dict[str, Any]]:
    several = [given] if isinstance(given, Mapping) else given
    if not isinstance(several, list):
        return []
    known = [one for one in several if isinstance(one, Mapping) and one.get("id")]
    return [{"type": "public-key", **one, "id": _base64url(one["id"])} for one in known]


def _base64url(text: object) -> str:
    """Base64 of either alphabet in the one that browsers take: ``-`` and ``_``, without padding."""
    return str(text or "").replace("+", "-").replace("/", "_").rstrip("=")


def _said(options: Mapping[str, Any], members: tuple[str, ...]) -> dict[str, Any]:
    return {name: options[name] for name in members if options.get(name) is not None}
