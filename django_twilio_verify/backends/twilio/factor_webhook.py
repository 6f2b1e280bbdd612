"""What a webhook of a Verify Service says (https://www.twilio.com/docs/verify/api/webhooks), read.

Twilio does not say whether it posts them as a form or as JSON, so both are read. Whether one is Twilio's at all is for
``is_authentic`` to say, before.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from urllib.parse import parse_qsl

from ..factor_results import FactorEvent

MAX_BODY = 64 * 1024
MAX_FIELD = 256

_FIELDS = {
    "uuid": "uuid",
    "type": "type",
    "account_sid": "account_sid",
    "service_sid": "service_sid",
    "identity": "entity_identity",
    "factor_sid": "factor_sid",
    "factor_type": "factor_type",
    "factor_name": "factor_friendly_name",
    "challenge_sid": "challenge_sid",
}


def read_event(body: bytes, content_type: str) -> FactorEvent:
    """The event that a raw ``body`` holds. Raises ``ValueError`` for what is none: the text says nothing of it."""
    if len(body) > MAX_BODY:
        raise ValueError("too long")
    given = _json(body) if content_type.partition(";")[0].strip().lower() == "application/json" else _form(body)
    values = {ours: given.get(theirs) for ours, theirs in _FIELDS.items()}
    # No NUL and no half of a surrogate pair: not every database keeps them.
    said = {
        name: value
        for name, value in values.items()
        if isinstance(value, str) and len(value) <= MAX_FIELD and value.isprintable()
    }
    if not said.get("uuid") or not said.get("type"):
        raise ValueError("no event")
    return FactorEvent(**said)


def _json(body: bytes) -> Mapping[str, object]:
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        raise ValueError("not JSON") from None
    if not isinstance(given, dict):
        raise ValueError("not an object")
    return given


def _form(body: bytes) -> Mapping[str, object]:
    try:
        return dict(parse_qsl(body.decode(), max_num_fields=100))
    except ValueError:
        raise ValueError("not a form") from None
