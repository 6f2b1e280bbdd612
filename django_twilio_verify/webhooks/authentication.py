"""Who sent this request? The provider, by its signature, or by the credentials of the sink's address."""

from __future__ import annotations

import base64
import binascii
import hmac

from django.http import HttpRequest

from ..backends.handler import backends
from ..conf import settings


def trusted(request: HttpRequest, body: bytes, public: str) -> list[str]:
    """The backends whose provider has sent ``request`` with the raw ``body``: none for a stranger.

    ``public``: the address as the provider calls it, where the site names it, else ``""``.

    A signature is made with the secret of one account, and vouches for the backends of that account alone. The
    credentials of the sink (``TWILIO_VERIFY_WEBHOOK``) vouch for all.
    """
    if _has_credentials(request.headers.get("Authorization", "")):
        return list(backends)
    url = _called(request, public)
    headers = {name.lower(): value for name, value in request.headers.items()}
    return [alias for alias in backends if backends[alias].is_authentic(url=url, body=body, headers=headers)]


def _called(request: HttpRequest, public: str) -> str:
    """The address as the provider called it: it signs that, down to the query.

    Scheme and host are the request's, behind a proxy as ``SECURE_PROXY_SSL_HEADER`` and ``USE_X_FORWARDED_HOST`` let
    Django see them; or those of ``public``, where the proxies rewrite too much.
    """
    if not public:
        return request.build_absolute_uri()
    query = request.META.get("QUERY_STRING", "")
    return f"{public}?{query}" if query else public


def _has_credentials(header: str) -> bool:
    """Whether an ``Authorization`` header holds the sink's user name and password (RFC 7617)."""
    webhook = settings.webhook
    if not webhook.has_credentials:
        return False
    scheme, _, encoded = header.partition(" ")
    try:
        given = base64.b64decode(encoded.strip(), validate=True) if scheme.lower() == "basic" else b""
    except (binascii.Error, ValueError):  # the second: characters beyond ASCII
        return False
    pairs = [f"{username}:{password}" for username in webhook.username for password in webhook.password]
    # SECURITY: as one, in constant time, and every pair: neither how much was right nor which of them fits shows.
    return any([hmac.compare_digest(given, pair.encode()) for pair in pairs])  # noqa: C419  a list: all are compared
