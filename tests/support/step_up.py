"""Whether a response leads to step-up."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit


def leads_to_step_up(response: Any, wanted: str = "/fresh/", **query: str) -> str:
    """The page of the step-up, for ``wanted``."""
    assert response.status_code == 302, response.content[:500]
    parts = urlsplit(response["Location"])
    assert parts.path == "/verify/step-up/", response["Location"]
    assert parse_qs(parts.query) == {"next": [wanted], **{name: [value] for name, value in query.items()}}
    return str(response["Location"])
