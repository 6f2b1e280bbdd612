"""``webhooks/verify/``, the sink of Twilio's Event Streams, and ``webhooks/factors/``, a Service's own webhook."""

from __future__ import annotations

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

from ..backends import factor_events
from ..backends.handler import backends
from ..conf import settings
from ..flows import events, factorevents
from .authentication import trusted

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

    Twilio wants 200 (error 60330). 503 is for what was not kept and may be sent again, 4xx for what will never do.
    """

    max_body = factor_events.MAX_BODY
    content_types = ("application/json", "application/x-www-form-urlencoded")

    def public_url(self) -> str:
        return settings.webhook.factors_url

    def take(self, body: bytes, aliases: Sequence[str]) -> HttpResponse:
        try:
            event = factor_events.read_event(body, self.request.content_type or "")
        except ValueError:
            raise Refused(400, "malformed") from None
        # SECURITY: an event counts for the Services of the account that signed it, and for no other's.
        named = [one for one in aliases if event.service_sid and backends[one].service_sid == event.service_sid]
        try:
            news = factorevents.receive(event, *named)
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
