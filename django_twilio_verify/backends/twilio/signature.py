"""Whether a request to this site was signed by Twilio: the SDK's validator, kept away from what it stumbles over.

What Twilio signs: https://www.twilio.com/docs/usage/webhooks/webhooks-security. With the SDK 9.13 the validator finds a
mapping good for a URL with ``bodySHA256`` without having looked at the body, and raises where the signature is missing
or the body is of another type than it thinks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

if TYPE_CHECKING:
    from twilio.request_validator import RequestValidator

SIGNATURE = "x-twilio-signature"
SETTINGS = "x-twilio-webhooks-signature-settings"
"""Sent with what was signed by a shared key: ``key=<its id>,algorithm=HMAC_SHA256``."""
ALGORITHMS = ("HMAC_SHA1", "HMAC_SHA256")
MAX_FIELDS = 1000

_FORM = "application/x-www-form-urlencoded"
_HASHED = "bodySHA256"


class _Fields(dict[str, list[str]]):
    """A form as the validator likes it: with every value of a name, not the last one alone."""

    def getlist(self, name: str) -> list[str]:
        return self[name]


def secrets_and_algorithm(
    headers: Mapping[str, str], auth_tokens: Sequence[str], shared_keys: Mapping[str, str]
) -> tuple[list[str], str]:
    """Return the secrets that a request may be signed with, and its algorithm.

    No secret for an unknown key or algorithm; several Auth Tokens while one replaces another.
    """
    parts = (part.partition("=") for part in (headers.get(SETTINGS) or "").split(","))
    told = {name.strip(): value.strip() for name, _, value in parts}
    algorithm = (told.get("algorithm") or ALGORITHMS[0]).upper()
    secrets = [shared_keys.get(told["key"], "")] if told.get("key") else [*auth_tokens]
    # SECURITY: checked here, for the SDK would write a stranger's word for an algorithm into the log.
    return ([one for one in secrets if one], algorithm) if algorithm in ALGORITHMS else ([], "")


def is_signed(
    validator: RequestValidator, algorithm: str, *, url: str, body: bytes, headers: Mapping[str, str]
) -> bool:
    """Whether the signature in ``headers`` (by lower-case name) is that of ``url`` and the raw ``body``."""
    signature = headers.get(SIGNATURE)
    if not isinstance(signature, str):
        return False
    try:
        content = _signed_content(url, body, headers.get("content-type") or "")
        return content is not None and validator.validate(url, content, signature, algorithm) is True
    except ValueError:  # a URL, a form or a text that is none: UnicodeError is one, too
        return False


def _signed_content(url: str, body: bytes, content_type: str) -> str | _Fields | None:
    """What the validator has to be given so that it vouches for the whole ``body``; ``None`` if it cannot."""
    if _HASHED in parse_qs(urlsplit(url).query):
        # SECURITY: as text. Given a form for such a URL, the validator would not look at it.
        return body.decode()
    if not body:
        return _Fields()
    if content_type.partition(";")[0].strip().lower() == _FORM:
        return _Fields(parse_qs(body.decode(), keep_blank_values=True, max_num_fields=MAX_FIELDS))
    # SECURITY: no form, and no hash of it in the URL: nothing about this body was signed.
    return None
