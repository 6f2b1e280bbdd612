"""What Verify refuses about factors and challenges, and what it reads out of what a browser or phone answers: those
rules of ``FactorSimulator`` that need no memory. What is refused is a ``VerifyError``.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, urlencode

from ..factor_options import ALGORITHMS, MAX_MESSAGE, PLATFORMS, PasskeyOptions
from ..options import IncompatibleOptions
from ..twilio.errors import VerifyError
from . import es256
from .factor_records import Factor

CHALLENGE_LIVES, CHALLENGE_LIVES_AT_MOST = 300, 3600
"""Seconds, unless told otherwise, and at most."""


def otpauth(issuer: str, name: str, secret: str, config: Mapping[str, Any]) -> str:
    """The address that a QR code carries (https://github.com/google/google-authenticator/wiki/Key-Uri-Format)."""
    query = {
        "secret": secret,
        "issuer": issuer,
        "algorithm": str(config["alg"]).upper(),
        "digits": config["code_length"],
        "period": config["time_step"],
    }
    return f"otpauth://totp/{quote(issuer)}:{quote(name)}?{urlencode(query)}"


def for_judge(answer: Mapping[str, Any]) -> dict[str, Any]:
    """``answer`` for the judge. Twilio's example has ``rawId`` in hexadecimal, browsers in base64url as ``id``."""
    raw, name = str(answer.get("rawId") or ""), str(answer.get("id") or "")
    try:
        in_hex = bytes.fromhex(raw) == es256.decoded(name)
    except ValueError:
        in_hex = False
    return {**answer, "rawId": name if in_hex else raw}


def response_of(answer: Mapping[str, Any]) -> Mapping[str, Any]:
    response = answer.get("response")
    return response if isinstance(response, Mapping) else {}


def signed_sid(answer: Mapping[str, Any]) -> str:
    """The SID that the browser was given as challenge. Raises ``VerifyError`` 60378."""
    try:
        client = json.loads(es256.decoded(str(response_of(answer).get("clientDataJSON") or "")))
        return es256.decoded(client["challenge"]).decode("ascii")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise VerifyError(400, 60378, "Authenticator response invalid or not provided") from None


def is_own_signature(factor: Factor, payload: str) -> bool:
    try:
        signature = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        return False
    return es256.is_signed(factor.public_key, signature, factor.sid.encode())


def read_passkey_config(config: Mapping[str, Any]) -> PasskeyOptions:
    party = config.get("relying_party")
    party = party if isinstance(party, Mapping) else {}
    try:
        return PasskeyOptions(
            relying_party_id=str(party.get("id") or ""),
            relying_party_name=str(party.get("name") or ""),
            origins=tuple(party.get("origins") or ()),
            attachment=str(config.get("authenticator_attachment") or ""),
            discoverable=str(config.get("discoverable_credentials") or ""),
            user_verification=str(config.get("user_verification") or ""),
        )
    except (IncompatibleOptions, TypeError):
        raise VerifyError(400, 60371, "Relying party invalid or not provided") from None


def totp_config(given: Mapping[str, Any]) -> dict[str, Any]:
    bounds = {"time_step": (20, 60), "skew": (0, 2), "code_length": (3, 8)}
    config: dict[str, Any] = {
        name: number(f"Config.{name}", given[name], *bounds[name]) for name in bounds if given.get(name) is not None
    }
    if given.get("alg"):
        config["alg"] = one_of("Config.Alg", given["alg"], ALGORITHMS)
    return config


def push_config(given: Mapping[str, Any]) -> dict[str, Any]:
    config = {name: str(given[name]) for name in ("app_id", "sdk_version") if given.get(name)}
    text("Config.AppId", config.get("app_id", ""), 0, 100)
    platform, token = given.get("notification_platform"), given.get("notification_token")
    if platform:
        config["notification_platform"] = one_of("Config.NotificationPlatform", platform, PLATFORMS)
    if token or platform in ("apn", "fcm"):
        config["notification_token"] = text("Config.NotificationToken", str(token or ""), 32, 255)
    return config


def details_of(message: str, fields: list[Mapping[str, str]] | None) -> dict[str, Any] | None:
    if not message:
        return None
    shown = [{"label": str(one.get("label", "")), "value": str(one.get("value", ""))} for one in fields or ()]
    if len(shown) > 20 or any(len(one["label"]) > 36 or len(one["value"]) > 128 for one in shown):
        raise invalid("Details.Fields")
    return {"message": text("Details.Message", message, 1, MAX_MESSAGE), "fields": shown}


def expiry(wanted: datetime | None, now: float) -> float:
    if wanted is None:
        return now + CHALLENGE_LIVES
    until = wanted.astimezone(UTC).timestamp()
    if not now < until <= now + CHALLENGE_LIVES_AT_MOST:
        raise invalid("ExpirationDate")
    return until


def small_object(name: str, value: Mapping[str, Any] | None, most: int) -> dict[str, Any] | None:
    if not value:
        return None
    if len(json.dumps(dict(value))) > most or not all(isinstance(one, str) for one in value.values()):
        raise invalid(name)
    return dict(value)


def text(name: str, value: str, least: int, most: int) -> str:
    if not least <= len(value) <= most:
        raise invalid(name)
    return value


def number(name: str, value: Any, least: int, most: int) -> int:
    try:
        number = int(value)
    except (TypeError, ValueError):
        raise invalid(name) from None
    if not least <= number <= most:
        raise invalid(name)
    return number


def one_of(name: str, value: Any, words: tuple[str, ...]) -> str:
    if value not in words:
        raise invalid(name)
    return str(value)


def forget_before(moments: deque[float], oldest: float) -> None:
    while moments and moments[0] <= oldest:
        moments.popleft()


def invalid(name: str) -> VerifyError:
    return VerifyError(400, 60306, f"Invalid parameter: {name}")


def missing(what: str) -> VerifyError:
    return VerifyError(404, 20404, f"The requested resource {what} was not found")


def unauthorised() -> VerifyError:
    return VerifyError(403, 60313, "Unauthorized factor")
