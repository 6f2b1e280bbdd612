"""Django's ``user_logged_in``, told when the second factor has passed (``TWILIO_VERIFY_DEFER_LOGIN_SIGNAL``)."""

from __future__ import annotations

from typing import Any

from asgiref.sync import sync_to_async
from django.dispatch import Signal

from ..conf import settings
from . import enforcement, foreign_logins


class LoginSignal(Signal):
    """A signal that ``access.held_back`` may hold back.

    The signal object stays the one that everybody imported, and keeps its receivers: only its class is another. No
    function of Django's is replaced, and with the setting off every send goes straight to Django's own.
    """

    @classmethod
    def take_over(cls, signal: Signal) -> None:
        """Make ``signal`` one of this class. A second time does nothing, and neither does one of another class."""
        # A class of somebody else's may have the same in mind: it is left alone.
        if type(signal) is Signal:
            signal.__class__ = cls

    def send(self, sender: Any, **named: Any) -> list[tuple[Any, Any]]:
        return [] if _held_back(named) else super().send(sender, **named)

    def send_robust(self, sender: Any, **named: Any) -> list[tuple[Any, Any]]:
        return [] if _held_back(named) else super().send_robust(sender, **named)

    async def asend(self, sender: Any, **named: Any) -> list[tuple[Any, Any]]:
        return [] if await _aheld_back(named) else await super().asend(sender, **named)

    async def asend_robust(self, sender: Any, **named: Any) -> list[tuple[Any, Any]]:
        return [] if await _aheld_back(named) else await super().asend_robust(sender, **named)


def _held_back(named: dict[str, Any]) -> bool:
    request = named.get("request")
    if not settings.defer_login_signal or not enforcement.held_back(request, named["user"]):
        return False
    foreign_logins.leave_allauth(None, request, user=named["user"])
    return True


async def _aheld_back(named: dict[str, Any]) -> bool:
    return settings.defer_login_signal and await sync_to_async(_held_back)(named)
