"""The events that Verify pushes through Event Streams, read from JSON into our words.

Types and fields: https://www.twilio.com/docs/verify/verify-events and its schemas at events-schemas.twilio.com. What
comes from outside is read as what it may be, never as what it should be: nothing here raises.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from ..options import OUR_TAG
from ..results import ProviderAttempt

PREFIX = "com.twilio.accountsecurity.verify."
MAX_ATTEMPTS = 20
"""Sends read from one event. Verify makes 5 of one verification."""

_WORD = re.compile(r"[\x21-\x7e]{1,128}")
_ID = re.compile(r"[\x21-\x7e]{1,64}")
_SIDS = {prefix: re.compile(prefix + "[0-9a-fA-F]{32}") for prefix in ("VA", "VE", "VL")}
_ERROR = re.compile(r"[0-9]{1,9}")
_CHANNEL = re.compile(r"[A-Za-z_-]{1,16}")


@dataclass(frozen=True, slots=True)
class CloudEvent:
    """One event. ``kind``: its type as spelt; ``family`` and ``word``: the two parts of a type of Verify's behind
    ``PREFIX``, in lower case with ``_``, ``""`` for others; ``at``: when it happened. SIDs are ``""`` where there are
    none. ``attempts``: what it tells of sends, oldest first.

    SECURITY: the recipient, which events hold, is not read.
    """

    id: str
    kind: str
    family: str = ""
    word: str = ""
    at: datetime | None = None
    service_sid: str = ""
    verification_sid: str = ""
    attempts: tuple[ProviderAttempt, ...] = ()

    @property
    def attempt_sid(self) -> str:
        """The send that it is about, if it is about one."""
        return self.attempts[0].sid if self.family in _MESSAGES and self.attempts else ""


_MESSAGES = ("message", "attempt_dlr")  # the second is what Twilio called them before


def read(raw: object) -> CloudEvent | None:
    """``raw``, a parsed JSON value, as an event; ``None`` if it has no id or no type and so is none."""
    if not isinstance(raw, Mapping):
        return None
    event_id, kind, data = raw.get("id"), raw.get("type"), raw.get("data")
    if not (isinstance(event_id, str) and event_id and isinstance(kind, str) and _WORD.fullmatch(kind)):
        return None
    if not _ID.fullmatch(event_id):
        # As good a name, and one that every database keeps: neither longer nor with odd characters.
        event_id = hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest()
    family, word = _parts(kind)
    event = CloudEvent(event_id, kind, family, word, _time(raw.get("time")))
    return _with_data(event, data) if family and isinstance(data, Mapping) else event


def _parts(kind: str) -> tuple[str, str]:
    """Both spellings of ``max-attempts-reached`` and ``attempt-dlr`` are in Twilio's texts."""
    if not kind.startswith(PREFIX):
        return "", ""
    family, _, word = kind.removeprefix(PREFIX).lower().replace("-", "_").partition(".")
    return family, word


def _with_data(event: CloudEvent, data: Mapping[str, Any]) -> CloudEvent:
    event = replace(
        event,
        service_sid=_sid("VA", data.get("service_sid")),
        verification_sid=_sid("VE", data.get("verification_sid")),
    )
    attempts = _of_message(event, data) if event.family in _MESSAGES else _of_verification(event, data)
    return replace(event, attempts=tuple(one for one in attempts if one.sid))


def _of_message(event: CloudEvent, data: Mapping[str, Any]) -> list[ProviderAttempt]:
    word, error = event.word, _number(data.get("error_code"))
    if data.get("has_fallback") is True and word in ("undelivered", "failed"):
        # Not the end of the attempt: another message goes out for it by another channel, under the same SID.
        word, error = "sent", 0
    return [_attempt(event, data, word, error)]


def _of_verification(event: CloudEvent, data: Mapping[str, Any]) -> list[ProviderAttempt]:
    sends = data.get("send_code_attempts")
    listed = sends.get("attempts") if isinstance(sends, Mapping) else None
    known = [one for one in listed if isinstance(one, Mapping)][:MAX_ATTEMPTS] if isinstance(listed, list) else []
    known.sort(key=lambda one: _time(one.get("time")) or datetime.min.replace(tzinfo=UTC))
    made = [_attempt(event, one, _text(one.get("delivery_status")), _number(one.get("error_code"))) for one in known]
    if event.word == "approved" and made:
        # The event does not say which send the right answer came of. The list of attempts credits the last.
        made[-1] = replace(made[-1], converted=True)
    return made


def _attempt(event: CloudEvent, data: Mapping[str, Any], word: str, error: int) -> ProviderAttempt:
    tags = data.get("tags")
    return ProviderAttempt(
        sid=_sid("VL", data.get("attempt_sid")),
        verification_sid=event.verification_sid,
        channel=_channel(data.get("channel")),
        converted=None,
        message_status=word,
        error_code=error,
        at=event.at,
        tag=_text(tags.get(OUR_TAG)) if isinstance(tags, Mapping) else "",
    )


def _sid(prefix: str, value: object) -> str:
    return value if isinstance(value, str) and _SIDS[prefix].fullmatch(value) else ""


def _channel(value: object) -> str:
    return value.lower() if isinstance(value, str) and _CHANNEL.fullmatch(value) else ""


def _text(value: object) -> str:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else ""


def _number(value: object) -> int:
    return int(str(value)) if _ERROR.fullmatch(str(value)) else 0


def _time(value: object) -> datetime | None:
    """ISO 8601, as aware UTC; ``None`` for what is no time of our days."""
    if not isinstance(value, str) or len(value) > 40:
        return None
    try:
        parsed = datetime.fromisoformat(value)
        moment = parsed.astimezone(UTC) if parsed.tzinfo else parsed.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    # What lies outside, not every database can hold.
    return moment if 2000 <= moment.year <= 2199 else None
