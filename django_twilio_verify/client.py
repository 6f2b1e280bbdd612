"""Who is asking, and from which browser session: functions take a ``Client`` instead of a request."""

from __future__ import annotations

import ipaddress
import secrets
from dataclasses import dataclass
from typing import Any

from asgiref.sync import sync_to_async
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest
from django.utils.translation import get_language

from .conf import settings
from .core.client import ClientInfo

__all__ = ["Client", "aclient_from", "client_from", "client_ip", "region_from"]

SECRET = "_twilio_verify_secret"  # noqa: S105  the name of a key
"""The session's key that holds the secret of ``client_from``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Client(ClientInfo):
    """The browser session, or the program, that asks.

    What is started with a client can be answered with the same ``session`` only.

    Args:
        session: An opaque secret that only this browser session holds. Whoever holds it may answer what was started
            with it.
        ip: IPv4 or IPv6 address; ``""`` if unknown.
        user_agent: The header as sent.
        page: Absolute URL of the page, without its query, which may hold secrets.
        language: Tag of the language shown, as ``en-gb``.
        tenant: Whose site it is, as ``TWILIO_VERIFY_TENANT`` says, for the router; ``""`` where there is one.

    Raises:
        ValueError: ``session`` is empty. A worker has no session: no browser could answer what it starts.
    """

    session: str

    def __post_init__(self) -> None:
        if not self.session:
            raise ValueError("session is empty: no browser could answer what is started with it.")

    @classmethod
    def without_cookies(cls, request: HttpRequest, *, session: str | None = None) -> Client:
        """Make the client of a program that keeps no cookies.

        Args:
            request: Its request.
            session: The secret that the program was given at its first request and sent back. ``None`` makes a new
                one: hand ``client.session`` to the program, and to nobody else.
        """
        return cls(session=secrets.token_urlsafe(24) if session is None else session, **_known_from(request))

    def __repr__(self) -> str:
        return ClientInfo.__repr__(self)  # SECURITY: without the secret, as the dataclass would show it


def client_from(request: HttpRequest) -> Client:
    """Return the client behind ``request``. Makes the session's secret if there is none, which saves the session."""
    return Client(session=session_secret(request), **_known_from(request))


async def aclient_from(request: HttpRequest) -> Client:
    """As ``client_from``, in the thread where Django allows queries."""
    return await sync_to_async(client_from)(request)


def client_ip(request: HttpRequest) -> str:
    """Return the address of the other end; ``""`` where the server knows none (a unix socket).

    ``X-Forwarded-For`` is read only as far as ``TWILIO_VERIFY_PROXY_COUNT`` of the site's own proxies wrote it.
    """
    hops = [part.strip() for part in request.headers.get("X-Forwarded-For", "").split(",") if part.strip()]
    trusted = settings.proxy_count
    # SECURITY: whatever stands left of our own proxies' entries was written by the client.
    candidate = hops[-trusted] if 0 < trusted <= len(hops) else request.META.get("REMOTE_ADDR", "")
    return _address(candidate)


def region_from(request: HttpRequest) -> str:
    """Return the country that the browser's first language names, as ``AT`` of ``de-AT``; ``""`` if it names none."""
    first = request.headers.get("Accept-Language", "").partition(",")[0].partition(";")[0]
    region = first.rpartition("-")[2].upper() if "-" in first else ""
    return region if len(region) == 2 and region.isalpha() else ""


def visitor_from(request: HttpRequest) -> ClientInfo:
    """Return what is known of the client without beginning a session: for pages that are only shown."""
    return ClientInfo(**_known_from(request))


def session_secret(request: HttpRequest) -> str:
    """Return the opaque value that only this browser session holds. Made, and the session saved, on first use."""
    known: str | None = request.session.get(SECRET)
    if known is None:
        known = request.session[SECRET] = secrets.token_urlsafe(24)
    return known


def _known_from(request: HttpRequest) -> dict[str, Any]:
    return {
        "ip": client_ip(request),
        "user_agent": request.headers.get("User-Agent", "")[:1000],
        "page": request.build_absolute_uri(request.path),
        "language": get_language() or "",
        "tenant": _tenant(request),
    }


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
