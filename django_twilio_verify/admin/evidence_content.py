"""What is known of one recipient, put into sentences: the content of the evidence page."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from ..choices import FOR_EVERYBODY, Channel, ConsentEventType, PersonKind
from ..consent import opt_outs
from ..exceptions import KeysDoNotFit
from ..ledger import records, retention
from ..ledger.addressees import Addressee
from ..ledger.positions import Position
from ..models import (
    AuditEvent,
    ConsentEvent,
    ConsentEvidence,
    ConsentSeal,
    Disclosure,
    LegalHold,
    OptOutAttempt,
    VerificationAttempt,
)

EVENTS = 300
SENDS = 500
"""Rows that one page shows at most, the newest; the export has all."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where consent stands for one person and one way, in a sentence."""

    sentence: str
    is_live: bool


@dataclass(slots=True)
class Entry:
    """One event with what belongs to it."""

    event: ConsentEvent
    evidence: ConsentEvidence | None
    person: str
    act: str
    intact: bool
    seal: int | None
    words: int | None
    sends: list[VerificationAttempt] = field(default_factory=list)

    @property
    def request(self) -> str:
        """Of a request to stop, when it came in and was honoured."""
        event = self.event
        if event.received_at is None or event.honour_by is None:
            return ""
        times = {"received": moment(event.received_at), "by": moment(event.honour_by)}
        said = _("Request received %(received)s; to be honoured by %(by)s.") % times
        if event.honoured_at is not None:
            said += " " + _("Honoured %(time)s.") % {"time": moment(event.honoured_at)}
        return said

    @property
    def is_unhonoured(self) -> bool:
        return self.event.received_at is not None and self.event.honoured_at is None


@dataclass(slots=True)
class EvidenceContent:
    """One recipient. ``entries``: newest first. ``words``: each disclosure once, numbered as ``Entry.words`` says."""

    addressee: Addressee
    standings: list[Standing]
    entries: list[Entry]
    words: list[tuple[int, Disclosure]]
    audits: list[AuditEvent]
    hold: LegalHold | None
    is_cut: bool
    unmasked: bool
    attempts: list[OptOutAttempt]
    """Who ticked a box although the holder had opted out: how often, by channel."""
    opted_out: list[Channel]

    @property
    def name(self) -> str:
        """The address as it may be shown."""
        recipient = self.addressee.recipient
        if recipient is None:
            return _("an erased address")
        return recipient.display if self.unmasked else recipient.masked

    @property
    def is_erased(self) -> bool:
        return self.addressee.recipient is None

    @property
    def all_intact(self) -> bool:
        return all(entry.intact for entry in self.entries)

    @property
    def unsealed(self) -> int:
        return sum(entry.seal is None for entry in self.entries)


def compile_dossier(addressee: Addressee, *, unmasked: bool = False) -> EvidenceContent:
    """Read what is known of ``addressee``: a fixed number of SELECTs, however much it is."""
    events = _events(addressee)
    is_cut, events = len(events) > EVENTS, events[:EVENTS]
    numbers = _numbers(events)
    seals = _seals(events)
    sends = _sends(events)
    entries = [_entry(event, numbers, seals, sends, unmasked) for event in events]
    return EvidenceContent(
        addressee=addressee,
        standings=list(_standings(entries)),
        entries=entries,
        words=[(number, disclosure) for disclosure, number in numbers.values()],
        audits=list(AuditEvent.objects.filter(recipient_fingerprint__in=addressee.fingerprints).order_by("-id")[:50]),
        hold=retention.hold_on(addressee),
        is_cut=is_cut,
        unmasked=unmasked,
        attempts=list(
            OptOutAttempt.objects.filter(recipient_fingerprint__in=addressee.fingerprints).order_by("channel")
        ),
        opted_out=_opted_out(addressee),
    )


def _events(addressee: Addressee) -> list[ConsentEvent]:
    rows = ConsentEvent.objects.filter(recipient_fingerprint__in=addressee.fingerprints)
    return list(rows.select_related("disclosure", "evidence", "previous").order_by("-id")[: EVENTS + 1])


def _numbers(events: list[ConsentEvent]) -> dict[int, tuple[Disclosure, int]]:
    """Disclosures by key, numbered from 1 in the order in which they were first shown here."""
    found: dict[int, tuple[Disclosure, int]] = {}
    for event in reversed(events):
        if event.disclosure is not None and event.disclosure.pk not in found:
            found[event.disclosure.pk] = (event.disclosure, len(found) + 1)
    return found


def _sends(events: list[ConsentEvent]) -> dict[int, list[VerificationAttempt]]:
    """The sends that relied on each event, newest first."""
    rows = VerificationAttempt.objects.filter(consent_event_id__in=[event.pk for event in events])
    by_event: dict[int, list[VerificationAttempt]] = defaultdict(list)
    for attempt in rows.select_related("verification").order_by("-id")[:SENDS]:
        by_event[attempt.consent_event_id].append(attempt)
    return by_event


@dataclass(frozen=True, slots=True)
class _Seals:
    """Seals by their last event, and the ids that a later seal took in."""

    lasts: list[int]
    ranges: list[tuple[int, int, int]]
    late: dict[int, int]

    def number_for(self, event_id: int) -> int | None:
        if event_id in self.late:
            return self.late[event_id]
        place = bisect_left(self.lasts, event_id)
        if place == len(self.lasts):
            return None
        number, first, _last = self.ranges[place]
        return number if first <= event_id else None


def _seals(events: list[ConsentEvent]) -> _Seals:
    wanted = {event.pk for event in events}
    rows = ConsentSeal.objects.filter(last_event__gte=min(wanted, default=0)).order_by("last_event")
    ranges: list[tuple[int, int, int]] = []
    late: dict[int, int] = {}
    for number, first, last, ids in rows.values_list("number", "first_event", "last_event", "late").iterator():
        ranges.append((number, first, last))
        late |= {int(one): number for one in ids.split(",") if one.isdigit() and int(one) in wanted}
    return _Seals([last for _number, _first, last in ranges], ranges, late)


def _entry(
    event: ConsentEvent,
    numbers: dict[int, tuple[Disclosure, int]],
    seals: _Seals,
    sends: dict[int, list[VerificationAttempt]],
    unmasked: bool,
) -> Entry:
    evidence = getattr(event, "evidence", None)
    return Entry(
        event=event,
        evidence=evidence,
        person=_person(event, evidence if unmasked else None),
        act=act(event),
        intact=_intact(event, evidence),
        seal=seals.number_for(event.pk),
        words=numbers[event.disclosure.pk][1] if event.disclosure else None,
        sends=sends.get(event.pk, []),
    )


def _intact(event: ConsentEvent, evidence: ConsentEvidence | None) -> bool:
    """As ``ledger.holds``, of rows that are read already."""
    expected = records.digest(
        event,
        disclosure_digest=event.disclosure.digest if event.disclosure else "",
        previous_digest=event.previous.digest if event.previous else "",
    )
    untouched = evidence is None or records.commitment(evidence) == event.commitment
    return untouched and expected == event.digest


def _person(event: ConsentEvent, shown: ConsentEvidence | None) -> str:
    if event.person_kind == PersonKind.HOLDER:
        return _("whoever holds the address")
    label = shown.person_label if shown and shown.person_label else event.person_fingerprint.partition(".")[2][:8]
    if event.person_kind == PersonKind.USER:
        return _("account %(label)s") % {"label": label}
    return _("visitor %(label)s") % {"label": label}


# ------------------------------------------------------------------------------------------------- sentences


def act(event: ConsentEvent) -> str:
    """What was done, in a sentence: "The person ticked the box, pressed “Send code”. Through: web page."."""
    parts = []
    if event.control == "checkbox":
        parts.append(_box(event))
    elif event.control:
        parts.append(_("Control: %(control)s.") % {"control": event.control})
    if event.button_label:
        parts.append(_("Button pressed: “%(label)s”.") % {"label": event.button_label})
    parts.append(
        _("Through: %(medium)s, by %(actor)s.")
        % {"medium": event.get_medium_display(), "actor": event.get_actor_display()}
    )
    if event.origin:
        parts.append(_("Origin: %(origin)s.") % {"origin": event.origin})
    if event.document_digest:
        parts.append(_("Document with SHA-256 %(digest)s.") % {"digest": event.document_digest})
    return " ".join(parts)


def _box(event: ConsentEvent) -> str:
    if event.control_final and not event.control_default:
        return _("The box was empty at first, and was ticked.")
    if event.control_final:
        return _("The box was ticked beforehand, and left so.")
    return _("The box was left empty.")


def moment(value: datetime) -> str:
    """A time as the page writes it: the site's time zone, named."""
    local = timezone.localtime(value)
    return f"{date_format(local, 'DATE_FORMAT')}, {local:%H:%M} {local:%Z}"


def _opted_out(addressee: Addressee) -> list[Channel]:
    """Return the channels whose opt-out staff may release here; none for an erased address.

    With keys that do not fit nothing can be released either.
    """
    if addressee.recipient is None:
        return []
    try:
        return opt_outs.opted_out_of(addressee.recipient)
    except KeysDoNotFit:  # the page says so, above what it shows
        return []


def _standings(entries: list[Entry]) -> Iterator[Standing]:
    """A sentence for each person and way, in the order in which they came up; for the holder where there is nobody."""
    for channel in dict.fromkeys(entry.event.channel for entry in reversed(entries)):
        ours = [entry for entry in reversed(entries) if entry.event.channel == channel]
        persons = dict.fromkeys(
            entry.event.person_fingerprint for entry in ours if entry.event.person_kind != PersonKind.HOLDER
        )
        for person in persons or dict.fromkeys(entry.event.person_fingerprint for entry in ours):
            yield _standing([entry for entry in ours if _bears_on(entry.event, person)], person)


def _bears_on(event: ConsentEvent, person: str) -> bool:
    return event.person_fingerprint == person or event.event in FOR_EVERYBODY


def _standing(history: list[Entry], person: str) -> Standing:
    """``history``: what bears on the person by one way, oldest first."""
    opt_out = Position.of(entry.event for entry in history).opt_out
    # A grant that crossed the opt-out, or is of a time when a tick undid one, lets nothing out.
    newest = next((entry for entry in history if entry.event == opt_out and history[-1].event.is_live), history[-1])
    named = next((entry.person for entry in history if entry.event.person_fingerprint == person), newest.person)
    way = str(Channel(newest.event.channel).row.nouns or newest.event.get_channel_display())
    facts = {"way": way, "person": named, "time": moment(newest.event.occurred_at)}
    if not newest.event.is_live:
        return Standing(_STOPPED[ConsentEventType(newest.event.event)] % facts, is_live=False)
    facts["time"] = moment(_run_begins(history).event.occurred_at)
    if newest.evidence is None:
        said = _("Consent to %(way)s ended when its evidence was erased: nothing is sent to that account.") % facts
        return Standing(said, is_live=False)
    if newest.event.person_kind == PersonKind.HOLDER:
        said = _("Consent to %(way)s is on record since %(time)s, but names no account: nothing is sent by it.") % facts
        return Standing(said, is_live=False)
    said = _("Consent to %(way)s is valid since %(time)s, for %(person)s") % facts
    return Standing(f"{said}{_under(newest)}", is_live=True)


def _under(entry: Entry) -> str:
    if entry.words is not None:
        return _(", under wording %(number)d below.") % {"number": entry.words}
    return _(". It was given elsewhere: the words are not on record here.")


def _run_begins(history: list[Entry]) -> Entry:
    """The first event since consent was last stopped."""
    start = history[-1]
    for entry in reversed(history):
        if not entry.event.is_live:
            break
        start = entry
    return start


_STOPPED = {
    ConsentEventType.WITHDRAWN: gettext_lazy(
        "Consent to %(way)s was taken back on %(time)s, by %(person)s: nothing is sent since."
    ),
    ConsentEventType.OPTED_OUT: gettext_lazy(
        "Stopped: the holder opted out of %(way)s on %(time)s. Nothing is sent, whoever asks (%(person)s)."
    ),
    ConsentEventType.EXPIRED: gettext_lazy("Consent to %(way)s ran out on %(time)s, for %(person)s: nothing is sent."),
    ConsentEventType.GRANTED_ONCE: gettext_lazy(
        "One message by %(way)s was agreed to on %(time)s, by %(person)s: nothing else is sent."
    ),
    ConsentEventType.RELEASED: gettext_lazy(
        "The holder's opt-out of %(way)s was released on %(time)s: nothing is sent before %(person)s agrees again."
    ),
    ConsentEventType.INVALIDATED: gettext_lazy(
        "Consent to %(way)s was declared void on %(time)s: nothing is sent, whoever asks (%(person)s)."
    ),
}
