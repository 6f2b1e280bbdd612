"""Impersonation: a staff member signed in as another user, by django-hijack, django-loginas, django-su and the like.

Such packages call Django's ``login()`` for the other user. The app takes that for a login of that user, who is asked
for a second factor, or who may enroll one. A site that announces it (``act_as``) gets a session that is marked instead:
the user's factor is not asked, nothing is verified, and the pages that consent, enroll or change factors are closed. On
the way back the staff member's session is verified as it was.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

from django.contrib.auth import get_user_model, load_backend
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare
from django.utils.translation import gettext as _

from ..backends.threads import query_twin_of
from ..choices import AuditKind
from ..ledger import audit
from ..signals import impersonation_ended, impersonation_started
from . import ended_sessions, request_signals, session, session_cutoffs
from .session import Impersonation

_ANNOUNCED = "_twilio_verify_acts_as"
_RETURNS = "_twilio_verify_returns"


@dataclass(frozen=True, slots=True)
class _Announced:
    """An impersonation that ``login()`` is about to begin."""

    acting: Impersonation
    staff: AbstractBaseUser


def act_as(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Announce that ``login(request, user)`` follows in this request, for the staff member who is signed in.

    Whether the staff member may act as ``user`` is for the site to decide before. On the way back (``user`` is the
    staff member) the announcement is not needed, and does no harm.

    Raises:
        PermissionDenied: the session is not verified by a second factor of the staff member's own, was ended elsewhere,
            or is an impersonation already.
    """
    request = _plain(request)
    # Read first: that has the middleware judge the session.
    staff = request.user
    if not staff.is_authenticated or not session.is_signed_in(request, staff):
        raise PermissionDenied(_("Sign in first."))
    user_id, acting = session.text_of(user), session.impersonation(request)
    if acting is not None and acting.staff_id == user_id:
        return
    # SECURITY: one at a time, so that a record names who really acts.
    if session.is_impersonated(request) or session.signed_in_id(request) == user_id:
        raise PermissionDenied(_("Stop acting as another user first."))
    # SECURITY: a password alone, or a trusted browser, must not open the accounts of others.
    if not request.twilio_verify.is_verified:  # type: ignore[attr-defined]
        raise PermissionDenied(_("Verify your identity first."))
    announced = session.login_of(request, user_id)
    if session_cutoffs.last(staff) != announced.mark:
        raise PermissionDenied(_("Sign in first."))
    setattr(request, _ANNOUNCED, _Announced(announced, staff._wrapped if hasattr(staff, "_wrapped") else staff))


aact_as = query_twin_of(act_as)


def take_over(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Return whether the login of ``user``, just written to the session, begins or ends an impersonation.

    Nothing is owed then. Called for each login, which ends an impersonation otherwise.
    """
    plain = _plain(request)
    announced: _Announced | None = plain.__dict__.pop(_ANNOUNCED, None)
    returns: Impersonation | None = plain.__dict__.pop(_RETURNS, None)
    user_id = session.text_of(user)
    session.end_impersonation(request)
    # SECURITY: for this very user, in this very request.
    if announced is not None and announced.acting.user_id == user_id:
        _begin(request, user, announced)
        return True
    if returns is not None and returns.staff_id == user_id:
        return _return(request, user, returns)
    return False


def _begin(request: HttpRequest, user: AbstractBaseUser, announced: _Announced) -> None:
    ended_sessions.begin(request, user)
    session.note_impersonation(request, announced.acting)
    ended_sessions.watch(request)
    _record(AuditKind.ACTED_AS, announced.staff, user)
    request_signals.send(impersonation_started, type(user), request, user, impersonator=announced.staff)


def _return(request: HttpRequest, staff: AbstractBaseUser, acting: Impersonation) -> bool:
    ended_sessions.begin(request, staff)
    # SECURITY: ended elsewhere since the middleware looked: a login like any other, which owes its factor.
    if session.cutoff(request, acting.staff_id) != acting.mark:
        return False
    session.return_from(request, acting)
    ended_sessions.watch(request)
    user = _user_of(acting.user_id)
    _record(AuditKind.ACTING_OVER, staff, user)
    request_signals.send(impersonation_ended, type(staff), request, user, impersonator=staff)
    return True


def is_over(acting: Impersonation) -> bool:
    """Return whether the staff member's own session would not go on: expired, ended elsewhere, or the account is gone,
    deactivated, or has another password. Two SELECTs.
    """
    if acting.expires < time.time():
        return True
    staff: Any = load_backend(acting.backend).get_user(_key_of(acting.staff_id))
    if staff is None or session_cutoffs.last(staff) != acting.mark:
        return True
    hashes = [staff.get_session_auth_hash(), *staff.get_session_auth_fallback_hash()]
    return not any([constant_time_compare(acting.auth_hash, one) for one in hashes])  # noqa: C419  each is compared


def remember(request: HttpRequest, acting: Impersonation) -> None:
    """Keep, for this request, that ``acting`` goes on: a ``login()`` of the staff member that follows is the way back.

    Not in the session, which ``login()`` empties for another user.
    """
    setattr(request, _RETURNS, acting)


def actor_label(request: HttpRequest) -> str:
    """The user name of who acts in ``request``, for records; with who is behind it in an impersonation."""
    name = str(request.user.get_username())
    impersonator = request.twilio_verify.impersonator_id  # type: ignore[attr-defined]
    if impersonator is not None:
        # In front, where a long name does not cut it off.
        return f"user {impersonator} as {name}"
    return f"impersonator as {name}" if request.twilio_verify.is_impersonated else name  # type: ignore[attr-defined]


def _record(kind: AuditKind, staff: AbstractBaseUser, user: AbstractBaseUser | None) -> None:
    details = {"staff": session.text_of(staff), "user": session.text_of(user) if user is not None else None}
    audit.record(kind, actor=staff.get_username(), details=details)


def _user_of(user_id: str) -> AbstractBaseUser | None:
    return get_user_model()._default_manager.filter(pk=user_id).first()


def _key_of(user_id: str) -> Any:
    key = get_user_model()._meta.pk
    return key.to_python(user_id) if key is not None else user_id


def _plain(request: Any) -> HttpRequest:
    """Django's request, which REST framework's wraps."""
    return getattr(request, "_request", request)  # type: ignore[no-any-return]
