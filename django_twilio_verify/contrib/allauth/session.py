"""What the adapter and the forms remember of a phone's verification, in the session of the request."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import HttpRequest

_KEY = "_twilio_verify_allauth"


def remember(request: HttpRequest, **values: Any) -> None:
    """Keep ``values`` (what JSON can hold) beside what is kept already."""
    request.session[_KEY] = {**request.session.get(_KEY, {}), **values}


def recall(request: HttpRequest, name: str) -> Any:
    """What was remembered as ``name``, else ``None``."""
    return request.session.get(_KEY, {}).get(name)


def verification_of(request: HttpRequest) -> uuid.UUID | None:
    """The verification that was sent in this session."""
    found = recall(request, "verification")
    return uuid.UUID(found) if found else None


def forget(request: HttpRequest) -> None:
    request.session.pop(_KEY, None)
