"""The consent that one send needs: read before anything is written, and again behind the recipient's lock.

What a user agrees to on the page that sends (``NewConsent``) is recorded with the send, in one transaction where the
ledger stands in the same database: a send that is refused leaves no event.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import F
from django.utils import timezone

from ..choices import FALLBACKS, Channel, ConsentEventType, PersonKind, Purpose
from ..conf import fingerprint, fingerprints
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..exceptions import ConsentRequired
from ..ledger import fingerprint_aliases
from ..ledger.disclosure_text import Disclosure
from ..ledger.persons import session_fingerprints
from ..ledger.positions import Position
from ..limits import counters
from ..limits.lockouts import Refused
from ..models import ConsentEvent, Factor, OptOutAttempt, Verification, VerificationAttempt, locks
from . import disclosures
from .context import ConsentContext
from .recording import Entry, Subject, decided, read_disclosure, write


@dataclass(frozen=True, slots=True)
class NewConsent:
    """What a user agrees to on the page that sends.

    Args:
        disclosure: What was shown, or the digest that its page posted back.
        context: What the user did.
        purpose: What the consent is for, if not for what the send is.
        once: For one message of that purpose alone (``disclosures.compose_once``). The first send uses it up.
        reopens: Let that one message out although the recipient has opted out, for a user of whom the recipient is a
            confirmed factor: it proves the recipient again (``holder.reopen``).
    """

    disclosure: Disclosure | str
    context: ConsentContext = field(default_factory=ConsentContext)
    purpose: str = ""
    once: bool = False
    reopens: bool = False


class Uncounted(Exception):
    """An event has to be written that was not counted: consent has ended since it was looked at."""


@dataclass(frozen=True, slots=True)
class Gate:
    """The consent for sending to ``subject`` by ``channel``, for ``purpose``; ``new`` is agreed to with the send."""

    subject: Subject
    channel: Channel
    client: ClientInfo
    user: AbstractBaseUser | None
    purpose: Purpose
    new: NewConsent | None = None

    @classmethod
    def of(
        cls,
        recipient: str | Recipient,
        channel: str,
        *,
        client: ClientInfo,
        user: AbstractBaseUser | None,
        purpose: str = Purpose.VERIFY,
        new: NewConsent | None = None,
        region: str | None = None,
    ) -> Gate:
        """Build the gate. Raises ``InvalidRecipient``."""
        subject = Subject.of(recipient, channel, user, client, region)
        return cls(subject, Channel.parse(channel), client, user, Purpose(purpose), new)

    @property
    def prints(self) -> list[str]:
        """The fingerprints that the recipient is locked by."""
        return fingerprints(self.subject.recipient)

    def budget(self) -> Mapping[str, str]:
        """Return for whom an event counts, by the rule that counts it."""
        person, recipient = self.subject.person.fingerprint, fingerprint(self.subject.recipient)
        return {
            "consent_user_day": person,
            "consent_ip_day": self.client.network,
            # SECURITY: strangers who tick the box for a number use up nothing of the account that has confirmed it.
            "consent_recipient_day": f"{person}|{recipient}" if self._is_holder() else recipient,
            # SECURITY: each such code goes to somebody who asked for no more messages.
            "reopen_day": recipient if self.new is not None and self.new.reopens else "",
        }

    def refused(self) -> Refused:
        """Return who is locked out where the budget is used up."""
        return Refused(self.user, self.client, self.subject.recipient.country)

    def foresee(self) -> ConsentEvent | None:
        """Return the event that the send would rely on, ``None`` if one would have to be written.

        Writes nothing but the count of attempts against an opt-out. ``settle`` decides.

        Raises:
            ConsentRequired: There is no consent, or the recipient has opted out.
        """
        position = self.subject.position()
        try:
            self._refuse_opted_out(position)
        except ConsentRequired:
            if self.new is not None:
                self._count_attempt()
                # An opt-out whose address was erased is known by its older fingerprints from here on.
                if position.opt_out is not None:
                    self.subject.learn_from(position.opt_out)
            raise
        return None if self._must_write(position) else self._standing(position)

    def settle(self, *, counted: bool, sends: bool = True) -> ConsentEvent:
        """Return the event that the send relies on, written now if ``new`` asks for it.

        To be called with the recipient locked.

        Args:
            counted: Whether the event, if one is written, is within its budget (``budget``).
            sends: Whether a message follows.

        Raises:
            ConsentRequired: As ``foresee``, or a channel that this one may fall back to was stopped.
            Uncounted: An event would have to be written, and was not counted.
        """
        # SECURITY: promise 1. There is no argument that gets round this.
        position = self.subject.position()
        self._refuse_opted_out(position)
        stopped = self._stopped_fallback() if sends else None
        if not self._must_write(position):
            event = self._standing(position)
            if stopped is not None and stopped.pk > event.pk:
                raise self._refusal("fallback_opted_out")
            return event
        if not counted:
            raise Uncounted
        return decided(self._write)

    def agree(self) -> ConsentEvent:
        """Record ``new`` without a send, within its budget; the event that stands, if it needs no other.

        Raises:
            ConsentRequired: The recipient has opted out.
            RateLimited: Too many events today, of this user, network or recipient.
        """
        if standing := self.foresee():
            return standing

        def work() -> ConsentEvent:
            locks.take(self.prints)
            return self.settle(counted=True, sends=False)

        # Part of the caller's transaction, if there is one: no provider is called here.
        now = timezone.now()
        try:
            return counters.within(self.budget(), now, work, refused=self.refused, durable=False)
        except locks.Unlocked:
            locks.make(self.prints)
        return counters.within(self.budget(), now, work, refused=self.refused, durable=False)

    def still_stands(self, event: ConsentEvent) -> bool:
        """Return whether a send that was reserved on ``event`` may go out now."""
        position = self.subject.position()
        try:
            self._refuse_opted_out(position)
            stopped = self._stopped_fallback()
        except ConsentRequired:
            return False
        if stopped is not None and stopped.pk > event.pk:
            return False
        if position.live is not None:
            return True
        # Consent to one message is used up by this very send, and ends with anything that came after.
        newest = position.newest
        return newest == event and _is_once(newest)

    def _write(self) -> ConsentEvent:
        assert self.new is not None
        shown = self._shown()
        now, known = read_disclosure(shown.digest)
        standing = self.subject.position()
        event = ConsentEventType.RENEWED if standing.live else ConsentEventType.GRANTED
        entry = Entry(
            subject=self.subject,
            event=ConsentEventType.GRANTED_ONCE if self.new.once else event,
            purpose=self._purpose,
            context=self.new.context,
            client=self.client,
            shown=shown,
            previous=standing.newest,
        )
        return write(entry, now, known)

    @property
    def _purpose(self) -> Purpose:
        return Purpose(self.new.purpose) if self.new is not None and self.new.purpose else self.purpose

    def _shown(self) -> Disclosure:
        assert self.new is not None
        disclosure, channel = self.new.disclosure, self.subject.channel
        if isinstance(disclosure, Disclosure):
            if disclosure.channel != channel:
                raise ValueError("The disclosure is of another channel than the consent.")
            return disclosure
        current = self._current()
        # A client may send a lone surrogate, which has no UTF-8.
        if not secrets.compare_digest(disclosure.encode(errors="surrogatepass"), current.digest.encode()):
            raise ConsentRequired("disclosure_changed", disclosure=current)
        return current

    def _current(self) -> Disclosure:
        """Return today's words for what is to be agreed to."""
        is_once = self.new is not None and self.new.once
        return (disclosures.compose_once if is_once else disclosures.compose)(self.subject.channel)

    def _must_write(self, position: Position) -> bool:
        if self.new is None:
            return False
        digest = self._shown().digest
        if position.live is not None:
            words = position.live.disclosure
            if self.new.once or (words is not None and words.digest == digest):
                return False
            # While a code is pending, other words (another language) would let a visitor write events without end.
            return not self._has_pending()
        return not self._is_unused(position.newest)

    def _standing(self, position: Position) -> ConsentEvent:
        """Return the consent on record. Raises ``ConsentRequired`` where there is none for this."""
        newest = position.newest
        if position.live is not None:
            return position.live
        if newest is not None and self._is_unused(newest):
            return newest
        is_once = newest is not None and newest.event == ConsentEventType.GRANTED_ONCE
        raise self.missing("consent_used_up" if is_once else None)

    def missing(self, code: str | None = None) -> ConsentRequired:
        """Return the error that asks for consent, with the words to show."""
        return ConsentRequired(code, disclosure=self._current())

    def _is_unused(self, event: ConsentEvent | None) -> bool:
        """Return whether ``event`` is consent to one message of this purpose, and none was reserved on it."""
        if event is None or not _is_once(event) or event.purpose != self.purpose:
            return False
        return not VerificationAttempt.objects.filter(consent_event_id=event.pk).exists()

    def _has_pending(self) -> bool:
        """Return whether a code is pending for this user, recipient and channel."""
        open_ones = Verification.objects.open_at(timezone.now())
        if self.subject.person.kind == PersonKind.USER:
            theirs = open_ones.filter(user_id=self.subject.person.ref)
        else:
            theirs = open_ones.filter(user__isnull=True, session__in=session_fingerprints(self.client))
        channels = [channel.value for channel in Channel if channel.consent_channel == self.subject.channel]
        return theirs.filter(recipient_fingerprint__in=self.prints, channel__in=channels).exists()

    def _stopped_fallback(self) -> ConsentEvent | None:
        """Return the user's own withdrawal of a channel that this one may fall back to, if there is one.

        Raises:
            ConsentRequired: The holder of the recipient has opted out of such a channel.
        """
        withdrawn = None
        for way in FALLBACKS.get(self.channel, ()):
            if way == self.subject.channel:
                continue
            subject = Subject(self.subject.recipient, way, self.subject.person)
            position = subject.position()
            if position.opt_out is not None:
                raise self._refusal("fallback_opted_out")
            newest = position.newest
            if newest is not None and not newest.is_live and newest.event != ConsentEventType.WITHDRAWN:
                newest = subject.last_word()
            if newest is not None and newest.event == ConsentEventType.WITHDRAWN:
                withdrawn = newest
        return withdrawn

    def _refuse_opted_out(self, position: Position) -> None:
        if position.opt_out is None:
            return
        # SECURITY: 47 CFR 64.1200(a)(10): the holder's word holds against everybody who ticks a box. The one message
        # that proves the number again goes only to a number that this user has verified.
        if self.new is not None and self.new.reopens and self.new.once and self._is_holder():
            return
        raise self._refusal("consent_opted_out")

    def _refusal(self, code: str) -> ConsentRequired:
        return ConsentRequired(code, may_release=self._is_holder())

    def _is_holder(self) -> bool:
        return is_holder(self.user, self.subject.recipient)

    def _count_attempt(self) -> None:
        now = timezone.now()
        rows = OptOutAttempt.objects.filter(recipient_fingerprint__in=self.prints, channel=self.subject.channel.value)
        if not rows.update(count=F("count") + 1, last_at=now):
            row = OptOutAttempt(
                recipient_fingerprint=self.prints[0], channel=self.subject.channel.value, first_at=now, last_at=now
            )
            OptOutAttempt.objects.bulk_create([row], ignore_conflicts=True)


def _is_once(event: ConsentEvent | None) -> bool:
    """Return whether ``event`` is consent to one message whose evidence was not erased."""
    if event is None or event.event != ConsentEventType.GRANTED_ONCE:
        return False
    return bool(getattr(event, "has_evidence", True))


def is_holder(user: AbstractBaseUser | None, recipient: Recipient) -> bool:
    """Return whether ``recipient`` is a confirmed factor of ``user``: the user has verified it before."""
    if user is None or user.pk is None:
        return False
    return Factor.objects.confirmed_for(user.pk).filter(key__in=fingerprint_aliases.of_recipient(recipient)).exists()
