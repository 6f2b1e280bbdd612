"""Marks for views."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from .web.access import EXEMPT_ATTRIBUTE

View = TypeVar("View", bound=Callable[..., Any])


def verification_exempt(view: View) -> View:
    """Let people who still owe a second factor open ``view`` (a function, a class or what ``as_view()`` gave).

    ``request.user`` is anonymous there all the same; ``request.twilio_verify.pending_user`` says who waits.
    """
    setattr(view, EXEMPT_ATTRIBUTE, True)
    return view
