"""The readable half of a bundle: a page for each recipient that says where consent stands, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.template.loader import render_to_string
from django.utils.formats import date_format
from django.utils.translation import get_language
from django.utils.translation import gettext as _

from ...choices import (
    FOR_EVERYBODY,
    AttemptStatus,
    Channel,
    ConsentEventType,
    ConsentMedium,
    PersonKind,
    Purpose,
    RecipientKind,
)
from ...core.recipients import Recipient
from ...models import ConsentEvent, ConsentEvidence, Disclosure, VerificationAttempt
from .. import fingerprint_aliases
from ..inclusion import Proof, Prover
from ..positions import Position
from .evidence import Selection, chunks, half_of, sends

EVENTS_A_PAGE = 500
"""The newest ones; ``evidence.jsonl`` has all."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A line of the list of pages."""

    file: str
    label: str
    standings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event as a page shows it. ``half``: ``None`` where it is erased or withheld; ``words``: a letter of the
    page's list of wordings, or empty.
    """

    event: ConsentEvent
    title: str
    time: str
    medium: str
    act: str
    person: str
    half: ConsentEvidence | None
    words: str
    received: str
    honour_by: str
    honoured: str
    sends: list[Mapping[str, str]]
    seal: int | None


@dataclass(frozen=True, slots=True)
class Page:
    """All of a recipient's page. ``label``: the whole address, or that it was erased."""

    label: str
    as_of: str
    standings: tuple[str, ...]
    entries: list[Entry]
    words: list[tuple[str, Disclosure]]
    is_cut: bool

    def listed(self, file: str) -> Listed:
        return Listed(file, self.label, self.standings)


def of(selection: Selection, made_at: datetime, prover: Prover, limit: int) -> Iterator[Page]:
    """A page for each recipient of ``selection`` that has events; by period, for the first ``limit``."""
    as_of = min(made_at, selection.until) if selection.until else made_at
    for prints in _recipients(selection, limit):
        events = list(_newest(selection, prints))
        if events:
            yield _page(selection, events, as_of, prover)


def nothing_on(selection: Selection) -> list[str]:
    """The addresses that were asked for and have no event: nobody agreed to anything there."""
    return [
        one.display
        for one in selection.recipients or ()
        if not selection.of(fingerprint_aliases.of_recipient(one)).exists()
    ]


def rendered(page: Page) -> str:
    """The page as HTML, whole in itself: it loads nothing."""
    return render_to_string("twilio_verify/evidence/recipient.html", {"page": page, "language": get_language() or "en"})


def index(listed: Sequence[Listed], facts: Mapping[str, Any]) -> str:
    """The list of pages as HTML."""
    context = {"listed": listed, "language": get_language() or "en", **facts}
    return render_to_string("twilio_verify/evidence/index.html", context)


def shown_time(moment: datetime | None) -> str:
    """A time as people read it, in UTC; empty for ``None``."""
    return f"{date_format(moment.astimezone(UTC), 'j F Y, H:i:s')} UTC" if moment else ""


# --------------------------------------------------------------------------------------------------- PDF


def require_pdf() -> Callable[..., Any]:
    """WeasyPrint's ``HTML``. Raises ``ImproperlyConfigured`` where the extra is not installed."""
    try:
        from weasyprint import HTML  # noqa: PLC0415  an optional extra
    except (ImportError, OSError) as error:  # OSError: Pango is missing
        raise ImproperlyConfigured(f'PDF needs WeasyPrint: install "django-twilio-verify[pdf]" ({error}).') from error
    return HTML  # type: ignore[no-any-return]


def as_pdf(html: str) -> bytes:
    """The page as tagged PDF (PDF/UA-1)."""
    document = require_pdf()(string=html, url_fetcher=_Nothing())
    made: bytes = document.write_pdf(pdf_variant="pdf/ua-1")
    return made


class _Nothing:
    """Of WeasyPrint's ``URLFetcher``, what rendering asks for. Not a subclass: the extra need not be installed.

    SECURITY: what a browser sent stands on the page; nothing of it is ever loaded.
    """

    _fail_on_errors = False

    def __call__(self, url: str, *args: Any, **kwargs: Any) -> Any:
        raise ValueError("A page of evidence loads nothing.")


# ------------------------------------------------------------------------------------------------- recipients


def _recipients(selection: Selection, limit: int) -> Iterator[Sequence[str]]:
    """The fingerprints of each recipient meant."""
    if selection.prints:
        yield selection.prints
    elif selection.recipients is not None:
        yield from map(fingerprint_aliases.of_recipient, selection.recipients)
    elif selection.person is not None:
        yield from _met(selection)
    else:
        yield from islice(_met(selection), limit)


def _met(selection: Selection) -> Iterator[Sequence[str]]:
    """The recipients as they are met in the ledger, each once under whichever keys it was written."""
    seen: set[str] = set()
    for events in chunks(selection):
        for event in events:
            if event.recipient_fingerprint not in seen:
                prints = _prints(event)
                seen.update(prints)
                yield prints


def _prints(event: ConsentEvent) -> list[str]:
    half = half_of(event)
    if half is None:
        return fingerprint_aliases.known([event.recipient_fingerprint])
    recipient = Recipient(RecipientKind(event.recipient_kind), half.recipient)
    return sorted({event.recipient_fingerprint, *fingerprint_aliases.of_recipient(recipient)})


def _newest(selection: Selection, prints: Sequence[str]) -> Iterator[ConsentEvent]:
    events = selection.of(prints).select_related("disclosure", "previous", "evidence").order_by("-pk")
    yield from events[: EVENTS_A_PAGE + 1]


# ----------------------------------------------------------------------------------------------------- a page


def _page(selection: Selection, newest: list[ConsentEvent], as_of: datetime, prover: Prover) -> Page:
    events = list(reversed(newest[:EVENTS_A_PAGE]))
    ids = [event.pk for event in events]
    relied, proofs = sends(ids), prover.proofs(ids)
    letters = _letters(events)
    entries = [_entry(selection, event, relied.get(event.pk, []), proofs.get(event.pk), letters) for event in events]
    return Page(
        label=_label(selection, events),
        as_of=shown_time(as_of),
        standings=tuple(_standings(selection, events)),
        entries=entries,
        words=[(letter, disclosure) for letter, disclosure in letters.values()],
        is_cut=len(newest) > EVENTS_A_PAGE,
    )


def _label(selection: Selection, events: list[ConsentEvent]) -> str:
    for event in reversed(events):
        half = half_of(event)
        if half is not None and not selection.withholds(event):
            return Recipient(RecipientKind(event.recipient_kind), half.recipient).display
    return _("erased (%(fingerprint)s)") % {"fingerprint": events[-1].recipient_fingerprint}


def _letters(events: list[ConsentEvent]) -> dict[int, tuple[str, Disclosure]]:
    """Each wording shown, with a number for the page, in the order in which they were first shown."""
    found: dict[int, tuple[str, Disclosure]] = {}
    for event in events:
        if event.disclosure is not None and event.disclosure.pk not in found:
            found[event.disclosure.pk] = (str(len(found) + 1), event.disclosure)
    return found


def _entry(
    selection: Selection,
    event: ConsentEvent,
    relied: list[VerificationAttempt],
    proof: Proof | None,
    letters: dict[int, tuple[str, Disclosure]],
) -> Entry:
    return Entry(
        event=event,
        title=f"{ConsentEventType(event.event).label}: {Channel(event.channel).label}, {Purpose(event.purpose).label}",
        time=shown_time(event.occurred_at),
        medium=str(ConsentMedium(event.medium).label),
        act=_act(event),
        person=_person(selection, event),
        half=None if selection.withholds(event) else half_of(event),
        words=letters[event.disclosure_id][0] if event.disclosure_id else "",
        received=shown_time(event.received_at),
        honour_by=shown_time(event.honour_by),
        honoured=shown_time(event.honoured_at),
        sends=[_send(attempt) for attempt in relied],
        seal=proof.seal_number if proof else None,
    )


def _act(event: ConsentEvent) -> str:
    """What was done to which control."""
    if not event.control:
        return ""
    states = {True: _("set"), False: _("not set")}
    facts = {
        "control": event.control,
        "before": states[event.control_default],
        "after": states[event.control_final],
        "button": event.button_label,
    }
    sentence = _("%(control)s: %(before)s when the page was shown, %(after)s when it was sent") % facts
    return f"{sentence}, “{event.button_label}”" if event.button_label else sentence


def _person(selection: Selection, event: ConsentEvent) -> str:
    half = None if selection.withholds(event) else half_of(event)
    if event.person_kind == PersonKind.HOLDER:
        return _("whoever holds the address")
    if event.person_kind == PersonKind.SESSION:
        return _("a visitor without an account")
    if half is None or not half.person_label:
        return _("an account (erased)") if half is None else _("an account")
    return _("the account “%(name)s”") % {"name": half.person_label}


def _send(attempt: VerificationAttempt) -> Mapping[str, str]:
    return {
        "time": shown_time(attempt.created_at),
        "channel": attempt.channel_used or str(Channel(attempt.channel).label),
        "purpose": str(Purpose(attempt.verification.purpose).label),
        "status": str(AttemptStatus(attempt.status).label),
        "delivery": attempt.delivery,
        "verification_sid": attempt.verification.sid,
        "attempt_sid": attempt.sid,
    }


# ------------------------------------------------------------------------------------------ where consent stands


def _standings(selection: Selection, events: list[ConsentEvent]) -> Iterator[str]:
    """A sentence for each way and person, from the latest event that bears on both."""
    for channel in dict.fromkeys(event.channel for event in events):
        concerned = [event for event in events if event.channel == channel]
        for_all = [event for event in concerned if event.event in FOR_EVERYBODY]
        people = _people([event for event in concerned if event.event not in FOR_EVERYBODY])
        for theirs in people:
            position = Position.of([*theirs, *for_all])
            newest = position.newest or theirs[-1]
            # A grant that crossed the opt-out, or is of a time when a tick undid one, lets nothing out.
            yield _sentence(selection, theirs[-1], (newest.is_live and position.opt_out) or newest)
        if not people:
            yield _sentence(selection, for_all[-1], for_all[-1])


def _people(events: list[ConsentEvent]) -> list[list[ConsentEvent]]:
    """The events of each person. One whose fingerprint changed with the key is known by the chain of events."""
    groups: dict[str, list[ConsentEvent]] = {}
    for event in events:
        before = event.previous
        if before is not None and before.person_fingerprint in groups:
            group = groups[before.person_fingerprint]
        else:
            group = groups.get(event.person_fingerprint, [])
        group.append(event)
        groups[event.person_fingerprint] = group
    return list({id(group): group for group in groups.values()}.values())


def _sentence(selection: Selection, theirs: ConsentEvent, standing: ConsentEvent) -> str:
    facts = {
        "who": _person(selection, theirs),
        "way": Channel(standing.channel).label,
        "time": shown_time(standing.occurred_at),
    }
    if standing.is_live and half_of(standing) is None:
        return _("No consent of %(who)s to get codes by %(way)s: its evidence was erased. Nothing may be sent.") % facts
    return _SENTENCES[ConsentEventType(standing.event)]() % facts


_SENTENCES: dict[ConsentEventType, Callable[[], str]] = {
    ConsentEventType.GRANTED: lambda: _("Consent of %(who)s to get codes by %(way)s stands since %(time)s."),
    ConsentEventType.RENEWED: lambda: _(
        "Consent of %(who)s to get codes by %(way)s was renewed on %(time)s and stands."
    ),
    ConsentEventType.IMPORTED: lambda: _(
        "Consent of %(who)s to get codes by %(way)s was given elsewhere, imported on %(time)s, and stands."
    ),
    ConsentEventType.WITHDRAWN: lambda: _(
        "No consent of %(who)s to get codes by %(way)s: taken back on %(time)s. Nothing may be sent."
    ),
    ConsentEventType.OPTED_OUT: lambda: _(
        "No consent of %(who)s to get codes by %(way)s: the holder opted out on %(time)s. Nothing may be sent."
    ),
    ConsentEventType.EXPIRED: lambda: _(
        "No consent of %(who)s to get codes by %(way)s: it ran out on %(time)s. Nothing may be sent."
    ),
    ConsentEventType.GRANTED_ONCE: lambda: _(
        "%(who)s agreed on %(time)s to one message by %(way)s, and to no other. Nothing else may be sent."
    ),
    ConsentEventType.RELEASED: lambda: _(
        "No consent of %(who)s to get codes by %(way)s: the holder's opt-out was released on %(time)s, and nobody has "
        "agreed since. Nothing may be sent."
    ),
    ConsentEventType.INVALIDATED: lambda: _(
        "No consent of %(who)s to get codes by %(way)s: declared void on %(time)s. Nothing may be sent."
    ),
}
