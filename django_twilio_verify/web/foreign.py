"""Login views of other apps that cannot stand a sign-in which is not through yet."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.contrib.auth.signals import user_logged_in
from django.http import HttpRequest
from django.utils.module_loading import import_string

from . import access, session


def connect() -> None:
    """Called by the middleware, when all apps are ready: ours is the last receiver then, and takes none its turn."""
    if apps.is_installed("allauth.account"):
        user_logged_in.connect(leave_allauth, dispatch_uid="twilio_verify.leave_allauth")


def leave_allauth(sender: Any, request: HttpRequest | None, **kwargs: Any) -> None:
    """Have allauth answer with the way to the challenge. It asserts that somebody is signed in once Django's
    ``login()`` returns (``DefaultAccountAdapter.get_login_redirect_url``), which a person who owes a factor is not; the
    exception is its own way of answering at once.
    """
    if request is not None and hasattr(request, "allauth") and session.pending(request) is not None:
        raise import_string("allauth.core.exceptions.ImmediateHttpResponse")(access.challenge_response(request))
