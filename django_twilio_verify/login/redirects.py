"""Where a user who owes a second factor is led, what such a user may open, and where the login ends."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import resolve_url
from django.urls import Resolver404, ResolverMatch, resolve, reverse
from django.utils.http import url_has_allowed_host_and_scheme, urlencode

from ..conf import settings
from . import missing, session

REDIRECT_FIELD_NAME = "next"
EXEMPT_ATTRIBUTE = "twilio_verify_exempt"


def has_to_be_reminded(request: HttpRequest) -> bool:
    """Whether to show the person now that the time to enroll is running: once, and instead of a page only."""
    return (
        session.is_to_be_reminded(request)
        and request.method == "GET"
        and request.headers.get("Sec-Fetch-Dest", "document") == "document"
        and not wants_json(request)
        and not is_exempt(match_of(request))
        # Somebody who was deactivated is nobody here, and would be sent to and fro.
        and request.user.is_authenticated
    )


def reminder(request: HttpRequest) -> HttpResponseRedirect:
    """To the page that says how long the person has to enroll, and back."""
    return HttpResponseRedirect(with_next(reverse("twilio_verify:grace"), _wanted_page(request)))


def is_exempt(match: ResolverMatch | None) -> bool:
    """Whether a person who owes a factor may open what ``match`` leads to."""
    if match is None:
        return False
    return is_marked_exempt(match.func) or any(exempts(entry, match) for entry in settings.exempt_urls)


def is_marked_exempt(view: Any) -> bool:
    """Whether ``view``, or the class that it was made of, is marked by ``verification_exempt``."""
    made_of = (view, getattr(view, "view_class", None), getattr(view, "cls", None))  # the last: of REST frameworks
    return any(getattr(one, EXEMPT_ATTRIBUTE, False) for one in made_of)


def exempts(entry: str, match: ResolverMatch) -> bool:
    """Whether an entry of ``TWILIO_VERIFY_EXEMPT_URLS`` is for ``match``: its name in any namespace, its name with
    namespaces, or the first segments of its route.
    """
    if entry.startswith("/"):
        return _is_below(entry, f"/{match.route.removeprefix('^')}")
    return entry in (match.url_name, match.view_name)


def _is_below(prefix: str, route: str) -> bool:
    """Whether ``route`` is ``prefix``, or begins with all of its segments: ``/api`` is not the beginning of
    ``/apiadmin``.
    """
    # SECURITY: of the route that Django resolved the decoded path to, never of the path: a path that begins so may
    # lead elsewhere, as "/api/account/" does to "<slug:shop>/account/" where a shop is named "api".
    # "|" is of re_path(): such a route leads to other paths too. "/" is every page, which a check refuses.
    if "|" in _outermost(route) or prefix == "/":
        return False
    below = prefix.rstrip("/") + "/"
    if route.startswith(below):
        return not route[len(below) :].startswith(("?", "*", "+", "{"))  # of re_path(): the slash may be missing
    return not prefix.endswith("/") and route.removesuffix("$").removesuffix(r"\Z") == prefix


def _outermost(route: str) -> str:
    """``route`` without its groups and escaped letters."""
    text, before = re.sub(r"\\.", "", route), ""
    while text != before:
        text, before = re.sub(r"\([^()]*\)", "", text), text
    return text


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
        return missing.response("second_factor_required", url=url)
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
    """Where the person goes now: their ``next``, or ``TWILIO_VERIFY_REDIRECT_URL``."""
    return safe_next(request) or resolve_url(settings.redirect_url)


def with_next(url: str, wanted: str) -> str:
    """``url`` that remembers where the person was going."""
    return f"{url}?{urlencode({REDIRECT_FIELD_NAME: wanted})}" if wanted else url
