"""A reset of factors: told to whoever passes one of those factors meanwhile, and what keeps the user from enrolling."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.urls import Resolver404, resolve, reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from ..client import client_from, session_secret
from ..core.client import ClientInfo
from ..exceptions import ResetLinkRequired
from ..factors import reset_holds, resets
from . import redirects, session

_OPENED = "_twilio_verify_reset_opened"
"""Session key: who opened the enrollment link of a reset here, and this session's secret then."""


def on_passed(sender: Any, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Receiver of ``login_completed``: leave a message of Django's, where the site has its ``messages``.

    It is not canceled by itself: it may be the thief of the phone who has just signed in. One SELECT.
    """
    # SECURITY: a program may have proved the factor, in a browser that somebody else uses.
    if not hasattr(request, "session") or not session.is_signed_in(request, user) or resets.pending(user) is None:
        return
    said = _("Our staff was asked to remove all phones and apps by which you confirm a sign-in.")
    asked = _("Keep them?")
    text = format_html('{} <a href="{}">{}</a>', said, reverse("twilio_verify:reset"), asked)
    messages.warning(request, text, fail_silently=True)


def note_opened(request: HttpRequest, user: AbstractBaseUser) -> None:
    """Remember that ``user`` has opened the enrollment link in this session."""
    request.session[_OPENED] = {"user_id": session.text_of(user), "secret": session_secret(request)}


def may_enroll(request: HttpRequest, user: AbstractBaseUser) -> bool:
    """Whether no reset keeps ``user`` from enrolling in this session. One SELECT where there is none."""
    reset = reset_holds.standing(user)
    if reset is None:
        return True
    client = client_from(request)
    if reset_holds.is_opened_by(reset, client):
        return True
    opened = request.session.get(_OPENED)
    # SECURITY: of this user. A password that is typed again, after the sign-in has waited too long, gives the session
    # another secret; it is still the browser that opened the link.
    if opened is None or opened["user_id"] != session.text_of(user):
        return False
    return reset_holds.rebind(reset, ClientInfo(session=opened["secret"]), client)


def held_response(request: HttpRequest) -> HttpResponse:
    """Return the answer to a user whom a reset keeps from enrolling: the page that says so, 403 for programs."""
    url = reverse("twilio_verify:reset_held")
    if redirects.wants_json(request):
        error = ResetLinkRequired()
        return JsonResponse({"code": error.code, "detail": error.user_message, "url": url}, status=403)
    wanted = redirects.safe_next(request)
    # Who opened the link before they signed in comes back to it.
    return HttpResponseRedirect(wanted if _is_link(wanted) else redirects.with_next(url, wanted))


def _is_link(path: str) -> bool:
    try:
        return bool(path) and resolve(path.partition("?")[0]).view_name.endswith("twilio_verify:reset_enroll")
    except Resolver404:
        return False
