"""The client behind a request: ``client_from`` and what it reads."""

from __future__ import annotations

import ipaddress
from dataclasses import replace

from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.translation import get_language

from ..conf import settings
from ..core.client import ClientInfo
from . import session


def client_from(request: HttpRequest) -> ClientInfo:
    """Who is behind ``request``. Makes the session's secret if there is none yet, which saves the session."""
    return replace(client_without_session(request), session=session.secret(request))


def client_without_session(request: HttpRequest) -> ClientInfo:
    """The same, of a program that keeps no cookies: what is begun with it has to be bound by other means."""
    return ClientInfo(
        ip=client_ip(request),
        user_agent=request.headers.get("User-Agent", "")[:1000],
        page=request.build_absolute_uri(request.path),
        language=get_language() or "",
        tenant=_tenant(request),
    )


def client_ip(request: HttpRequest) -> str:
    """The address of the other end, or ``""`` where the server knows none (a unix socket).

    ``X-Forwarded-For`` is read only as far as ``TWILIO_VERIFY_TRUSTED_PROXIES`` of the site's own proxies wrote it.
    """
    hops = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    trusted = settings.trusted_proxies
    # SECURITY: whatever stands left of our own proxies' entries was written by the client.
    candidate = hops[-trusted] if 0 < trusted <= len(hops) else request.META.get("REMOTE_ADDR", "")
    return _address(candidate)


def _tenant(request: HttpRequest) -> str:
    """Whose site ``request`` is for. What the site's own callable raises is not caught."""
    name = settings.tenant(request) if settings.tenant else ""
    if name is None or isinstance(name, str):
        return name or ""
    raise ImproperlyConfigured(f"TWILIO_VERIFY_TENANT must answer with a text, not a {type(name).__name__}.")


def _address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.strip("[]").partition("%")[0]))
    except ValueError:
        return ""


def region_of(request: HttpRequest) -> str:
    """The country that the browser's first language names, as ``AT`` of ``de-AT``, or ``""``."""
    first = request.headers.get("Accept-Language", "").partition(",")[0].partition(";")[0]
    region = first.rpartition("-")[2].upper() if "-" in first else ""
    return region if len(region) == 2 and region.isalpha() else ""
