"""The two endpoints that Twilio calls, and how each request is authenticated: by signature, or by the sink's
credentials.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, NoReturn

from django.contrib.auth.decorators import login_not_required
from django.db import transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.http.request import UnreadablePostError
from django.http.response import HttpResponseBase
from django.utils.cache import patch_cache_control
from django.views.decorators.csrf import csrf_exempt
from django.views.generic.base import View

from ..backends.handler import backends
from ..backends.twilio import factor_webhook
from ..conf import settings
from ..provider import events, factor_events

logger = logging.getLogger("django_twilio_verify")

MAX_BODY = 1024 * 1024
"""Bytes."""
MAX_BATCH = 5000
"""Events in one request: more than a body of that size holds of real ones."""
CONTENT_TYPES = ("application/json", "application/cloudevents+json", "application/cloudevents-batch+json")


class Refused(Exception):
    """The request is answered with ``status`` and one word, and nothing of it is kept."""

    def __init__(self, status: int, word: str) -> None:
        self.status, self.word = status, word
        super().__init__(status, word)


class Hook(View):
    """What only the provider may call. SECURITY: nothing of a request's body goes into an answer or a log."""

    http_method_names: Sequence[str] = ("post",)
    max_body = MAX_BODY
    content_types: Sequence[str] = CONTENT_TYPES
    twilio_verify_exempt = True

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        """The view. Events are kept in transactions of their own, so ``ATOMIC_REQUESTS`` must not wrap it; it has no
        cookie that CSRF could abuse, and no person to sign in.
        """
        return csrf_exempt(login_not_required(transaction.non_atomic_requests(super().as_view(**initkwargs))))

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = super().dispatch(request, *args, **kwargs)
        patch_cache_control(response, no_store=True, private=True)
        return response

    def post(self, request: HttpRequest) -> HttpResponse:
        try:
            body = _body(request, self.max_body)
            aliases = trusted(request, body, self.public_url())
            if not aliases:
                raise Refused(403, "forbidden")
            encoded = request.headers.get("Content-Encoding", "identity").lower() != "identity"
            if request.content_type not in self.content_types or encoded:
                raise Refused(415, "type")
            return self.take(body, aliases)
        except Refused as refusal:
            logger.warning("Webhook refused: status=%s reason=%s", refusal.status, refusal.word)
            return _word(refusal.word, refusal.status)

    def public_url(self) -> str:
        """The address as the provider calls it, where the site names it; else ``""``."""
        raise NotImplementedError

    def take(self, body: bytes, aliases: Sequence[str]) -> HttpResponse:
        """Do what the body says, which the provider of the backends ``aliases`` has sent. Raises ``Refused``."""
        raise NotImplementedError


class EventsView(Hook):
    """Takes a batch of CloudEvents from Verify, and answers how many it kept.

    Event Streams delivers again what is answered with 5xx, for up to four hours, and drops what is answered with 4xx
    (docs/events/event-delivery-and-duplication). So 503 means "not all of them, send them again", and 4xx is for what
    will never do.
    """

    def public_url(self) -> str:
        return settings.webhook.url

    def take(self, body: bytes, aliases: Sequence[str]) -> HttpResponse:
        batch = _batch(body)
        received = events.receive(batch, trusted=aliases)
        if batch and received.malformed == len(batch):
            return _word("malformed", 400)
        if received.malformed:
            logger.warning("Webhook held what is no event: %s of %s", received.malformed, len(batch))
        return JsonResponse(asdict(received), status=503 if received.left else 200)


class FactorEventsView(Hook):
    """``webhooks/factors/``: takes one event of a Verify Service's own webhook, as a form or as JSON.

    Twilio wants 200. 503 is for what was not kept and may be sent again, 4xx for what will never do.
    """

    max_body = factor_webhook.MAX_BODY
    content_types = ("application/json", "application/x-www-form-urlencoded")

    def public_url(self) -> str:
        return settings.webhook.factors_url

    def take(self, body: bytes, aliases: Sequence[str]) -> HttpResponse:
        try:
            event = factor_webhook.read_event(body, self.request.content_type or "")
        except ValueError:
            raise Refused(400, "malformed") from None
        # SECURITY: an event counts for the Services of the account that signed it, and for no other's.
        named = [one for one in aliases if event.service_sid and backends[one].service_sid == event.service_sid]
        try:
            news = factor_events.receive(event, *named)
        except Exception as error:  # whatever is wrong, the provider shall send it again, and no report be made of it
            # SECURITY: the class and no more: neither text nor traceback, which may hold what the event holds.
            logger.error("Event was not kept: error=%s", type(error).__name__)
            return _word("later", 503)
        return _word("stored" if news else "known", 200)


def _word(word: str, status: int) -> HttpResponse:
    return HttpResponse(word, status=status, content_type="text/plain")


def _body(request: HttpRequest, most: int) -> bytes:
    """The raw body, of ``most`` bytes. Raises ``Refused``."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        raise Refused(400, "length")
    if len(length) > 10 or int(length) > most:
        raise Refused(413, "large")
    try:
        body = request.read(most + 1)  # no more, whatever the header said
    except UnreadablePostError:
        raise Refused(400, "unreadable") from None
    if len(body) > most:
        raise Refused(413, "large")
    return body


def _batch(body: bytes) -> list[object]:
    """The events of the body, parsed; one alone may come without its list. Raises ``Refused``."""
    try:
        parsed = json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError):  # not UTF-8, not JSON, a number of 5000 digits; nested too deep
        raise Refused(400, "json") from None
    batch = parsed if isinstance(parsed, list) else [parsed]
    if len(batch) > MAX_BATCH:
        raise Refused(413, "large")
    return batch


def _no_number(word: str) -> NoReturn:
    """``NaN`` and ``Infinity`` are Python's and not JSON's."""
    raise ValueError(word)


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
