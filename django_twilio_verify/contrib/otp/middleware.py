"""Which request a device is asked for."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from asgiref.sync import iscoroutinefunction, markcoroutinefunction, sync_to_async
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from . import agreement, clients


class VerifyDeviceMiddleware:
    """Stands after ``django_otp.middleware.OTPMiddleware``.

    Devices are asked in the name of the browser session behind the request: only it can answer what it asked for, and
    our limits count its address. Costs no query, but for a session that django-otp has verified and our wall has not.
    """

    sync_capable = True
    async_capable = True

    def __init__(self, get_response: Callable[[HttpRequest], Any]) -> None:
        self.get_response = get_response
        self.is_async = iscoroutinefunction(get_response)
        if self.is_async:
            markcoroutinefunction(self)

    def __call__(self, request: HttpRequest) -> HttpResponseBase | Awaitable[HttpResponseBase]:
        if self.is_async:
            return self.__acall__(request)
        with clients.serving(request):
            response: HttpResponseBase = self.get_response(request)
        agreement.agree(request)
        return response

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        with clients.serving(request):
            response: HttpResponseBase = await self.get_response(request)
        if agreement.may_disagree(request):
            await sync_to_async(agreement.agree)(request)
        return response
