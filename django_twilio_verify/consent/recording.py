"""How one event of consent is written: whose it is, what stood before it, its two halves, in one transaction.

``consent`` decides what is written; nobody else calls this.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from ipaddress import ip_address
from typing import Any, TypeVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError, OperationalError, router, transaction
from django.db.models import QuerySet

from .. import models
from ..choices import Channel, ConsentEventType, PersonKind, Purpose
from ..conf import fingerprint, fingerprints, person_fingerprint, settings
from ..core import receivers
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..ledger import disclosure_text, fingerprint_aliases, key_register, records
from ..ledger.disclosure_text import Disclosure
from ..ledger.persons import Person
from ..ledger.positions import Position
from ..models import ConsentEvent, ConsentEvidence
from ..models.clock import UtcNow, database_now
from ..models.consent import ConsentEventQuerySet
from ..models.prepared import Values, fetch
from ..models.transactions import is_deadlock
from ..signals import consent_recorded
from . import deadlines
from .context import ConsentContext

T = TypeVar("T")

_TRIES = 10


@dataclass(frozen=True, slots=True)
class KnownPerson:
    """A person known only by fingerprints on record. New records use the first of ``prints``."""

    kind: PersonKind
    ref: str
    label: str
    prints: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        return self.prints[0]

    @property
    def fingerprints(self) -> list[str]:
        return [*self.prints]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose consent, for where to, by what."""

    recipient: Recipient
    channel: Channel
    person: Person | KnownPerson
    user: AbstractBaseUser | None = field(default=None, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        recipient: str | Recipient,
        channel: str,
        user: AbstractBaseUser | None,
        client: ClientInfo,
        region: str | None,
    ) -> Subject:
        parsed = Recipient.parse(recipient, region=region or settings.default_region or None)
        return cls(parsed, Channel.parse(channel).consent_channel, Person.of(user, client), user)

    @classmethod
    def of_holder(cls, recipient: str | Recipient, channel: str, region: str | None) -> Subject:
        """Of whoever holds the address, whichever account or session uses it."""
        parsed = Recipient.parse(recipient, region=region or settings.default_region or None)
        return cls(parsed, Channel.parse(channel).consent_channel, Person(PersonKind.HOLDER, "holder"))

    def position(self) -> Position:
        """Return where consent stands. One SELECT, whose cost does not grow with the number of events.

        One more where nothing is on record. Raises ``KeysDoNotFit``.
        """
        if self.person.kind == PersonKind.HOLDER:
            # What anybody agreed to since bears on whether the holder's word must be written again.
            recipients = fingerprint_aliases.of_recipient(self.recipient)
            found = [*self._events(_deciding, [], recipients), *self._events(_newest_concerning, [], recipients)]
        else:
            persons, recipients = fingerprint_aliases.widened(self.person.fingerprints, fingerprints(self.recipient))
            found = self._events(_deciding, persons, recipients)
        # SECURITY: a process that lacks a key does not find the opt-outs under it: it learns that here.
        key_register.admitted(found[0] if found else None)
        return Position.of(found)

    def _events(
        self, build: Callable[[Values], QuerySet[ConsentEvent]], persons: Sequence[str], recipients: Sequence[str]
    ) -> list[ConsentEvent]:
        values = {"channel": self.channel.value}
        values |= {f"person {number}": one for number, one in enumerate(persons)}
        values |= {f"recipient {number}": one for number, one in enumerate(recipients)}
        # From the writing database: a replica that lags must not hide an opt-out.
        return fetch(build, values, using=database(), shape=key_register.configured())

    def last_word(self) -> ConsentEvent | None:
        """Return the newest event of the person's own, other than consent to one message. One SELECT.

        What bears on everybody, or on one message, does not undo what the person has said of all others.
        """
        persons, recipients = fingerprint_aliases.widened(self.person.fingerprints, fingerprints(self.recipient))
        own = ConsentEvent.objects.using(database()).filter(
            person_fingerprint__in=persons, recipient_fingerprint__in=recipients, channel=self.channel.value
        )
        return own.exclude(event=ConsentEventType.GRANTED_ONCE).order_by("-pk").first()

    def learn_from(self, standing: ConsentEvent) -> None:
        """Keep the older fingerprints that ``standing`` was found by: its key may be retired one day, and where the
        personal half is erased, nothing but the address given now tells whose they are.
        """
        groups = [(fingerprints(self.recipient), standing.recipient_fingerprint)]
        if self.person.kind != PersonKind.HOLDER:  # who is found by the address alone
            groups.append((self.person.fingerprints, standing.person_fingerprint))
        fingerprint_aliases.learn((own[0], found) for own, found in groups if found in own[1:])


def _deciding(values: Values) -> QuerySet[ConsentEvent]:
    """Build the look-up of the events that decide."""
    return _rows().deciding(_named("person", values), _named("recipient", values), values["channel"])


def _newest_concerning(values: Values) -> QuerySet[ConsentEvent]:
    """Build the look-up of the newest events of a recipient."""
    return _rows().newest_concerning(_named("recipient", values), values["channel"])


def _rows() -> ConsentEventQuerySet:
    # With whether the keys fit, which ``key_register.admitted`` asks.
    rows = ConsentEvent.objects.using(database()).select_related("disclosure")
    return rows.annotate(**key_register.columns())


def _named(kind: str, values: Values) -> list[str]:
    return [value for name, value in values.items() if name.startswith(kind)]


@dataclass(frozen=True, slots=True)
class Entry:
    """One event about to be written."""

    subject: Subject
    event: ConsentEventType
    purpose: Purpose
    context: ConsentContext
    client: ClientInfo
    shown: Disclosure | None
    previous: ConsentEvent | None
    language: str = ""


def read_disclosure(digest: str) -> tuple[datetime | None, models.Disclosure | None]:
    """The database's time and the disclosure of that digest, in one statement; neither where it is not on record
    yet.
    """
    known = models.Disclosure.objects.using(database()).annotate(now=UtcNow()).filter(digest=digest).first()
    return (known.now, known) if known else (None, None)


def decided(decide: Callable[[], T]) -> T:
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
            if transaction.get_connection(database()).in_atomic_block or not is_deadlock(error):
                raise
    return decide()


def write(entry: Entry, now: datetime | None, disclosure: models.Disclosure | None) -> ConsentEvent:
    using = database()
    moment = now or database_now(using)
    if entry.shown is not None and disclosure is None:
        disclosure = _store_disclosure(entry.shown, moment, using)
    evidence = _evidence(entry)
    event = _event(entry, moment, disclosure, evidence)
    with transaction.atomic(using=using):
        event.save(using=using, force_insert=True)
        evidence.event = event
        evidence.save(using=using, force_insert=True)
        if entry.previous is not None:
            entry.subject.learn_from(entry.previous)
    transaction.on_commit(partial(_announce, entry, event), using=using)
    return event


def _announce(entry: Entry, event: ConsentEvent) -> None:
    client = entry.client if entry.client != ClientInfo() else None
    receivers.send(consent_recorded, ConsentEvent, user=entry.subject.user, client=client, event=event)


def _evidence(entry: Entry) -> ConsentEvidence:
    return ConsentEvidence(
        salt=secrets.token_hex(32),
        recipient=entry.subject.recipient.value,
        person_label=entry.subject.person.label,
        ip=_address(entry.client.ip),
        user_agent=_text(entry.client.user_agent),
        page=_text(entry.client.page),
        actor_label=entry.context.actor_label[:150],
        note=_text(entry.context.note),
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


def _event(
    entry: Entry,
    moment: datetime,
    disclosure: models.Disclosure | None,
    evidence: ConsentEvidence,
) -> ConsentEvent:
    subject = entry.subject
    event = ConsentEvent(
        event=entry.event.value,
        channel=subject.channel.value,
        purpose=entry.purpose.value,
        disclosure=disclosure,
        language=entry.shown.language if entry.shown else entry.language,
        medium=entry.context.medium.value,
        control=entry.context.control,
        control_default=entry.context.checked_by_default,
        control_final=entry.context.checked_on_submit,
        button_label=entry.context.button_label[:80],
        person_kind=subject.person.kind.value,
        person_fingerprint=subject.person.fingerprint,
        recipient_kind=subject.recipient.kind.value,
        recipient_fingerprint=fingerprint(subject.recipient),
        country=subject.recipient.country,
        previous=entry.previous,
        occurred_at=moment,
        **_doing(entry, moment),
        record_version=records.RECORD_VERSION,
        commitment=records.commitment(evidence),
    )
    previous_digest = entry.previous.digest if entry.previous else ""
    event.place = records.place(event, previous_digest=previous_digest)
    event.digest = records.digest(
        event, disclosure_digest=disclosure.digest if disclosure else "", previous_digest=previous_digest
    )
    return event


def _doing(entry: Entry, moment: datetime) -> dict[str, Any]:
    """The fields of an event that say who did it, and of a request to stop, how fast it was honoured."""
    context = entry.context
    values: dict[str, Any] = {
        "actor": context.actor.value,
        "actor_fingerprint": person_fingerprint(context.actor.value, context.actor_ref) if context.actor_ref else "",
        "origin": context.origin[:64],
        "document_digest": context.document_digest[:64],
    }
    if entry.event in (ConsentEventType.WITHDRAWN, ConsentEventType.OPTED_OUT):
        received = context.received_at or moment
        # Honoured by being written: the gate before every send reads this event from here on.
        values |= {"received_at": received, "honour_by": deadlines.honour_by(received), "honoured_at": moment}
    return values


def _store_disclosure(shown: Disclosure, moment: datetime, using: str) -> models.Disclosure:
    try:
        with transaction.atomic(using=using):
            return models.Disclosure.objects.using(using).create(
                digest=shown.digest,
                record_version=disclosure_text.RECORD_VERSION,
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
        return models.Disclosure.objects.using(using).get(digest=shown.digest)


def database() -> str:
    """Where the ledger is written."""
    return router.db_for_write(ConsentEvent)
