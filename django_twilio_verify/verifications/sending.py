"""The decisions of a send: what is wanted, whether it may go out, and what became of it.

``verifications.start`` runs these around the provider's call.
"""

from __future__ import annotations

import logging
import secrets
import time
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.hashers import check_password, make_password
from django.db import IntegrityError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..backends.handler import backends
from ..backends.options import IncompatibleOptions, SendOptions, SendRequest
from ..backends.results import ProviderSend, ProviderStatus
from ..backends.twins import Call, Steps
from ..choices import (
    LINK_CHANNELS,
    VERIFICATION_CHANNELS,
    AttemptStatus,
    Channel,
    Feature,
    Precedence,
    Purpose,
    VerificationStatus,
)
from ..conf import fingerprint, settings
from ..consent import opt_outs, recall
from ..consent.gate import Gate, NewConsent, Uncounted
from ..core.client import ClientInfo
from ..core.codes import TypedCode, make_code
from ..core.recipients import Recipient
from ..exceptions import (
    BackendError,
    BackendRejected,
    BackendUnavailable,
    FactorNotFound,
    InvalidRecipient,
    RateLimited,
    VerificationNotFound,
)
from ..ledger.persons import Person, session_fingerprint
from ..limits import counters, lockouts
from ..limits.lockouts import Refused
from ..models import ConsentEvent, Factor, Verification, VerificationAttempt, locks
from ..models.transactions import short_transaction
from ..models.verification import MAX_SID
from . import assurance, channel_plan, checking, claimants, confirmed_factors, outages, routing, throttling
from .claimants import Rivals
from .options import GivenOptions, Payment, gather, tagged
from .results import Started
from .routing import RouteRequest
from .slots import slot_keys

logger = logging.getLogger("django_twilio_verify")

PROVIDER_PAUSE = timedelta(seconds=30)
"""How long to wait after the provider said "too many" (Twilio: at most one request in 30 s to a number)."""
MAX_AMOUNT, MAX_PAYEE = 32, 128
"""Characters of amount and payee."""
_TRIES = 5


@dataclass(frozen=True, slots=True)
class StartRequest:
    """What ``verifications.start`` was called with."""

    recipient: str | Recipient = field(repr=False)  # SECURITY: whole
    channel: str
    client: ClientInfo
    user: AbstractBaseUser | None
    purpose: str
    factor: Factor | None
    resend: bool
    region: str | None
    backend: str | None
    options: GivenOptions = field(repr=False)  # SECURITY: may hold a code
    amount: str
    payee: str
    new_consent: NewConsent | None = None
    again: Verification | None = None
    """The verification that is sent once more, and no other one: ``verifications.resend``."""
    unproved: bool = False
    """Whether a visitor asks, who has shown nothing of the account of ``user``."""


@dataclass(frozen=True, slots=True)
class ValidatedStart:
    """A send that somebody asked for, of which ``check_sendable`` was asked.

    ``options``: to be told to the provider, but for our tag; ``insists``: their custom code was named by the call.
    ``owns``: whether the recipient is a confirmed factor of ``user``, and ``user`` asks. ``asker``: who the send counts
    for, ``None`` for a visitor.
    """

    recipient: Recipient
    channel: Channel
    client: ClientInfo
    user: AbstractBaseUser | None
    purpose: Purpose
    factor: Factor | None
    backend: str
    resend: bool
    options: SendOptions
    insists: bool
    payment: Payment
    owns: bool
    asker: AbstractBaseUser | None
    again: Verification | None = None
    new_consent: NewConsent | None = None

    def refused(self) -> Refused:
        """Who is locked out where a limit refuses the send."""
        return Refused(self.asker, self.client, self.recipient.country, self.factor)

    @property
    def gate(self) -> Gate:
        """The consent that the send needs."""
        return Gate.of(
            self.recipient,
            self.channel,
            client=self.client,
            user=self.user,
            purpose=self.purpose,
            new=self.new_consent,
        )

    @property
    def places(self) -> list[str]:
        """The place that the verification occupies while it is pending (``slots.slot_keys``).

        SECURITY: of a payment, what is paid to whom is part of it: another amount is another verification.
        """
        paid = (self.payment.amount, self.payment.payee) if self.purpose == Purpose.PAYMENT else ()
        person = Person.of(self.user, self.client)
        return slot_keys(person, self.client, self.purpose.value, self.backend, *paid, recipient=self.recipient)


@dataclass(frozen=True, slots=True)
class Reserved:
    """A send that has been counted and may now be handed to the provider, once.

    ``options``: what the provider is told. ``consent_event``: what it relies on. ``before``: how the verification
    stood, ``None`` for a new one. ``rivals``: what is under way to the same recipient in other sessions.
    """

    wanted: ValidatedStart
    verification: Verification
    attempt: VerificationAttempt
    options: SendOptions
    consent_event: ConsentEvent
    before: _Before | None = None
    rivals: Rivals = field(default_factory=Rivals)

    @property
    def is_withheld(self) -> bool:
        """Whether nothing is sent, and nobody told so."""
        return self.verification.withheld


@dataclass(frozen=True, slots=True)
class _Before:
    """What a pending verification went by until now: a send that fails leaves it as it was."""

    channel: str
    link: str = field(repr=False)
    code_digest: str = field(repr=False)
    has_custom_code: bool


class _Lost(Exception):
    """Another call wrote first."""


def validate(ask: StartRequest) -> ValidatedStart:
    """What ``ask`` comes to, if it can be told to the provider at all. Nothing is written.

    Raises ``InvalidRecipient``, ``ChannelTooWeak``, ``FactorNotFound``, ``ValueError`` (also as
    ``IncompatibleOptions``) and ``ImproperlyConfigured``.
    """
    Person.of(ask.user, ask.client)  # raises where nobody is given
    recipient = Recipient.parse(ask.recipient, region=ask.region or settings.default_region or None)
    channel, purpose = Channel.parse(ask.channel), Purpose(ask.purpose)
    factor = confirmed_factors.require(ask.user, recipient, purpose)
    is_proved = claimants.is_proved(ask.user, ask.client, unproved=ask.unproved)
    owns = is_proved and (factor is not None or claimants.is_owner(ask.user, recipient))
    alias = ask.backend or _route(RouteRequest(recipient, channel, purpose, ask.user, ask.client), owns=owns)
    check_sendable(recipient, channel, alias)
    assurance.require(channel, user=ask.user, purpose=purpose, client=ask.client)
    payment = payment_of(purpose, ask.amount, ask.payee)
    if purpose == Purpose.PAYMENT and channel in LINK_CHANNELS:
        # SECURITY: whoever opens a link approves no amount. Verify refuses it with PSD2 too.
        raise ValueError("A payment is approved by a code: a link shows nobody what is paid to whom.")
    gathered = gather(SendRequest(recipient, channel, purpose, ask.user, ask.client, alias), ask.options, payment)
    return ValidatedStart(
        recipient=recipient,
        channel=channel,
        client=ask.client,
        user=ask.user,
        purpose=purpose,
        factor=factor or ask.factor,
        backend=alias,
        resend=ask.resend,
        options=gathered.options,
        insists=gathered.insists,
        payment=payment,
        owns=owns,
        asker=ask.user if is_proved else None,
        again=ask.again,
        new_consent=ask.new_consent,
    )


def route(request: RouteRequest) -> str:
    """The alias of a send whose caller names none. One SELECT where claimants have a backend of their own."""
    owns = bool(settings.claimant_backend and request.recipient) and claimants.is_owner(request.user, request.recipient)
    return _route(request, owns=owns)


def _route(request: RouteRequest, *, owns: bool) -> str:
    alias = routing.choose(request)
    # What a router names, another brand or country, it names for claimants as well.
    return settings.claimant_backend or alias if alias == routing.DEFAULT and not owns else alias


def payment_of(purpose: Purpose, amount: str, payee: str) -> Payment:
    """What is paid to whom. Raises ``ValueError`` where it is missing, too long, or not asked for."""
    payment = Payment.of(amount, payee)
    if purpose != Purpose.PAYMENT:
        if payment != Payment():
            raise ValueError("amount and payee belong to purpose='payment'.")
        return payment
    if not (payment.amount and payment.payee):
        raise ValueError("A payment needs amount and payee: the person is shown them, and the proof is good for them.")
    for name, limit in (("amount", MAX_AMOUNT), ("payee", MAX_PAYEE)):
        if len(getattr(payment, name)) > limit:
            raise ValueError(f"{name} takes {limit} characters.")
    return payment


def check_sendable(recipient: Recipient, channel: Channel, backend: str) -> None:
    """Refuse what cannot be told to the provider at all.

    Raises ``InvalidRecipient`` (wrong kind, landline, country) and ``ValueError`` (a channel that carries no code or
    that the backend cannot carry).
    """
    if channel not in VERIFICATION_CHANNELS or channel not in backends[backend].channels:
        raise ValueError(f"The backend {backend!r} carries no codes by {channel.value!r}.")
    if channel.recipient_kind != recipient.kind:
        raise InvalidRecipient("wrong_kind")
    if not channel.row.reaches_landlines and not recipient.can_take_text:
        raise InvalidRecipient("phone_no_text")
    if recipient.is_phone and settings.countries and recipient.country not in settings.countries:
        raise InvalidRecipient("country_not_allowed")


def reserve(wanted: ValidatedStart, now: datetime) -> Reserved | Started:
    """Count the send and make its records, in one short transaction; or the earlier send that still counts.

    Raises ``ConsentRequired``, ``RateLimited``, ``FactorNotFound``, ``VerificationNotFound`` where the one that is to
    be sent again is over, and ``IncompatibleOptions`` for a custom code that is not the pending one. Of simultaneous
    calls for one place exactly one is given ``Reserved``.
    """
    gate = wanted.gate
    consented = gate.foresee()
    is_counted = consented is None
    for _ in range(_TRIES):
        current = _pending(wanted)
        if wanted.again is not None and not _is_open(wanted.again, current, now):
            # SECURITY: a page of days ago has a button too: what is over is begun anew, where that is asked for.
            raise VerificationNotFound("verification_closed")
        if current is not None and (standing := _standing(current, wanted, now)) is not None:
            # No message goes out now. What is agreed to, other than to this one message, is recorded all the same.
            if consented is None and wanted.new_consent is not None and not wanted.new_consent.once:
                gate.agree()
            return standing
        if wanted.factor is not None:
            throttling.require(wanted.factor, wanted.client, now)
        again = current if current is not None and current.expires_at > now else None
        rank = _rank(wanted, again)
        rivals = claimants.rivals(rank, wanted.recipient, wanted.backend, wanted.client, now, again)
        if rank == Precedence.NEW_NETWORK and rivals.outranked_until is not None:
            # SECURITY: whoever knows the password alone must not use up the answers to the owner's code.
            raise RateLimited("cooldown", retry_at=rivals.outranked_until)
        subjects = claimants.send_subjects(rank, wanted.asker, wanted.client, wanted.recipient)
        if is_counted:
            subjects |= gate.budget()
        if rank == Precedence.CLAIMANT:
            # SECURITY: the same work for a number that was never sent to: it must not tell those that were.
            counters.prepare(subjects, now, refused=wanted.refused)
            locks.make(gate.prints)
        try:
            coded = _coded(wanted, current, now)
            work = partial(_reserve, coded, current, gate, now, rank, rivals, is_counted=is_counted)
            reserved = counters.within(subjects, now, work, refused=wanted.refused)
        except locks.Unlocked:
            locks.make(gate.prints)
            continue
        except Uncounted:
            is_counted = True
            continue
        except (_Lost, IntegrityError):
            continue  # SECURITY: somebody was first; look again, never send beside them
        _end(rivals)
        return reserved
    raise RateLimited("cooldown", retry_at=now + timedelta(seconds=1))


def _end(rivals: Rivals) -> None:
    """Put nothing of those that give way to the provider any more.

    Claimants are not told. Whoever signs in with the password may be: it is perhaps the owner, on another device, who
    has to learn that a new code is needed.
    """
    if rivals.giving_way:
        claimants.withhold(rivals.giving_way)
    for verification in rivals.ending:
        short_transaction(partial(checking.close, verification, VerificationStatus.CANCELED))


def reserve_decoy(wanted: ValidatedStart, now: datetime) -> Verification | Started:
    """Count a send to nobody and make its record, as ``reserve`` does for a visitor; or the earlier one that stands.

    SECURITY: where an app answers a visitor alike with and without an account, so must the limits and the answers to a
    code. It is withheld from the first: nothing is sent, and every code is wrong. No consent is asked for.
    """
    for _ in range(_TRIES):
        current = _pending(wanted)
        if current is not None and (standing := _standing(current, wanted, now)) is not None:
            return standing
        subjects = claimants.send_subjects(Precedence.CLAIMANT, None, wanted.client, wanted.recipient)
        counters.prepare(subjects, now, refused=wanted.refused)
        coded = _coded_decoy(wanted, current)
        try:
            work = partial(_pretend, coded, current, now)
            return counters.within(subjects, now, work, refused=wanted.refused)
        except (_Lost, IntegrityError):
            continue
    raise RateLimited("cooldown", retry_at=now + timedelta(seconds=1))


def _pretend(coded: _Coded, current: Verification | None, now: datetime) -> Verification:
    if current is not None and current.expires_at > now:
        return _again(current, coded, now, withheld=True)
    return _open(coded, current, now, Precedence.CLAIMANT, withheld=True)


def record_decoy(verification: Verification, error: BackendError | None) -> Started:
    """The provider answered, as it would have answered a send, or did not. Raises ``error`` as ``record_failed``."""
    if error is None:
        return started_result(verification)
    if isinstance(error, BackendUnavailable) and error.may_have_been_done:
        return started_result(verification, delivery_unknown=True)
    row = Verification.objects.filter(pk=verification.pk)
    short_transaction(partial(row.close, VerificationStatus.FAILED))
    raise error


def _is_open(again: Verification, current: Verification | None, now: datetime) -> bool:
    """Whether ``again`` is what is pending in its place. Used up is still there: it says itself when to come again."""
    return current is not None and current.pk == again.pk and current.expires_at > now


def _rank(wanted: ValidatedStart, again: Verification | None) -> Precedence:
    """The precedence of a send: that with which its verification began, wherever the person has moved since."""
    if again is not None:
        return Precedence(again.precedence)
    return claimants.precedence(wanted.user, wanted.purpose, wanted.client, owns=wanted.owns)


def make_way(reserved: Reserved) -> Steps[ProviderSend | None]:
    """Cancel at the provider what gives way to ``reserved``; for one that is withheld, the answer instead of a send.

    Raises ``BackendError`` for one that is withheld, as its send would.
    """
    alias = reserved.wanted.backend
    if reserved.is_withheld:
        # SECURITY: a claimant may not tell by the time it takes, nor by an outage, that nothing is sent.
        yield Call(alias, "fetch", (reserved.verification.no_sid,))
        return ProviderSend("", ProviderStatus.PENDING, reserved.wanted.channel.value)
    for sid in reserved.rivals.sids:
        try:
            yield Call(alias, "cancel", (sid,))
        except BackendError as error:
            # Perhaps it is pending still, and the provider sends its code again, with the answers that are left of it.
            # Claimants have used three of five at most (claim_check_ten_minutes), so the owner goes on.
            logger.warning(
                "Cancel failed: verification=%s error=%s provider_code=%s",
                reserved.verification.pk,
                error.code,
                error.provider_code,
            )
    return None


def _pending(wanted: ValidatedStart) -> Verification | None:
    """What stands in the place; of two, whose processes did not know each other's key, the newer."""
    return Verification.objects.filter(pending_key__in=wanted.places).order_by("-created_at").first()


def _standing(current: Verification, wanted: ValidatedStart, now: datetime) -> Started | None:
    """The pending verification as the answer to ``validate``, or ``None`` if it may send again."""
    if current.expires_at <= now:
        return None
    if current.status == VerificationStatus.MAX_ATTEMPTS_REACHED:
        raise RateLimited("no_checks_left", retry_at=current.expires_at)
    used_up = current.sends >= backends[current.backend].max_sends
    same_way = wanted.channel.value in _asked_as(current)
    # A link sends no message: who cannot open it goes on by another way at once.
    from_link = current.channel in LINK_CHANNELS and not same_way
    if (current.resend_at <= now or from_link) and not used_up:
        return None
    if wanted.resend or not same_way:
        if used_up:
            key = counters.key("no_sends_left", str(current.pk))
            if lockouts.is_first(key, current.created_at):
                lockouts.announce("no_sends_left", wanted.refused(), until=current.expires_at)
            raise RateLimited("no_sends_left", retry_at=current.expires_at)
        raise RateLimited("cooldown", retry_at=current.resend_at)
    return started_result(current, reused=True)


def _asked_as(current: Verification) -> tuple[str, ...]:
    """The channels that ``current`` is the answer to: ``auto`` may have become a text message."""
    return (Channel.SMS, Channel.AUTO) if current.channel == Channel.SMS else (current.channel,)


@dataclass(frozen=True, slots=True)
class _Coded:
    """A send whose code has been settled, where it is judged here.

    ``digest``: of the code that is good once this send is reserved, ``""`` if the provider judges it; ``is_custom``:
    whether the site named it.
    """

    wanted: ValidatedStart
    options: SendOptions
    digest: str = field(default="", repr=False)
    is_custom: bool = False


@sensitive_variables("code")
def _coded(wanted: ValidatedStart, current: Verification | None, now: datetime) -> _Coded:
    """Settle the code of a send. Done before the transaction, which a slow hash would hold up."""
    backend, code = backends[wanted.backend], _custom(wanted.options)
    if not (backend.makes_codes or code):
        code = make_code(settings.service(wanted.backend).code_length)
        return _Coded(wanted, SendOptions(custom_code=code).over(wanted.options), make_password(code))
    if current is None or current.expires_at <= now or not backend.same_code_on_resend:
        return _Coded(wanted, wanted.options, make_password(code) if code else "", bool(code))
    # Verify sends a pending verification's own code again, whatever it is told: so the first one stays.
    kept = current.code_digest, current.has_custom_code
    if not code or check_password(code, current.code_digest):
        return _Coded(wanted, wanted.options, *kept)
    if wanted.insists:
        raise IncompatibleOptions("custom_code is not the code that was sent first: that one is sent again.")
    return _Coded(wanted, wanted.options.without("custom_code"), *kept)


def _coded_decoy(wanted: ValidatedStart, current: Verification | None) -> _Coded:
    """As ``_coded``, for a send that is pretended.

    SECURITY: it hashes where that does, so that time does not tell, and what it hashes is nothing that can be typed.
    """
    if backends[wanted.backend].makes_codes:
        digest, is_custom = (current.code_digest, current.has_custom_code) if current is not None else ("", False)
        return _Coded(wanted, wanted.options, digest, is_custom)
    return _Coded(wanted, wanted.options, make_password(secrets.token_urlsafe(32)))


def _custom(options: SendOptions) -> str:
    """The custom code as it will be read when it is typed."""
    return TypedCode.parse_custom(options.custom_code).digits if options.custom_code else ""


def _reserve(
    coded: _Coded,
    current: Verification | None,
    gate: Gate,
    now: datetime,
    rank: Precedence,
    rivals: Rivals,
    *,
    is_counted: bool,
) -> Reserved:
    wanted, before = coded.wanted, None
    # SECURITY: promise 3. Once removing a factor has returned, no code leaves for it. Before the lock of the recipient,
    # in the order in which a removal, which also withdraws consent, takes the two.
    if wanted.user is not None and not confirmed_factors.hold(wanted.user.pk, wanted.recipient, wanted.purpose):
        raise FactorNotFound
    # SECURITY: consent is read behind the lock that withdrawal, opt-out and erasure take too, and before anything else
    # is read: what ended it is seen, or it waits until this send can be recalled. The counters' UPDATE came first, so
    # that SQLite takes its lock at once and waits its turn.
    locks.take(gate.prints)
    event = gate.settle(counted=is_counted)
    if current is not None and current.expires_at > now:
        before = _Before(current.channel, current.link, current.code_digest, current.has_custom_code)
        verification = _again(current, coded, now, withheld=_is_withheld(wanted, rank, rivals, current))
    else:
        verification = _open(coded, current, now, rank, withheld=_is_withheld(wanted, rank, rivals))
    attempt = VerificationAttempt.objects.create(
        # By id: the ledger may be in another database, and Django relates no objects across two.
        verification=verification,
        channel=wanted.channel.value,
        consent_event_id=event.pk,
        created_at=now,
    )
    return Reserved(wanted, verification, attempt, _told(coded, verification), event, before, rivals)


def hand_over(reserved: Reserved) -> float:
    """Claim the send, right before the provider is called; the ``time.monotonic()`` until which the call may begin.

    Whoever is later calls this again: consent may have ended meanwhile.

    Raises:
        ConsentRequired: Consent has ended since the send was reserved. Nothing was sent.
    """
    until = time.monotonic() + recall.HANDOVER
    attempt, now = reserved.attempt, timezone.now()
    is_late = attempt.claimed_at is not None
    is_ours = recall.claim(attempt, now)
    if is_ours and is_late:
        # SECURITY: after the claim is written, so that whoever ends consent now finds the claim, or this finds the end.
        is_ours = reserved.wanted.gate.still_stands(reserved.consent_event)
    if not is_ours:
        short_transaction(lambda: _give_back(reserved, AttemptStatus.NOT_SENT, now, now))
        raise reserved.wanted.gate.missing()
    return until


def _is_withheld(wanted: ValidatedStart, rank: Precedence, rivals: Rivals, current: Verification | None = None) -> bool:
    """Whether the send stays here, because the provider would take it for one more of the owner's.

    SECURITY: a link is made all the same, since without one the asking page would tell. Nobody but the phone itself can
    answer it, so that it uses up no answer to the owner's code.
    """
    if wanted.channel in LINK_CHANNELS:
        return False
    outranked = rank == Precedence.CLAIMANT and rivals.outranked_until is not None
    return outranked or (current is not None and current.withheld)


def _told(coded: _Coded, verification: Verification) -> SendOptions:
    """The options with our tag, if the backend takes tags."""
    takes_tags = Feature.TAGS in backends[coded.wanted.backend].features
    return tagged(coded.options, verification.pk) if takes_tags else coded.options


def _open(coded: _Coded, over: Verification | None, now: datetime, rank: Precedence, *, withheld: bool) -> Verification:
    """A new row in the place that ``over``, if any, has left. Raises ``IntegrityError`` if somebody took it first."""
    wanted = coded.wanted
    if over is not None:
        place = Verification.objects.filter(pk=over.pk, pending_key__in=wanted.places)
        place.close(VerificationStatus.EXPIRED)
        place.leave_place()
    expires_at = now + timedelta(seconds=settings.service(wanted.backend).code_lifetime_seconds)
    return Verification.objects.create(
        user_id=wanted.user.pk if wanted.user else None,
        session=session_fingerprint(wanted.client),
        purpose=wanted.purpose.value,
        recipient_kind=wanted.recipient.kind.value,
        recipient_value=wanted.recipient.value,
        recipient_fingerprint=fingerprint(wanted.recipient),
        country=wanted.recipient.country,
        channel=wanted.channel.value,
        factor=wanted.factor,
        backend=wanted.backend,
        precedence=rank.value,
        withheld=withheld,
        pending_key=wanted.places[0],
        amount=wanted.payment.amount,
        payee=wanted.payment.payee,
        code_digest=coded.digest,
        has_custom_code=coded.is_custom,
        sends=1,
        created_at=now,
        expires_at=expires_at,
        resend_at=counters.resend_at(1, now=now, expires_at=expires_at),
    )


def _again(current: Verification, coded: _Coded, now: datetime, *, withheld: bool) -> Verification:
    """One more send of a pending verification; raises ``_Lost`` if it is not as we read it any more."""
    sends = current.sends + 1
    values: dict[str, Any] = {
        "resend_at": counters.resend_at(sends, now=now, expires_at=current.expires_at),
        "channel": coded.wanted.channel.value,
        "withheld": withheld,
        # From here on the code before is wrong, where this send brings another: also if its worker dies before it is
        # handed over, or the gateway does not say whether it took it. The user may ask for another one then.
        "code_digest": coded.digest,
        "has_custom_code": coded.is_custom,
    }
    if not Verification.objects.filter(pk=current.pk).count_send(current, now, **values):
        raise _Lost
    for name, value in (values | {"sends": sends, "link": ""}).items():
        setattr(current, name, value)
    return current


def record_sent(reserved: Reserved, sent: ProviderSend, now: datetime) -> Started:
    """The provider took it."""
    verification, attempt = reserved.verification, reserved.attempt
    values = {
        "sid": sent.sid[:MAX_SID] or verification.sid,
        "channel": _came_by(reserved.wanted.channel, sent).value,
        "link": sent.link,
        "line_type": sent.line_type[:20] or verification.line_type,
    }

    def write() -> None:
        row = Verification.objects.filter(pk=verification.pk)
        if not row.record_sent(**values):
            row.record_sid(values["sid"])
        status = AttemptStatus.WITHHELD if reserved.is_withheld else AttemptStatus.SENT
        _settle_attempt(attempt, status, now, sid=sent.attempt_sid[:MAX_SID], channel_used=sent.channel)

    short_transaction(write)
    for name, value in values.items():
        setattr(verification, name, value)
    return started_result(verification)


def _came_by(asked: Channel, sent: ProviderSend) -> Channel:
    """The way that the verification goes on by: an ``auto`` that was no silent check was a text message."""
    silent = sent.link or sent.channel == Channel.SNA
    return Channel.SMS if asked == Channel.AUTO and not silent else asked


def record_failed(reserved: Reserved, error: BackendError, now: datetime) -> Started:
    """The provider did not take it, or did not say. Answers "perhaps sent" or raises what the caller is to be told."""
    logger.warning(
        "Send failed: verification=%s channel=%s error=%s provider_code=%s",
        reserved.verification.pk,
        reserved.wanted.channel.value,
        error.code,
        error.provider_code,
    )
    if isinstance(error, BackendUnavailable) and error.may_have_been_done:
        # A message may be under way: it counts, the code page is shown, and nothing is repeated by itself.
        _settle_attempt(
            reserved.attempt,
            AttemptStatus.PERHAPS_SENT,
            now,
            error_code=error.provider_code or None,
        )
        return started_result(reserved.verification, delivery_unknown=True)
    told: RateLimited | None = None
    if isinstance(error, BackendRejected) and error.code == "wait":
        told = RateLimited(
            "provider",
            retry_at=reserved.verification.expires_at if error.sends_used_up else now + PROVIDER_PAUSE,
        )
    status = AttemptStatus.REFUSED if isinstance(error, BackendRejected) else AttemptStatus.NOT_SENT
    code = error.provider_code or None
    short_transaction(lambda: _give_back(reserved, status, now, told.retry_at if told else now, code))
    if isinstance(error, BackendRejected):
        _learn(reserved, error, now)
    if told is not None:
        lockouts.announce(told.code, reserved.wanted.refused(), until=told.retry_at)
    raise told or error


def _learn(reserved: Reserved, error: BackendRejected, now: datetime) -> None:
    """Keep what the refusal says of the number and of the channel, and name the other ways."""
    wanted, verification = reserved.wanted, reserved.verification
    if error.code == "opted_out":
        _note_opt_out(reserved)
    if error.code == "landline":
        verification.line_type = "landline"
        Verification.objects.filter(pk=verification.pk).record_line_type("landline")
        if verification.factor_id is not None:
            Factor.objects.filter(pk=verification.factor_id).record_line_type("landline")
    if error.channel_off:
        outages.note(wanted.backend, wanted.channel, error.provider_code, now)
    if error.channel_off or error.code == "landline":
        verification.channel = wanted.channel.value
        error.other_channels = channel_plan.other_channels(verification)


def _note_opt_out(reserved: Reserved) -> None:
    """The holder has sent STOP to the provider: from here on nobody's sends go there."""
    wanted = reserved.wanted
    origin = f"attempt:{reserved.attempt.pk}"
    opt_outs.opted_out(recipient=wanted.recipient, channel=wanted.channel, origin=origin)


def _give_back(
    reserved: Reserved, status: AttemptStatus, now: datetime, resend_at: datetime, error_code: int | None = None
) -> None:
    """Nothing was sent: the verification keeps its sends; one that was never sent fails. The hour's counters stay."""
    row, before = Verification.objects.filter(pk=reserved.verification.pk), reserved.before
    code_digest = reserved.verification.code_digest
    if before is None:
        row.close(VerificationStatus.FAILED)
    else:
        row.uncount_send(resend_at=resend_at, channel=before.channel, link=before.link)
        if code_digest != before.code_digest:
            row.restore_code(code_digest, code_digest=before.code_digest, has_custom_code=before.has_custom_code)
    _settle_attempt(reserved.attempt, status, now, error_code=error_code)


def _settle_attempt(
    attempt: VerificationAttempt,
    status: AttemptStatus,
    now: datetime,
    *,
    sid: str = "",
    channel_used: str = "",
    error_code: int | None = None,
) -> None:
    values = {
        "status": status.value,
        "settled_at": now,
        "sid": sid,
        "channel_used": channel_used[:16],
        "error_code": error_code,
    }
    VerificationAttempt.objects.filter(pk=attempt.pk, status=AttemptStatus.RESERVED).update(**values)
    for name, value in values.items():
        setattr(attempt, name, value)


def started_result(verification: Verification, *, reused: bool = False, delivery_unknown: bool = False) -> Started:
    """The answer that describes ``verification`` as it stands."""
    backend = backends[verification.backend]
    left = max(backend.max_sends - verification.sends, 0)
    return Started(
        verification=verification,
        channel=Channel(verification.channel),
        reused=reused,
        delivery_unknown=delivery_unknown,
        resend_at=verification.resend_at if left else None,
        sends_left=left,
        link=verification.link if verification.status == VerificationStatus.PENDING else "",
        suggests_call=verification.sends >= channel_plan.CALL_AFTER and channel_plan.can_call(verification),
        channel_may_differ=Channel(verification.channel).row.channel_may_differ,
        code_replaced=verification.sends > 1 and not backend.same_code_on_resend,
    )
