"""A reset of factors that is under way, told to whoever passes one of those factors meanwhile."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from ..flows import resets
from . import session


def on_passed(sender: Any, request: HttpRequest, user: AbstractBaseUser, **kwargs: Any) -> None:
    """Receiver of ``second_factor_passed``: leave a message of Django's, where the site has its ``messages``.

    It is not canceled by itself: it may be the thief of the phone who has just signed in. One SELECT.
    """
    # SECURITY: a program may have proved the factor, in a browser that somebody else uses.
    if not hasattr(request, "session") or not session.is_signed_in(request, user) or resets.pending(user) is None:
        return
    said = _("Our staff was asked to remove all phones and apps by which you confirm a sign-in.")
    asked = _("Keep them?")
    text = format_html('{} <a href="{}">{}</a>', said, reverse("twilio_verify:reset"), asked)
    messages.warning(request, text, fail_silently=True)
