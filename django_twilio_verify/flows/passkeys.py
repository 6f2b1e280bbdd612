"""Signing in by passkey without a user name: the passkey says who it is.

The first factor and the second in one: whoever holds it has it, and has unlocked it.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.views.decorators.debug import sensitive_variables

from ..choices import Channel, Purpose
from ..clientinfo import ClientInfo
from ..models import Verification
from ..results import Challenged, Checked
from .asking import Ask
from .challenges import Given, answering_, starting
from .steps import Steps, arun, run


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What came of a passkey. ``user``: whose it is, ``None`` unless this very call proved it."""

    checked: Checked
    user: AbstractBaseUser | None = None


def begin_sign_in(client: ClientInfo, *, backend: str | None = None) -> Challenged:
    """Options for a browser whose person has not said who they are: ``Challenged.options``. The same ones for ten
    minutes, bound to ``client.session``.

    Raises ``RateLimited``, ``BackendUnavailable``, ``BackendRejected``, and ``ValueError`` without a session or for a
    backend that keeps no passkeys.
    """
    return run(starting(Ask(Channel.PASSKEY, client, None, Purpose.LOGIN, backend=backend)))


async def abegin_sign_in(client: ClientInfo, *, backend: str | None = None) -> Challenged:
    """As ``begin_sign_in``."""
    return await arun(starting(Ask(Channel.PASSKEY, client, None, Purpose.LOGIN, backend=backend)))


@sensitive_variables("credential")
def finish_sign_in(
    client: ClientInfo, verification: Verification | uuid.UUID, credential: Mapping[str, Any]
) -> SignedIn:
    """Who ``credential`` (what ``credential.toJSON()`` gave the page) is of, if it answers ``verification``.

    SECURITY: ``user`` is set for one call only, of an account that is active. Raises ``VerificationNotFound`` for one
    that another session began, ``BackendUnavailable`` and ``BackendRejected``.
    """
    return run(_finishing(client, verification, credential))


@sensitive_variables("credential")
async def afinish_sign_in(
    client: ClientInfo, verification: Verification | uuid.UUID, credential: Mapping[str, Any]
) -> SignedIn:
    """As ``finish_sign_in``."""
    return await arun(_finishing(client, verification, credential))


def _finishing(
    client: ClientInfo, verification: Verification | uuid.UUID, credential: Mapping[str, Any]
) -> Steps[SignedIn]:
    found = verification if isinstance(verification, uuid.UUID) else verification.pk
    checked = yield from answering_(Given(found, client, None, credential=credential, anybody=True))
    if not checked.approved:
        return SignedIn(checked)
    return SignedIn(checked, checked.verification.user)
