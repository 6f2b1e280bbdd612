"""The decisions of a send: what is wanted, whether it may go out, and what became of it.

``verifications.start`` runs these around the provider's call.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError
from django.db.models import F
from django.utils.translation import to_locale

from ..backends.handler import backends
from ..choices import CODE_CHANNELS, AttemptStatus, Channel, Purpose, VerificationStatus
from ..clientinfo import ClientInfo
from ..conf import MAX_SENDS, fingerprint, fingerprints, settings
from ..exceptions import (
    BackendError,
    BackendRejected,
    BackendUnavailable,
    InvalidRecipient,
    RateLimited,
)
from ..models import ConsentEvent, Factor, Verification, VerificationAttempt
from ..recipients import Recipient
from ..results import ProviderSend, Started
from . import consent, delivery, limits
from .persons import Person, session_fingerprint, session_fingerprints
from .transactions import short_transaction

logger = logging.getLogger("django_twilio_verify")

PROVIDER_PAUSE = timedelta(seconds=30)
"""How long to wait after the provider said "too many" (Twilio: at most one request in 30 s to a number)."""
_SENDS_USED_UP = 60203
_TRIES = 5


@dataclass(frozen=True, slots=True)
class Wanted:
    """A send that somebody asked for, of which ``check_sendable`` was asked."""

    recipient: Recipient
    channel: Channel
    client: ClientInfo
    user: AbstractBaseUser | None
    purpose: Purpose
    factor: Factor | None
    backend: str
    resend: bool

    @property
    def locale(self) -> str:
        """The person's language as a BCP 47 tag, as Verify's ``Locale`` wants it."""
        return to_locale(self.client.language).replace("_", "-") if self.client.language else ""

    @property
    def pending_key(self) -> str:
        """The place that the verification occupies while it is pending: a digest, so that it fits a unique index."""
        return self.pending_keys[0]

    @property
    def pending_keys(self) -> list[str]:
        """The place under every fingerprint key, newest first: one that was taken before a rotation stays taken."""
        person = Person.of(self.user, self.client)
        sides = (person.fingerprints, session_fingerprints(self.client), fingerprints(self.recipient))
        return [self._place(*prints) for prints in zip(*sides, strict=True)]

    def _place(self, *prints: str) -> str:
        place = (*prints, self.purpose.value, self.backend)
        return hashlib.sha256("\0".join(place).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Reserved:
    """A send that has been counted and may now be handed to the provider, once."""

    wanted: Wanted
    verification: Verification
    attempt: VerificationAttempt


class _Lost(Exception):
    """Another call wrote first."""


def check_sendable(recipient: Recipient, channel: Channel, backend: str) -> None:
    """Refuse what cannot be told to the provider at all.

    Raises ``InvalidRecipient`` (wrong kind, landline, country) and ``ValueError`` (a channel that carries no code or
    that the backend cannot carry).
    """
    if channel not in CODE_CHANNELS or channel not in backends[backend].channels:
        raise ValueError(f"The backend {backend!r} carries no codes by {channel.value!r}.")
    if channel.recipient_kind != recipient.kind:
        raise InvalidRecipient("wrong_kind")
    if channel == Channel.SMS and not recipient.can_take_text:
        raise InvalidRecipient("phone_no_text")
    if recipient.is_phone and settings.countries and recipient.country not in settings.countries:
        raise InvalidRecipient("country_not_allowed")


def reserve(wanted: Wanted, now: datetime) -> Reserved | Started:
    """Count the send and make its records, in one short transaction; or the earlier send that still counts.

    Raises ``ConsentRequired`` and ``RateLimited``. Of simultaneous calls for one place exactly one is given
    ``Reserved``.
    """
    event = consent.require(recipient=wanted.recipient, channel=wanted.channel, client=wanted.client, user=wanted.user)
    subjects = _subjects(wanted)
    for _ in range(_TRIES):
        current = _pending(wanted)
        if current is not None and (standing := _standing(current, wanted, now)):
            return standing
        try:
            return limits.within(subjects, now, partial(_reserve, wanted, current, event, now))
        except (_Lost, IntegrityError):
            continue  # SECURITY: somebody was first; look again, never send beside them
    raise RateLimited("resend_too_early", retry_at=now + timedelta(seconds=1))


def _pending(wanted: Wanted) -> Verification | None:
    """What stands in the place; of two, whose processes did not know each other's key, the newer."""
    return Verification.objects.filter(pending_key__in=wanted.pending_keys).order_by("-created_at").first()


def _standing(current: Verification, wanted: Wanted, now: datetime) -> Started | None:
    """The pending verification as the answer to ``wanted``, or ``None`` if it may send again."""
    if current.expires_at <= now:
        return None
    if current.status == VerificationStatus.MAX_ATTEMPTS_REACHED:
        raise RateLimited("checks_used_up", retry_at=current.expires_at)
    used_up = current.sends >= MAX_SENDS
    if current.resend_at <= now and not used_up:
        return None
    if wanted.resend or current.channel != wanted.channel:
        if used_up:
            raise RateLimited("sends_used_up", retry_at=current.expires_at)
        raise RateLimited("resend_too_early", retry_at=current.resend_at)
    return started(current, reused=True)


def _reserve(wanted: Wanted, current: Verification | None, event: ConsentEvent, now: datetime) -> Reserved:
    # The first statement writes, so that SQLite takes its lock at once and waits its turn.
    if current is not None and current.expires_at > now:
        verification = _again(current, wanted, now)
    else:
        verification = _open(wanted, current, now)
    attempt = VerificationAttempt.objects.create(
        # By id: the ledger may be in another database, and Django relates no objects across two.
        verification=verification,
        channel=wanted.channel.value,
        consent_event_id=event.pk,
        created_at=now,
    )
    return Reserved(wanted, verification, attempt)


def _subjects(wanted: Wanted) -> dict[str, str]:
    """Whom the send counts for, by the rule that counts it."""
    return {
        "person_hour": Person.of(wanted.user, wanted.client).fingerprint,
        "recipient_hour": fingerprint(wanted.recipient),
        "ip_hour": wanted.client.ip,
    }


def _open(wanted: Wanted, over: Verification | None, now: datetime) -> Verification:
    """A new row in the place that ``over``, if any, has left. Raises ``IntegrityError`` if somebody took it first."""
    if over is not None:
        place = Verification.objects.filter(pk=over.pk, pending_key__in=wanted.pending_keys)
        place.filter(status=VerificationStatus.PENDING).update(status=VerificationStatus.EXPIRED)
        place.update(pending_key=None)
    expires_at = now + timedelta(seconds=settings.code_lifetime)
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
        pending_key=wanted.pending_key,
        sends=1,
        created_at=now,
        expires_at=expires_at,
        resend_at=limits.resend_at(1, now=now, expires_at=expires_at),
    )


def _again(current: Verification, wanted: Wanted, now: datetime) -> Verification:
    """One more send of a pending verification; raises ``_Lost`` if it is not as we read it any more."""
    sends = current.sends + 1
    resend_at = limits.resend_at(sends, now=now, expires_at=current.expires_at)
    unchanged = Verification.objects.open_at(now).filter(
        pk=current.pk, sends=current.sends, resend_at=current.resend_at
    )
    if not unchanged.update(sends=sends, resend_at=resend_at, channel=wanted.channel.value):
        raise _Lost
    current.sends, current.resend_at, current.channel = sends, resend_at, wanted.channel.value
    return current


def settle_sent(reserved: Reserved, sent: ProviderSend, now: datetime) -> Started:
    """The provider took it."""
    verification, attempt = reserved.verification, reserved.attempt

    def write() -> None:
        Verification.objects.filter(pk=verification.pk).update(sid=sent.sid)
        _settle_attempt(attempt, AttemptStatus.SENT, now, sid=sent.attempt_sid, channel_used=sent.channel)

    short_transaction(write)
    verification.sid = sent.sid
    return started(verification)


def settle_failed(reserved: Reserved, error: BackendError, now: datetime) -> Started:
    """The provider did not take it, or did not say. Answers "perhaps sent" or raises what the caller is to be told."""
    logger.warning(
        "Send failed: verification=%s channel=%s error=%s provider_code=%s",
        reserved.verification.pk,
        reserved.wanted.channel.value,
        error.code,
        error.provider_code,
    )
    if isinstance(error, BackendUnavailable) and error.perhaps_done:
        # A message may be under way: it counts, the code page is shown, and nothing is repeated by itself.
        _settle_attempt(
            reserved.attempt,
            AttemptStatus.PERHAPS_SENT,
            now,
            error_code=error.provider_code or None,
        )
        return started(reserved.verification, perhaps_sent=True)
    told: RateLimited | None = None
    if isinstance(error, BackendRejected) and error.code == "wait":
        used_up = error.provider_code == _SENDS_USED_UP
        told = RateLimited(
            "provider",
            retry_at=reserved.verification.expires_at if used_up else now + PROVIDER_PAUSE,
        )
    short_transaction(lambda: _give_back(reserved, error, now, told.retry_at if told else now))
    if isinstance(error, BackendRejected) and error.code == "opted_out":
        _note_opt_out(reserved)
    raise told or error


def _note_opt_out(reserved: Reserved) -> None:
    """The holder has sent STOP to the provider (error 21610): from here on nobody's sends go there."""
    wanted = reserved.wanted
    origin = f"attempt:{reserved.attempt.pk}"
    delivery.opted_out(recipient=wanted.recipient, channel=wanted.channel, origin=origin)


def _give_back(reserved: Reserved, error: BackendError, now: datetime, resend_at: datetime) -> None:
    """Nothing was sent: the verification keeps its sends; one that was never sent fails. The hour's counters stay."""
    row = Verification.objects.filter(pk=reserved.verification.pk, status=VerificationStatus.PENDING)
    if reserved.verification.sends == 1:
        row.update(status=VerificationStatus.FAILED, pending_key=None)
    else:
        row.update(sends=F("sends") - 1, resend_at=resend_at)
    refused = isinstance(error, BackendRejected)
    status = AttemptStatus.REFUSED if refused else AttemptStatus.NOT_SENT
    _settle_attempt(reserved.attempt, status, now, error_code=error.provider_code or None)


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


def started(verification: Verification, *, reused: bool = False, perhaps_sent: bool = False) -> Started:
    """The answer that describes ``verification`` as it stands."""
    left = max(MAX_SENDS - verification.sends, 0)
    return Started(
        verification=verification,
        channel=Channel(verification.channel),
        reused=reused,
        perhaps_sent=perhaps_sent,
        resend_at=verification.resend_at if left else None,
        sends_left=left,
    )
