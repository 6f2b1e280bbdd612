"""Our errors as DRF answers."""

from __future__ import annotations

from typing import Any

from django.utils import timezone
from rest_framework.response import Response
from rest_framework.views import exception_handler as default_handler

from ...exceptions import BackendUnavailable, RateLimited, TwilioVerifyError


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """For ``REST_FRAMEWORK["EXCEPTION_HANDLER"]``: our errors as ``{"code", "detail"}`` with the status that fits, and
    ``Retry-After`` where there is a time. All others as DRF does.
    """
    if not isinstance(error, TwilioVerifyError):
        return default_handler(error, context)
    body = {"code": error.code, "detail": error.sentence}
    if isinstance(error, RateLimited):
        wait = max(1, int((error.retry_at - timezone.now()).total_seconds()))
        return Response(body, status=429, headers={"Retry-After": str(wait)})
    if isinstance(error, BackendUnavailable):
        return Response(body, status=503, headers={"Retry-After": "30"})
    if (known := default_handler(error, context)) is not None:  # 403 and 404 of Django's own kinds
        known.data = body
        return known
    return Response(body, status=400)
