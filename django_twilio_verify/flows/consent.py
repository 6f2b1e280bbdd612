"""Consent: the only code that writes it, and the gate that every send passes.

State is what the latest event that bears on person, recipient and channel says. Nothing on record means opted out.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from ipaddress import ip_address
from typing import Any, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, OperationalError, router, transaction
from django.db.models import QuerySet

from ..choices import (
    FOR_EVERYBODY,
    Actor,
    Channel,
    ConsentEventType,
    ConsentMedium,
    PersonKind,
    Purpose,
    RecipientKind,
)
from ..clientinfo import ClientInfo
from ..conf import fingerprint, fingerprints, person_fingerprint, settings
from ..exceptions import ConsentRequired
from ..models import ConsentEvent, ConsentEvidence, Disclosure
from ..models.clock import UtcNow, database_now
from ..recipients import Recipient
from ..signals import consent_changed
from . import deadlines, disclosures, ledger
from .disclosures import DisclosureText
from .persons import Person
from .transactions import is_deadlock

T = TypeVar("T")

_TRIES = 10


@dataclass(frozen=True, slots=True)
class Act:
    """What was done, and by whom.

    ``control``: ``checkbox``, ``button``, ``keyword`` …; ``final``: its state when sent; ``button``: label pressed.
    ``actor``: who did it; ``actor_ref`` and ``actor_label``: of staff, the account's primary key and name. ``origin``:
    up to 64 characters that name an import, an attempt, a request. ``document_digest``: SHA-256 in hex of a paper.
    ``note``: the words of a request, or the reason; personal, so it is kept in the erasable half. ``received_at``:
    aware time at which a request to stop came in, now if it is not given.
    """

    medium: ConsentMedium = ConsentMedium.API
    control: str = ""
    default: bool = False
    final: bool = False
    button: str = ""
    actor: Actor = Actor.PERSON
    actor_ref: str = ""
    actor_label: str = ""
    origin: str = ""
    document_digest: str = ""
    note: str = ""
    received_at: datetime | None = None


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
) -> ConsentEvent:
    """Record that a person agreed to get codes at ``recipient`` by ``channel``, after reading ``disclosure``.

    ``disclosure``: what was shown, or the digest that its page posted back. ``user``: the account, ``None`` for the
    visitor behind ``client``. Asked again with the same words, the event that stands is returned and none is added;
    with other words a ``renewed`` one is. Raises ``InvalidRecipient``, and ``ConsentRequired``
    (``disclosure_changed``) for a digest that is not today's wording.
    """
    subject = _Subject.of(recipient, channel, user, client, region)
    shown = _shown(disclosure, subject.channel)

    def decide() -> ConsentEvent:
        now, known = _read_disclosure(shown.digest)
        standing = subject.events().select_related("disclosure").first()
        if standing and standing.is_live and standing.disclosure and standing.disclosure.digest == shown.digest:
            return standing
        is_live = standing is not None and standing.is_live
        entry = _Entry(
            subject=subject,
            event=ConsentEventType.RENEWED if is_live else ConsentEventType.GRANTED,
            purpose=Purpose(purpose),
            act=act or Act(),
            client=client,
            shown=shown,
            previous=standing,
        )
        return _write(entry, now, known)

    return _decided(decide)


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
    subject = _Subject.of(recipient, channel, user, client, region)
    return _end(subject, ConsentEventType.WITHDRAWN, client, act, _is_live)


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
    subject = _Subject.of_holder(recipient, channel, region)
    return _end(subject, ConsentEventType.OPTED_OUT, client or ClientInfo(), act, _anything)


def invalidate(*, recipient: str | Recipient, channel: str, act: Act, region: str | None = None) -> ConsentEvent | None:
    """Record that consent for ``recipient`` by ``channel`` is void for everybody: the number has changed hands, the
    form was broken. ``act.note`` says why and must not be empty (``ValueError``). Returns as ``opt_out``.
    """
    if not act.note:
        raise ValueError("Say in act.note why the consent is void.")
    subject = _Subject.of_holder(recipient, channel, region)
    return _end(subject, ConsentEventType.INVALIDATED, ClientInfo(), act, _anything)


def expire(event: ConsentEvent, *, act: Act | None = None) -> ConsentEvent | None:
    """Record that the live consent ``event`` has run out, by the site's own policy. ``None`` if it no longer stands.

    Raises ``LookupError`` where its personal half was erased: its recipient is not known any more.
    """
    evidence = ConsentEvidence.objects.using(_database()).filter(event_id=event.pk).first()
    if evidence is None:
        raise LookupError("The personal half of this event was erased.")
    recipient = Recipient(RecipientKind(event.recipient_kind), evidence.recipient)
    person = _Known(PersonKind(event.person_kind), "", evidence.person_label, event.person_fingerprint)
    subject = _Subject(recipient, Channel(event.channel), person)
    act = act or Act(actor=Actor.SYSTEM)
    return _end(
        subject,
        ConsentEventType.EXPIRED,
        ClientInfo(),
        act,
        lambda standing: _is_live(standing) and standing == event,
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
    Raises ``InvalidRecipient`` and ``ValueError``.
    """
    kind = ConsentEventType(event)
    _check_record(kind, act)
    visitor = client or ClientInfo()
    is_known = user is not None or bool(visitor.session)
    subject = (
        _Subject.of(recipient, channel, user, visitor, region)
        if is_known
        else _Subject.of_holder(recipient, channel, region)
    )

    def decide() -> ConsentEvent:
        standing = subject.events().select_related("disclosure").first()
        same_words = (standing.disclosure.digest if standing and standing.disclosure else "") == (
            disclosure.digest if disclosure else ""
        )
        if standing is not None and standing.is_live and same_words:
            return standing
        if standing is not None and not standing.is_live and kind == ConsentEventType.IMPORTED:
            return standing  # SECURITY: what a file says of the past never undoes a stop
        now, known = _read_disclosure(disclosure.digest) if disclosure else (None, None)
        return _write(_Entry(subject, kind, Purpose(purpose), act, visitor, disclosure, standing), now, known)

    return _decided(decide)


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
    standing = _Subject.of(recipient, channel, user, client, region).events().first()
    return standing if standing is not None and standing.is_live else None


def require(
    *, recipient: Recipient, channel: Channel, client: ClientInfo, user: AbstractBaseUser | None
) -> ConsentEvent:
    """As ``live``, but raises ``ConsentRequired`` where there is none: the gate before every send."""
    # SECURITY: promise 1. There is no argument that gets round this.
    standing = _Subject.of(recipient, channel, user, client, None).events().first()
    if standing is None:
        raise ConsentRequired
    if not standing.is_live:
        opted_out = standing.event in FOR_EVERYBODY
        raise ConsentRequired("consent_opted_out" if opted_out else None)
    return standing


def carry_over(
    *, recipient: Recipient, visitor: ClientInfo, user: AbstractBaseUser, purpose: str
) -> list[ConsentEvent]:
    """Renew, for ``user``, what the visitor behind ``visitor`` agreed to before the account existed.

    Every way by which the visitor's consent is live becomes a ``renewed`` event of the account that names the
    visitor's as the one it follows from. Returns the new events.
    """
    made = []
    for channel in dict.fromkeys(channel.consent_channel for channel in settings.channels):
        if channel.recipient_kind != recipient.kind:
            continue
        theirs = _Subject.of(recipient, channel, None, visitor, None).events().select_related("disclosure").first()
        if theirs is None or not theirs.is_live or theirs.disclosure is None:
            continue
        if disclosures.is_once(theirs.disclosure, channel):
            continue  # SECURITY: agreed to one code only, to stop messages: that is no consent to more
        subject = _Subject.of(recipient, channel, user, visitor, None)
        now, known = _read_disclosure(theirs.disclosure.digest)
        act = Act(
            ConsentMedium(theirs.medium),
            theirs.control,
            theirs.control_default,
            theirs.control_final,
            theirs.button_label,
        )
        entry = _Entry(
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


def _carried(entry: _Entry, now: datetime | None, known: Disclosure | None) -> list[ConsentEvent]:
    """The event, or none where this very consent of the visitor's was carried over to this account before."""
    try:
        return [_write(entry, now, known)]
    except IntegrityError:
        # SECURITY: and the account may have taken it back since: an old consent is not brought to life again.
        return []


@dataclass(frozen=True, slots=True)
class _Known:
    """A person of whom only the fingerprint on record is known."""

    kind: PersonKind
    ref: str
    label: str
    fingerprint: str

    @property
    def fingerprints(self) -> list[str]:
        return [self.fingerprint]


@dataclass(frozen=True, slots=True)
class _Subject:
    """Whose consent, for where to, by what."""

    recipient: Recipient
    channel: Channel
    person: Person | _Known

    @classmethod
    def of(
        cls,
        recipient: str | Recipient,
        channel: str,
        user: AbstractBaseUser | None,
        client: ClientInfo,
        region: str | None,
    ) -> _Subject:
        parsed = Recipient.parse(recipient, region=region or settings.default_region or None)
        return cls(parsed, Channel.parse(channel).consent_channel, Person.of(user, client))

    @classmethod
    def of_holder(cls, recipient: str | Recipient, channel: str, region: str | None) -> _Subject:
        """Of whoever holds the address, whichever account or session uses it."""
        parsed = Recipient.parse(recipient, region=region or settings.default_region or None)
        return cls(parsed, Channel.parse(channel).consent_channel, Person(PersonKind.HOLDER, "holder"))

    def events(self) -> QuerySet[ConsentEvent]:
        # From the writing database: a replica that lags must not hide an opt-out.
        ledger_rows = ConsentEvent.objects.using(_database())
        if self.person.kind == PersonKind.HOLDER:
            # What anybody agreed to since bears on whether the holder's word must be written again.
            return ledger_rows.concerning(fingerprints(self.recipient), self.channel.value)
        return ledger_rows.bearing_on(self.person.fingerprints, fingerprints(self.recipient), self.channel.value)


@dataclass(frozen=True, slots=True)
class _Entry:
    """One event about to be written."""

    subject: _Subject
    event: ConsentEventType
    purpose: Purpose
    act: Act
    client: ClientInfo
    shown: DisclosureText | None
    previous: ConsentEvent | None
    language: str = ""


def _shown(disclosure: DisclosureText | str, channel: Channel) -> DisclosureText:
    if isinstance(disclosure, DisclosureText):
        if disclosure.channel != channel:
            raise ValueError("The disclosure is of another channel than the consent.")
        return disclosure
    current = disclosures.compose(channel)
    if not secrets.compare_digest(disclosure.encode(), current.digest.encode()):
        raise ConsentRequired("disclosure_changed")
    return current


def _read_disclosure(digest: str) -> tuple[datetime | None, Disclosure | None]:
    """The database's time and the disclosure of that digest, in one statement; neither where it is not on record
    yet.
    """
    known = Disclosure.objects.using(_database()).annotate(now=UtcNow()).filter(digest=digest).first()
    return (known.now, known) if known else (None, None)


def _end(
    subject: _Subject,
    event: ConsentEventType,
    client: ClientInfo,
    act: Act | None,
    ends: Callable[[ConsentEvent | None], bool],
) -> ConsentEvent | None:
    """Write ``event``, unless it stands already or there is nothing that it ``ends``."""

    def decide() -> ConsentEvent | None:
        standing = subject.events().first()
        if standing is not None and standing.event == event and not standing.is_live:
            return None
        if not ends(standing):
            return None
        purpose = Purpose(standing.purpose) if standing else Purpose.VERIFY
        return _write(_Entry(subject, event, purpose, act or Act(), client, None, standing), None, None)

    return _decided(decide)


def _is_live(standing: ConsentEvent | None) -> bool:
    return standing is not None and standing.is_live


def _anything(standing: ConsentEvent | None) -> bool:
    """Also the silence of a recipient of whom nothing is on record."""
    return True


def _decided(decide: Callable[[], T]) -> T:
    """What ``decide`` comes to; decided anew when another call took the same place in the chain first.

    ``decide`` reads where consent stands and writes at most one event behind that.
    """
    for _ in range(_TRIES):
        try:
            return decide()
        except IntegrityError:
            continue  # somebody was first: look again, and most likely there is nothing left to write
        except OperationalError as error:
            # InnoDB may call two that wait for one place a deadlock. Within a transaction of the caller's all of that
            # is undone, so only the caller can begin again.
            if transaction.get_connection(_database()).in_atomic_block or not is_deadlock(error):
                raise
    return decide()


def _write(entry: _Entry, now: datetime | None, disclosure: Disclosure | None) -> ConsentEvent:
    using = _database()
    moment = now or database_now(using)
    if entry.shown is not None and disclosure is None:
        disclosure = _store_disclosure(entry.shown, moment, using)
    evidence = _evidence(entry)
    event = _event(entry, moment, disclosure, evidence)
    with transaction.atomic(using=using):
        event.save(using=using, force_insert=True)
        evidence.event = event
        evidence.save(using=using, force_insert=True)
    transaction.on_commit(_announcement(event), using=using)
    return event


def _announcement(event: ConsentEvent) -> Callable[[], Any]:
    return lambda: consent_changed.send(sender=ConsentEvent, event=event)


def _evidence(entry: _Entry) -> ConsentEvidence:
    return ConsentEvidence(
        salt=secrets.token_hex(32),
        recipient=entry.subject.recipient.value,
        person_label=entry.subject.person.label,
        ip=_address(entry.client.ip),
        user_agent=_text(entry.client.user_agent),
        page=_text(entry.client.page),
        actor_label=entry.act.actor_label[:150],
        note=_text(entry.act.note),
    )


def _address(text: str) -> str | None:
    """An IP address as every database gives it back, so that the commitment to it holds; ``None`` for what is none."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    return str(getattr(address, "ipv4_mapped", None) or address)


def _text(value: str) -> str:
    """At most 1000 characters, without NUL, which PostgreSQL keeps in no text."""
    return value.replace("\0", "")[:1000]


def _event(entry: _Entry, moment: datetime, disclosure: Disclosure | None, evidence: ConsentEvidence) -> ConsentEvent:
    subject = entry.subject
    event = ConsentEvent(
        event=entry.event.value,
        channel=subject.channel.value,
        purpose=entry.purpose.value,
        disclosure=disclosure,
        language=entry.shown.language if entry.shown else entry.language,
        medium=entry.act.medium.value,
        control=entry.act.control,
        control_default=entry.act.default,
        control_final=entry.act.final,
        button_label=entry.act.button[:80],
        person_kind=subject.person.kind.value,
        person_fingerprint=subject.person.fingerprint,
        recipient_kind=subject.recipient.kind.value,
        recipient_fingerprint=fingerprint(subject.recipient),
        country=subject.recipient.country,
        previous=entry.previous,
        occurred_at=moment,
        **_doing(entry, moment),
        record_version=ledger.RECORD_VERSION,
        commitment=ledger.commitment(evidence),
    )
    previous_digest = entry.previous.digest if entry.previous else ""
    event.place = ledger.place(event, previous_digest=previous_digest)
    event.digest = ledger.digest(
        event, disclosure_digest=disclosure.digest if disclosure else "", previous_digest=previous_digest
    )
    return event


def _doing(entry: _Entry, moment: datetime) -> dict[str, Any]:
    """The fields of an event that say who did it, and of a request to stop, how fast it was honoured."""
    act = entry.act
    values: dict[str, Any] = {
        "actor": act.actor.value,
        "actor_fingerprint": person_fingerprint(act.actor.value, act.actor_ref) if act.actor_ref else "",
        "origin": act.origin[:64],
        "document_digest": act.document_digest[:64],
    }
    if entry.event in (ConsentEventType.WITHDRAWN, ConsentEventType.OPTED_OUT):
        received = act.received_at or moment
        # Honoured by being written: the gate before every send reads this event from here on.
        values |= {"received_at": received, "honour_by": deadlines.honour_by(received), "honoured_at": moment}
    return values


def _store_disclosure(shown: DisclosureText, moment: datetime, using: str) -> Disclosure:
    try:
        with transaction.atomic(using=using):
            return Disclosure.objects.using(using).create(
                digest=shown.digest,
                record_version=disclosures.RECORD_VERSION,
                channel=shown.channel.value,
                language=shown.language,
                text=shown.text,
                checkbox_label=shown.checkbox_label,
                terms_url=shown.terms_url,
                terms_digest=shown.terms_digest,
                privacy_url=shown.privacy_url,
                privacy_digest=shown.privacy_digest,
                first_used_at=moment,
            )
    except IntegrityError:  # another request was first with the same words
        return Disclosure.objects.using(using).get(digest=shown.digest)


def _database() -> str:
    return router.db_for_write(ConsentEvent)
