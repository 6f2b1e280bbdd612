"""``webhooks/verify/``: the sink of Twilio's Event Streams."""

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

from ..flows import events
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


class EventsView(View):
    """Takes a batch of CloudEvents from Verify, and answers how many it kept.

    Event Streams delivers again what is answered with 5xx, for up to four hours, and drops what is answered with 4xx
    (docs/events/event-delivery-and-duplication). So 503 means "not all of them, send them again", and 4xx is for what
    will never do. SECURITY: nothing of a request's body goes into an answer or a log.
    """

    http_method_names: Sequence[str] = ("post",)
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
            body = _body(request)
            aliases = trusted(request, body)
            if not aliases:
                raise Refused(403, "forbidden")
            batch = _batch(request, body)
        except Refused as refusal:
            logger.warning("Webhook refused: status=%s reason=%s", refusal.status, refusal.word)
            return HttpResponse(refusal.word, status=refusal.status, content_type="text/plain")
        received = events.receive(batch, trusted=aliases)
        if batch and received.malformed == len(batch):
            return HttpResponse("malformed", status=400, content_type="text/plain")
        if received.malformed:
            logger.warning("Webhook held what is no event: %s of %s", received.malformed, len(batch))
        return JsonResponse(asdict(received), status=503 if received.left else 200)


def _body(request: HttpRequest) -> bytes:
    """The raw body. Raises ``Refused``."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if not (length.isascii() and length.isdigit()):
        raise Refused(400, "length")
    if len(length) > 10 or int(length) > MAX_BODY:
        raise Refused(413, "large")
    try:
        body = request.read(MAX_BODY + 1)  # no more, whatever the header said
    except UnreadablePostError:
        raise Refused(400, "unreadable") from None
    if len(body) > MAX_BODY:
        raise Refused(413, "large")
    return body


def _batch(request: HttpRequest, body: bytes) -> list[object]:
    """The events of the body, parsed; one alone may come without its list. Raises ``Refused``."""
    encoded = request.headers.get("Content-Encoding", "identity").lower() != "identity"
    if request.content_type not in CONTENT_TYPES or encoded:
        raise Refused(415, "type")
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
