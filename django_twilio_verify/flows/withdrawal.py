"""Taking consent back: a person's own list, and the public page for whoever holds an address."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import router
from django.db.models import Max, Q, QuerySet
from django.utils import timezone

from ..choices import (
    CONSENT_CHANNELS,
    FOR_EVERYBODY,
    LIVE_CONSENT,
    Channel,
    ConsentEventType,
    ConsentMedium,
    Purpose,
    RecipientKind,
    VerificationStatus,
)
from ..clientinfo import ClientInfo
from ..conf import fingerprint, fingerprints
from ..exceptions import VerificationNotFound
from ..models import ConsentEvent, Disclosure, Factor, Verification
from ..recipients import Recipient
from ..results import Started
from . import aliases, checking, consent, delivery, keyregister, verifications
from .consent import Act, NewConsent
from .consentlog import Position, Subject
from .disclosures import DisclosureText
from .gate import is_holder
from .persons import Person

STOP_WITHIN = timedelta(hours=1)
"""How long the proof of an address lets its holder stop messages to it."""

_Place = tuple[str, str]
"""A recipient's fingerprint under the newest key, and a channel."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a person's consent stands for one recipient and channel.

    ``event``: the latest one that bears on it; ``disclosure``: the words last agreed to, ``None`` for consent that came
    without any. ``agreed_at`` is when, and ``ended_at`` when it ended, ``None`` while it is live. ``factor_id``: of the
    person's own factor by which an opt-out can be ended (``ask_to_reopen``), ``None`` where there is none.
    """

    recipient: Recipient
    channel: Channel
    event: ConsentEvent
    agreed_at: datetime
    disclosure: Disclosure | None = None
    factor_id: int | None = None

    @property
    def is_live(self) -> bool:
        return self.event.is_live

    @property
    def ended_at(self) -> datetime | None:
        return None if self.event.is_live else self.event.occurred_at


def consents(user: AbstractBaseUser) -> list[Standing]:
    """Everything that ``user`` ever agreed to, one entry for each recipient and channel, the newest consent first.

    What holders have stopped since is taken into account. Consent whose personal half was erased is left out: nobody
    knows any more where it would send to. Raises ``KeysDoNotFit``. At most seven SELECTs, which read two events for
    each entry, however many the person has.
    """
    keyregister.require()
    recipients: dict[_Place, Recipient] = {}
    agreed: dict[_Place, ConsentEvent] = {}
    latest: dict[_Place, ConsentEvent] = {}
    for event, recipient in _newest_of(user):  # oldest first: the last one stays
        # By fingerprint, which is the same for two spellings of one address.
        place = (fingerprint(recipient), event.channel)
        recipients[place], latest[place] = recipient, event
        if event.is_live:
            agreed[place] = event
    everybodys = _everybodys(recipients.values())
    theirs = _factors(user)
    found = []
    for place, granted in agreed.items():
        position = Position.of([latest[place], *everybodys.get(place, ())])
        newest = position.newest or latest[place]
        opt_out = position.opt_out
        found.append(
            Standing(
                recipient=recipients[place],
                channel=Channel(place[1]),
                event=opt_out if opt_out is not None and newest.is_live else newest,
                agreed_at=granted.occurred_at,
                disclosure=granted.disclosure,
                factor_id=theirs.get(place[0]) if opt_out is not None else None,
            )
        )
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
    # SECURITY: recorded with the send: a refused request leaves no event behind.
    return verifications.start(
        recipient=recipient,
        channel=channel,
        client=client,
        purpose=Purpose.VERIFY,
        new_consent=NewConsent(disclosure, act, once=True),
    )


def ask_to_reopen(
    *,
    recipient: Recipient,
    channel: str,
    disclosure: DisclosureText,
    client: ClientInfo,
    user: AbstractBaseUser,
    act: Act,
) -> Started:
    """Send the one code by which ``user`` verifies again a number that has opted out.

    Raises:
        ConsentRequired: ``recipient`` is no confirmed factor of ``user``.
        TwilioVerifyError: As ``verifications.start``.
    """
    return verifications.start(
        recipient=recipient,
        channel=channel,
        client=client,
        user=user,
        purpose=Purpose.VERIFY,
        new_consent=NewConsent(disclosure, act, once=True, reopens=True),
    )


def reopen(
    verification_id: uuid.UUID, *, user: AbstractBaseUser, client: ClientInfo, button: str
) -> ConsentEvent | None:
    """End the opt-out that ``user`` has verified the number against, for the channel of that code.

    It opens nothing by itself: the user agrees again where a page asks for it. Returns the event; ``None`` if the
    opt-out is over already. Raises ``VerificationNotFound`` as ``proved``, and for any verification that was not made
    by ``ask_to_reopen`` since the opt-out.
    """
    verification = proved(verification_id, client=client, user=user)
    recipient, event = verification.recipient, _relied_on(verification)
    is_once = event is not None and event.event == ConsentEventType.GRANTED_ONCE
    if event is None or not is_once or verification.user_id != user.pk or not is_holder(user, recipient):
        raise VerificationNotFound
    opt_out = Subject.of_holder(recipient, event.channel, None).position().opt_out
    # SECURITY: a code that was asked for before the holder opted out says nothing about what the holder wants since.
    # Of all its sends: the provider sends the same code again.
    if opt_out is not None and verification.attempts.filter(consent_event_id__lt=opt_out.pk).exists():
        raise VerificationNotFound
    act = Act(ConsentMedium.WEB, control="button", final=True, button=button, origin=str(verification.pk))
    return consent.release(recipient=recipient, channel=event.channel, act=act)


def is_for_one_message(verification: Verification) -> bool:
    """Return whether ``verification`` was begun on consent to one message (``ask``)."""
    event = _relied_on(verification) if verification.purpose == Purpose.VERIFY else None
    return event is not None and event.event == ConsentEventType.GRANTED_ONCE


def _relied_on(verification: Verification) -> ConsentEvent | None:
    """The consent that the last send of ``verification`` relied on."""
    relied_on = verification.attempts.order_by("-pk").values_list("consent_event_id", flat=True).first()
    return None if relied_on is None else _events().filter(pk=relied_on).first()


def proved(verification_id: uuid.UUID, *, client: ClientInfo, user: AbstractBaseUser | None = None) -> Verification:
    """A verification by which this browser session has just proved whose an address is.

    Raises ``VerificationNotFound`` alike for unknown ones, other sessions', unapproved ones, erased ones and those
    older than an hour.
    """
    verification = checking.load(verification_id, client, user)
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
    return delivery.stop(verification.recipient, channels, client=client, act=act)


def ways(recipient: Recipient) -> tuple[Channel, ...]:
    """The ways to ``recipient`` that can be stopped."""
    return delivery.channels_to(recipient)


def open_ways(recipient: Recipient) -> list[Channel]:
    """Those that its holder has not stopped, or that were released since. One SELECT."""
    stopped = delivery.opted_out_of(recipient)
    return [channel for channel in ways(recipient) if channel not in stopped]


def _newest_of(user: AbstractBaseUser) -> list[tuple[ConsentEvent, Recipient]]:
    """The newest event, and the newest consent, of ``user`` for each recipient and channel, oldest first."""
    mine = _events().filter(person_fingerprint__in=aliases.of_person(Person.of(user, ClientInfo())))
    places = mine.order_by().values("recipient_fingerprint", "channel")
    newest = places.annotate(newest=Max("pk"), live=Max("pk", filter=Q(event__in=LIVE_CONSENT)))
    wanted = {pk for row in newest for pk in (row["newest"], row["live"]) if pk is not None}
    return _with_recipients(_events().filter(pk__in=wanted))


def _own_events(user: AbstractBaseUser, pk: int) -> list[tuple[ConsentEvent, Recipient]]:
    """The event ``pk``, if it is of ``user``."""
    mine = _events().filter(person_fingerprint__in=aliases.of_person(Person.of(user, ClientInfo())))
    return _with_recipients(mine.filter(pk=pk))


def _with_recipients(events: QuerySet[ConsentEvent]) -> list[tuple[ConsentEvent, Recipient]]:
    """``events`` whose personal half is kept, oldest first, with their recipients."""
    rows = events.filter(evidence__isnull=False).select_related("disclosure", "evidence").order_by("pk")
    return [(row, Recipient(RecipientKind(row.recipient_kind), row.evidence.recipient)) for row in rows]


def _everybodys(recipients: Iterable[Recipient]) -> dict[_Place, list[ConsentEvent]]:
    """The events by which consent for each was ended for everybody, or an opt-out released."""
    groups = aliases.widened(*(fingerprints(recipient) for recipient in recipients))
    newest = {value: group[0] for group in groups for value in group}
    # With the channel named, an index leads to these few among however many events of the recipient.
    rows = _events().filter(
        recipient_fingerprint__in=list(newest), channel__in=CONSENT_CHANNELS, event__in=FOR_EVERYBODY
    )
    found: dict[_Place, list[ConsentEvent]] = {}
    for event in rows.order_by("pk"):
        found.setdefault((newest[event.recipient_fingerprint], event.channel), []).append(event)
    return found


def _factors(user: AbstractBaseUser) -> dict[str, int]:
    """The confirmed factors of ``user`` by their recipient's fingerprint under the newest key."""
    own = Factor.objects.confirmed_for(user.pk).exclude(recipient_value="")
    return {fingerprint(factor.recipient): factor.pk for factor in own}


def _events() -> QuerySet[ConsentEvent]:
    # From the writing database, as the gate reads: a replica that lags must not show a consent that is over.
    return ConsentEvent.objects.using(_database())


def _database() -> str:
    return router.db_for_write(ConsentEvent)
