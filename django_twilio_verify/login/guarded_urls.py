"""The doors of the site, as far as they can be told by walking its urls: which are guarded, which are not, and why.

What cannot be told this way: a view that takes a person from elsewhere than ``request.user``, a websocket, a second
site on the same sessions.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from django.urls import ResolverMatch, URLPattern, URLResolver, get_resolver

from ..conf import settings
from . import redirects

GUARD_ATTRIBUTE = "twilio_verify_guarded"
"""On a REST framework's authentication or permission class: it asks for the second factor itself."""

_TOKEN_VIEWS = (
    "rest_framework.authtoken.views.ObtainAuthToken",
    "rest_framework_simplejwt.views.TokenObtainPairView",
    "rest_framework_simplejwt.views.TokenObtainSlidingView",
    "knox.views.LoginView",
)


class Enforcement(StrEnum):
    """How the wall stands to a url."""

    GUARDED = "guarded"
    """A waiting person is led to the challenge; whoever owes a factor is anonymous there."""
    OURS = "ours"
    """A page of this app: it asks itself."""
    EXEMPT = "exempt"
    """Open to a waiting person, who is anonymous there."""
    ROUND = "round"
    """People can come in here who never passed a factor."""


@dataclass(frozen=True, slots=True)
class GuardedUrl:
    """One url of the site. ``why``: by which mark, setting or class it is not simply guarded."""

    match: ResolverMatch
    state: Enforcement
    why: str = ""

    @property
    def route(self) -> str:
        return f"/{self.match.route}"


def matches() -> list[ResolverMatch]:
    """Every url of ``ROOT_URLCONF``, in its order, as if it had been resolved. Imports the site's views."""
    return list(_walk(get_resolver(), "", (), ()))


def _walk(
    resolver: URLResolver, route: str, app_names: tuple[str, ...], namespaces: tuple[str, ...]
) -> Iterator[ResolverMatch]:
    for one in resolver.url_patterns:
        here = route + (str(one.pattern).removeprefix("^") if route else str(one.pattern))  # as Django joins them
        if isinstance(one, URLPattern):
            yield ResolverMatch(one.callback, (), {}, one.name, list(app_names), list(namespaces), here)
        elif isinstance(one, URLResolver):
            apps_here = (*app_names, one.app_name) if one.app_name else app_names
            yield from _walk(one, here, apps_here, (*namespaces, one.namespace) if one.namespace else namespaces)


def guarded_urls() -> list[GuardedUrl]:
    """Every url of the site, and how the wall stands to it."""
    return [_guarded_url(match) for match in matches()]


def _guarded_url(match: ResolverMatch) -> GuardedUrl:
    if way_round := hands_out_tokens(match) or " ".join(unguarded_authentication(match)):
        return GuardedUrl(match, Enforcement.ROUND, way_round)
    if "twilio_verify" in match.app_names:
        return GuardedUrl(match, Enforcement.OURS)
    if redirects.is_marked_exempt(match.func):
        return GuardedUrl(match, Enforcement.EXEMPT, "verification_exempt")
    entries = [entry for entry in settings.exempt_urls if redirects.exempts(entry, match)]
    return (
        GuardedUrl(match, Enforcement.EXEMPT, ", ".join(entries)) if entries else GuardedUrl(match, Enforcement.GUARDED)
    )


def _class_of(match: ResolverMatch) -> Any:
    return getattr(match.func, "cls", None) or getattr(match.func, "view_class", None)


def hands_out_tokens(match: ResolverMatch) -> str:
    """The known class, if ``match`` leads to a view that hands out a token for a password; else ``""``."""
    bases = getattr(_class_of(match), "__mro__", ())
    names = [f"{base.__module__}.{base.__qualname__}" for base in bases]
    return next((name for name in names if name in _TOKEN_VIEWS), "")


def unguarded_authentication(match: ResolverMatch) -> list[str]:
    """The authentication classes of a REST framework's view that ask neither the session nor for a factor."""
    framework = sys.modules.get("rest_framework.authentication")  # without it, no view is one of its
    view = _class_of(match)
    given = {**(getattr(match.func, "initkwargs", None) or {}), **(getattr(match.func, "view_initkwargs", None) or {})}
    classes = given.get("authentication_classes", getattr(view, "authentication_classes", ()))
    permissions = given.get("permission_classes", getattr(view, "permission_classes", ()))
    if framework is None or any(_guards(one) for one in permissions or ()):
        return []
    session: type = framework.SessionAuthentication
    return [
        f"{one.__module__}.{one.__qualname__}"
        for one in classes or ()
        if isinstance(one, type) and not (issubclass(one, session) or _guards(one))
    ]


def _guards(one: Any) -> bool:
    if getattr(one, GUARD_ATTRIBUTE, False):
        return True
    # REST framework's ``A & B`` and ``A | B``.
    parts = [getattr(one, name, None) for name in ("op1_class", "op2_class")]
    joined = getattr(getattr(one, "operator_class", None), "__name__", "")
    return (joined == "AND" and any(map(_guards, parts))) or (joined == "OR" and all(map(_guards, parts)))
