"""Consent: the only code that decides what is written of it, and the gate that every send passes.

State is what the latest event that bears on person, recipient and channel says. Nothing on record means opted out.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError

from ..choices import FOR_EVERYBODY, Actor, Channel, ConsentEventType, ConsentMedium, PersonKind, Purpose, RecipientKind
from ..clientinfo import ClientInfo
from ..conf import settings
from ..exceptions import ConsentRequired
from ..models import ConsentEvent, ConsentEvidence, Disclosure
from ..recipients import Recipient
from . import disclosures, keyregister
from .consentlog import Act, Entry, KnownPerson, Subject, database, decided, read_disclosure, write
from .disclosures import DisclosureText

__all__ = [
    "Act",
    "carry_over",
    "expire",
    "grant",
    "invalidate",
    "live",
    "opt_out",
    "record",
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
) -> ConsentEvent:
    """Record that a person agreed to get codes at ``recipient`` by ``channel``, after reading ``disclosure``.

    ``disclosure``: what was shown, or the digest that its page posted back. ``user``: the account, ``None`` for the
    visitor behind ``client``. Asked again with the same words, the event that stands is returned and none is added;
    with other words a ``renewed`` one is. Raises ``InvalidRecipient``, and ``ConsentRequired``
    (``disclosure_changed``) for a digest that is not today's wording.
    """
    subject = Subject.of(recipient, channel, user, client, region)
    shown = _shown(disclosure, subject.channel)

    def decide() -> ConsentEvent:
        now, known = read_disclosure(shown.digest)
        standing = keyregister.admitted(subject.events().select_related("disclosure").first())
        if standing and standing.is_live and standing.disclosure and standing.disclosure.digest == shown.digest:
            return standing
        is_live = standing is not None and standing.is_live
        entry = Entry(
            subject=subject,
            event=ConsentEventType.RENEWED if is_live else ConsentEventType.GRANTED,
            purpose=Purpose(purpose),
            act=act or Act(),
            client=client,
            shown=shown,
            previous=standing,
        )
        return write(entry, now, known)

    return decided(decide)


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
    subject = Subject.of_holder(recipient, channel, region)
    return _end(subject, ConsentEventType.OPTED_OUT, client or ClientInfo(), act, _anything)


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
    person = KnownPerson(PersonKind(event.person_kind), "", evidence.person_label, event.person_fingerprint)
    subject = Subject(recipient, Channel(event.channel), person)
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
        Subject.of(recipient, channel, user, visitor, region)
        if is_known
        else Subject.of_holder(recipient, channel, region)
    )

    def decide() -> ConsentEvent:
        standing = keyregister.admitted(subject.events().select_related("disclosure").first())
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
    standing = keyregister.admitted(Subject.of(recipient, channel, user, client, region).events().first())
    return standing if standing is not None and standing.is_live else None


def require(
    *, recipient: Recipient, channel: Channel, client: ClientInfo, user: AbstractBaseUser | None
) -> ConsentEvent:
    """As ``live``, but raises ``ConsentRequired`` where there is none: the gate before every send."""
    # SECURITY: promise 1. There is no argument that gets round this.
    standing = keyregister.admitted(Subject.of(recipient, channel, user, client, None).events().first())
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
        before = Subject.of(recipient, channel, None, visitor, None).events().select_related("disclosure")
        theirs = keyregister.admitted(before.first())
        if theirs is None or not theirs.is_live or theirs.disclosure is None:
            continue
        if disclosures.is_once(theirs.disclosure, channel):
            continue  # SECURITY: agreed to one code only, to stop messages: that is no consent to more
        subject = Subject.of(recipient, channel, user, visitor, None)
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


def _shown(disclosure: DisclosureText | str, channel: Channel) -> DisclosureText:
    if isinstance(disclosure, DisclosureText):
        if disclosure.channel != channel:
            raise ValueError("The disclosure is of another channel than the consent.")
        return disclosure
    current = disclosures.compose(channel)
    if not secrets.compare_digest(disclosure.encode(), current.digest.encode()):
        raise ConsentRequired("disclosure_changed")
    return current


def _end(
    subject: Subject,
    event: ConsentEventType,
    client: ClientInfo,
    act: Act | None,
    ends: Callable[[ConsentEvent | None], bool],
) -> ConsentEvent | None:
    """Write ``event``, unless it stands already or there is nothing that it ``ends``."""

    def decide() -> ConsentEvent | None:
        standing = keyregister.admitted(subject.events().first())
        if standing is not None and standing.event == event and not standing.is_live:
            subject.learn_from(standing)
            return None
        if not ends(standing):
            return None
        purpose = Purpose(standing.purpose) if standing else Purpose.VERIFY
        return write(Entry(subject, event, purpose, act or Act(), client, None, standing), None, None)

    return decided(decide)


def _is_live(standing: ConsentEvent | None) -> bool:
    return standing is not None and standing.is_live


def _anything(standing: ConsentEvent | None) -> bool:
    """Also the silence of a recipient of whom nothing is on record."""
    return True
