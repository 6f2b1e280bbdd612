"""The decisions of asking a factor that the provider keeps: whom, whether it may be asked now, and what is kept.

``challenges`` runs these around the provider's call. Nothing is sent to an address, so no consent is asked for.
"""

from __future__ import annotations

import json
import logging
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError
from django.utils.translation import gettext

from ..backends.factor_options import NO_DETAILS, ChallengeDetails
from ..backends.factor_results import ChallengeStatus, ProviderChallenge
from ..backends.handler import backends
from ..choices import FACTOR_CHANNELS, Channel, CheckOutcome, FactorKind, Purpose, VerificationStatus
from ..conf import settings
from ..core.client import ClientInfo
from ..exceptions import BackendError, BackendRejected, BackendUnavailable, FactorNotFound, RateLimited
from ..ledger.persons import Person, session_fingerprint
from ..limits import counters, lockouts
from ..limits.lockouts import Refused
from ..models import Entity, Factor, Verification
from ..models.transactions import short_transaction
from . import assurance, checking, claimants, routing, throttling
from .options import Payment
from .results import Started
from .routing import RouteRequest
from .sending import payment_of
from .slots import slot_keys

logger = logging.getLogger("django_twilio_verify")

KIND_OF: Mapping[Channel, FactorKind] = {
    Channel.TOTP: FactorKind.TOTP,
    Channel.PUSH: FactorKind.PUSH,
    Channel.SILENT: FactorKind.PUSH,
    Channel.PASSKEY: FactorKind.PASSKEY,
}
SILENT_PLATFORM = "none"
LIFETIME = timedelta(minutes=10)
"""How long an answer may take: what NIST SP 800-63B allows, and what Verify's passkey options say to browsers."""
PUSH_LIFETIME = timedelta(minutes=5)
PROMPTS_WITHIN: Mapping[str, timedelta] = {
    "push_unanswered_day": timedelta(days=1),
    "push_unanswered": timedelta(minutes=10),
}
"""The limits of prompts that nobody approved, and the time in which they count."""
HIDDEN_ID = "verification"
"""The hidden detail of a push that holds the verification's id, by which one is found whose SID was lost."""
_PUSHED = (Channel.PUSH, Channel.SILENT)
_TRIES = 5


@dataclass(frozen=True, slots=True)
class ChallengeRequest:
    """What ``challenges.start`` was called with. ``user`` is ``None`` for whoever will say who they are by passkey."""

    channel: str
    client: ClientInfo
    user: AbstractBaseUser | None
    purpose: str = Purpose.LOGIN
    factor: Factor | None = None
    backend: str | None = None
    amount: str = ""
    payee: str = ""
    message: str = ""
    shown: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ValidatedChallenge:
    """A challenge that somebody asked for. ``factor``: ``None`` for any passkey of the person, or of anybody."""

    channel: Channel
    client: ClientInfo
    user: AbstractBaseUser | None
    purpose: Purpose
    factor: Factor | None
    entity: Entity | None
    backend: str
    payment: Payment
    message: str
    shown: Mapping[str, str]

    def refused(self) -> Refused:
        """Who is locked out where a limit refuses the challenge."""
        return Refused(self.user, self.client, factor=self.factor)

    @property
    def identity(self) -> str:
        return self.entity.identity if self.entity else ""

    @property
    def factor_sid(self) -> str:
        return self.factor.sid if self.factor else ""

    @property
    def places(self) -> list[str]:
        """The place that the challenge occupies while it is pending, as that of a send."""
        # SECURITY: another amount is another challenge.
        paid = (self.payment.amount, self.payment.payee) if self.purpose == Purpose.PAYMENT else ()
        asked = f"{self.channel.value}:{self.factor_sid}"
        return slot_keys(Person.of(self.user, self.client), self.client, asked, self.purpose.value, self.backend, *paid)


def validate(ask: ChallengeRequest) -> ValidatedChallenge:
    """What ``ask`` comes to. Nothing is written.

    Raises ``ChannelTooWeak``, ``FactorNotFound`` for a factor that is not the person's own, confirmed and of that kind,
    or a person who has none, and ``ValueError`` for a channel that asks no factor or a backend that keeps none
    of the kind.
    """
    Person.of(ask.user, ask.client)  # raises where nobody is given
    channel, purpose = Channel.parse(ask.channel), Purpose(ask.purpose)
    if channel not in FACTOR_CHANNELS:
        raise ValueError(f"{channel.value!r} asks no factor that the provider keeps: use verifications.start().")
    if purpose == Purpose.ENROLL:
        raise ValueError("A factor is enrolled by devicefactors.begin_totp() and its like.")
    assurance.require(channel, user=ask.user, purpose=purpose, client=ask.client)
    factor = _factor(ask, channel)
    entity = _entity(ask, factor)
    alias = entity.backend if entity else ask.backend or routing.choose(_route(ask))
    if KIND_OF[channel] not in backends[alias].factor_kinds:
        raise ValueError(f"The backend {alias!r} keeps no factors that answer by {channel.value!r}.")
    payment = payment_of(purpose, ask.amount, ask.payee)
    return ValidatedChallenge(
        channel, ask.client, ask.user, purpose, factor, entity, alias, payment, ask.message, ask.shown
    )


def usable(user_id: Any, channel: Channel) -> list[Factor]:
    """The factors of a person that can be asked by ``channel``, the one that worked latest first."""
    found = Factor.objects.filter(
        user_id=user_id, kind=KIND_OF[channel], confirmed_at__isnull=False, lost_at=None, entity__isnull=False
    ).select_related("entity")
    if channel in _PUSHED:
        is_silent = channel == Channel.SILENT
        found = found.filter(platform=SILENT_PLATFORM) if is_silent else found.exclude(platform=SILENT_PLATFORM)
    return list(found.order_by("-last_used_at", "-pk"))


def _factor(ask: ChallengeRequest, channel: Channel) -> Factor | None:
    # SECURITY: read again, whatever the caller holds: it may be removed, unconfirmed or somebody else's.
    if ask.user is None:
        if channel != Channel.PASSKEY or ask.factor is not None:
            raise ValueError("Only a passkey says by itself whose it is: give user.")
        return None
    own = usable(ask.user.pk, channel)
    if ask.factor is not None:
        own = [one for one in own if one.pk == ask.factor.pk]
    if not own:
        raise FactorNotFound
    return None if channel == Channel.PASSKEY and ask.factor is None else own[0]


def _entity(ask: ChallengeRequest, factor: Factor | None) -> Entity | None:
    if ask.user is None:
        return None
    if factor is not None:
        return factor.entity
    found = [one.entity for one in usable(ask.user.pk, Channel.PASSKEY) if one.entity]
    alias = ask.backend or _preferred(ask, found)
    at = [one for one in found if not alias or one.backend == alias]
    if not at:
        raise FactorNotFound
    return at[0]


def _preferred(ask: ChallengeRequest, found: list[Entity]) -> str:
    """Which of ``found``, where somebody has passkeys, is asked: the one that the router names, since a browser offers
    the passkeys of that Service's relying party alone; ``""``, for the first, if none is there.
    """
    aliases = {one.backend for one in found}
    if len(aliases) < 2 or settings.router is None:
        return ""
    alias = routing.choose(_route(ask))
    return alias if alias in aliases else ""


def _route(ask: ChallengeRequest) -> RouteRequest:
    return RouteRequest.of_device(FactorKind.PASSKEY, Purpose(ask.purpose), ask.user, ask.client)


def reserve(wanted: ValidatedChallenge, now: datetime) -> Started | Verification:
    """Count the challenge and make its record, in one short transaction; or the one that is pending in its place.

    Raises ``RateLimited``. Of simultaneous calls for one place exactly one is given a ``Verification``, to ask with.
    """
    subjects = claimants.challenge_subjects(wanted.user, wanted.client, wanted.channel, wanted.purpose)
    for _ in range(_TRIES):
        current = Verification.objects.filter(pending_key__in=wanted.places).order_by("-created_at").first()
        if current is not None and (standing := _standing(current, now)) is not None:
            return standing
        if wanted.factor is not None:
            throttling.require(wanted.factor, wanted.client, now)
        try:
            return counters.within(subjects, now, partial(_open, wanted, current, now), refused=wanted.refused)
        except IntegrityError:
            continue  # SECURITY: somebody was first; look again, never ask beside them
        except RateLimited as limit:
            if limit.code in PROMPTS_WITHIN:  # counted by ``_spare``, the others by ``within``
                _note_lockout(wanted, limit, now)
            raise
    raise RateLimited("cooldown", retry_at=now + timedelta(seconds=1))


def _note_lockout(wanted: ValidatedChallenge, limit: RateLimited, now: datetime) -> None:
    refused = wanted.refused()
    key = counters.key(limit.code, str(refused.user.pk) if refused.user is not None else "")
    if lockouts.is_first(key, counters.window_of(limit.code, now)):
        lockouts.announce(limit.code, refused, until=limit.retry_at)


def _standing(current: Verification, now: datetime) -> Started | None:
    """The pending challenge as the answer, or ``None`` if there is to be a new one."""
    if current.expires_at <= now:
        return None
    if current.status == VerificationStatus.MAX_ATTEMPTS_REACHED:
        raise RateLimited("no_checks_left", retry_at=current.expires_at)
    if current.channel == Channel.TOTP or current.sid or current.channel in _PUSHED:
        return challenged_result(current, reused=True)
    if current.resend_at > now:  # being made at this moment
        raise RateLimited("cooldown", retry_at=current.resend_at)
    return None  # it was cut short, and there is nothing that a browser could be asked


def _open(wanted: ValidatedChallenge, over: Verification | None, now: datetime) -> Verification:
    if wanted.channel in _PUSHED:
        _spare(wanted, now)
    if over is not None:
        place = Verification.objects.filter(pk=over.pk, pending_key__in=wanted.places)
        place.close(VerificationStatus.EXPIRED)
        place.leave_place()
    return Verification.objects.create(
        user_id=wanted.user.pk if wanted.user else None,
        session=session_fingerprint(wanted.client),
        purpose=wanted.purpose.value,
        channel=wanted.channel.value,
        factor=wanted.factor,
        backend=wanted.backend,
        pending_key=wanted.places[0],
        amount=wanted.payment.amount,
        payee=wanted.payment.payee,
        # SECURITY: shown on the phone and typed here: who only knows the password cannot have a prompt waved through.
        match_number=str(10 + secrets.randbelow(90)) if wanted.channel == Channel.PUSH else "",
        sends=1,
        created_at=now,
        expires_at=now + (PUSH_LIFETIME if wanted.channel in _PUSHED else LIFETIME),
        resend_at=now + timedelta(seconds=2 * backends[wanted.backend].timeout + 5),
    )


def _spare(wanted: ValidatedChallenge, now: datetime) -> None:
    """SECURITY: prompts that nobody said yes to are limited: people who are asked often enough say yes to be left
    alone. Simultaneous ones of one user count each other: they hold the user's counter (``counters.within``) by now.
    """
    longest = max(PROMPTS_WITHIN.values())
    recent = Verification.objects.filter(
        user=wanted.user.pk if wanted.user else None, channel__in=_PUSHED, created_at__gt=now - longest
    ).exclude(status__in=(VerificationStatus.APPROVED, VerificationStatus.FAILED))
    prompts = sorted(recent.values_list("created_at", flat=True))
    for rule, within in PROMPTS_WITHIN.items():
        times = [moment for moment in prompts if moment > now - within]
        allowed = settings.limits[rule]
        if len(times) >= allowed:
            first = times[len(times) - allowed] if allowed > 0 else now
            raise RateLimited(rule, retry_at=first + within)


def details(wanted: ValidatedChallenge, verification: Verification) -> ChallengeDetails:
    """What the phone is told."""
    if wanted.channel not in _PUSHED:
        return NO_DETAILS
    shown = dict(wanted.shown)
    if verification.amount:
        shown |= {gettext("Amount"): verification.amount, gettext("Payee"): verification.payee}
    if verification.match_number:
        shown[gettext("Number")] = verification.match_number
    return ChallengeDetails(
        message=(wanted.message or _message(wanted.purpose))[:256],
        fields=shown,
        hidden={HIDDEN_ID: str(verification.pk)},
        expires_at=verification.expires_at,
    )


def _message(purpose: Purpose) -> str:
    site = settings.program.name or gettext("this site")
    if purpose == Purpose.PAYMENT:
        return gettext("Approve a payment at %(site)s?") % {"site": site}
    if purpose == Purpose.LOGIN:
        return gettext("Sign in to %(site)s?") % {"site": site}
    return gettext("Is it you at %(site)s?") % {"site": site}


def record_challenge(
    wanted: ValidatedChallenge, verification: Verification, made: ProviderChallenge, now: datetime
) -> Started:
    """The provider made the challenge, or said that the factor is not there any more.

    Raises ``BackendRejected`` (``device``) for that, and for one that is not as it was asked for.
    """
    if made.status != ChallengeStatus.PENDING or (wanted.channel == Channel.PASSKEY and not made.options):
        fail(verification)
        if made.status == ChallengeStatus.GONE and wanted.factor is not None:
            lose(wanted.factor, now)
        raise BackendRejected("device", provider_code=made.provider_code)
    values = {"sid": made.sid, "browser_options": json.dumps(dict(made.options)) if made.options else ""}

    def write() -> None:
        row = Verification.objects.filter(pk=verification.pk)
        if not row.record_challenge(**values):
            row.record_sid(made.sid)

    short_transaction(write)
    for name, value in values.items():
        setattr(verification, name, value)
    return challenged_result(verification)


def record_challenge_failed(wanted: ValidatedChallenge, verification: Verification, error: BackendError) -> Started:
    """The provider did not make it, or did not say. Answers "perhaps asked" for a push, else raises ``error``."""
    logger.warning(
        "Challenge failed: verification=%s channel=%s error=%s provider_code=%s",
        verification.pk,
        verification.channel,
        error.code,
        error.provider_code,
    )
    if wanted.channel in _PUSHED and isinstance(error, BackendUnavailable) and error.may_have_been_done:
        return challenged_result(verification, delivery_unknown=True)  # ``poll`` finds it by its hidden detail
    fail(verification)
    raise error


def fail(verification: Verification) -> None:
    """Nobody was asked: it is over."""
    checking.close(verification, VerificationStatus.FAILED)


def lose(factor: Factor, now: datetime) -> None:
    """Note that the provider does not know ``factor`` (any more). SECURITY: it still counts as one that is enrolled."""
    logger.warning("The provider does not know factor=%s kind=%s", factor.pk, factor.kind)
    Factor.objects.filter(pk=factor.pk).lose(now)


def challenged_result(verification: Verification, *, reused: bool = False, delivery_unknown: bool = False) -> Started:
    """The answer that describes ``verification`` as it stands."""
    return Started(
        verification=verification,
        channel=Channel(verification.channel),
        reused=reused,
        delivery_unknown=delivery_unknown,
        needs_number=bool(verification.match_number) and verification.matched_at is None,
        browser_options=json.loads(verification.browser_options) if verification.browser_options else {},
    )


def held(verification: Verification, factor: Factor, now: datetime) -> CheckOutcome | None:
    """To be asked in the transaction that approves: whether the person still has the factor.

    SECURITY: whoever removed it a moment ago removed it for this sign-in too.
    """
    # SECURITY: of whom it was begun for, whosoever the row is by now.
    whose = verification.user_id
    if not Factor.objects.filter(pk=factor.pk, user=whose).prove(now):
        return CheckOutcome.FACTOR_GONE
    Verification.objects.filter(pk=verification.pk).record_factor(factor, whose)
    return None


def may_answer(factor: Factor, verification: Verification) -> bool:
    """Whether ``factor``, as it was just read, may still answer ``verification``: nobody is asked otherwise.

    The transaction that approves asks the database again (``held``).
    """
    is_own = factor.user_id == verification.user_id
    return is_own and factor.confirmed_at is not None and factor.lost_at is None
