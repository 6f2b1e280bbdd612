"""Check a passkey's signature."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from functools import partial
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.utils import timezone

from ..backends.factor_results import ChallengeStatus, ProviderChallenge
from ..backends.twins import Call, Steps
from ..choices import CheckOutcome, FactorKind
from ..core.client import ClientInfo
from ..exceptions import BackendError
from ..models import Factor, Verification
from . import answers, challenge_rules, checking
from .challenge_steps import (
    ChallengeAnswer,
    claim_answer,
    claimed,
    entity_of,
    not_approved,
    refused,
    refused_early,
    unanswered,
)
from .results import Checked

MAX_CREDENTIAL_ID = 1400
"""Characters of a credential's id: 1023 bytes at most (WebAuthn Level 3), in base64url."""


def signature_steps(given: ChallengeAnswer) -> Steps[Checked]:
    """A passkey's assertion."""
    claim = partial(_claim_credential, given)
    verification = yield from claimed(given, claim)
    if isinstance(verification, Checked):
        return answers.announced(verification, given)
    factor = _passkey(given, verification)
    if factor is None:
        return answers.announced(refused(verification, CheckOutcome.WRONG, timezone.now()), given)
    entity = entity_of(factor)
    # SECURITY: a person who was not named is not named to the provider either: it says whose passkey it was.
    identity = entity.identity if verification.user_id is not None else ""
    try:
        told = yield Call(entity.backend, "answer", (identity, verification.sid, given.credential))
    except BackendError as error:
        return answers.announced(unanswered(verification, error), given)
    return answers.announced(_settle_signed(verification, factor, told, timezone.now()), given)


def _claim_credential(given: ChallengeAnswer) -> Checked | Verification | None:
    verification, now = checking.load(given.verification_id, given.client, given.user), timezone.now()
    if (early := refused_early(verification, given, now)) is not None:
        return early
    if not credential_digest(given.credential):
        return checking.checked_result(verification, CheckOutcome.MALFORMED, reason="not_a_passkey")
    return claim_answer(verification, given, now)


def credential_digest(credential: Mapping[str, Any] | None) -> str:
    """SHA-256 in hex of the ``id`` of what a browser gave, ``""`` if that is no passkey's answer."""
    given = credential.get("id") if isinstance(credential, Mapping) else None
    if not isinstance(given, str) or not given.isascii() or not 0 < len(given) <= MAX_CREDENTIAL_ID:
        return ""
    if not isinstance(credential, Mapping) or not isinstance(credential.get("response"), Mapping):
        return ""
    return hashlib.sha256(given.rstrip("=").encode()).hexdigest()


def holder_of(credential: Mapping[str, Any], verification: Verification) -> AbstractBaseUser | None:
    """Whose passkey ``credential`` says that it is, by our own records. SECURITY: a claim, which anybody can make."""
    factor = _passkey(ChallengeAnswer(verification.pk, ClientInfo(), None, credential=credential), verification)
    return factor.user if factor is not None else None


def _passkey(given: ChallengeAnswer, verification: Verification) -> Factor | None:
    """The passkey that answered, if it may answer here. SECURITY: by our own records, before the provider is asked."""
    found = Factor.objects.select_related("entity", "user").filter(
        kind=FactorKind.PASSKEY,
        confirmed_at__isnull=False,
        lost_at=None,
        credential_digest=credential_digest(given.credential),
        entity__backend=verification.backend,
    )
    if verification.user_id is not None:
        found = found.filter(user=verification.user_id)
    if verification.factor_id is not None:
        found = found.filter(pk=verification.factor_id)
    factor = found.first()
    return factor if factor is not None and factor.user.is_active else None


def _settle_signed(verification: Verification, factor: Factor, told: ProviderChallenge, now: datetime) -> Checked:
    entity = entity_of(factor)
    if told.status == ChallengeStatus.GONE and not told.challenge_missing:
        return checking.record_outcome(verification, CheckOutcome.FACTOR_GONE, now, told.provider_code)
    if told.status in (ChallengeStatus.GONE, ChallengeStatus.EXPIRED):
        return checking.record_outcome(verification, CheckOutcome.EXPIRED, now, told.provider_code)
    # SECURITY: neither endpoint is told which challenge or person is meant; what the provider says of another one is
    # no proof here.
    strange = told.sid != verification.sid or told.factor_sid not in ("", factor.sid)
    if not told.approved or strange or told.identity not in ("", entity.identity):
        return not_approved(verification, told, now)
    verification.factor = factor
    verification.user_id = factor.user_id
    return checking.approve(verification, now, partial(challenge_rules.held, verification, factor, now))
