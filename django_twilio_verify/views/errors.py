"""What an error of a flow comes to in HTTP: a status, and when to come again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from django.http.response import HttpResponseBase
from django.utils import timezone

from ..exceptions import BackendUnavailable, RateLimited, TwilioVerifyError

UNAVAILABLE_RETRY = 30
"""Seconds after which a provider that was down may be asked again."""

_Response = TypeVar("_Response", bound=HttpResponseBase)


@dataclass(frozen=True, slots=True)
class Refusal:
    """``retry_at``: when it is allowed again, if that is known; ``retry_after``: seconds for the header, 0 for none."""

    status: int
    retry_at: datetime | None = None
    retry_after: int = 0

    @classmethod
    def of(cls, error: TwilioVerifyError, *, otherwise: int) -> Refusal:
        """429 for what is too soon, 503 for a provider that is down, ``otherwise`` for all else."""
        if isinstance(error, RateLimited):
            wait = (error.retry_at - timezone.now()).total_seconds()
            return cls(429, error.retry_at, max(1, int(wait)))
        if isinstance(error, BackendUnavailable):
            return cls(503, retry_after=UNAVAILABLE_RETRY)
        return cls(otherwise)

    def tell(self, response: _Response) -> _Response:
        """``response``, with its ``Retry-After``."""
        if self.retry_after:
            response.headers["Retry-After"] = str(self.retry_after)
        return response
