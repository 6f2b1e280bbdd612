"""Login views of other apps that cannot stand a sign-in which is not through yet."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.utils.module_loading import import_string

from . import redirects, session


def connect() -> None:
    """Called by the middleware, when all apps are ready: ours is the last receiver then, and takes none its turn."""
    if apps.is_installed("allauth.account"):
        user_logged_in.connect(leave_allauth, dispatch_uid="twilio_verify.leave_allauth")


def leave_allauth(sender: Any, request: HttpRequest | None, user: Any = None, **kwargs: Any) -> None:
    """Have allauth's own views answer with the way to the challenge.

    They assert that somebody is signed in once Django's ``login()`` returns
    (``DefaultAccountAdapter.get_login_redirect_url``), which a person who owes a factor is not; the exception is
    allauth's way of answering at once.
    """
    if request is None or not _is_at_allauth(request):
        return
    waiting = session.pending_login(request)
    if waiting is not None and waiting.user_id == session.text_of(user):
        raise import_string("allauth.core.exceptions.ImmediateHttpResponse")(redirects.challenge_response(request))


def _is_at_allauth(request: HttpRequest) -> bool:
    match = getattr(request, "resolver_match", None)
    if match is None or not hasattr(request, "allauth"):
        return False
    view = getattr(match.func, "view_class", None)
    places = [match.func.__module__, *(base.__module__ for base in getattr(view, "__mro__", ()))]
    return any(place.partition(".")[0] == "allauth" for place in places)
