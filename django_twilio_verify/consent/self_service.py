"""A user's own list of consents, withdrawing one, and the channels that a recipient can stop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import router
from django.db.models import Max, Q, QuerySet

from ..choices import CONSENT_CHANNELS, FOR_EVERYBODY, LIVE_CONSENT, Channel, ConsentMedium, RecipientKind
from ..conf import fingerprint, fingerprints
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..ledger import fingerprint_aliases, key_register
from ..ledger.persons import Person
from ..ledger.positions import Position
from ..models import ConsentEvent, Disclosure, Factor
from . import api, opt_outs
from .api import Act

_Place = tuple[str, str]
"""A recipient's fingerprint under the newest key, and a channel."""


@dataclass(frozen=True, slots=True)
class ConsentState:
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


def list_consents(user: AbstractBaseUser) -> list[ConsentState]:
    """Everything that ``user`` ever agreed to, one entry for each recipient and channel, the newest consent first.

    What holders have stopped since is taken into account. Consent whose personal half was erased is left out: nobody
    knows any more where it would send to. Raises ``KeysDoNotFit``. At most seven SELECTs, which read two events for
    each entry, however many the person has.
    """
    key_register.require()
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
            ConsentState(
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
        return api.withdraw(recipient=recipient, channel=event.channel, user=user, client=client, act=act)
    raise LookupError("This person has no such consent.")


def channels_to(recipient: Recipient) -> tuple[Channel, ...]:
    """The ways to ``recipient`` that can be stopped."""
    return opt_outs.channels_to(recipient)


def channels_not_opted_out(recipient: Recipient) -> list[Channel]:
    """Those that its holder has not stopped, or that were released since. One SELECT."""
    stopped = opt_outs.opted_out_of(recipient)
    return [channel for channel in channels_to(recipient) if channel not in stopped]


def _newest_of(user: AbstractBaseUser) -> list[tuple[ConsentEvent, Recipient]]:
    """The newest event, and the newest consent, of ``user`` for each recipient and channel, oldest first."""
    mine = _events().filter(person_fingerprint__in=fingerprint_aliases.of_person(Person.of(user, ClientInfo())))
    places = mine.order_by().values("recipient_fingerprint", "channel")
    newest = places.annotate(newest=Max("pk"), live=Max("pk", filter=Q(event__in=LIVE_CONSENT)))
    wanted = {pk for row in newest for pk in (row["newest"], row["live"]) if pk is not None}
    return _with_recipients(_events().filter(pk__in=wanted))


def _own_events(user: AbstractBaseUser, pk: int) -> list[tuple[ConsentEvent, Recipient]]:
    """The event ``pk``, if it is of ``user``."""
    mine = _events().filter(person_fingerprint__in=fingerprint_aliases.of_person(Person.of(user, ClientInfo())))
    return _with_recipients(mine.filter(pk=pk))


def _with_recipients(events: QuerySet[ConsentEvent]) -> list[tuple[ConsentEvent, Recipient]]:
    """``events`` whose personal half is kept, oldest first, with their recipients."""
    rows = events.filter(evidence__isnull=False).select_related("disclosure", "evidence").order_by("pk")
    return [(row, Recipient(RecipientKind(row.recipient_kind), row.evidence.recipient)) for row in rows]


def _everybodys(recipients: Iterable[Recipient]) -> dict[_Place, list[ConsentEvent]]:
    """The events by which consent for each was ended for everybody, or an opt-out released."""
    groups = fingerprint_aliases.widened(*(fingerprints(recipient) for recipient in recipients))
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
