"""Judging an answer, and asking what came of a link: claim, call, settle. ``verifications`` and ``handover`` run it.

The decisions are those of ``checking``; no transaction is open while the provider is called.
"""

from __future__ import annotations

import logging
import time
import uuid
from collections.abc import Callable
from typing import Any, TypeVar

from django.utils import timezone

from ..backends.handler import backends
from ..backends.results import ProviderCheck, ProviderStatus
from ..backends.twins import Call, Pause, Steps, Work
from ..choices import CheckOutcome, Purpose
from ..conf import settings
from ..core import receivers
from ..core.client import ClientInfo
from ..exceptions import BackendError
from ..limits import lockouts
from ..limits.lockouts import Refused
from ..models import Verification
from ..signals import Signal, check_failed, verification_approved
from . import checking, claimants, throttling
from .checking import Answer, Claimed, Given, LinkClaimed, LinkQuestion
from .results import Checked

T = TypeVar("T", Claimed, LinkClaimed, Verification)

logger = logging.getLogger("django_twilio_verify")

POLL = 0.1
"""Seconds between two looks while another answer to the same verification is with the provider."""

_NO_REFUSAL = (CheckOutcome.ALREADY_APPROVED, CheckOutcome.IN_PROGRESS, CheckOutcome.NOT_OPENED, CheckOutcome.WAITING)


def answered(answer: Answer, loaded: Verification | None = None) -> Steps[Checked]:
    """What comes of ``answer``. ``loaded``: its verification, if it was read a moment ago. Errors as
    ``verifications.check``.
    """
    first = [loaded]
    found = yield from claimed(
        answer.verification_id,
        # Only the first look may go by what was read: whoever waits has to read it again.
        lambda: checking.claim(answer, timezone.now(), first.pop() if first else None),
        lambda: checking.load(answer.verification_id, answer.client, answer.user),
    )
    if isinstance(found, Checked):
        return announced(found, answer)
    asked, is_own = found.verification, found.is_own  # before an approval clears what tells
    try:
        if is_own:
            judged = yield Work(lambda: checking.judge(found))
        elif not (found.sid or backends[asked.backend].finds_by_recipient):
            # The provider's answer to the send was lost, and with it the name to ask by: a new code is needed.
            judged = ProviderCheck(ProviderStatus.GONE)
        else:
            told = {"sid": found.sid, **_payment(asked)}
            judged = yield Call(asked.backend, "check", (asked.recipient, found.code.digits), told)
    except BackendError as error:
        return announced(checking.record_check_failed(found, error, timezone.now()), answer)
    settled = checking.record_check(found, judged, timezone.now())
    if is_own and settled.approved:
        yield from reported(asked)
    return remembered(announced(settled, answer), answer.client)


def link_checked(question: LinkQuestion, loaded: Verification | None = None) -> Steps[Checked]:
    """What came of the link that ``question`` is about. ``loaded``: its verification, if it was read a moment ago.
    Errors as ``verifications.poll``.
    """
    first = [loaded]
    found = yield from claimed(
        question.verification_id,
        lambda: checking.claim_link(question, timezone.now(), first.pop() if first else None),
        lambda: checking.load_for_link(question),
    )
    if isinstance(found, Checked):
        return announced(found, question)
    asked, told = found.verification, {"sid": found.sid, "sna_client_token": found.token}
    try:
        judged = yield Call(asked.backend, "check", (asked.recipient, ""), told)
    except BackendError as error:
        return announced(checking.record_link_check_failed(found, error, timezone.now()), question)
    settled = checking.record_link_check(found, judged, timezone.now())
    return remembered(announced(settled, question), question.client)


def reported(verification: Verification) -> Steps[None]:
    """Tell the provider that a code of the site's own was right: its conversion figures and Fraud Guard want it.

    Once it is approved here, with no transaction open. What goes wrong is logged and undoes nothing. A gateway that
    only carries messages is told nothing.
    """
    if not backends[verification.backend].makes_codes:
        return
    if not verification.sid:
        logger.warning("Approval not reported: verification=%s has no SID", verification.pk)
        return
    try:
        told = yield Call(verification.backend, "approve", (verification.sid,))
    except BackendError as error:
        logger.warning(
            "Approval not reported: verification=%s error=%s provider_code=%s",
            verification.pk,
            error.code,
            error.provider_code,
        )
        return
    if told.status != ProviderStatus.APPROVED:
        logger.warning("Approval not taken: verification=%s status=%s", verification.pk, told.status.value)


def claimed(
    verification_id: uuid.UUID, claim: Callable[[], Checked | T | None], load: Callable[[], Verification]
) -> Steps[Checked | T]:
    """What ``claim`` comes to, once the answer before is back from the provider; ``BUSY`` if that took too long."""
    if (first := claim()) is not None:
        return first
    deadline = time.monotonic() + _patience(verification_id)
    while time.monotonic() <= deadline:
        yield Pause(POLL)
        if (found := claim()) is not None:
            return found
    return checking.busy(load())


def remembered(checked: Checked, client: ClientInfo | None) -> Checked:
    """``checked``, once the network of ``client`` is known as one from which the account passed a second factor."""
    if checked.approved:
        claimants.remember(checked.verification, client, timezone.now())
    return checked


def announced(checked: Checked, given: Given | None = None) -> Checked:
    """``checked``, once failures are on record and receivers have heard of it. ``given``: who answered."""
    client, verification = given.client if given is not None else None, checked.verification
    throttling.record(checked, client or ClientInfo())
    if checked.approved:
        _tell(verification_approved, checked, given)
    elif checked.outcome not in _NO_REFUSAL:
        told = {"outcome": checked.outcome, "checks_left": checked.checks_left}
        _tell(check_failed, checked, given, purpose=Purpose(verification.purpose), **told)
    if verification.is_locked_out:
        verification.is_locked_out = False
        refused = Refused(checking.account_of(verification, given), client, verification.country, verification.factor)
        lockouts.announce("no_checks_left", refused, until=verification.expires_at)
    return checked


def _tell(signal: Signal, checked: Checked, given: Given | None, **named: Any) -> None:
    if signal.has_listeners(Verification):  # else nobody needs the user, who may cost a query
        user = checking.account_of(checked.verification, given)
        client = given.client if given is not None else None
        receivers.send(signal, Verification, user=user, client=client, verification=checked.verification, **named)


def _patience(verification_id: uuid.UUID) -> float:
    """Seconds to wait for another answer that is with the provider: as long as its call may last."""
    alias = Verification.objects.values_list("backend", flat=True).get(pk=verification_id)
    return 2 * backends[alias].timeout


def _payment(verification: Verification) -> dict[str, str]:
    """What a Service that is set to PSD2 wants to hear again: the values of the start, which the claim compared."""
    if not verification.amount or not settings.service(verification.backend).psd2:
        return {}
    return {"amount": verification.amount, "payee": verification.payee}
