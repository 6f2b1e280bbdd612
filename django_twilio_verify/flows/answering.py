"""Judging an answer, and asking what came of a link: claim, call, settle. ``verifications`` and ``handover`` call it.

No transaction is open while the provider is called. The twins make the same decisions by the same functions
(``checking``); only the call of the provider and the waiting differ.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable
from typing import TypeVar

from asgiref.sync import sync_to_async
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from ..backends.handler import backends
from ..choices import CheckOutcome
from ..clientinfo import ClientInfo
from ..conf import settings
from ..exceptions import BackendError
from ..models import Verification
from ..results import Checked
from ..signals import verification_approved, verification_refused
from . import checking, claims, guesses
from .checking import Answer, Claimed, LinkClaimed, LinkQuestion

T = TypeVar("T", Claimed, LinkClaimed)

POLL = 0.1
"""Seconds between two looks while another answer to the same verification is with the provider."""

_NO_REFUSAL = (CheckOutcome.ALREADY_VERIFIED, CheckOutcome.BUSY, CheckOutcome.NOT_OPENED, CheckOutcome.WAITING)


@sensitive_variables("answer", "claimed")
def answered(answer: Answer) -> Checked:
    """What comes of ``answer``. Errors as ``verifications.check``."""
    claimed = _claimed(answer.verification_id, lambda: checking.claim(answer, timezone.now()))
    if isinstance(claimed, Checked):
        return announced(claimed, answer.client)
    if claimed is None:
        return checking.busy(checking.load(answer.verification_id, answer.client, answer.user))
    if claimed.is_own:
        settled = checking.settle(claimed, checking.judge(claimed), timezone.now())
        if settled.approved:
            checking.report(settled.verification)
        return remembered(announced(settled, answer.client), answer.client)
    asked = claimed.verification
    try:
        judged = backends[asked.backend].check(asked.recipient, claimed.code.digits, sid=claimed.sid, **_payment(asked))
    except BackendError as error:
        return announced(checking.settle_failed(claimed, error, timezone.now()), answer.client)
    settled = announced(checking.settle(claimed, judged, timezone.now()), answer.client)
    return remembered(settled, answer.client)


@sensitive_variables("answer", "claimed")
async def aanswered(answer: Answer) -> Checked:
    """As ``answered``; a slow provider holds up no other request."""
    claimed = await _aclaimed(answer.verification_id, lambda: checking.claim(answer, timezone.now()))
    if isinstance(claimed, Checked):
        return await sync_to_async(announced)(claimed, answer.client)
    if claimed is None:
        found = await sync_to_async(checking.load)(answer.verification_id, answer.client, answer.user)
        return checking.busy(found)
    if claimed.is_own:
        return await _ajudged_here(claimed, answer.client)
    asked = claimed.verification
    try:
        judged = await backends[asked.backend].acheck(
            asked.recipient, claimed.code.digits, sid=claimed.sid, **_payment(asked)
        )
    except BackendError as error:
        settled = await sync_to_async(checking.settle_failed)(claimed, error, timezone.now())
    else:
        settled = await sync_to_async(checking.settle)(claimed, judged, timezone.now())
    return await sync_to_async(_announced_and_remembered)(settled, answer.client)


@sensitive_variables("claimed")
async def _ajudged_here(claimed: Claimed, client: ClientInfo) -> Checked:
    # A slow hash and a call to the provider: neither in the one thread that all requests share.
    judged = await sync_to_async(checking.judge, thread_sensitive=False)(claimed)
    settled = await sync_to_async(checking.settle)(claimed, judged, timezone.now())
    if settled.approved:
        await sync_to_async(checking.report, thread_sensitive=False)(settled.verification)
    return await sync_to_async(_announced_and_remembered)(settled, client)


@sensitive_variables("question", "claimed")
def link_checked(question: LinkQuestion) -> Checked:
    """What came of the link that ``question`` is about. Errors as ``verifications.check_link``."""
    claimed = _claimed(question.verification_id, lambda: checking.claim_link(question, timezone.now()))
    if isinstance(claimed, Checked):
        return announced(claimed)
    if claimed is None:
        return checking.busy(checking.asked_about(question))
    asked = claimed.verification
    try:
        judged = backends[asked.backend].check(asked.recipient, "", sid=claimed.sid, sna_client_token=claimed.token)
    except BackendError as error:
        return announced(checking.settle_link_failed(claimed, error, timezone.now()))
    return remembered(announced(checking.settle_link(claimed, judged, timezone.now())), question.client)


@sensitive_variables("question", "claimed")
async def alink_checked(question: LinkQuestion) -> Checked:
    """As ``link_checked``; a slow provider holds up no other request."""
    claimed = await _aclaimed(question.verification_id, lambda: checking.claim_link(question, timezone.now()))
    if isinstance(claimed, Checked):
        return await sync_to_async(announced)(claimed)
    if claimed is None:
        return checking.busy(await sync_to_async(checking.asked_about)(question))
    asked = claimed.verification
    try:
        judged = await backends[asked.backend].acheck(
            asked.recipient, "", sid=claimed.sid, sna_client_token=claimed.token
        )
    except BackendError as error:
        settled = await sync_to_async(checking.settle_link_failed)(claimed, error, timezone.now())
    else:
        settled = await sync_to_async(checking.settle_link)(claimed, judged, timezone.now())
    return await sync_to_async(_announced_and_remembered)(settled, question.client)


def remembered(checked: Checked, client: ClientInfo | None) -> Checked:
    """``checked``, once the network of ``client`` is known as one from which the account passed a second factor."""
    if checked.approved:
        claims.remember(checked.verification, client, timezone.now())
    return checked


def _announced_and_remembered(checked: Checked, client: ClientInfo | None) -> Checked:
    return remembered(announced(checked, client), client)


def announced(checked: Checked, client: ClientInfo | None = None) -> Checked:
    """``checked``, once failures are on record and receivers have heard of it. ``client``: who answered."""
    guesses.settle(checked, client or ClientInfo())
    if checked.approved:
        verification_approved.send(sender=Verification, verification=checked.verification)
    elif checked.outcome not in _NO_REFUSAL:
        verification_refused.send(sender=Verification, verification=checked.verification, outcome=checked.outcome)
    return checked


def _claimed(verification_id: uuid.UUID, claim: Callable[[], Checked | T | None]) -> Checked | T | None:
    """What ``claim`` comes to, once the answer before is back from the provider; ``None`` if that took too long."""
    if (first := claim()) is not None:
        return first
    deadline = time.monotonic() + _patience(verification_id)
    while time.monotonic() <= deadline:
        time.sleep(POLL)
        if (claimed := claim()) is not None:
            return claimed
    return None


async def _aclaimed(verification_id: uuid.UUID, claim: Callable[[], Checked | T | None]) -> Checked | T | None:
    if (first := await sync_to_async(claim)()) is not None:
        return first
    deadline = time.monotonic() + await sync_to_async(_patience)(verification_id)
    while time.monotonic() <= deadline:
        await asyncio.sleep(POLL)
        if (claimed := await sync_to_async(claim)()) is not None:
            return claimed
    return None


def _patience(verification_id: uuid.UUID) -> float:
    """Seconds to wait for another answer that is with the provider: as long as its call may last."""
    alias = Verification.objects.values_list("backend", flat=True).get(pk=verification_id)
    return 2 * backends[alias].timeout


def _payment(verification: Verification) -> dict[str, str]:
    """What a Service that is set to PSD2 wants to hear again: the values of the start, which the claim compared."""
    if not verification.amount or verification.backend not in settings.psd2:
        return {}
    return {"amount": verification.amount, "payee": verification.payee}
