"""Consent: the only code that decides what is written of it, and the gate that every send passes.

State is what the latest event that bears on person, recipient and channel says. Nothing on record means opted out.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError

from ..choices import Actor, Channel, ConsentEventType, ConsentMedium, PersonKind, Purpose, RecipientKind
from ..conf import fingerprints, settings
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..exceptions import ConsentRequired
from ..ledger import fingerprint_aliases
from ..ledger.disclosure_text import DisclosureText
from ..ledger.positions import Position
from ..models import ConsentEvent, ConsentEvidence, Disclosure, locks
from . import recall
from .gate import Gate, NewConsent
from .recording import Act, Entry, KnownPerson, Subject, database, decided, read_disclosure, write

__all__ = [
    "Act",
    "NewConsent",
    "carry_over",
    "expire",
    "grant",
    "invalidate",
    "live",
    "opt_out",
    "record",
    "release",
    "require",
    "withdraw",
]


def grant(
    *,
    recipient: str | Recipient,
    channel: str,
    client: ClientInfo,
    disclosure: DisclosureText | str,
    user: AbstractBaseUser | None = None,
    purpose: str = Purpose.VERIFY,
    act: Act | None = None,
    region: str | None = None,
    once: bool = False,
) -> ConsentEvent:
    """Record that a person agreed to get codes at ``recipient`` by ``channel``, after reading ``disclosure``.

    A page that goes on to send gives ``verifications.start`` a ``NewConsent`` instead: then a refused send leaves no
    event. ``disclosure``: what was shown, or the digest that its page posted back. ``user``: the account, ``None`` for
    the visitor behind ``client``. ``once``: for one message of ``purpose`` alone, which the first send uses up.

    Asked again with the same words, or with others while a code is pending, the event that stands is returned and none
    is added; with other words a ``renewed`` one is. Raises ``InvalidRecipient``, ``RateLimited`` for too many events in
    a day, and ``ConsentRequired``: ``disclosure_changed`` for a digest that is not today's wording,
    ``consent_opted_out`` where the holder has opted out and nobody has released that (``release``).
    """
    new = NewConsent(disclosure, act or Act(), once=once)
    return Gate.of(recipient, channel, client=client, user=user, purpose=purpose, new=new, region=region).agree()


def withdraw(
    *,
    recipient: str | Recipient,
    channel: str,
    client: ClientInfo,
    user: AbstractBaseUser | None = None,
    act: Act | None = None,
    region: str | None = None,
) -> ConsentEvent | None:
    """Record that a person takes consent back. Sending for that person stops with the return of this call.

    Returns the event; ``None`` if there was no live consent to take back. Raises ``InvalidRecipient``.
    """
    subject = Subject.of(recipient, channel, user, client, region)
    return _end(subject, ConsentEventType.WITHDRAWN, client, act, _is_open)


def opt_out(
    *,
    recipient: str | Recipient,
    channel: str,
    client: ClientInfo | None = None,
    act: Act | None = None,
    region: str | None = None,
) -> ConsentEvent | None:
    """Record that the holder of ``recipient`` wants no more messages by ``channel``: stops every person's sends to it.

    Recorded also where no consent was on record. Returns the event; ``None`` if the holder has opted out already.
    Raises ``InvalidRecipient``.
    """
    subject = Subject.of_holder(recipient, channel, region)
    return _end(subject, ConsentEventType.OPTED_OUT, client or ClientInfo(), act, _is_not_opted_out)


def release(*, recipient: str | Recipient, channel: str, act: Act, region: str | None = None) -> ConsentEvent | None:
    """Record that the opt-out of ``recipient`` by ``channel`` is over: its holder verified it again, or staff say so.

    It opens nothing by itself: each user has to agree again. Returns the event; ``None`` if no opt-out stands. Raises
    ``InvalidRecipient``.
    """
    subject = Subject.of_holder(recipient, channel, region)

    def decide() -> ConsentEvent | None:
        position = subject.position()
        if position.opt_out is None:
            return None
        purpose = Purpose(position.opt_out.purpose)
        return write(
            Entry(subject, ConsentEventType.RELEASED, purpose, act, ClientInfo(), None, position.newest), None, None
        )

    return locks.holding(fingerprints(subject.recipient), lambda: decided(decide))


def invalidate(*, recipient: str | Recipient, channel: str, act: Act, region: str | None = None) -> ConsentEvent | None:
    """Record that consent for ``recipient`` by ``channel`` is void for everybody: the number has changed hands, the
    form was broken. ``act.note`` says why and must not be empty (``ValueError``). Returns as ``opt_out``.
    """
    if not act.note:
        raise ValueError("Say in act.note why the consent is void.")
    subject = Subject.of_holder(recipient, channel, region)
    return _end(subject, ConsentEventType.INVALIDATED, ClientInfo(), act, _anything)


def expire(event: ConsentEvent, *, act: Act | None = None) -> ConsentEvent | None:
    """Record that the live consent ``event`` has run out, by the site's own policy. ``None`` if it no longer stands.

    Raises ``LookupError`` where its personal half was erased: its recipient is not known any more.
    """
    evidence = ConsentEvidence.objects.using(database()).filter(event_id=event.pk).first()
    if evidence is None:
        raise LookupError("The personal half of this event was erased.")
    recipient = Recipient(RecipientKind(event.recipient_kind), evidence.recipient)
    # Under the newest key, and every older one: what the person did since may stand under another than this event.
    newest = fingerprint_aliases.under_the_newest([event.person_fingerprint])[event.person_fingerprint]
    prints = tuple(fingerprint_aliases.known([*dict.fromkeys([newest, event.person_fingerprint])]))
    person = KnownPerson(PersonKind(event.person_kind), "", evidence.person_label, prints)
    subject = Subject(recipient, Channel(event.channel), person)
    act = act or Act(actor=Actor.SYSTEM)
    return _end(
        subject,
        ConsentEventType.EXPIRED,
        ClientInfo(),
        act,
        lambda position: _is_open(position) and position.newest == event,
    )


def record(
    *,
    event: str,
    recipient: str | Recipient,
    channel: str,
    act: Act,
    user: AbstractBaseUser | None = None,
    client: ClientInfo | None = None,
    disclosure: DisclosureText | None = None,
    purpose: str = Purpose.VERIFY,
    region: str | None = None,
) -> ConsentEvent:
    """Record consent that was not given on a page of the site: ``imported`` from elsewhere, or ``granted`` on paper.

    ``imported`` needs ``act.origin``; ``granted`` is for ``ConsentMedium.ADMIN`` and needs ``act.note`` (the reason)
    and ``act.document_digest``. ``user``: whose consent it is; without one, that of whoever holds the address. The
    same consent recorded again returns the event that stands, and so does an import where that one is a stop.
    Raises ``InvalidRecipient``, ``ValueError``, and ``ConsentRequired`` for consent on paper where the holder has opted
    out: staff release that first, with a reason of its own (``opt_outs.release``).
    """
    kind = ConsentEventType(event)
    _check_record(kind, act)
    visitor = client or ClientInfo()
    is_known = user is not None or bool(visitor.session)
    subject = (
        Subject.of(recipient, channel, user, visitor, region)
        if is_known
        else Subject.of_holder(recipient, channel, region)
    )

    def decide() -> ConsentEvent:
        position = subject.position()
        standing = position.newest
        if position.opt_out is not None:
            if kind == ConsentEventType.IMPORTED:
                return position.opt_out
            raise ConsentRequired("consent_opted_out")
        same_words = (standing.disclosure.digest if standing and standing.disclosure else "") == (
            disclosure.digest if disclosure else ""
        )
        if standing is not None and standing.is_live and same_words:
            return standing
        if standing is not None and not standing.is_live and kind == ConsentEventType.IMPORTED:
            return standing  # SECURITY: what a file says of the past never undoes a stop
        now, known = read_disclosure(disclosure.digest) if disclosure else (None, None)
        return write(Entry(subject, kind, Purpose(purpose), act, visitor, disclosure, standing), now, known)

    return decided(decide)


def _check_record(kind: ConsentEventType, act: Act) -> None:
    if kind == ConsentEventType.IMPORTED and not act.origin:
        raise ValueError("Name the import in act.origin.")
    if kind == ConsentEventType.GRANTED and not (act.note and act.document_digest):
        raise ValueError(
            "Consent on paper needs a reason (act.note) and the SHA-256 of the paper (act.document_digest)."
        )
    if kind not in (ConsentEventType.IMPORTED, ConsentEventType.GRANTED):
        raise ValueError(f"{kind.value!r} is not recorded this way.")


def live(
    *,
    recipient: str | Recipient,
    channel: str,
    client: ClientInfo,
    user: AbstractBaseUser | None = None,
    region: str | None = None,
) -> ConsentEvent | None:
    """The event by which ``channel`` may carry to ``recipient`` for this person now, or ``None``. One SELECT."""
    return Subject.of(recipient, channel, user, client, region).position().live


def require(
    *,
    recipient: Recipient,
    channel: Channel,
    client: ClientInfo,
    user: AbstractBaseUser | None,
    purpose: str = Purpose.VERIFY,
) -> ConsentEvent:
    """As ``live``, but raises ``ConsentRequired`` where nothing may be sent: a look before a send is prepared.

    The gate itself is asked again behind the recipient's lock, by ``verifications.start``.
    """
    return Gate.of(recipient, channel, client=client, user=user, purpose=purpose).settle(counted=False)


def carry_over(
    *, recipient: Recipient, visitor: ClientInfo, user: AbstractBaseUser, purpose: str
) -> list[ConsentEvent]:
    """Renew, for ``user``, what the visitor behind ``visitor`` agreed to before the account existed.

    Every way by which the visitor's consent is live becomes a ``renewed`` event of the account that names the
    visitor's as the one it follows from. Returns the new events.
    """
    # Locked as withdrawal is: what is taken back meanwhile is seen, or takes back what is carried over.
    return locks.holding(fingerprints(recipient), lambda: _carry_over(recipient, visitor, user, purpose))


def _carry_over(recipient: Recipient, visitor: ClientInfo, user: AbstractBaseUser, purpose: str) -> list[ConsentEvent]:
    made = []
    for channel in dict.fromkeys(channel.consent_channel for channel in settings.channels):
        if channel.recipient_kind != recipient.kind:
            continue
        # SECURITY: agreed to one message only is no consent to more, and is never live.
        theirs = Subject.of(recipient, channel, None, visitor, None).position().live
        if theirs is None or theirs.disclosure is None:
            continue
        subject = Subject.of(recipient, channel, user, visitor, None)
        own = subject.position().newest
        # SECURITY: the account has taken it back since: an older consent is not brought to life again.
        if own is not None and own.pk > theirs.pk and not own.is_live:
            continue
        now, known = read_disclosure(theirs.disclosure.digest)
        act = Act(
            ConsentMedium(theirs.medium),
            theirs.control,
            theirs.control_default,
            theirs.control_final,
            theirs.button_label,
        )
        entry = Entry(
            subject,
            ConsentEventType.RENEWED,
            Purpose(purpose),
            act,
            visitor,
            None,
            theirs,
            theirs.language,
        )
        made += _carried(entry, now, known)
    return made


def _carried(entry: Entry, now: datetime | None, known: Disclosure | None) -> list[ConsentEvent]:
    """The event, or none where this very consent of the visitor's was carried over to this account before."""
    try:
        return [write(entry, now, known)]
    except IntegrityError:
        # SECURITY: and the account may have taken it back since: an old consent is not brought to life again.
        return []


def _end(
    subject: Subject,
    event: ConsentEventType,
    client: ClientInfo,
    act: Act | None,
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
        return write(Entry(subject, event, purpose, act or Act(), client, None, standing), None, None)

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
