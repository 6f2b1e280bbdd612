"""Taking consent back: a person's own list, and the public page for whoever holds an address."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import router
from django.db.models import QuerySet
from django.utils import timezone

from ..choices import FOR_EVERYBODY, Channel, ConsentMedium, Purpose, RecipientKind, VerificationStatus
from ..clientinfo import ClientInfo
from ..conf import fingerprint, fingerprints
from ..exceptions import VerificationNotFound
from ..models import ConsentEvent, ConsentEvidence, Disclosure, Verification
from ..recipients import Recipient
from ..results import Started
from . import aliases, checking, consent, delivery, disclosures, keyregister, verifications
from .consent import Act
from .disclosures import DisclosureText
from .persons import Person

STOP_WITHIN = timedelta(hours=1)
"""How long the proof of an address lets its holder stop messages to it."""

_Place = tuple[str, str]
"""A recipient's fingerprint under the newest key, and a channel."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person's consent stands for one recipient and channel.

    ``event``: the latest one that bears on it; ``disclosure``: the words last agreed to, ``None`` for consent that came
    without any. ``agreed_at`` is when, and ``ended_at`` when it ended, ``None`` while it is live.
    """

    recipient: Recipient
    channel: Channel
    event: ConsentEvent
    agreed_at: datetime
    disclosure: Disclosure | None = None

    @property
    def is_live(self) -> bool:
        return self.event.is_live

    @property
    def ended_at(self) -> datetime | None:
        return None if self.event.is_live else self.event.occurred_at


def consents(user: AbstractBaseUser) -> list[Standing]:
    """Everything that ``user`` ever agreed to, one entry for each recipient and channel, the newest consent first.

    What holders have stopped since is taken into account. Consent whose personal half was erased is left out: nobody
    knows any more where it would send to. Raises ``KeysDoNotFit``. Four SELECTs.
    """
    keyregister.require()
    recipients: dict[_Place, Recipient] = {}
    agreed: dict[_Place, ConsentEvent] = {}
    latest: dict[_Place, ConsentEvent] = {}
    for event, recipient in _own_events(user):  # oldest first: the last one stays
        # By fingerprint, which is the same for two spellings of one address.
        place = (fingerprint(recipient), event.channel)
        recipients[place], latest[place] = recipient, event
        if event.is_live:
            agreed[place] = event
    stops = _stops(recipients.values())
    found = [
        Standing(
            recipient=recipients[place],
            channel=Channel(place[1]),
            event=max(latest[place], stops.get(place, latest[place]), key=lambda event: event.pk),
            agreed_at=granted.occurred_at,
            disclosure=granted.disclosure,
        )
        for place, granted in agreed.items()
    ]
    return sorted(found, key=lambda standing: standing.agreed_at, reverse=True)


def withdraw(event_id: int, *, user: AbstractBaseUser, client: ClientInfo, button: str) -> ConsentEvent | None:
    """Take back the consent that ``event_id`` stands for: ``user`` pressed ``button`` beside it on the list.

    Returns the event; ``None`` if that consent has ended already, as by the first press of two. Raises
    ``LookupError`` for an event that is not of ``user``, or whose recipient was erased.
    """
    # SECURITY: found among the person's own events, so that nobody else's can be named.
    for event, recipient in _own_events(user, pk=event_id):
        act = Act(ConsentMedium.WEB, control="button", final=True, button=button)
        return consent.withdraw(recipient=recipient, channel=event.channel, user=user, client=client, act=act)
    raise LookupError("This person has no such consent.")


def ask(*, recipient: Recipient, channel: str, disclosure: DisclosureText, client: ClientInfo, act: Act) -> Started:
    """Send the one code by which the visitor behind ``client`` proves that ``recipient`` is hers.

    ``disclosure``: the words of ``disclosures.compose_once`` that were agreed to by ``act``. The answer is the same
    whether anything is on record of ``recipient`` or not. Raises as ``verifications.start``.
    """
    verifications.validate(recipient=recipient, channel=channel, client=client)
    consent.grant(recipient=recipient, channel=channel, client=client, disclosure=disclosure, act=act)
    return verifications.start(recipient=recipient, channel=channel, client=client, purpose=Purpose.VERIFY)


def proved(verification_id: uuid.UUID, *, client: ClientInfo) -> Verification:
    """A verification by which this browser session has just proved whose an address is.

    Raises ``VerificationNotFound`` alike for unknown ones, other sessions', unapproved ones and those older than an
    hour.
    """
    verification = checking.load(verification_id, client, None)
    fresh = verification.approved_at is not None and verification.approved_at > timezone.now() - STOP_WITHIN
    # SECURITY: only of a visitor's own making: the proof of a sign-in stops nothing.
    if verification.purpose != Purpose.VERIFY or verification.status != VerificationStatus.APPROVED or not fresh:
        raise VerificationNotFound
    return verification


def stop(verification_id: uuid.UUID, *, channels: Iterable[str], client: ClientInfo, button: str) -> list[ConsentEvent]:
    """Opt the holder of a proved address out of ``channels``, for every person's sends; all ways to it if empty.

    Returns the new events: none for ways that were stopped before, and the same whether anything was on record or
    not. Raises ``VerificationNotFound`` as ``proved`` and ``ValueError`` for a way that does not lead there.
    """
    verification = proved(verification_id, client=client)
    act = Act(ConsentMedium.WEB, control="button", final=True, button=button, origin=str(verification.pk))
    made = delivery.stop(verification.recipient, channels, client=client, act=act)
    _use_up(verification.recipient, client)
    return made


def _use_up(recipient: Recipient, client: ClientInfo) -> None:
    """End what the visitor agreed to for the one code, where that way was not stopped itself."""
    for channel in delivery.channels_to(recipient):
        standing = consent.live(recipient=recipient, channel=channel, client=client)
        if standing is not None and disclosures.is_once(standing.disclosure, channel):
            consent.expire(standing)


def ways(recipient: Recipient) -> tuple[Channel, ...]:
    """The ways to ``recipient`` that can be stopped."""
    return delivery.channels_to(recipient)


def open_ways(recipient: Recipient) -> list[Channel]:
    """Those that its holder has not stopped, or that somebody has agreed to again since. Two SELECTs."""
    keyregister.require()
    latest = _last_events(recipient)
    return [channel for channel in ways(recipient) if latest.get(channel) not in FOR_EVERYBODY]


def _last_events(recipient: Recipient) -> dict[str, str]:
    rows = _events().filter(recipient_fingerprint__in=aliases.of_recipient(recipient)).order_by("pk")
    return dict(rows.values_list("channel", "event"))


def _own_events(user: AbstractBaseUser, **only: int) -> list[tuple[ConsentEvent, Recipient]]:
    """The events of ``user`` whose personal half is kept, oldest first, with their recipients."""
    events = list(
        _events()
        .filter(person_fingerprint__in=aliases.of_person(Person.of(user, ClientInfo())), **only)
        .select_related("disclosure")
        .order_by("pk")
    )
    halves = ConsentEvidence.objects.using(_database()).filter(event__in=[event.pk for event in events])
    values = dict(halves.values_list("event_id", "recipient"))
    return [
        (event, Recipient(RecipientKind(event.recipient_kind), values[event.pk]))
        for event in events
        if event.pk in values
    ]


def _stops(recipients: Iterable[Recipient]) -> dict[_Place, ConsentEvent]:
    """The latest event by which each was put an end to for everybody."""
    groups = aliases.widened(*(fingerprints(recipient) for recipient in recipients))
    newest = {value: group[0] for group in groups for value in group}
    rows = _events().filter(recipient_fingerprint__in=list(newest), event__in=FOR_EVERYBODY).order_by("pk")
    return {(newest[event.recipient_fingerprint], event.channel): event for event in rows}


def _events() -> QuerySet[ConsentEvent]:
    # From the writing database, as the gate reads: a replica that lags must not show a consent that is over.
    return ConsentEvent.objects.using(_database())


def _database() -> str:
    return router.db_for_write(ConsentEvent)
