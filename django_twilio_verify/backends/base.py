"""What a backend is: it carries proofs, judges answers, and knows nothing of our records."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import ClassVar

from django.core.checks import CheckMessage

from ..choices import Channel, Feature
from ..core.recipients import Recipient
from .factor_base import FactorBackend
from .options import NO_OPTIONS, SendOptions
from .results import AttemptsPage, ProviderAttempt, ProviderCheck, ProviderSend
from .service import Administration
from .threads import twin_of


class BaseBackend(FactorBackend):
    """Base of all backends. ``alias`` is its key in ``TWILIO_VERIFY_BACKENDS``; options arrive as keywords.

    A subclass fills ``start``, ``check``, ``cancel``, ``fetch`` and ``attempts``; ``approve`` if it takes custom codes,
    and ``is_authentic`` if it reports events. Each may block for at most
    ``timeout`` seconds, is called with no transaction open, from several threads at once, and raises only
    ``BackendUnavailable`` and ``BackendRejected``. It never logs or keeps a code or a whole recipient.

    Each method ``x`` that waits for the provider has a twin ``ax``, which calls ``x`` in a thread of its own: a slow
    provider holds up nobody else. A subclass whose client is async defines the twin too.
    """

    channels: ClassVar[frozenset[Channel]] = frozenset()
    """Which ways can it carry?"""
    features: ClassVar[frozenset[Feature]] = frozenset()
    """Which options of a send can it take?"""
    supports_attempts: ClassVar[bool] = False
    """Can it list what became of earlier sends?"""
    delivers: ClassVar[bool] = True
    """Does anything leave this machine? A system check warns outside ``DEBUG`` when not."""

    def __init__(self, alias: str, *, timeout: float = 10.0) -> None:
        self.alias = alias
        self.timeout = timeout

    @property
    def service_sid(self) -> str:
        """The SID of its Verify Service (``VA…``), by which events name it; ``""`` if it has none."""
        return ""

    @property
    def can_authenticate(self) -> bool:
        """Whether it has what ``is_authentic`` needs. Without it no request is ever found authentic."""
        return False

    def start(
        self,
        recipient: Recipient,
        channel: Channel,
        options: SendOptions = NO_OPTIONS,
    ) -> ProviderSend:
        """Send a code to ``recipient`` by ``channel``, or for ``sna`` (and ``auto``, if it can) make a link.

        While a verification to the recipient is pending, this sends the same code again, also by another channel.
        ``options`` were checked against ``channel`` and ``features``. A ``locale`` that the provider does not speak is
        left out, not refused.
        """
        raise NotImplementedError

    def check(
        self,
        recipient: Recipient,
        code: str,
        *,
        sid: str = "",
        amount: str = "",
        payee: str = "",
        sna_client_token: str = "",
    ) -> ProviderCheck:
        """Have ``code`` judged. ``sid`` names the verification; without it the recipient's pending one is meant.
        ``amount`` and ``payee``: of a payment, as they were when it started.

        A wrong code is ``PENDING``, a verification that is not there ``GONE``, one with too many answers
        ``EXHAUSTED``: none of these raises. An empty ``code`` asks what came of the link: ``PENDING`` while it was not
        opened, or failed (``link_errors``); ``sna_client_token`` is what the link answered, if it was asked for.
        """
        raise NotImplementedError

    def approve(self, sid: str) -> ProviderCheck:
        """Report that the site itself found the custom code of ``sid`` right; ``GONE`` if there is nothing pending."""
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

    def attempts_page(self, *, after: datetime, before: datetime, page: str = "", size: int = 200) -> AttemptsPage:
        """One page of ``attempts``. ``page``: ``""`` for the first, then what the page before gave as ``next_page``."""
        raise NotImplementedError

    def is_authentic(self, *, url: str, body: bytes, headers: Mapping[str, str]) -> bool:
        """Whether a request to ``url`` (as the provider called it) with this raw ``body`` was signed by the provider.

        ``headers``: by lower-case name. False for whatever cannot be read; raises nothing.
        """
        return False

    def administration(self) -> Administration | None:
        """What sets up the provider's side of this backend; ``None`` if there is nothing to set up."""
        return None

    def system_checks(self) -> list[CheckMessage]:
        """What is wrong with the options, for ``manage.py check``. Makes no call to the provider."""
        return []

    astart = twin_of(start)
    acheck = twin_of(check)
    aapprove = twin_of(approve)
    acancel = twin_of(cancel)
    afetch = twin_of(fetch)
    aattempts_page = twin_of(attempts_page)
