"""Signing in by passkey without a user name: the passkey says who it is.

The first factor and the second in one: whoever holds it has it, and has unlocked it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser

from ..backends.simulator.es256 import decoded
from ..backends.twins import Steps, verb, verb_twin_of
from ..choices import Channel, CheckOutcome, FactorKind, Purpose
from ..core.client import ClientInfo
from ..models import Verification
from ..verifications import checking, passkey, routing
from ..verifications.challenge_rules import ChallengeRequest
from ..verifications.challenge_steps import ChallengeAnswer
from ..verifications.challenges import check_steps, start_steps
from ..verifications.results import Checked, Started
from ..verifications.routing import RouteRequest

NOT_UNLOCKED = "not_unlocked"
"""``Checked.reason`` of a passkey whose device asked for no finger, face or PIN."""
_FLAGS, _USER_VERIFIED = 32, 0x04
_BASE64URL = re.compile(r"(?:[A-Za-z0-9_-]{4})*(?:[A-Za-z0-9_-]{2,3})?")


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What came of a passkey. ``user``: whose it is, ``None`` unless this very call proved it. ``named``: whose it
    claims to be, where it proved nothing: no proof of anything.
    """

    checked: Checked
    user: AbstractBaseUser | None = None
    named: AbstractBaseUser | None = None


def are_kept(backend: str | None = None, *, client: ClientInfo | None = None) -> bool:
    """Whether people can sign in by passkeys at ``backend``; or else where the router leads ``client`` that has not
    said who it is, or at any backend that it may name if nothing is known of that either.
    """
    if backend or client is None:
        return routing.keeps([backend] if backend else routing.possible(), FactorKind.PASSKEY)
    return routing.keeps([routing.choose(_route(client))], FactorKind.PASSKEY)


@verb
def begin_sign_in(client: ClientInfo, *, backend: str | None = None) -> Steps[Started]:
    """Options for a browser whose person has not said who they are: ``Started.browser_options``. The same ones for ten
    minutes, bound to ``client.session``. They ask the device to be unlocked, whatever the Service prefers.
    ``backend``: an alias; ``None`` asks ``TWILIO_VERIFY_ROUTER``. Only passkeys that were made there answer.

    Raises ``RateLimited``, ``BackendUnavailable``, ``BackendRejected``, and ``ValueError`` without a session or for a
    backend that keeps no passkeys.
    """
    return begin_steps(client, backend)


abegin_sign_in = verb_twin_of(begin_sign_in)


@verb
def finish_sign_in(
    client: ClientInfo, verification: Verification | uuid.UUID, credential: Mapping[str, Any]
) -> Steps[SignedIn]:
    """Who ``credential`` (what ``credential.toJSON()`` gave the page) is of, if it answers ``verification``.

    An answer of a device that was not unlocked is ``MALFORMED`` (``NOT_UNLOCKED``) and not counted.

    SECURITY: ``user`` is set for one call only, of an account that is active. Raises ``VerificationNotFound`` for one
    that another session began, ``BackendUnavailable`` and ``BackendRejected``.
    """
    found = verification if isinstance(verification, uuid.UUID) else verification.pk
    return finish_steps(client, found, credential)


afinish_sign_in = verb_twin_of(finish_sign_in)


def begin_steps(client: ClientInfo, backend: str | None = None) -> Steps[Started]:
    """The steps of ``begin_sign_in``."""
    begun = yield from start_steps(ChallengeRequest(Channel.PASSKEY, client, None, Purpose.LOGIN, backend=backend))
    return replace(begun, browser_options={**begun.browser_options, "userVerification": "required"})


def finish_steps(client: ClientInfo, verification_id: uuid.UUID, credential: Mapping[str, Any]) -> Steps[SignedIn]:
    """The steps of ``finish_sign_in``."""
    if passkey.credential_digest(credential) and not _was_unlocked(credential):
        # SECURITY: without that it is one factor, whoever holds the device. The Service may be set to do without.
        known = checking.load(verification_id, client, None)
        return SignedIn(checking.checked_result(known, CheckOutcome.MALFORMED, reason=NOT_UNLOCKED))
    checked = yield from check_steps(
        ChallengeAnswer(verification_id, client, None, credential=credential, anybody=True)
    )
    if not checked.approved:
        return SignedIn(checked, named=passkey.holder_of(credential, checked.verification))
    return SignedIn(checked, checked.verification.user)


def _route(client: ClientInfo) -> RouteRequest:
    return RouteRequest.of_device(FactorKind.PASSKEY, Purpose.LOGIN, None, client)


def _was_unlocked(credential: Mapping[str, Any]) -> bool:
    """Whether the authenticator says that it verified the person: a flag of what it signs, so that the provider's
    judgement of the signature covers it (WebAuthn Level 3, section 6.1).
    """
    told = credential["response"].get("authenticatorData")
    # SECURITY: in the one spelling that every decoder reads alike, so that the provider judges the flag that is read.
    data = decoded(told) if isinstance(told, str) and _BASE64URL.fullmatch(told) else b""
    return len(data) > _FLAGS and bool(data[_FLAGS] & _USER_VERIFIED)
