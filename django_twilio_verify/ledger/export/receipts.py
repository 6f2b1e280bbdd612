"""Evidence for other systems, one JSON object a line: rows of Twilio's consent API, and consent receipts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, BinaryIO

from ... import __version__
from ...choices import AGREED, Actor, Channel, ConsentEventType, ConsentMedium, RecipientKind
from ...conf import settings
from ...models import ConsentEvent
from .. import records
from .evidence import Export, Selection, chunks, exporting, half_of

_Lines = Callable[[Selection, Sequence[ConsentEvent]], Iterator[Mapping[str, Any]]]


def write_twilio(stream: BinaryIO, selection: Selection, reason: str, actor: str, *, sender_id: str = "") -> Export:
    """Write the items of Twilio's bulk consent API (``POST https://accounts.twilio.com/v1/Consents/Bulk``, ``Items``).

    One for each event of a text message's consent, in the order of events: the API takes 25 a call, 100 calls a minute,
    and the last one counts. ``sender_id``: a Messaging Service SID or a number, which the API wants; left out if empty.
    Erased events and other channels have none: the API is for SMS only. Errors as ``evidence.exporting``.
    """

    def items(selection: Selection, events: Sequence[ConsentEvent]) -> Iterator[Mapping[str, Any]]:
        return (
            {**_item(event), **({"sender_id": sender_id} if sender_id else {})}
            for event in events
            if _is_for_twilio(selection, event)
        )

    return _write(stream, selection, "twilio", reason, actor, items)


def write_receipts(stream: BinaryIO, selection: Selection, reason: str, actor: str) -> Export:
    """Write a receipt after ISO/IEC TS 27560:2023 for each consent that was given, with what followed it directly.

    Whom it is about is named by fingerprint, so that a receipt may be kept where the address must not be. Errors as
    ``evidence.exporting``.
    """
    return _write(stream, selection, "receipt", reason, actor, _receipts)


def _write(stream: BinaryIO, selection: Selection, format_name: str, reason: str, actor: str, lines: _Lines) -> Export:
    with exporting(stream, selection, format_name, reason, actor) as export:
        for events in chunks(export.selection):
            for line in lines(export.selection, events):
                export.stream.write(json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
                export.rows += 1
    return export


# ---------------------------------------------------------------------------------------------------- Twilio

_SOURCES = {
    ConsentMedium.WEB: "website",
    ConsentMedium.API: "others",
    ConsentMedium.IMPORT: "others",
    ConsentMedium.ADMIN: "offline",  # paper, or a request that staff wrote down
    ConsentMedium.PROVIDER: "opt-out-message",  # the provider tells of a STOP
}


def _is_for_twilio(selection: Selection, event: ConsentEvent) -> bool:
    if event.event in (ConsentEventType.GRANTED_ONCE, ConsentEventType.RELEASED):
        return False  # neither a standing opt-in nor an opt-out, the two words that the list knows
    is_text = event.channel == Channel.SMS and event.recipient_kind == RecipientKind.PHONE
    return is_text and half_of(event) is not None and not selection.withholds(event)


def _item(event: ConsentEvent) -> dict[str, str]:
    half = half_of(event)
    source = _SOURCES[ConsentMedium(event.medium)]
    if source == "opt-out-message" and event.is_live:
        source = "opt-in-message"
    return {
        "contact_id": half.recipient if half else "",
        # 32 hex digits that are the same each time, so that sending the file again changes nothing.
        "correlation_id": event.digest[:32],
        "status": "opt-in" if event.is_live else "opt-out",
        "source": source,
        "date_of_consent": records.timestamp(event.occurred_at),
    }


# ---------------------------------------------------------------------------------------------------- receipts

SCHEMA = "ISO/IEC TS 27560:2023"
_STATES = {
    ConsentEventType.GRANTED: "consent given",
    ConsentEventType.RENEWED: "consent given",
    ConsentEventType.GRANTED_ONCE: "consent given",
    ConsentEventType.IMPORTED: "consent given",
    ConsentEventType.WITHDRAWN: "consent withdrawn",
    ConsentEventType.OPTED_OUT: "consent withdrawn",
    ConsentEventType.EXPIRED: "consent expired",
    ConsentEventType.INVALIDATED: "consent invalidated",
    ConsentEventType.RELEASED: "opt-out released",
}
_ENTITIES = {
    Actor.PERSON: "pii_principal",
    Actor.STAFF: "pii_controller",
    Actor.SYSTEM: "pii_controller",
    Actor.PROVIDER: "pii_processor",
}


def _receipts(selection: Selection, events: Sequence[ConsentEvent]) -> Iterator[Mapping[str, Any]]:
    given = [event for event in events if event.event in AGREED]
    followed = _followed(selection, [event.pk for event in given])
    return (_receipt(event, followed.get(event.pk, [])) for event in given)


def _followed(selection: Selection, ids: Sequence[int]) -> dict[int, list[ConsentEvent]]:
    """What followed each event directly. One statement."""
    found: dict[int, list[ConsentEvent]] = {}
    rows = ConsentEvent.objects.filter(previous_id__in=ids, pk__lte=selection.ceiling).order_by("pk")
    for event in rows:
        found.setdefault(event.previous_id or 0, []).append(event)
    return found


def _receipt(event: ConsentEvent, followed: Sequence[ConsentEvent]) -> dict[str, Any]:
    """The sections of the specification: header, processing, parties, events. What is not known is left out."""
    return {
        "receipt_metadata": {
            "schema_version": SCHEMA,
            "record_id": event.digest,
            "pii_principal_id": event.person_fingerprint,
            "tool": f"django-twilio-verify {__version__}",
        },
        "pii_processing": _filled(_processing(event)),
        "party_identification": [_controller()],
        "events": [_event(each) for each in (event, *followed)],
    }


def _processing(event: ConsentEvent) -> dict[str, Any]:
    program, shown = settings.program, event.disclosure
    return {
        "privacy_notice": shown.privacy_url if shown else str(program.privacy_url),
        "privacy_notice_digest": shown.privacy_digest if shown else "",
        "notice": shown.text if shown else "",
        "notice_digest": shown.digest if shown else "",
        "terms": shown.terms_url if shown else str(program.terms_url),
        "language": event.language,
        "purposes": [_purpose(event)],
        "consent_type": "explicit",
        "collection_method": event.medium,
        "withdrawal_method": str(program.support),
        "jurisdiction": event.country,
    }


def _purpose(event: ConsentEvent) -> dict[str, Any]:
    return {
        "purpose": "One-time security codes",
        "purpose_type": event.purpose,
        "lawful_basis": "consent",
        "pii_information": [{"pii_type": event.recipient_kind, "pii_id": event.recipient_fingerprint}],
        "pii_controllers": ["controller"],
        "processing_method": event.channel,
        "recipient_third_parties": ["Twilio"],
    }


def _controller() -> dict[str, Any]:
    program = settings.program
    facts = {
        "party_id": "controller",
        "party_role": "pii_controller",
        "party_name": str(program.name),
        "party_contact": str(program.support),
        "party_url": str(program.privacy_url),
    }
    return _filled(facts)


def _event(event: ConsentEvent) -> dict[str, str]:
    kind = ConsentEventType(event.event)
    return {
        "event_time": records.timestamp(event.occurred_at),
        "event_type": kind.value,
        "event_state": _STATES[kind],
        "entity_id": _ENTITIES[Actor(event.actor)],
        "record_digest": event.digest,
    }


def _filled(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: fact for name, fact in facts.items() if fact}
