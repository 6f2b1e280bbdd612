"""One proof from start to end: reserve, call, settle.

No transaction is open and no row is locked while the provider is called. Every decision is one conditional write, so
that of any number of simultaneous calls one sends and one is accepted. ``astart`` and ``acheck`` make the same
decisions by the same functions (``sending``, ``checking``); only the call of the provider and the waiting differ.
"""

from __future__ import annotations

import asyncio
import time
import uuid

from asgiref.sync import sync_to_async
from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..backends.base import BaseBackend
from ..backends.handler import backends
from ..choices import Channel, CheckOutcome, Purpose
from ..clientinfo import ClientInfo
from ..conf import settings
from ..exceptions import BackendError
from ..models import Factor, Verification
from ..options import SendOptions
from ..recipients import Recipient
from ..results import Checked, Started
from ..signals import verification_approved, verification_refused, verification_started
from . import checking, sending
from .checking import Answer, Claimed
from .persons import Person
from .sending import Reserved, Wanted

POLL = 0.1
"""Seconds between two looks while another answer to the same verification is with the provider."""


def start(
    *,
    recipient: str | Recipient,
    channel: str,
    client: ClientInfo,
    user: AbstractBaseUser | None = None,
    purpose: str = Purpose.VERIFY,
    factor: Factor | None = None,
    resend: bool = False,
    region: str | None = None,
    backend: str = "default",
) -> Started:
    """Have a code sent, unless one sent a moment ago still counts.

    ``recipient``: phone number in any format (``region``: ISO 3166 country for one without ``+``) or email address.
    ``channel``: a ``Channel`` that carries a code. ``client``: the other end; the verification can be answered only
    with the same ``client.session``. ``user``: whose proof it is, ``None`` for a visitor. ``factor``: the enrolled
    factor it proves. ``resend``: the person pressed "send again", so a send that still counts is not an answer.
    ``backend``: an alias.

    A provider that does not answer in time is not an error: ``Started.perhaps_sent`` is true, and the send counts.
    Raises ``ConsentRequired``, ``InvalidRecipient``, ``RateLimited`` (nothing sent), ``BackendRejected`` and
    ``BackendUnavailable`` (nothing sent, recorded), ``ValueError`` for a channel that carries no code here, and
    ``RuntimeError`` within a transaction of the caller's.
    """
    wanted = _wanted(recipient, channel, client, user, purpose, factor, resend, region, backend)
    reserved = sending.reserve(wanted, timezone.now())
    if isinstance(reserved, Started):
        return reserved
    try:
        sent = backends[backend].start(wanted.recipient, wanted.channel, _options(reserved))
    except BackendError as error:
        return _announce_start(reserved, sending.settle_failed(reserved, error, timezone.now()))
    return _announce_start(reserved, sending.settle_sent(reserved, sent, timezone.now()))


async def astart(
    *,
    recipient: str | Recipient,
    channel: str,
    client: ClientInfo,
    user: AbstractBaseUser | None = None,
    purpose: str = Purpose.VERIFY,
    factor: Factor | None = None,
    resend: bool = False,
    region: str | None = None,
    backend: str = "default",
) -> Started:
    """As ``start``; a slow provider holds up no other request."""
    wanted = _wanted(recipient, channel, client, user, purpose, factor, resend, region, backend)
    reserved = await sync_to_async(sending.reserve)(wanted, timezone.now())
    if isinstance(reserved, Started):
        return reserved
    try:
        sent = await backends[backend].astart(wanted.recipient, wanted.channel, _options(reserved))
    except BackendError as error:
        started = await sync_to_async(sending.settle_failed)(reserved, error, timezone.now())
    else:
        started = await sync_to_async(sending.settle_sent)(reserved, sent, timezone.now())
    return await sync_to_async(_announce_start)(reserved, started)


@sensitive_variables("code", "answer", "claimed")
def check(
    verification: Verification | uuid.UUID,
    *,
    code: str,
    client: ClientInfo,
    user: AbstractBaseUser | None = None,
) -> Checked:
    """Have a typed code judged.

    ``verification``: what ``start`` gave, or its id. ``code``: as typed. ``user``: whose verification it must be, if
    given. A wrong, late or malformed code is a result. ``Checked.approved`` is true for exactly one call. Raises
    ``VerificationNotFound`` (unknown, or of another session or person), ``BackendUnavailable`` and
    ``BackendRejected``, and ``RuntimeError`` within a transaction of the caller's.
    """
    answer = _answer(verification, code, client, user)
    deadline = time.monotonic() + _patience(verification)
    while (claimed := checking.claim(answer, timezone.now())) is None:
        if time.monotonic() > deadline:
            return _busy(answer)
        time.sleep(POLL)
    if isinstance(claimed, Checked):
        return _announce_check(claimed)
    try:
        judged = _backend(claimed).check(
            claimed.verification.recipient, claimed.code.digits, sid=claimed.verification.sid
        )
    except BackendError as error:
        return _announce_check(checking.settle_failed(claimed, error, timezone.now()))
    return _announce_check(checking.settle(claimed, judged, timezone.now()))


@sensitive_variables("code", "answer", "claimed")
async def acheck(
    verification: Verification | uuid.UUID,
    *,
    code: str,
    client: ClientInfo,
    user: AbstractBaseUser | None = None,
) -> Checked:
    """As ``check``; a slow provider holds up no other request."""
    answer = _answer(verification, code, client, user)
    deadline = time.monotonic() + _patience(verification)
    while (claimed := await sync_to_async(checking.claim)(answer, timezone.now())) is None:
        if time.monotonic() > deadline:
            return await sync_to_async(_busy)(answer)
        await asyncio.sleep(POLL)
    if isinstance(claimed, Checked):
        return await sync_to_async(_announce_check)(claimed)
    try:
        judged = await _backend(claimed).acheck(
            claimed.verification.recipient, claimed.code.digits, sid=claimed.verification.sid
        )
    except BackendError as error:
        settled = await sync_to_async(checking.settle_failed)(claimed, error, timezone.now())
    else:
        settled = await sync_to_async(checking.settle)(claimed, judged, timezone.now())
    return await sync_to_async(_announce_check)(settled)


def validate(
    *, recipient: str | Recipient, channel: str, region: str | None = None, backend: str = "default"
) -> Recipient:
    """The recipient, if a code can be sent to it by ``channel`` at all: for asking before consent is recorded.

    Errors as ``start`` raises them for its input: ``InvalidRecipient`` and ``ValueError``.
    """
    parsed = Recipient.parse(recipient, region=region or settings.default_region or None)
    sending.check_sendable(parsed, Channel.parse(channel), backend)
    return parsed


def get(verification_id: uuid.UUID, *, client: ClientInfo, user: AbstractBaseUser | None = None) -> Verification:
    """The caller's own verification. Raises ``VerificationNotFound`` alike for unknown ones and other people's."""
    return checking.load(verification_id, client, user)


def describe(verification: Verification) -> Started:
    """How ``verification`` stands, as ``start`` would have answered: for a page that is shown again."""
    return sending.started(verification, reused=True)


def is_open(verification: Verification) -> bool:
    """Whether its code may still be answered."""
    return verification.is_open(timezone.now())


def _wanted(
    recipient: str | Recipient,
    channel: str,
    client: ClientInfo,
    user: AbstractBaseUser | None,
    purpose: str,
    factor: Factor | None,
    resend: bool,
    region: str | None,
    backend: str,
) -> Wanted:
    Person.of(user, client)  # raises where nobody is given
    parsed = validate(recipient=recipient, channel=channel, region=region, backend=backend)
    return Wanted(parsed, Channel.parse(channel), client, user, Purpose(purpose), factor, backend, resend)


def _options(reserved: Reserved) -> SendOptions:
    return SendOptions(locale=reserved.wanted.locale, tags={"verification": str(reserved.verification.pk)})


def _answer(
    verification: Verification | uuid.UUID,
    code: str,
    client: ClientInfo,
    user: AbstractBaseUser | None,
) -> Answer:
    verification_id = verification if isinstance(verification, uuid.UUID) else verification.pk
    return Answer(verification_id, checking.read_code(code), client, user)


def _patience(verification: Verification | uuid.UUID) -> float:
    """Seconds to wait for another answer that is with the provider: as long as its call may last."""
    alias = "default" if isinstance(verification, uuid.UUID) else verification.backend
    return 2 * backends[alias].timeout


def _busy(answer: Answer) -> Checked:
    return checking.checked(checking.load(answer.verification_id, answer.client, answer.user), CheckOutcome.BUSY)


def _backend(claimed: Claimed) -> BaseBackend:
    return backends[claimed.verification.backend]


def _announce_start(reserved: Reserved, started: Started) -> Started:
    verification_started.send(sender=Verification, verification=started.verification, attempt=reserved.attempt)
    return started


def _announce_check(checked: Checked) -> Checked:
    if checked.approved:
        verification_approved.send(sender=Verification, verification=checked.verification)
    elif checked.outcome not in (CheckOutcome.ALREADY_VERIFIED, CheckOutcome.BUSY):
        verification_refused.send(sender=Verification, verification=checked.verification, outcome=checked.outcome)
    return checked
