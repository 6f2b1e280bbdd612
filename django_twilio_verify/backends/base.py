"""What a backend is: it carries proofs, judges answers, and knows nothing of our records."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import datetime
from typing import ClassVar, TypeVar

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage
from django.views.decorators.debug import sensitive_variables

from ..choices import Channel
from ..recipients import Recipient
from ..results import ProviderAttempt, ProviderCheck, ProviderSend

T = TypeVar("T")


class BaseBackend:
    """Base of all backends. ``alias`` is its key in ``TWILIO_VERIFY_BACKENDS``; options arrive as keywords.

    A subclass fills ``start``, ``check``, ``cancel``, ``fetch`` and ``attempts``. Each may block for at most
    ``timeout`` seconds, is called with no transaction open, from several threads at once, and raises only
    ``BackendUnavailable`` and ``BackendRejected``. It never logs or keeps a code or a whole recipient.
    """

    channels: ClassVar[frozenset[Channel]] = frozenset()
    """Which ways can it carry?"""
    supports_attempts: ClassVar[bool] = False
    """Can it list what became of earlier sends?"""
    delivers: ClassVar[bool] = True
    """Does anything leave this machine? A system check warns outside ``DEBUG`` when not."""

    def __init__(self, alias: str, *, timeout: float = 10.0) -> None:
        self.alias = alias
        self.timeout = timeout

    def start(
        self,
        recipient: Recipient,
        channel: Channel,
        *,
        locale: str = "",
        tags: dict[str, str] | None = None,
    ) -> ProviderSend:
        """Send a code to ``recipient`` by ``channel``.

        While a verification to the recipient is pending, this sends the same code again, also by another channel.
        ``locale``: BCP 47 tag of the message's language, ``""`` to leave the choice to the provider. ``tags``: short
        opaque values that come back in the provider's events.
        """
        raise NotImplementedError

    def check(self, recipient: Recipient, code: str, *, sid: str = "") -> ProviderCheck:
        """Have ``code`` judged. ``sid`` names the verification; without it the recipient's pending one is meant.

        A wrong code is ``PENDING``, a verification that is not there ``GONE``, one with too many answers
        ``EXHAUSTED``: none of these raises.
        """
        raise NotImplementedError

    def cancel(self, sid: str) -> ProviderCheck:
        """Close the pending verification ``sid``; ``GONE`` if there is none."""
        raise NotImplementedError

    def fetch(self, sid: str) -> ProviderCheck:
        """Where the verification ``sid`` stands, without counting as an answer. ``GONE`` if it is not there."""
        raise NotImplementedError

    def attempts(self, *, after: datetime, before: datetime | None = None) -> Iterable[ProviderAttempt]:
        """The sends made between two aware times, newest first."""
        raise NotImplementedError

    @sensitive_variables()
    async def astart(
        self,
        recipient: Recipient,
        channel: Channel,
        *,
        locale: str = "",
        tags: dict[str, str] | None = None,
    ) -> ProviderSend:
        """As ``start``. In a thread of its own, so that a slow provider holds up nobody else."""
        return await _in_thread(lambda: self.start(recipient, channel, locale=locale, tags=tags))

    @sensitive_variables()
    async def acheck(self, recipient: Recipient, code: str, *, sid: str = "") -> ProviderCheck:
        """As ``check``, in a thread of its own."""
        return await _in_thread(lambda: self.check(recipient, code, sid=sid))

    def system_checks(self) -> list[CheckMessage]:
        """What is wrong with the options, for ``manage.py check``. Makes no call to the provider."""
        return []


async def _in_thread(call: Callable[[], T]) -> T:
    # SECURITY: a closure, not a function with its arguments: those would stand in asgiref's frames,
    # and so in an error report, code and all. The closure's own frame is marked for the same reason.
    marked = sensitive_variables()(call)
    return await sync_to_async(marked, thread_sensitive=False)()
