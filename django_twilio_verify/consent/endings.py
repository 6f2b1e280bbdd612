"""Events that end consent for one user or for everybody, or that end an opt-out.

Each is written behind the recipient's lock, once, and recalls the sends that have not reached the provider.
"""

from __future__ import annotations

from collections.abc import Callable

from ..choices import Actor, Channel, ConsentEventType, PersonKind, Purpose, RecipientKind
from ..conf import fingerprints
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..ledger import fingerprint_aliases
from ..ledger.positions import Position
from ..models import ConsentEvent, ConsentEvidence, locks
from . import recall
from .context import ConsentContext
from .recording import Entry, KnownPerson, Subject, database, decided, write


def withdraw(subject: Subject, client: ClientInfo, context: ConsentContext) -> ConsentEvent | None:
    """Take back the consent of the subject's person. ``None`` if there was none."""
    return _end(subject, ConsentEventType.WITHDRAWN, client, context, _is_open)


def opt_out(subject: Subject, client: ClientInfo, context: ConsentContext) -> ConsentEvent | None:
    """Record that the holder wants no more messages, also where no consent is on record. ``None`` if that stands."""
    return _end(subject, ConsentEventType.OPTED_OUT, client, context, _is_not_opted_out)


def invalidate(subject: Subject, context: ConsentContext) -> ConsentEvent | None:
    """Void consent for everybody. ``None`` if the latest event says so already."""
    return _end(subject, ConsentEventType.INVALIDATED, ClientInfo(), context, _anything)


def expire(event: ConsentEvent) -> ConsentEvent | None:
    """Record that the live consent ``event`` has run out.

    ``None`` if it no longer stands, which includes consent whose evidence was erased.
    """
    evidence = ConsentEvidence.objects.using(database()).filter(event_id=event.pk).first()
    if evidence is None:
        return None
    recipient = Recipient(RecipientKind(event.recipient_kind), evidence.recipient)
    # Under the newest key, and every older one: what the person did since may stand under another than this event.
    newest = fingerprint_aliases.under_the_newest([event.person_fingerprint])[event.person_fingerprint]
    prints = tuple(fingerprint_aliases.known([*dict.fromkeys([newest, event.person_fingerprint])]))
    person = KnownPerson(PersonKind(event.person_kind), "", evidence.person_label, prints)
    subject = Subject(recipient, Channel(event.channel), person)
    return _end(
        subject,
        ConsentEventType.EXPIRED,
        ClientInfo(),
        ConsentContext(actor=Actor.SYSTEM),
        lambda position: _is_open(position) and position.newest == event,
    )


def release(subject: Subject, context: ConsentContext) -> ConsentEvent | None:
    """Record that the holder's opt-out is over. ``None`` if none stands.

    Called for a holder who has verified the recipient again, and for staff. It opens nothing by itself: each user has
    to agree again.
    """

    def decide() -> ConsentEvent | None:
        position = subject.position()
        if position.opt_out is None:
            return None
        purpose = Purpose(position.opt_out.purpose)
        return write(
            Entry(subject, ConsentEventType.RELEASED, purpose, context, ClientInfo(), None, position.newest), None, None
        )

    return locks.holding(fingerprints(subject.recipient), lambda: decided(decide))


def _end(
    subject: Subject,
    event: ConsentEventType,
    client: ClientInfo,
    context: ConsentContext,
    ends: Callable[[Position], bool],
) -> ConsentEvent | None:
    """Write ``event``, unless it stands already or there is nothing that it ``ends``; nothing is sent after that.

    A send that is reserved and not yet with the provider is recalled.
    """
    prints = fingerprints(subject.recipient)
    everybodys = subject.person.kind == PersonKind.HOLDER

    def decide() -> ConsentEvent | None:
        position = subject.position()
        standing = position.newest
        if standing is not None and standing.event == event:
            subject.learn_from(standing)
            return None
        if not ends(position):
            return None
        purpose = Purpose(standing.purpose) if standing else Purpose.VERIFY
        return write(Entry(subject, event, purpose, context, client, None, standing), None, None)

    def work() -> ConsentEvent | None:
        made = decided(decide)
        # SECURITY: also where nothing was left to end: another call's event is not announced as over before its sends
        # are.
        recall.recall(prints, subject.channel, None if everybodys else subject.person.fingerprints)
        return made

    return locks.holding(prints, work)


def _is_open(position: Position) -> bool:
    """Return whether the user has agreed to something that can be taken back."""
    newest = position.newest
    return newest is not None and (newest.is_live or newest.event == ConsentEventType.GRANTED_ONCE)


def _is_not_opted_out(position: Position) -> bool:
    """Return whether the holder may opt out, which takes no consent on record."""
    return position.opt_out is None


def _anything(position: Position) -> bool:
    """Also the silence of a recipient of whom nothing is on record."""
    return True
