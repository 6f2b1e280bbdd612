"""Enrolling what the provider keeps: authenticator apps, passkeys, phones with the site's app. And removing anything.

``begin_…`` has the provider make a factor, or lets a phone make one; ``confirm`` takes its first answer. Between the
two stand an ``enroll`` verification, which only the session that began may go on with, and a ``Factor`` row that is not
confirmed and opens nothing; what is never confirmed is cleaned up by ``manage.py sync_factors``.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import IntegrityError
from django.utils import timezone

from ..backends.factor_options import FactorOptions, PasskeyOptions, TotpOptions, check_name, options_for
from ..backends.factor_results import FactorStatus, ProviderFactor
from ..backends.handler import backends
from ..backends.threads import query_twin_of
from ..backends.twins import Call, Steps, verb, verb_twin_of
from ..choices import Actor, Channel, CheckOutcome, FactorKind, Purpose, VerificationStatus
from ..consent import endings, opt_outs
from ..consent.context import ConsentContext, pressed
from ..consent.recording import Subject
from ..core import receivers
from ..core.client import ClientInfo
from ..exceptions import BackendError, RateLimited
from ..ledger.persons import Person, session_fingerprint
from ..limits import counters
from ..limits.lockouts import Refused
from ..models import Entity, Factor, RecoveryCode, Verification
from ..models.transactions import deleting, short_transaction
from ..signals import factor_removed
from ..verifications import answers, challenge_rules, challenge_steps, checking, passkey, push, replays, routing, totp
from ..verifications.challenge_steps import ChallengeAnswer
from ..verifications.results import Checked
from ..verifications.routing import RouteRequest
from ..verifications.slots import slot_keys
from . import entities, own_factors, reset_holds
from .results import Enrolled, Setup, SetupChecked

CLOCKS_DIFFER = timedelta(minutes=1)
_CHANNELS = {FactorKind.TOTP: Channel.TOTP, FactorKind.PASSKEY: Channel.PASSKEY, FactorKind.PUSH: Channel.PUSH}
_TRIES = 5

Allowed = Callable[[Factor, list[Factor]], None]
"""Told the factor that is to go and those that would be left; raises to refuse."""


@dataclass(frozen=True, slots=True)
class SetupRequest:
    """What a setup was begun with. ``name``: what the device shows; ``label``: what the site calls it."""

    user: AbstractBaseUser
    client: ClientInfo
    kind: FactorKind
    name: str
    backend: str | None = None
    options: FactorOptions | None = field(default=None, repr=False)
    ttl: int | None = None
    label: str = ""

    @classmethod
    def totp(
        cls,
        user: AbstractBaseUser,
        client: ClientInfo,
        name: str,
        backend: str | None,
        options: FactorOptions | None,
        *,
        label: str,
    ) -> SetupRequest:
        return cls(user, client, FactorKind.TOTP, name, backend, options, label=label)

    @classmethod
    def passkey(
        cls,
        user: AbstractBaseUser,
        client: ClientInfo,
        name: str,
        backend: str | None,
        options: FactorOptions | None,
    ) -> SetupRequest:
        return cls(user, client, FactorKind.PASSKEY, name, backend, options)

    @classmethod
    def push(
        cls, user: AbstractBaseUser, client: ClientInfo, name: str, backend: str | None, *, ttl: int | None
    ) -> SetupRequest:
        return cls(user, client, FactorKind.PUSH, name, backend, ttl=ttl)

    def places(self, alias: str) -> list[str]:
        """The place that the enrollment occupies while it is under way, as that of a send."""
        return slot_keys(Person.of(self.user, self.client), self.client, f"enroll:{self.kind.value}", alias)


@verb
def begin_totp(
    user: AbstractBaseUser,
    client: ClientInfo,
    *,
    name: str,
    options: TotpOptions | None = None,
    backend: str | None = None,
    label: str = "",
) -> Steps[Setup]:
    """Make an authenticator app's factor for ``user``: ``Setup.secret`` and ``.uri`` are told this once.

    ``name``: 1 to 64 characters; the app shows it as the account. ``label``: as many, what the factor is called here;
    ``name`` without it. ``client``: the session that may ``confirm``, for ten
    minutes. Beginning again in the same session puts an end to what was begun before. ``backend``: an alias, where the
    factor stays; ``None`` asks ``TWILIO_VERIFY_ROUTER``.

    Raises ``ValueError`` for a backend that keeps none (as ``IncompatibleOptions`` for a name or options that cannot be
    told), ``RateLimited``, ``BackendRejected`` and ``BackendUnavailable``, and ``RuntimeError`` within a transaction.
    """
    return begin_steps(SetupRequest(user, client, FactorKind.TOTP, name, backend, options, label=label))


abegin_totp = verb_twin_of(begin_totp)


@verb
def begin_passkey(
    user: AbstractBaseUser,
    client: ClientInfo,
    *,
    name: str,
    options: PasskeyOptions | None = None,
    backend: str | None = None,
) -> Steps[Setup]:
    """Make a passkey's factor: ``Setup.browser_options`` are for the browser. ``options``: what the
    Service does not know of the relying party. The rest as ``begin_totp``.
    """
    return begin_steps(SetupRequest(user, client, FactorKind.PASSKEY, name, backend, options))


abegin_passkey = verb_twin_of(begin_passkey)


@verb
def begin_push(
    user: AbstractBaseUser, client: ClientInfo, *, name: str, ttl: int | None = None, backend: str | None = None
) -> Steps[Setup]:
    """Let the site's app on a phone register: ``Setup.access_token`` and ``.identity`` are for it, for ``ttl``
    seconds (60 to 300, else 60). Ask ``confirm`` until the phone is there. The rest as ``begin_totp``.

    SECURITY: only for a phone that is this person's own and that they have just signed in on.
    """
    return begin_steps(SetupRequest(user, client, FactorKind.PUSH, name, backend, ttl=ttl))


abegin_push = verb_twin_of(begin_push)


@verb
def confirm(
    verification: Verification | uuid.UUID,
    *,
    client: ClientInfo,
    user: AbstractBaseUser,
    code: str | None = None,
    credential: Mapping[str, Any] | None = None,
) -> Steps[SetupChecked]:
    """Enroll what was begun: ``code`` that an authenticator app shows, ``credential`` that a browser made, neither for
    a phone, of which the provider is asked whether it has registered.

    ``SetupChecked.enrolled`` is set if it is enrolled. Outcomes as of ``challenges.check``; ``WAITING``: no phone
    so far.
    Raises ``VerificationNotFound``, ``BackendUnavailable`` and ``BackendRejected``.
    """
    return confirmed_steps(ChallengeAnswer(_id(verification), client, user, code=code, credential=credential))


aconfirm = verb_twin_of(confirm)


def phone_since(user: AbstractBaseUser, moment: datetime) -> Factor | None:
    """The latest phone that ``user`` enrolled from ``moment`` (aware) on, in whichever session, by our own record: for
    a page on another screen that waits for it. One SELECT.
    """
    phones = Factor.objects.confirmed_for(user.pk).filter(kind=FactorKind.PUSH, confirmed_at__gte=moment)
    return phones.order_by("-confirmed_at").first()


def rename(user: AbstractBaseUser, factor_id: int, name: str) -> bool:
    """Give a factor of ``user`` another name, on this site alone; whether there is such a factor. Raises
    ``IncompatibleOptions`` for what is no name.
    """
    return bool(Factor.objects.filter(pk=factor_id, user_id=user.pk).rename(check_name(name)))


def remove(
    user: AbstractBaseUser,
    factor_id: int,
    *,
    client: ClientInfo | None = None,
    allowed: Allowed | None = None,
    then: Callable[[], object] | None = None,
) -> bool:
    """Remove a factor of ``user``, of any kind, here and at the provider; whether there was one, to one call alone.

    If it was the default, the strongest that is left is from here on. With the last one, the recovery codes go. The
    person's consent to messages at its number or address is withdrawn, in the name of ``client`` if the person asked
    for it. ``allowed``: whether it may go is for the caller to decide; called in the transaction, while no other
    factor of the person can go, with the factor and those that would be left, it raises to refuse. ``then``: what is
    done next, once the factor is gone and before the site is told. Whether a step-up went before, is for the caller to
    see to. Raises ``RuntimeError`` within a transaction of the caller's.
    """
    factor = deleting(partial(_delete, user.pk, factor_id, allowed))
    if factor is None:
        return False
    receivers.each(*([then] if then else []), partial(removed, factor, user, client))
    return True


aremove = query_twin_of(remove)  # the provider is told after the commit, in that thread too


def removed(
    factor: Factor, user: AbstractBaseUser, client: ClientInfo | None, *, replaced_by: Factor | None = None
) -> None:
    """Withdraw the consent for a removed ``factor`` and tell the site, after the removal was committed.

    Raises ``KeysDoNotFit`` if consent cannot be withdrawn; the site is told first. Nothing is sent under such keys.
    """
    told = {"factor": factor, "replaced_by": replaced_by, "reset": None}
    tell = partial(receivers.send, factor_removed, Factor, user=user, client=client, **told)
    withdraw = partial(_withdraw, factor, user, client, "Replace" if replaced_by else "Remove")
    receivers.each(*([withdraw] if factor.recipient_value else []), tell)


def _withdraw(factor: Factor, user: AbstractBaseUser, client: ClientInfo | None, button: str) -> None:
    """End this person's consent there, by every way; that of others with the same number stands."""
    by_hand = pressed(button)
    asking = client or ClientInfo()
    context = by_hand if client is not None else ConsentContext(actor=Actor.SYSTEM)
    for channel in opt_outs.channels_to(factor.recipient):
        endings.withdraw(Subject.of(factor.recipient, channel, user, asking, None), asking, context)


def _delete(user_id: Any, factor_id: int, allowed: Allowed | None) -> Factor | None:
    own_factors.hold(user_id)
    factor = Factor.objects.filter(pk=factor_id, user_id=user_id).first()
    if factor is None:
        return None
    left = list(Factor.objects.confirmed_for(user_id).exclude(pk=factor_id))
    if allowed is not None:
        allowed(factor, left)
    factor.delete()
    factor.pk = factor_id
    if left:
        own_factors.choose_default(user_id)
    else:
        RecoveryCode.objects.filter(user_id=user_id).delete()
    return factor


def begin_steps(ask: SetupRequest) -> Steps[Setup]:
    """The steps of ``begin_totp`` and its like."""
    # SECURITY: before anything is made at the provider: after a reset only the session that opened the mailed link.
    reset_holds.check(ask.user, ask.client)
    check_name(ask.name)
    check_name(ask.label or ask.name)
    options_for(ask.kind, ask.options)
    alias = ask.backend or routing.choose(RouteRequest.of_device(ask.kind, Purpose.ENROLL, ask.user, ask.client))
    if ask.kind not in backends[alias].factor_kinds:
        raise ValueError(f"The backend {alias!r} keeps no factors of the kind {ask.kind.value!r}.")
    entity = entities.entity_for(ask.user, alias)
    verification = _reserve(ask, alias, timezone.now())
    try:
        if ask.kind == FactorKind.PUSH:
            token = yield Call(alias, "access_token", (entity.identity,), {"name": ask.name, "ttl": ask.ttl})
            return Setup(
                verification,
                Channel.PUSH,
                access_token=token.token,
                identity=entity.identity,
                service_sid=backends[alias].service_sid,
            )
        made: ProviderFactor = yield Call(
            alias, "enroll", (entity.identity, ask.kind), {"name": ask.name, "options": ask.options}
        )
    except BackendError:
        challenge_rules.fail(verification)
        raise
    short_transaction(partial(_keep, ask, entity, verification, made))
    return Setup(verification, _CHANNELS[ask.kind], secret=made.secret, uri=made.uri, browser_options=made.options)


def _reserve(ask: SetupRequest, alias: str, now: datetime) -> Verification:
    """The verification in its place, after the end of what was begun there before: a secret is not told twice."""
    subjects = {"user_hour": Person.of(ask.user, ask.client).fingerprint, "ip_hour": ask.client.ip}
    refused = partial(Refused, ask.user, ask.client)
    for _ in range(_TRIES):
        try:
            return counters.within(subjects, now, partial(_open, ask, alias, now), refused=refused)
        except IntegrityError:  # another tab, at the same instant
            continue
    raise RateLimited("cooldown", retry_at=now + timedelta(seconds=1))


def _open(ask: SetupRequest, alias: str, now: datetime) -> Verification:
    taken = ask.places(alias)
    before = Verification.objects.filter(pending_key__in=taken)
    unconfirmed = list(before.exclude(factor=None).values_list("factor_id", flat=True))
    before.close(VerificationStatus.CANCELED)
    before.leave_place()
    Factor.objects.filter(pk__in=unconfirmed, confirmed_at=None).delete()
    return Verification.objects.create(
        user_id=ask.user.pk,
        session=session_fingerprint(ask.client),
        purpose=Purpose.ENROLL.value,
        channel=_CHANNELS[ask.kind].value,
        backend=alias,
        pending_key=taken[0],
        sends=1,
        created_at=now,
        expires_at=now + challenge_rules.LIFETIME,
        resend_at=now,
    )


def _keep(ask: SetupRequest, entity: Entity, verification: Verification, made: ProviderFactor) -> None:
    """SECURITY: of what the provider told, the secret is not kept."""
    verification.factor = _create(ask.user.pk, entity, made, ask.label or ask.name, timezone.now())
    verification.sid = made.sid
    Verification.objects.filter(pk=verification.pk).record_enrollment(verification.factor, made.sid)


def _create(user_id: Any, entity: Entity, made: ProviderFactor, name: str, now: datetime) -> Factor:
    kind = made.kind or FactorKind.PUSH
    silent = kind == FactorKind.PUSH and made.platform == challenge_rules.SILENT_PLATFORM
    return Factor.objects.create(
        user_id=user_id,
        entity=entity,
        kind=kind.value,
        channel=Channel.SILENT.value if silent else _CHANNELS[kind].value,
        key=made.sid,
        sid=made.sid,
        platform=made.platform[:4],
        digits=made.digits if kind == FactorKind.TOTP else 0,
        label=name[:64],
        created_at=now,
    )


def confirmed_steps(given: ChallengeAnswer) -> Steps[SetupChecked]:
    """The steps of ``confirm``."""
    assert given.user is not None
    reset_holds.check(given.user, given.client)
    verification = checking.load(given.verification_id, given.client, given.user)
    if verification.purpose != Purpose.ENROLL or not verification.is_challenge or not _fits(given, verification):
        return SetupChecked(checking.checked_result(verification, CheckOutcome.WRONG_ANSWER_TYPE))
    if verification.channel == Channel.PUSH:
        return (yield from _registered(given, verification))
    claimed = yield from challenge_steps.claimed(given, partial(_claim, given))
    if isinstance(claimed, Checked):
        return _enrolled(answers.announced(claimed, given), given, first=False)
    factor = challenge_steps.factor_of(claimed)
    if factor is None or factor.entity is None or factor.confirmed_at is not None:
        # The provider never made it, or it was removed meanwhile.
        lost = checking.record_outcome(claimed, CheckOutcome.FACTOR_GONE, timezone.now())
        return SetupChecked(answers.announced(lost, given))
    if _is_taken(given):
        wrong = challenge_steps.refused(claimed, CheckOutcome.WRONG, timezone.now())
        return SetupChecked(answers.announced(wrong, given))
    answer = given.credential if given.code is None else totp.typed_code(given, claimed).digits
    try:
        told = yield Call(claimed.backend, "confirm", (factor.entity.identity, factor.sid, answer))
    except BackendError as error:
        return SetupChecked(answers.announced(challenge_steps.unanswered(claimed, error), given))
    return _settle(given, claimed, factor, told)


def _fits(given: ChallengeAnswer, verification: Verification) -> bool:
    ways = {Channel.TOTP: given.code, Channel.PASSKEY: given.credential}
    channel = Channel(verification.channel)
    return channel == Channel.PUSH or ways.get(channel) is not None


def _claim(given: ChallengeAnswer) -> Checked | Verification | None:
    verification, now = checking.load(given.verification_id, given.client, given.user), timezone.now()
    if over := checking.ended_as(verification, now):
        return checking.checked_result(verification, over)
    if given.code is not None:
        typed = totp.typed_code(given, verification)
        if typed.problem is not None:
            return checking.checked_result(verification, CheckOutcome.MALFORMED, reason=typed.problem.value)
    elif not passkey.credential_digest(given.credential):
        return checking.checked_result(verification, CheckOutcome.MALFORMED, reason="not_a_passkey")
    taken = checking.claim_answer(verification, given, now)
    return verification if taken is True else taken


def _is_taken(given: ChallengeAnswer) -> bool:
    """SECURITY: a credential's id is somebody's already. Without proof of origin anybody may claim any id, and would
    be found by it at a sign-in without a name (WebAuthn Level 3, section 7.1, step 26).
    """
    digest = passkey.credential_digest(given.credential)
    return bool(digest) and Factor.objects.filter(credential_digest=digest).exists()


def _settle(given: ChallengeAnswer, verification: Verification, factor: Factor, told: ProviderFactor) -> SetupChecked:
    now = timezone.now()
    if not told.verified or told.sid != factor.sid:
        ends = {FactorStatus.EXHAUSTED: CheckOutcome.NO_CHECKS_LEFT, FactorStatus.GONE: CheckOutcome.FACTOR_GONE}
        if end := ends.get(told.status):
            return SetupChecked(
                answers.announced(checking.record_outcome(verification, end, now, told.provider_code), given)
            )
        wrong = challenge_steps.refused(verification, CheckOutcome.WRONG, now, told.provider_code)
        return SetupChecked(answers.announced(wrong, given))
    first = not Factor.objects.confirmed_for(factor.user_id).exists()
    code = totp.typed_code(given, verification).digits if given.code is not None else ""
    try:
        checked = checking.approve(verification, now, partial(_confirmed, given, factor, code, now))
    except IntegrityError:  # the same credential, confirmed by somebody else at this instant
        checked = challenge_steps.refused(verification, CheckOutcome.WRONG, now)
    return _enrolled(answers.announced(checked, given), given, first=first)


def _confirmed(given: ChallengeAnswer, factor: Factor, code: str, now: datetime) -> CheckOutcome | None:
    """In the transaction that approves."""
    digest = passkey.credential_digest(given.credential) or None
    # SECURITY: removed meanwhile is not enrolled.
    if not Factor.objects.filter(pk=factor.pk).confirm(now, credential_digest=digest):
        return CheckOutcome.FACTOR_GONE
    if code:
        # SECURITY: the code that enrolls is not the code that signs in.
        replays.accept(factor.pk, code, now)
    return None


def _registered(given: ChallengeAnswer, verification: Verification) -> Steps[SetupChecked]:
    """Whether a phone has registered since the access token was made."""
    assert given.user is not None  # ``confirm`` asks for one
    now = timezone.now()
    if over := checking.ended_as(verification, now):
        return _enrolled(checking.checked_result(verification, over), given, first=False)
    waiting = SetupChecked(checking.checked_result(verification, CheckOutcome.WAITING))
    if not push.may_ask(verification, now):
        return waiting
    entity = entities.entity_for(given.user, verification.backend)
    told = yield Call(entity.backend, "factors", (entity.identity,))
    made = _new_phone(verification, told)
    if made is None:
        return waiting
    first = not Factor.objects.confirmed_for(entity.user_id).exists()
    now = timezone.now()
    try:
        checked = checking.approve(verification, now, partial(_phone_confirmed, verification, entity, made, now))
    except IntegrityError:  # the same phone, by another request
        return waiting
    return _enrolled(answers.announced(checked, given), given, first=first)


def _new_phone(verification: Verification, told: tuple[ProviderFactor, ...]) -> ProviderFactor | None:
    """SECURITY: a verified push factor that is not enrolled here yet and was made since ``begin_push``."""
    since = verification.created_at - CLOCKS_DIFFER
    fresh = [
        one
        for one in told
        if one.kind == FactorKind.PUSH and one.verified and one.created_at is not None and one.created_at >= since
    ]
    known = set(Factor.objects.filter(sid__in=[one.sid for one in fresh]).values_list("sid", flat=True))
    return next((one for one in fresh if one.sid not in known), None)


def _phone_confirmed(verification: Verification, entity: Entity, made: ProviderFactor, now: datetime) -> None:
    factor = _create(entity.user_id, entity, made, made.name, now)
    Factor.objects.filter(pk=factor.pk).confirm(now, used=True)
    Verification.objects.filter(pk=verification.pk).record_enrollment(factor, made.sid)
    verification.factor, verification.sid = factor, made.sid


def _enrolled(checked: Checked, given: ChallengeAnswer, *, first: bool) -> SetupChecked:
    """The answer for the person, once the receivers of signals have heard of it."""
    checked.verification.refresh_from_db(fields=["factor"])
    factor = challenge_steps.factor_of(checked.verification)
    if factor is None or (not checked.approved and factor.confirmed_at is None):
        return SetupChecked(checked)
    if not checked.approved:
        return SetupChecked(checked, Enrolled(factor, created=False) if checked.already_approved else None)
    short_transaction(partial(own_factors.choose_default, factor.user_id))
    factor = challenge_steps.factor_of(checked.verification) or factor
    own_factors.announce(factor, given.client)
    return SetupChecked(checked, Enrolled(factor, created=True, is_first=first))


def _id(verification: Verification | uuid.UUID) -> uuid.UUID:
    return verification if isinstance(verification, uuid.UUID) else verification.pk
