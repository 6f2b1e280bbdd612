"""What the holder of a recipient can do who proves to hold it: stop its messages, or let them in again."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from datetime import timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..choices import ConsentEventType, Purpose, VerificationStatus
from ..consent import endings, opt_outs
from ..consent.context import ConsentContext, pressed
from ..consent.gate import NewConsent, is_holder
from ..consent.recording import Subject
from ..consent.self_service import _events
from ..core.client import ClientInfo
from ..core.recipients import Recipient
from ..exceptions import VerificationNotFound
from ..ledger.disclosure_text import Disclosure
from ..models import ConsentEvent, Verification
from . import checking, lifecycle
from .results import Started

STOP_WITHIN = timedelta(hours=1)
"""How long the proof of an address lets its holder stop messages to it."""


def ask(
    *,
    recipient: Recipient,
    channel: str,
    disclosure: Disclosure,
    client: ClientInfo,
    context: ConsentContext,
) -> Started:
    """Send the one code by which the visitor behind ``client`` proves that ``recipient`` is hers.

    ``disclosure``: the words of ``disclosures.compose_once`` that were agreed to by ``context``. The answer is the same
    whether anything is on record of ``recipient`` or not. Raises as ``verifications.start``.
    """
    # SECURITY: recorded with the send: a refused request leaves no event behind.
    return lifecycle.start(
        recipient=recipient,
        channel=channel,
        client=client,
        purpose=Purpose.VERIFY,
        new_consent=NewConsent(disclosure, context, once=True),
    )


def ask_to_reopen(
    *,
    recipient: Recipient,
    channel: str,
    disclosure: Disclosure,
    client: ClientInfo,
    user: AbstractBaseUser,
    context: ConsentContext,
) -> Started:
    """Send the one code by which ``user`` verifies again a number that has opted out.

    Raises:
        ConsentRequired: ``recipient`` is no confirmed factor of ``user``.
        TwilioVerifyError: As ``verifications.start``.
    """
    return lifecycle.start(
        recipient=recipient,
        channel=channel,
        client=client,
        user=user,
        purpose=Purpose.VERIFY,
        new_consent=NewConsent(disclosure, context, once=True, reopens=True),
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
    subject = Subject.of_holder(recipient, event.channel, None)
    opt_out = subject.position().opt_out
    # SECURITY: a code that was asked for before the holder opted out says nothing about what the holder wants since.
    # Of all its sends: the provider sends the same code again.
    if opt_out is not None and verification.attempts.filter(consent_event_id__lt=opt_out.pk).exists():
        raise VerificationNotFound
    context = pressed(button, origin=str(verification.pk))
    return endings.release(subject, context)


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
    context = pressed(button, origin=str(verification.pk))
    return opt_outs.stop(verification.recipient, channels, client=client, context=context)
