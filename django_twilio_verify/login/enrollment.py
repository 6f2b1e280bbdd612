"""Enrolling a factor in a session: what has to be verified first, and what the new factor completes."""

from __future__ import annotations

from functools import partial
from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest

from ..backends.twins import Steps
from ..choices import Purpose, VerificationStatus
from ..client import client_from
from ..exceptions import VerificationNotFound, VerificationRequired
from ..factors import changes, devices, own_factors
from ..factors.results import Enrolled, SetupChecked
from ..models import Factor, Verification
from ..verifications import checking
from ..verifications.challenge_steps import ChallengeAnswer
from . import completion, ended_sessions, enforcement, session


def enroll(request: HttpRequest, user: AbstractBaseUser, verification: Verification, replaces: int | None) -> Enrolled:
    """Enroll what ``verification`` approved for ``user``, in the place of the factor ``replaces`` if that is asked for;
    then complete the pending login, or note the step-up.

    Raises:
        VerificationRequired: The user has a factor that was not verified in this session.
        SessionInterrupted: The session was ended elsewhere in these moments.
    """
    # SECURITY: asked here, at approval: since this enrollment began, the user may have got a factor elsewhere, and then
    # a password and any phone must not add another one, nor sign in.
    require_verified(request, user)
    enforcement.must_go_on(request)
    enrolled = _enrolled(request, user, verification, replaces)
    if enrolled.created:
        must_be_only_one(request, user, enrolled.factor)
    if enrolled.accepted:  # SECURITY: an approval of before is no fresh verification
        passed(request, user, verification.channel, enrolled.factor)
    return enrolled


def finish_steps(request: HttpRequest, user: AbstractBaseUser, given: ChallengeAnswer) -> Steps[SetupChecked]:
    """The steps of finishing a device's setup, and of what that completes."""
    if not _was_approved(given, user):
        require_verified(request, user)
    done = yield from devices.confirmed_steps(given)
    if done.checked.approved and done.factor is not None:
        device_enrolled(request, user, done.factor, done.checked.verification.channel)
    return done


def _was_approved(given: ChallengeAnswer, user: AbstractBaseUser) -> bool:
    """Whether the setup is one of the user's own that was finished before, as by the first press of a double click.

    It completes nothing any more, and is only said to be done.
    """
    try:
        setup = checking.load(given.verification_id, given.client, user)
    except VerificationNotFound:
        return False
    is_setup = setup.is_challenge and setup.purpose == Purpose.ENROLL and setup.user_id == user.pk
    return is_setup and setup.status == VerificationStatus.APPROVED


def device_enrolled(request: HttpRequest, user: AbstractBaseUser, factor: Factor, channel: str) -> None:
    """Complete the pending login by ``factor``, which the provider has just confirmed, or note the step-up.

    Raises as ``enroll``; the factor is removed again then.
    """
    try:
        enforcement.must_go_on(request)
    except SessionInterrupted:
        devices.remove(user, factor.pk)
        raise
    must_be_only_one(request, user, factor)
    passed(request, user, channel, factor)


def require_verified(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Raise ``VerificationRequired`` if ``user`` has a factor and has not passed one in this session."""
    if not _state(request).is_verified and own_factors.has_factor(user):
        raise VerificationRequired


def must_be_only_one(request: HttpRequest, user: AbstractBaseUser, factor: Factor) -> None:
    """Remove ``factor``, enrolled just now, and raise ``VerificationRequired`` if the user has another one by now.

    SECURITY: that one has not been passed in this session, so this session had no right to add any: a password and any
    phone must not. Asked when the factor is there, so that of two that are enrolled at one instant at most one stays.
    """
    if _state(request).is_verified or all(other.pk == factor.pk for other in own_factors.usable(user)):
        return
    devices.remove(user, factor.pk)
    raise VerificationRequired


def passed(request: HttpRequest, user: AbstractBaseUser, channel: str, factor: Factor) -> None:
    """Complete the pending login of ``user``, who has just enrolled a factor, or note the step-up."""
    if _state(request).is_pending:
        completion.complete(request, user, channel)
    else:
        completion.mark_passed(request, channel, factor)


def _enrolled(
    request: HttpRequest, user: AbstractBaseUser, verification: Verification, replaces: int | None
) -> Enrolled:
    client = client_from(request)
    asked = session.take_replacement(request, verification.pk)
    if asked is not None:
        end = partial(ended_sessions.end, request, user) if asked.sign_out else None
        return changes.replace(verification, asked.factor_id, client=client, then=end)
    if replaces is not None:
        return changes.replace(verification, replaces, client=client)
    return own_factors.confirm(verification, client=client)


def _state(request: HttpRequest) -> Any:
    return request.twilio_verify  # type: ignore[attr-defined]
