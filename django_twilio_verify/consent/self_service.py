"""A user's own list of consents, withdrawing one, and the channels that a recipient can stop."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import router
from django.db.models import Max, Q, QuerySet

from ..choices import CONSENT_CHANNELS, FOR_EVERYBODY, LIVE_CONSENT, Channel, RecipientKind
from ..conf import fingerprint, fingerprints
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..core.results import Result, json_time
from ..ledger import fingerprint_aliases, key_register
from ..ledger.disclosure_text import Disclosure, shown_in
from ..ledger.persons import Person
from ..ledger.positions import Position
from ..models import ConsentEvent, Factor
from . import endings, opt_outs
from .context import pressed
from .recording import Subject

_Place = tuple[str, str]
"""A recipient's fingerprint under the newest key, and a channel."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentState(Result):
    """Where a user's consent stands for one recipient and channel.

    Attributes:
        recipient: Where messages go.
        channel: The channel that was agreed to.
        is_live: Whether messages may be sent.
        granted_at: When the user last agreed, aware, in UTC.
        ended_at: When the consent ended. ``None`` while it is live.
        disclosure: The words last agreed to. ``None`` for consent that came without any.
        event: The latest event that bears on it.
    """

    recipient: Recipient
    channel: Channel
    is_live: bool
    granted_at: datetime
    ended_at: datetime | None
    disclosure: Disclosure | None
    event: ConsentEvent

    answer = "is_live"

    def as_dict(self) -> dict[str, Any]:
        """Describe the state as JSON. The recipient is masked."""
        return {
            "recipient": self.recipient.masked,
            "channel": self.channel.value,
            "is_live": self.is_live,
            "granted_at": json_time(self.granted_at),
            "ended_at": json_time(self.ended_at),
            "disclosure": None if self.disclosure is None else self.disclosure.as_dict(),
        }


@dataclass(frozen=True, slots=True)
class OwnConsent:
    """An entry of a user's own page.

    ``factor_id``: the user's own factor by which an opt-out can be ended (``holder.ask_to_reopen``), or ``None``.
    """

    state: ConsentState
    factor_id: int | None


def list_consents(person: Person) -> list[ConsentState]:
    """Return everything that ``person`` ever agreed to, one entry for each recipient and channel, the newest first.

    What holders have stopped since is taken into account. Consent whose personal half was erased is left out: nobody
    knows any more where it would send to. Reads two events for each entry, however many the person has.

    Raises:
        KeysDoNotFit: The fingerprint keys of this process are not those of the ledger.
    """
    return [state for state, _ in _states(person)]


def own_consents(user: AbstractBaseUser) -> list[OwnConsent]:
    """Return the same of ``user``, with the factors by which opt-outs can be ended. One SELECT more."""
    theirs = _factors(user)
    return [
        OwnConsent(state, theirs.get(fingerprint(state.recipient)) if is_opted_out else None)
        for state, is_opted_out in _states(Person.of(user, ClientInfo()))
    ]


def _states(person: Person) -> list[tuple[ConsentState, bool]]:
    """Each state, and whether the holder of its recipient has opted out."""
    key_register.require()
    recipients: dict[_Place, Recipient] = {}
    agreed: dict[_Place, ConsentEvent] = {}
    latest: dict[_Place, ConsentEvent] = {}
    for event, recipient in _newest_of(person):  # oldest first: the last one stays
        # By fingerprint, which is the same for two spellings of one address.
        place = (fingerprint(recipient), event.channel)
        recipients[place], latest[place] = recipient, event
        if event.is_live:
            agreed[place] = event
    everybodys = _everybodys(recipients.values())
    found = []
    for place, granted in agreed.items():
        position = Position.of([latest[place], *everybodys.get(place, ())])
        newest, opt_out = position.newest or latest[place], position.opt_out
        event = opt_out if opt_out is not None and newest.is_live else newest
        found.append((_state(recipients[place], Channel(place[1]), event, granted), opt_out is not None))
    return sorted(found, key=lambda one: one[0].granted_at, reverse=True)


def _state(recipient: Recipient, channel: Channel, event: ConsentEvent, granted: ConsentEvent) -> ConsentState:
    return ConsentState(
        recipient=recipient,
        channel=channel,
        is_live=event.is_live,
        granted_at=granted.occurred_at,
        ended_at=None if event.is_live else event.occurred_at,
        disclosure=None if granted.disclosure is None else shown_in(granted.disclosure),
        event=event,
    )


def withdraw(event_id: int, *, user: AbstractBaseUser, client: ClientInfo, button: str) -> ConsentEvent | None:
    """Withdraw the consent that ``event_id`` stands for: ``user`` pressed ``button`` beside it on the list.

    Returns:
        The event, or ``None`` if that consent has ended already, as by the first press of two.

    Raises:
        LookupError: The event is not of ``user``, or its recipient was erased.
    """
    # SECURITY: found among the user's own events, so that nobody else's can be named.
    for event, recipient in _own_events(user, pk=event_id):
        subject = Subject.of(recipient, event.channel, user, client, None)
        return endings.withdraw(subject, client, pressed(button))
    raise LookupError("This user has no such consent.")


def channels_to(recipient: Recipient) -> tuple[Channel, ...]:
    """The ways to ``recipient`` that can be stopped."""
    return opt_outs.channels_to(recipient)


def channels_not_opted_out(recipient: Recipient) -> list[Channel]:
    """Those that its holder has not stopped, or that were released since. One SELECT."""
    stopped = opt_outs.opted_out_of(recipient)
    return [channel for channel in channels_to(recipient) if channel not in stopped]


def _newest_of(person: Person) -> list[tuple[ConsentEvent, Recipient]]:
    """The newest event, and the newest consent, of ``person`` for each recipient and channel, oldest first."""
    mine = _events().filter(person_fingerprint__in=fingerprint_aliases.of_person(person))
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
