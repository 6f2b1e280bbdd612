"""The wall: a sign-in that owes its second factor is nobody to the site's code."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.functional import SimpleLazyObject

from .login import ended_sessions, enforcement, foreign_logins, redirects, session, trust_cookie
from .login.state import LoginState

HINT = "twilio_verify_pending"
"""Name of a cookie that says "this session may be waiting, or there is something to tell", so that public pages need
not read the session to know that it is not. It opens and closes nothing: without it, or forged, the person is as
anonymous as with it."""

Response = HttpResponseBase

logger = logging.getLogger("django_twilio_verify")


class TwoFactorMiddleware:
    """Stands after ``AuthenticationMiddleware``, and after any other middleware that sets ``request.user``.

    Sessions that owe a factor hold no user (``login.session``); this class adds three things. Sessions that were signed
    in without ``user_logged_in``, before this app was installed, or under another policy are decided when
    ``request.user`` is first read, and those that were ended elsewhere are found out then. People who wait are led to
    the challenge. ``request.twilio_verify`` says where the sign-in stands. A request that reads neither user nor
    session costs no query and gets the response it would have got without us.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        foreign_logins.connect()
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> Response | Awaitable[Response]:
        if self.is_async:
            return self.__acall__(request)
        before = request.session.session_key
        hinted = _prepare(request)
        if hinted and (answer := _turn_away(request)):
            return answer
        response: Response = self.get_response(request)
        # Not ``accessed`` alone, which is also true after a read that failed: reading once more would fail once more,
        # and replace the response of a view that handles an unavailable session store.
        was_read = request.session.accessed and hasattr(request.session, "_session_cache")
        return _finish(request, response, hinted, before) if was_read else response

    async def __acall__(self, request: HttpRequest) -> Response:
        before = request.session.session_key
        hinted = _prepare(request)
        if hinted and (answer := await sync_to_async(_turn_away)(request)):
            return answer
        response: Response = await self.get_response(request)
        # Not ``accessed`` alone, which is also true after a read that failed: reading once more would fail once more,
        # and replace the response of a view that handles an unavailable session store.
        was_read = request.session.accessed and hasattr(request.session, "_session_cache")
        return _finish(request, response, hinted, before) if was_read else response


def _prepare(request: HttpRequest) -> bool:
    """Put the guard before ``request.user``. Returns whether the browser says that there is something to tell."""
    request.twilio_verify = LoginState(request)  # type: ignore[attr-defined]
    # Not the cookie: a site's own SessionMiddleware may find the session by something else.
    if request.session.session_key is None:
        return False  # nobody can be signed in by a session; a sign-in in this request comes by user_logged_in
    request.user = SimpleLazyObject(partial(_user, request, request.user))  # type: ignore[assignment]
    if hasattr(request, "auser"):
        request.auser = partial(_auser, request, request.auser)
    return request.COOKIES.get(HINT) == "1"


def _user(request: HttpRequest, user: Any) -> Any:
    """``user``, unless the session it comes from turns out to owe a factor, never decided or no longer so, or to have
    been ended elsewhere.
    """
    is_through = not user.is_authenticated or (session.has_passed(request) and ended_sessions.is_listed(request))
    # What Django's lazy object stands for, now that it is known: a proxy of a proxy would slow down every attribute.
    known = user._wrapped if type(user) is SimpleLazyObject else user
    if is_through or not session.is_signed_in(request, known) or enforcement.holds(request, known):
        return known  # the second: by a token, a certificate …, not by a session
    request.user = known  # a policy of the site's may ask for it, as at the sign-in
    # SECURITY: deny by default: undecided means decide now, before anybody sees the user.
    if not enforcement.admits(request, known):
        enforcement.forget_user(request)
    return request.user


async def _auser(request: HttpRequest, auser: Callable[[], Awaitable[Any]]) -> Any:
    user = await auser()
    # A session that Django has read for the user is in memory, and asking it costs neither a query nor a thread.
    if not user.is_authenticated or (_in_memory(request) and enforcement.holds(request, user)):
        return user
    return await sync_to_async(_user)(request, user)


def _in_memory(request: HttpRequest) -> bool:
    return hasattr(request.session, "_session_cache")


def _turn_away(request: HttpRequest) -> HttpResponse | None:
    """The way to the challenge for a person who waits and wants to go elsewhere, and for people who have yet to enroll,
    once, the way to the page that says so.
    """
    try:
        waits = session.pending_login(request) is not None
    except Exception as error:  # each session store has errors of its own: of a database, a cache, a file system
        # SECURITY: the redirect is a courtesy. A view that reads the session meets the same error, and no user. The
        # text of the error is left out: it may name the session.
        logger.warning("The session cannot be read (%s): the hint cookie is ignored.", type(error).__name__)
        return None
    if redirects.has_to_be_reminded(request):
        return redirects.reminder(request)
    if not waits or redirects.is_exempt(redirects.match_of(request)):
        return None
    return redirects.challenge_response(request)


def _finish(request: HttpRequest, response: Response, hinted: bool, before: str | None) -> Response:
    """Keep the hint true, and turn a refusal that pending sign-ins meet into the way to the challenge.

    Called only when the session is in memory. ``before``: the session key that the request came with.
    """
    trust_cookie.set_cookie(request, response)
    if request.session.modified and ended_sessions.began(request, before):
        ended_sessions.watch(request)
    if hinted or _is_own(request):
        # A second press of a button, or a script that asks how a sign-in stands, while that sign-in is completed.
        session.leave_cookie(request)
    if session.pending_login(request) is None or _signed_out(request, response):
        if getattr(request, enforcement.REMINDS, False):
            _hint(response)
        elif hinted and not session.is_to_be_reminded(request):
            _drop_hint(response)
        return response
    session.limit(request)
    if _is_refusal(response) and not redirects.is_exempt(request.resolver_match):
        response = redirects.challenge_response(request)
    if not hinted:
        _hint(response)
    return response


def _is_own(request: HttpRequest) -> bool:
    """Whether ``request`` was for a page of this app."""
    match = request.resolver_match
    return match is not None and "twilio_verify" in match.app_names


def _hint(response: Response) -> None:
    response.set_cookie(
        HINT,
        "1",
        path=django_settings.SESSION_COOKIE_PATH,
        domain=django_settings.SESSION_COOKIE_DOMAIN,
        secure=django_settings.SESSION_COOKIE_SECURE,
        samesite=django_settings.SESSION_COOKIE_SAMESITE,
        httponly=True,
    )


def _drop_hint(response: Response) -> None:
    response.delete_cookie(
        HINT,
        path=django_settings.SESSION_COOKIE_PATH,
        domain=django_settings.SESSION_COOKIE_DOMAIN,
        samesite=django_settings.SESSION_COOKIE_SAMESITE,
    )


def _signed_out(request: HttpRequest, response: Response) -> bool:
    """Whether somebody who waits has just asked to be signed out, and so no longer waits.

    The admin's own view signs out nobody who is anonymous to it, and would leave the sign-in waiting.
    """
    match = request.resolver_match
    if match is None or match.url_name != "logout" or request.method != "POST" or response.status_code >= 400:
        return False  # the last: refused, as without a CSRF token
    session.give_up(request)
    return True


def _is_refusal(response: Response) -> bool:
    """Whether the site said "sign in first"."""
    if response.status_code in (401, 403):
        return True
    return redirects.leads_to_login(response.headers.get("Location", ""))
