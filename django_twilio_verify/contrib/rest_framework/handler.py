"""Our errors as DRF answers."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response
from rest_framework.views import exception_handler as default_handler

from ...exceptions import TwilioVerifyError
from ...views.errors import Refusal


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """For ``REST_FRAMEWORK["EXCEPTION_HANDLER"]``: our errors as ``{"code", "detail"}`` with the status that fits, and
    ``Retry-After`` where there is a time. All others as DRF does.
    """
    if not isinstance(error, TwilioVerifyError):
        return default_handler(error, context)
    body = {"code": error.code, "detail": error.sentence}
    refusal = Refusal.of(error, otherwise=400)
    if refusal.retry_after:
        return refusal.tell(Response(body, status=refusal.status))
    if (known := default_handler(error, context)) is not None:  # 403 and 404 of Django's own kinds
        known.data = body
        return known
    return Response(body, status=400)
