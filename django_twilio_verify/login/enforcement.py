"""Decide for a session whether its login waits for the second factor, and hold it if so."""

from __future__ import annotations

import time
from typing import Any

from django.contrib.auth import get_user
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.exceptions import SessionInterrupted
from django.http import HttpRequest

from ..conf import settings
from ..signals import login_deciding
from . import decision_cache, ended_sessions, impersonation, request_signals, session, trust_cookie
from .policy import Decision, judge, policy_of
from .session import VerifiedSession

REMINDS = "_twilio_verify_reminds"
"""On a request in which time to enroll was given: the browser is to be told. Not on ``request.twilio_verify``, which a
sign-in by another middleware comes before."""
DECIDED = "_twilio_verify_decided"
_LOOKED = "_twilio_verify_looked"


def decide(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Decide for the sign-in of ``user`` that the session holds, and keep the answer there. True if it must wait.

    Called once a sign-in: by ``user_logged_in``, or by the middleware for sessions that came about without it. Called
    again by the middleware once an answer that nothing is owed no longer ``holds``.
    """
    settled = session.verified_session(request)
    if settled is not None and settled.passed:
        return False  # the same person typed the password again in a session that is through
    decision = judge(user, request)
    # SECURITY: excused is not passed: step-up pages and those of the factors still ask.
    excused = decision.owes and trust_cookie.excuses(request, user)
    if decision.owes and not excused:
        # SECURITY: promise 3. From here on the session holds no user.
        session.hold(request)
        return True
    _let_in(request, user, decision, settled)
    return False


def _let_in(request: HttpRequest, user: AbstractBaseUser, decision: Decision, before: VerifiedSession | None) -> None:
    """Note that the person goes on without a factor now: none is owed, or this browser is excused from it. ``before``:
    what was noted, which is not written again if it is the same.
    """
    # Without the fraction, so that the session's time is never longer than the record's.
    policy, until = policy_of(user), int(decision.until.timestamp()) if decision.until else 0
    if before is not None and (before.policy, before.grace, before.trusted) == (policy, until, decision.owes):
        # Not in the session: writing it now and then would make it live for ever, where it ends so long after a change.
        decision_cache.note(request, before.user_id)
        return
    user_id = str(session.signed_in_id(request))
    session.mark_verified(request, user_id, passed=False, policy=policy, grace=until, trusted=decision.owes)
    if until:
        setattr(request, REMINDS, True)


def holds(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Whether it was decided for this session that ``user`` may be seen, and nothing speaks against it. No query.

    What is decided for somebody who owes nothing is not for ever: the policy, the person and the factors change. Of
    the first two this knows at once, of groups, permissions and factors after ``TWILIO_VERIFY_POLICY_RECHECK_SECONDS``.
    So it is of sessions that cannot be listed, whoever passed what, with having been ended elsewhere.
    """
    settled = session.verified_session(request)
    if settled is None:
        return False
    if settled.passed:
        return ended_sessions.is_listed(request) or _is_recent(request, settled)
    if settled.policy != policy_of(user) or 0 < settled.grace <= time.time():
        return False
    return _is_recent(request, settled)


def _is_recent(request: HttpRequest, settled: VerifiedSession) -> bool:
    now, age = time.time(), settings.policy_recheck_seconds
    # SECURITY: a clock that was put back makes no answer hold longer.
    return 0 <= now - settled.at < age or 0 <= now - decision_cache.noted(request, settled.user_id) < age


def admits(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Whether ``user`` may be seen, asked anew, in a session for which nothing ``holds`` (any more).

    A session that was ended elsewhere is flushed. The rest as ``decide``.
    """
    acting = session.impersonation(request)
    if ended_sessions.is_over(request, user) or (acting is not None and impersonation.is_over(acting)):
        request.session.flush()
        return False
    if acting is not None:
        impersonation.remember(request, acting)
        return True
    if ended_sessions.is_listed(request) and session.is_undecided(request):
        # Of one that was signed in to without ``user_logged_in`` nothing says when that was. It is listed, and there.
        ended_sessions.begin(request, user)
    if decide(request, user):
        return False
    if session.has_passed(request):
        # Not before it was decided: where nothing is owed, what is noted lets people go on.
        decision_cache.note(request, session.text_of(user))
    return True


def look_again(request: HttpRequest) -> None:
    """Make ``request`` anonymous, and flush its session, if that was ended elsewhere, whatever was found a while ago.

    For pages that open or change what protects an account. One SELECT where sessions cannot be listed, else none.
    """
    if ended_sessions.is_listed(request) or session.signed_in_id(request) is None:
        return
    user = request.user
    if not user.is_authenticated or not session.is_signed_in(request, user):
        return
    if ended_sessions.is_over(request, user):
        request.session.flush()
        forget_user(request)


def look_once(request: HttpRequest) -> None:
    """As ``look_again``, once a request: what calls the provider looks again when that has answered."""
    if not getattr(request, _LOOKED, False):
        setattr(request, _LOOKED, True)
        look_again(request)


def must_go_on(request: HttpRequest) -> None:
    """Raise Django's ``SessionInterrupted`` (400) if the login in the session of ``request`` would not go on by now.

    For what changes an account after the provider was asked. Two SELECTs, none for a visitor.

    SECURITY: the provider may take seconds. Who ended all sessions meanwhile, changed the password or deactivated the
    account has looked at the factors then, and would not find one that is added after it.
    """
    if session.pending_login(request) is not None:
        user: Any = session.pending_user(request)
    elif session.signed_in_id(request) is not None:
        user = get_user(request)
    else:
        return
    if user is None or not user.is_authenticated or ended_sessions.has_ended(request):
        request.session.flush()
        forget_user(request)
        raise SessionInterrupted("The session was ended elsewhere.")


def on_login(sender: Any, request: HttpRequest | None, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Receiver of ``user_logged_in``: every door that signs somebody in by Django's ``login()`` comes through here."""
    if request is None or not signs_in(request, user) or request.__dict__.pop(DECIDED, False):
        return
    if impersonation.take_over(request, user):
        return
    ended_sessions.begin(request, user)
    if login_deciding.has_listeners(type(user)):  # else nobody needs the client
        client = request_signals.client_of(request)
        login_deciding.send(sender=type(user), request=request, user=user, client=client)
    if decide(request, user):
        forget_user(request)
    ended_sessions.watch(request)


def signs_in(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Return whether ``user`` was just signed in to the session of ``request``.

    SECURITY: views that give out tokens send ``user_logged_in`` too, without ``login()``, and in a browser whose
    session may be another user's. Such a signal decides and renews nothing: neither what the session owes, nor the
    cutoff that it comes after, which ``login()`` of the same user renews. ``login()`` always writes to the session.
    """
    return hasattr(request, "session") and session.is_signed_in(request, user) and request.session.modified


def held_back(request: HttpRequest | None, user: AbstractBaseUser) -> bool:
    """Decide before the receivers of ``user_logged_in`` hear of it. True if they are to hear of it later.

    Asked only with ``TWILIO_VERIFY_DEFER_LOGIN_SIGNAL``. ``complete`` tells them.
    """
    if request is None or not signs_in(request, user):
        return False
    on_login(type(user), request, user)
    if session.pending_login(request) is None:
        setattr(request, DECIDED, True)  # on_login is a receiver too
        return False
    session.defer(request)
    return True


def forget_user(request: HttpRequest) -> None:
    """Make ``request`` anonymous to whatever reads it from here on."""
    remember_user(request, AnonymousUser())


def remember_user(request: HttpRequest, user: AbstractBaseUser | AnonymousUser) -> None:
    """Make ``request`` one of ``user`` to whatever reads it from here on."""

    async def auser() -> AbstractBaseUser | AnonymousUser:
        return user

    # Django keeps what it has read of the session under these two names.
    for name in ("_cached_user", "_acached_user"):
        if hasattr(request, name):
            setattr(request, name, user)
    request.user = user  # type: ignore[assignment]  # any user model
    request.auser = auser  # type: ignore[assignment]
