"""Signing in by passkey alone: the first factor and the second in one."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from ..backends.twins import Steps
from ..choices import Channel, CheckOutcome, Purpose
from ..client import client_from
from ..factors import passkey_login
from ..verifications import redeeming
from ..verifications.options import Payment
from ..verifications.redeeming import REDEEM_WITHIN
from ..verifications.results import Checked, Started
from . import completion, failures, session


def begin_steps(request: HttpRequest) -> Steps[Started]:
    """The steps of ``login.begin_passkey_login``."""
    begun = yield from passkey_login.begin_steps(client_from(request))
    session.note_passkey_login(request, begun.verification.pk)
    return begun


def finish_steps(request: HttpRequest, verification_id: uuid.UUID, credential: Mapping[str, Any]) -> Steps[Checked]:
    """The steps of ``login.finish_passkey_login``."""
    client = client_from(request)
    found = yield from passkey_login.finish_steps(client, verification_id, credential)
    checked = found.checked
    user = found.user if checked.approved else _left_over(request, checked)
    if user is None:
        failures.note(request, found.named, checked)
        return checked
    # SECURITY: redeemed, once, also where a worker died between the approval and this: then by the next press.
    redeemed = redeeming.redeem_loaded(checked.verification, user, Purpose.LOGIN, Payment(), REDEEM_WITHIN)
    if not redeemed.accepted:
        return replace(checked, outcome=CheckOutcome.ALREADY_APPROVED)
    try:
        completion.sign_in(request, user, Channel.PASSKEY.value)
    except PermissionDenied:
        # SECURITY: told as of a passkey that nobody knows.
        refused = replace(checked, outcome=CheckOutcome.WRONG)
        failures.note(request, user, refused)
        return refused
    return replace(checked, outcome=CheckOutcome.APPROVED)


def _left_over(request: HttpRequest, checked: Checked) -> AbstractBaseUser | None:
    """Who was approved by an answer before this one."""
    verification = checked.verification
    # SECURITY: one that was begun for a user is the second factor of that user's pending login, and signs in nobody by
    # itself. Once approved, it names its user as any other.
    if not session.is_passkey_login(request, verification.pk):
        return None
    is_open = checked.already_approved and verification.purpose == Purpose.LOGIN and verification.redeemed_at is None
    return verification.user if is_open else None
