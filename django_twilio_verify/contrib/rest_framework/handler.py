"""Our errors as DRF answers."""

from __future__ import annotations

from typing import Any

from rest_framework.response import Response
from rest_framework.views import exception_handler as default_handler

from ...exceptions import TwilioVerifyError


def exception_handler(error: Exception, context: dict[str, Any]) -> Response | None:
    """For ``REST_FRAMEWORK["EXCEPTION_HANDLER"]``: our errors as they describe themselves (``code``,
    ``detail`` and more), with their status, and ``Retry-After`` where there is a time. All others as DRF does.
    """
    if not isinstance(error, TwilioVerifyError):
        return default_handler(error, context)
    response = Response(error.as_dict(), status=error.status_code)
    if error.retry_after is not None:
        response.headers["Retry-After"] = str(error.retry_after)
    return response
