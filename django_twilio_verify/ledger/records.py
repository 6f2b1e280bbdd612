"""How a consent event is written down: canonical bytes, salted commitment, digest."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime

from ..models import ConsentEvent, ConsentEvidence

RECORD_VERSION = 1
EVIDENCE_FIELDS = ("recipient", "person_label", "ip", "user_agent", "page", "actor_label", "note")
_COPIED = (
    "record_version",
    "event",
    "channel",
    "purpose",
    "language",
    "medium",
    "control",
    "control_default",
    "control_final",
    "button_label",
    "person_kind",
    "person_fingerprint",
    "recipient_kind",
    "recipient_fingerprint",
    "country",
    "actor",
    "actor_fingerprint",
    "origin",
    "document_digest",
    "commitment",
)
_TIMES = ("occurred_at", "received_at", "honour_by", "honoured_at")


def commitment(evidence: ConsentEvidence) -> str:
    """SHA-256 in hex over one salted digest for each personal field.

    Each field has a salt of its own, derived from the row's, so that one field can later be shown to a stranger (with
    its salt and the other digests) without the rest.
    """
    parts = [_committed(evidence, name) for name in EVIDENCE_FIELDS]
    return hashlib.sha256(b"".join(parts)).hexdigest()


def _committed(evidence: ConsentEvidence, name: str) -> bytes:
    field_salt = hmac.new(bytes.fromhex(evidence.salt), name.encode(), hashlib.sha256).digest()
    value = getattr(evidence, name) or ""
    return hmac.new(field_salt, str(value).encode(), hashlib.sha256).digest()


def canonical(event: ConsentEvent, *, disclosure_digest: str, previous_digest: str) -> bytes:
    """The bytes that ``event.digest`` is over: JSON with sorted keys, no spaces, UTF-8, time in UTC with
    microseconds.
    """
    content = {name: getattr(event, name) for name in _COPIED}
    content["disclosure"] = disclosure_digest
    content["previous"] = previous_digest
    for name in _TIMES:
        moment = getattr(event, name)
        content[name] = timestamp(moment) if moment else ""
    return json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def digest(event: ConsentEvent, *, disclosure_digest: str, previous_digest: str) -> str:
    """SHA-256 in hex over ``canonical``."""
    content = canonical(event, disclosure_digest=disclosure_digest, previous_digest=previous_digest)
    return hashlib.sha256(content).hexdigest()


def place(event: ConsentEvent, *, previous_digest: str) -> str:
    """Where ``event`` stands in the chain: behind one event, for one person, recipient and way. 40 hex digits."""
    parts = (previous_digest, event.person_fingerprint, event.recipient_fingerprint, event.channel)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:40]


def timestamp(moment: datetime) -> str:
    """An aware time as RFC 3339 in UTC with six decimals."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def holds(event: ConsentEvent) -> bool:
    """Whether ``event`` still has the digest it was written with, and its personal half, if not erased, its
    commitment.
    """
    expected = digest(
        event,
        disclosure_digest=event.disclosure.digest if event.disclosure else "",
        previous_digest=event.previous.digest if event.previous else "",
    )
    evidence = ConsentEvidence.objects.using(event._state.db).filter(event_id=event.pk).first()
    untouched = evidence is None or hmac.compare_digest(commitment(evidence), event.commitment)
    return untouched and hmac.compare_digest(expected, event.digest)
