"""The other end of a device: django-otp tells its devices of no request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from django.http import HttpRequest
from django.utils.translation import get_language

from ...client import Client, client_from

_request: ContextVar[HttpRequest | None] = ContextVar("twilio_verify_otp_request", default=None)


@contextmanager
def serving(request: HttpRequest) -> Iterator[None]:
    """While this lasts, devices are asked for ``request``."""
    token = _request.set(request)
    try:
        yield
    finally:
        _request.reset(token)


def request_now() -> HttpRequest | None:
    """The request that is being served, if the middleware is there to say so."""
    request = _request.get()
    return request if request is not None and hasattr(request, "session") else None


def client_for(persistent_id: str) -> Client:
    """Who asks the device ``persistent_id``: the browser session behind the request that is being served.

    SECURITY: without the middleware there is none, and all of a device's challenges are of one session: who has the
    password may answer, in another browser, what this one asked for. No browser's secret looks like that session's.
    """
    request = request_now()
    if request is not None:
        return client_from(request)
    return Client(session=f"otp:{persistent_id}", language=get_language() or "")
