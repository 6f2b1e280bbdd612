"""Send the signals of a request: a login, a step-up, an impersonation."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from ..client import client_from, visitor_from
from ..core import receivers
from ..core.client import ClientInfo
from ..signals import Signal
from . import session


def send(signal: Signal, sender: type, request: HttpRequest, user: AbstractBaseUser | None, **named: Any) -> None:
    """Send ``signal`` with ``request`` and the client behind it, if anybody listens. What receivers raise is logged."""
    if signal.has_listeners(sender):
        receivers.send(signal, sender, user=user, client=client_of(request), request=request, **named)


def client_of(request: HttpRequest) -> ClientInfo | None:
    """The client behind ``request``. ``None`` where that came from no browser, as of a test client's ``force_login()``.

    Unlike ``client_from`` it makes no secret for the session: nothing is started.
    """
    if "SERVER_NAME" not in request.META:
        return None
    if not hasattr(request, "session") or not session.has_secret(request):
        return visitor_from(request)
    return client_from(request)
