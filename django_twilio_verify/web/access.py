"""Who owes a second factor, and what a person who owes one may open."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import resolve_url
from django.urls import Resolver404, ResolverMatch, resolve, reverse
from django.utils.functional import cached_property
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.translation import gettext as _

from ..choices import Channel
from ..conf import settings
from ..flows import factors
from ..signals import factor_proved, login_deciding, second_factor_passed
from . import session

REDIRECT_FIELD_NAME = "next"
EXEMPT_ATTRIBUTE = "twilio_verify_exempt"


class Access:
    """``request.twilio_verify``: where this request's sign-in stands. Reads nothing until asked."""

    def __init__(self, request: HttpRequest) -> None:
        self._request = request

    @property
    def is_pending(self) -> bool:
        """Whether a password was accepted in this session and the second factor is still owed."""
        self._decide()
        return session.pending(self._request) is not None

    @cached_property
    def pending_user(self) -> AbstractBaseUser | None:
        """The person whose sign-in waits. One SELECT."""
        self._decide()
        return session.pending_user(self._request)

    @property
    def is_verified(self) -> bool:
        """Whether the signed-in person passed a second factor in this session."""
        settled = session.settled(self._request)
        return settled is not None and settled.passed

    @property
    def verified_at(self) -> datetime | None:
        """When the signed-in person last passed a factor in this session; ``None`` if they have not."""
        settled = session.settled(self._request)
        return datetime.fromtimestamp(settled.at, tz=UTC) if settled is not None and settled.passed else None

    def has_proved(self, *, max_age: int | None = None, channels: Iterable[str] = ()) -> bool:
        """Whether the signed-in person passed a factor in this session: at most ``max_age`` seconds ago, by one of
        ``channels``. Without either, ever and by any. Costs no query.
        """
        settled = session.settled(self._request)
        if settled is None or not settled.passed:
            return False
        wanted = {Channel.parse(one).value for one in channels}
        # SECURITY: a clock that was put back makes no proof younger than it is.
        young = max_age is None or 0 <= time.time() - settled.at <= max_age
        return young and (not wanted or settled.channel in wanted)

    @property
    def acting_user(self) -> AbstractBaseUser | None:
        """The signed-in person, or else the one whose sign-in waits; ``None`` for a visitor."""
        user = self._request.user
        return user if user.is_authenticated else self.pending_user

    def _decide(self) -> None:
        """Have a sign-in that was never decided decided now, by reading ``request.user``."""
        request = self._request
        if session.signed_in_id(request) is not None and session.settled(request) is None:
            _ = request.user.is_authenticated


def owes_factor(user: AbstractBaseUser, request: HttpRequest) -> bool:
    """Whether ``user`` must pass a second factor, by ``TWILIO_VERIFY_REQUIRED_FOR``. At most one SELECT.

    Somebody who has a factor always owes it, whatever the policy demands of people who have none.
    """
    required = settings.required_for
    if required == "everyone" or (required == "staff" and getattr(user, "is_staff", False)):
        return True
    if callable(required) and required(user, request):
        return True
    return factors.has_factor(user)


def decide(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Decide for the sign-in of ``user`` that the session holds, and keep the answer there. True if it must wait.

    Called once a sign-in: by ``user_logged_in``, or by the middleware for sessions that came about without it.
    """
    settled = session.settled(request)
    if settled is not None and settled.passed:
        return False  # the same person typed the password again in a session that is through
    if not owes_factor(user, request):
        session.settle(request, str(session.signed_in_id(request)), passed=False)
        return False
    # SECURITY: promise 3. From here on the session holds no user.
    session.hold(request)
    return True


def on_login(sender: Any, request: HttpRequest | None, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Receiver of ``user_logged_in``: every door that signs somebody in by Django's ``login()`` comes through here."""
    if request is None or not hasattr(request, "session") or session.signed_in_id(request) is None:
        return
    login_deciding.send(sender=type(user), request=request, user=user)
    if decide(request, user):
        forget_user(request)


def forget_user(request: HttpRequest) -> None:
    """Make ``request`` anonymous to whatever reads it from here on."""
    anonymous = AnonymousUser()

    async def auser() -> AnonymousUser:
        return anonymous

    # Django keeps what it has read of the session under these two names.
    for name in ("_cached_user", "_acached_user"):
        if hasattr(request, name):
            setattr(request, name, anonymous)
    request.user = anonymous
    request.auser = auser


def complete(request: HttpRequest, user: AbstractBaseUser, channel: str) -> None:
    """The second factor of the waiting sign-in has passed: sign ``user`` in.

    ``channel``: by which way. Raises ``LookupError`` if no sign-in of that person waits in this session.
    """
    waiting = session.pending(request)
    # SECURITY: never anybody but the person whose password was accepted in this session.
    if waiting is None or waiting.user_id != session.text_of(user):
        raise LookupError("No sign-in of this person is waiting in this session.")
    session.release(request, channel=channel)
    request.user = user  # type: ignore[assignment]  # any user model
    second_factor_passed.send(sender=type(user), request=request, user=user, channel=channel)


def mark_passed(request: HttpRequest, channel: str) -> None:
    """The signed-in person has just proved a factor: this session is through."""
    user_id = session.signed_in_id(request)
    if user_id is not None:
        session.settle(request, user_id, passed=True, channel=channel)
        factor_proved.send(sender=get_user_model(), request=request, user=request.user, channel=channel)


def is_exempt(match: ResolverMatch | None) -> bool:
    """Whether a person who owes a factor may open what ``match`` leads to."""
    if match is None:
        return False
    view = getattr(match.func, "view_class", match.func)
    if getattr(match.func, EXEMPT_ATTRIBUTE, False) or getattr(view, EXEMPT_ATTRIBUTE, False):
        return True
    return match.url_name in settings.exempt_url_names


def match_of(request: HttpRequest) -> ResolverMatch | None:
    """What the request's path leads to; ``None`` for nothing."""
    known = getattr(request, "resolver_match", None)
    if known is not None:
        return known  # type: ignore[no-any-return]
    try:
        return resolve(request.path_info, getattr(request, "urlconf", None))
    except Resolver404:
        return None


def challenge_response(request: HttpRequest) -> HttpResponse:
    """Send a person who owes a factor to the challenge: a redirect for pages, 401 with the address for programs."""
    url = with_next(reverse("twilio_verify:challenge"), _wanted_page(request))
    if wants_json(request):
        body = {
            "code": "second_factor_required",
            "detail": _("A second factor is required."),
            "url": url,
        }
        return JsonResponse(body, status=401)
    return HttpResponseRedirect(url)


def leads_to_login(location: str) -> bool:
    """Whether a redirect to ``location`` goes to a login page of this site."""
    path = urlsplit(location).path
    if not path:
        return False
    if path == urlsplit(resolve_url(django_settings.LOGIN_URL)).path:
        return True
    try:
        return resolve(path).url_name == "login"
    except Resolver404:
        return False


def _wanted_page(request: HttpRequest) -> str:
    """Where the person was going: the page itself, or the ``next`` of a login page. Nothing after a POST."""
    match = match_of(request)
    if match is not None and match.url_name == "login":
        return request.GET.get(REDIRECT_FIELD_NAME, "")
    return request.get_full_path() if request.method in ("GET", "HEAD") else ""


def wants_json(request: HttpRequest) -> bool:
    """Whether the answer goes to a program rather than to a person."""
    if request.headers.get("X-Requested-With") == "XMLHttpRequest":
        return True
    if request.content_type == "application/json":
        return True
    return request.get_preferred_type(["text/html", "application/json"]) == "application/json"


def safe_next(request: HttpRequest) -> str:
    """The ``next`` of the request if it leads to this site, else ``""``."""
    wanted = request.POST.get(REDIRECT_FIELD_NAME) or request.GET.get(REDIRECT_FIELD_NAME, "")
    # SECURITY: anything that leaves this host is dropped, as by Django's own login view.
    safe = url_has_allowed_host_and_scheme(
        wanted, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return wanted if safe else ""


def success_url(request: HttpRequest) -> str:
    """Where the person goes now: their ``next``, or ``TWILIO_VERIFY_SUCCESS_URL``."""
    return safe_next(request) or resolve_url(settings.success_url)


def with_next(url: str, wanted: str) -> str:
    """``url`` that remembers where the person was going."""
    return f"{url}?{urlencode({REDIRECT_FIELD_NAME: wanted})}" if wanted else url
