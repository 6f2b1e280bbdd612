"""Complete a login, or note that a signed-in user has passed a factor."""

from __future__ import annotations

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model, load_backend, login
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from ..exceptions import NoPendingLogin
from ..models import Factor
from ..signals import login_completed, step_up_completed
from . import ended_sessions, request_signals, session, trust_cookie
from .enforcement import DECIDED, look_again, remember_user
from .own_session import acts_as_other


def complete(request: HttpRequest, user: AbstractBaseUser, channel: str) -> None:
    """The second factor of the waiting sign-in has passed: sign ``user`` in.

    ``channel``: by which way. Raises ``NoPendingLogin`` if no sign-in of that person waits in this session, and
    Django's ``SessionInterrupted`` (400) if it was ended elsewhere in these moments.
    """
    waiting = session.pending_login(request)
    # SECURITY: never anybody but the person whose password was accepted in this session.
    if waiting is None or waiting.user_id != session.text_of(user):
        raise NoPendingLogin
    if ended_sessions.is_over(request, user):
        session.give_up(request)
        raise SessionInterrupted("The sign-in was ended elsewhere.")
    session.release(request, channel=channel)
    remember_user(request, user)
    trusted_browser = trust_cookie.completed(request, user, channel)
    ended_sessions.watch(request)
    if waiting.deferred:
        setattr(request, DECIDED, True)  # by this very factor: it is no login of its own
        user_logged_in.send(sender=type(user), request=request, user=user)
    told = {"channel": channel, "trusted_browser": trusted_browser}
    request_signals.send(login_completed, type(user), request, user, **told)


def mark_passed(request: HttpRequest, channel: str, factor: Factor | None = None) -> None:
    """The signed-in person has just proved a factor: this session is through.

    Raises Django's ``SessionInterrupted`` (400) if it was ended elsewhere in these moments.
    """
    user_id = session.signed_in_id(request)
    # SECURITY: nobody's session is through by the proof of somebody else, whom a token or a certificate names, or who
    # acts as its user.
    if user_id is not None and not acts_as_other(request):
        look_again(request)
        if session.signed_in_id(request) is None:
            raise SessionInterrupted("The session was ended elsewhere.")
        if not ended_sessions.is_listed(request):
            ended_sessions.watch(request)  # one that can be listed is deleted, and then cannot be saved
        session.mark_verified(request, user_id, passed=True, channel=channel)
        told = {"channel": channel, "factor": factor}
        request_signals.send(step_up_completed, get_user_model(), request, request.user, **told)  # type: ignore[arg-type]


def sign_in(request: HttpRequest, user: AbstractBaseUser, channel: str, factor: Factor | None = None) -> None:
    """Sign ``user`` in by a proof that is both factors in one, as that of an unlocked passkey, by way of ``channel``.

    By Django's ``login()``: a new session key, ``user_logged_in``; and then as a sign-in whose second factor passed.
    Raises ``PermissionDenied`` if no authentication backend of the site lets the account in, as an inactive one.
    """
    login(request, user, backend=_door_for(user))  # type: ignore[arg-type]  # any user model
    if session.pending_login(request) is not None:
        complete(request, user, channel)
        return
    # The site demands no second factor of this account, or this session had passed one.
    mark_passed(request, channel, factor)
    told = {"channel": channel, "trusted_browser": None}
    request_signals.send(login_completed, type(user), request, user, **told)


def _door_for(user: AbstractBaseUser) -> str:
    """The first of ``AUTHENTICATION_BACKENDS`` that knows ``user``, and will at the next request."""
    for path in django_settings.AUTHENTICATION_BACKENDS:
        # SECURITY: asked, as at every request: Django's own answers nobody for accounts that are not active.
        if load_backend(path).get_user(user.pk) == user:
            return path
    raise PermissionDenied("No authentication backend signs this account in.")


def outlive_factor(request: HttpRequest) -> None:
    """The signed-in user has removed a factor here, and need not prove another one to go on."""
    session.outlive_factor(request)


def forget_proof(request: HttpRequest) -> None:
    """The signed-in person has no factor any more: the session goes on as one that owed none."""
    user_id = session.signed_in_id(request)
    if user_id is not None:
        session.mark_verified(request, user_id, passed=False)
