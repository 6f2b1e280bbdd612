"""A fresh proof for single pages: what is asked of whom, and what becomes of the form that was posted there."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

from asgiref.sync import sync_to_async
from django.conf import settings as django_settings
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from .. import factors
from ..choices import Channel, ChannelName
from . import missing, own_session, redirects, session
from .state import LoginState

CHANNELS = "channels"
"""The query's name for the ways that may prove it, with commas between."""
NOT_KEPT = "again"
"""The query's name for "what was posted is gone"."""
MAX_FORM = 16 * 1024
"""Bytes of a posted form that is kept."""

_SENSITIVE = re.compile(r"passw|passphrase|passcode|pwd|secret|card|cvv|cvc|csc|token|iban|ssn|credential|signature")
_SENSITIVE_WORDS = frozenset({"pass", "code", "otp", "totp", "pin", "pan", "tan", "key"})
_NO_SECRET_CODE = re.compile(r"(?:zip|postal|post|country|area|language|currency)[_-]?code")
_HUMPS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_CSRF = "csrfmiddlewaretoken"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a page asks for: a factor passed in this session, at most ``max_age`` seconds ago (``None``: ever), by one
    of ``channels`` (none: by any). Raises ``ValueError`` for a channel that is none, and an age below one second.

    ``changes``: asked before what protects the account changes, by ``LoginState.may_change_factors``.
    """

    max_age: int | None = None
    channels: tuple[Channel, ...] = ()
    changes: bool = False

    @classmethod
    def of_change(cls) -> Proof:
        """What pages ask that change what protects the account."""
        return cls(changes=True)

    @classmethod
    def of(cls, max_age: timedelta | int | None, channels: Collection[ChannelName]) -> Proof:
        if isinstance(channels, str):
            raise ValueError("channels is a list of channels, not one.")
        if isinstance(max_age, timedelta):
            max_age = int(max_age.total_seconds())
        if max_age is not None and max_age < 1:
            raise ValueError("max_age must be one second or more: nobody could ever pass.")
        return cls(max_age, tuple(dict.fromkeys(Channel.parse(one) for one in channels)))

    def is_given(self, request: HttpRequest) -> bool:
        """Whether the session has it. Costs no query, once the session has been read, but for ``changes``."""
        if self.changes:
            return _access(request).may_change_factors()
        return _access(request).is_fresh(max_age=self.max_age, channels=self.channels)


def demand(request: HttpRequest, proof: Proof) -> HttpResponse | None:
    """``None`` if the person who is signed in has given ``proof``, else the way there.

    A redirect for pages: to sign in, to the challenge, to enroll, or to confirm; 401 with the address for programs.
    """
    if not request.user.is_authenticated:
        return _sign_in(request)
    # SECURITY: a step-up by somebody who acts as the user would be the user's.
    if own_session.acts_as_other(request):
        return own_session.refuse_other(request)
    if proof.is_given(request):
        return None
    # A user without a factor enrolls one, which verifies it as well.
    has_factor = factors.has_factor(request.user)
    name = "step_up" if has_factor else "enroll"
    query = {CHANNELS: ",".join(proof.channels)} if proof.channels and has_factor else {}
    if redirects.wants_json(request):  # a program knows best where it was
        return missing.response(
            "verification_required" if has_factor else "enrollment_required",
            url=_address(name, query),
            max_age=proof.max_age,
            channels=proof.channels,
        )
    return HttpResponseRedirect(_address(name, {**query, **_way_back(request)}))


async def ademand(request: HttpRequest, proof: Proof) -> HttpResponse | None:
    """As ``demand``, for async views."""
    user = await request.auser()
    # A session that was read for the user is in memory: asking it takes neither a query nor a thread.
    is_read = user.is_authenticated and hasattr(request.session, "_session_cache")
    # SECURITY: and of this user: ``request.user``, by which the proof is told whose it is, may not be read here.
    is_own = is_read and session.is_signed_in(request, user) and not session.is_impersonated(request)
    if is_own and not proof.changes and proof.is_given(request):
        return None
    return await sync_to_async(demand)(request, proof)


def wanted_channels(request: HttpRequest) -> tuple[Channel, ...]:
    """The ways that the query allows; none for all. What is no channel is left out."""
    words = request.GET.get(CHANNELS, "").lower().split(",")
    return tuple(channel for channel in Channel if channel.value in words)


def _access(request: HttpRequest) -> LoginState:
    return request.twilio_verify  # type: ignore[attr-defined, no-any-return]


def _sign_in(request: HttpRequest) -> HttpResponse:
    """For a visitor, or somebody whose sign-in waits."""
    if _access(request).is_pending:
        return redirects.challenge_response(request)
    if redirects.wants_json(request):
        return missing.response("login_required", url=resolve_url(django_settings.LOGIN_URL))
    wanted = request.get_full_path() if request.method in ("GET", "HEAD") else _page_before(request)
    return redirect_to_login(wanted, resolve_url(django_settings.LOGIN_URL))


def _address(name: str, query: Mapping[str, str]) -> str:
    return reverse(f"twilio_verify:{name}") + (f"?{urlencode(query)}" if query else "")


def _way_back(request: HttpRequest) -> dict[str, str]:
    """Where the person goes on, as a query; and whether what was posted has to be entered again."""
    if request.method in ("GET", "HEAD"):
        return {redirects.REDIRECT_FIELD_NAME: request.get_full_path()}
    if not _may_keep(request):
        return {redirects.REDIRECT_FIELD_NAME: _page_before(request), NOT_KEPT: "1"}
    fields = [(name, str(one)) for name, values in request.POST.lists() if name != _CSRF for one in values]
    key = session.keep_form(request, request.get_full_path(), fields)
    return {redirects.REDIRECT_FIELD_NAME: reverse("twilio_verify:resume", args=[key])}


def _may_keep(request: HttpRequest) -> bool:
    """Whether the posted form may wait in the session. SECURITY: nothing secret, and nothing that a foreign page may
    have posted: only what Django's CSRF check has seen.
    """
    if request.method != "POST" or request.content_type != "application/x-www-form-urlencoded" or request.FILES:
        return False
    if not getattr(request, "csrf_processing_done", False) or not session.may_keep_forms(request):
        return False
    hidden = getattr(request, "sensitive_post_parameters", ())  # what Django's decorator of that name marks
    if hidden == "__ALL__" or any(name in hidden or is_sensitive(name) for name in request.POST if name != _CSRF):
        return False
    return len(request.body) <= MAX_FORM


def is_sensitive(name: str) -> bool:
    """Whether a field's name says that it holds what is nobody's to keep: a password, a code, a card's number …"""
    snake = _NO_SECRET_CODE.sub("", _HUMPS.sub("_", name).lower())
    return bool(_SENSITIVE.search(snake) or _SENSITIVE_WORDS & {*re.split(r"[^a-z]+", snake)})


def _page_before(request: HttpRequest) -> str:
    """The page that the form stood on, if the browser names it and it is of this site; else the address itself."""
    before = request.headers.get("Referer", "")
    # SECURITY: anything that leaves this host is dropped.
    if url_has_allowed_host_and_scheme(before, {request.get_host()}, require_https=request.is_secure()):
        parts = urlsplit(before)
        if parts.netloc:
            return urlunsplit(("", "", parts.path or "/", parts.query, ""))
    return request.get_full_path()
