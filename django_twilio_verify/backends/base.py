"""What a backend is: it carries codes and links, judges answers, and knows nothing of our records.

All that the author of a backend imports is here. ``BaseBackend`` is for a provider that makes and judges the codes
itself, ``CodeBackend`` for any gateway that can carry a message.
"""

from __future__ import annotations

import asyncio
import logging
import smtplib
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar

from django.core.checks import CheckMessage
from django.views.decorators.debug import sensitive_variables

from ..choices import CODE_CHANNELS, VERIFICATION_CHANNELS, Channel, ChannelName, FactorKind, Feature
from ..core.recipients import Recipient
from ..exceptions import BackendRejected, BackendUnavailable, RejectCode, Retry
from .factor_base import FactorBackend
from .factor_options import ChallengeDetails, PasskeyOptions, PushOptions, TotpOptions
from .factor_results import (
    AccessToken,
    ChallengeStatus,
    EntitiesPage,
    FactorEvent,
    FactorStatus,
    ProviderChallenge,
    ProviderEntity,
    ProviderFactor,
    ProviderNotification,
)
from .options import NO_OPTIONS, SendOptions
from .results import AttemptsPage, ProviderAttempt, ProviderCheck, ProviderSend, ProviderStatus
from .service import Administration
from .threads import twin_of

__all__ = [
    "NO_OPTIONS",
    "AccessToken",
    "Administration",
    "AttemptsPage",
    "BackendRejected",
    "BackendUnavailable",
    "BaseBackend",
    "ChallengeDetails",
    "ChallengeStatus",
    "Channel",
    "ChannelName",
    "CodeBackend",
    "EntitiesPage",
    "FactorEvent",
    "FactorKind",
    "FactorStatus",
    "Feature",
    "PasskeyOptions",
    "ProviderAttempt",
    "ProviderChallenge",
    "ProviderCheck",
    "ProviderEntity",
    "ProviderFactor",
    "ProviderNotification",
    "ProviderSend",
    "ProviderStatus",
    "PushOptions",
    "Recipient",
    "RejectCode",
    "Retry",
    "SendOptions",
    "TotpOptions",
]

logger: logging.Logger = logging.getLogger("django_twilio_verify")


def _channels_of(cls: type[BaseBackend], possible: Iterable[Channel]) -> frozenset[ChannelName]:
    """The channels that a subclass names, as members of ``Channel``. Raises ``ValueError`` for what is none."""
    words = [channel.value for channel in possible]
    if strange := sorted(str(one) for one in cls.channels if one not in words):
        raise ValueError(f"{cls.__name__}.channels: {strange[0]!r} is none of {', '.join(words)}.")
    return frozenset(Channel(one) for one in cls.channels)


class BaseBackend(FactorBackend):
    """Base of all backends.

    A subclass fills ``start``, ``check``, ``cancel``, ``fetch`` and ``attempts``; ``approve`` if it takes custom codes,
    and ``is_authentic`` if it reports events. Each may block for at most
    ``timeout`` seconds, is called with no transaction open, from several threads at once, and raises only
    ``BackendUnavailable`` and ``BackendRejected``. It never logs or keeps a code or a whole recipient.

    Each method ``x`` that waits for the provider has a twin ``ax``, which calls ``x`` in a thread of its own: a slow
    provider holds up nobody else. A subclass whose client is async defines the twin too.

    The attributes say what the provider does. Flows, pages and the contract's tests read them. The defaults are the
    rules of Twilio Verify.

    Args:
        alias: The backend's key in ``TWILIO_VERIFY_BACKENDS``. What is in ``OPTIONS`` arrives as keywords.
        timeout: Seconds that connecting, and that waiting for the answer, may take.
    """

    channels: ClassVar[frozenset[ChannelName]] = frozenset()
    """The channels that it carries: members of ``Channel`` or their values. Another word raises ``ValueError`` when the
    class is made.
    """
    features: ClassVar[frozenset[Feature]] = frozenset()
    """The options of a send that it takes."""
    max_sends: ClassVar[int] = 5
    """Sends of one verification, the first included. Another one is refused without asking the provider."""
    max_checks: ClassVar[int] = 5
    """Answers that are judged for one verification."""
    same_code_on_resend: ClassVar[bool] = True
    """Whether a resend carries the code of the first send. If not, a resend's code replaces the one before, and pages
    say so.
    """
    finds_by_recipient: ClassVar[bool] = True
    """Whether ``check`` without a ``sid`` finds the pending verification of the recipient. It is asked so when the
    answer to a send was lost. If not, such a verification ends as expired when a code is typed, and a new one can be
    started at once.
    """
    makes_codes: ClassVar[bool] = True
    """Whether the provider makes, keeps and judges the codes. False for ``CodeBackend``, where the app does."""
    supports_attempts: ClassVar[bool] = False
    """Whether it can list what became of earlier sends."""
    delivers: ClassVar[bool] = True
    """Whether anything leaves this machine. A system check warns outside ``DEBUG`` when not."""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.channels = _channels_of(cls, VERIFICATION_CHANNELS)

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

        While a verification to the recipient is pending, this is a resend of it, also by another channel.

        Args:
            recipient: A phone number or an email address, as ``channel`` needs it.
            channel: One of ``channels``.
            options: Checked against ``channel`` and ``features``. A ``locale`` that the provider does not speak is left
                out, not refused.

        Returns:
            What the provider made of it. ``sid`` names the verification and is the same for every resend.

        Raises:
            BackendRejected: The provider refused, and nothing was sent.
            BackendUnavailable: It did not answer. ``may_have_been_done`` unless it is certain that nothing was sent.
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
        """Have ``code`` judged.

        Args:
            recipient: Where the code was sent.
            code: ASCII digits (letters too for a custom code). Empty: what came of the link?
            sid: Of the verification. Empty only if ``finds_by_recipient``: the recipient's pending one is meant.
            amount: Of a payment, as it was when it started.
            payee: Of a payment, as it was when it started.
            sna_client_token: What the link answered, if it was asked for.

        Returns:
            ``APPROVED``, once. A wrong code is ``PENDING``, a verification that is not there ``GONE``, one with too
            many answers ``EXHAUSTED``. A link is ``PENDING`` while it was not opened, or failed (``link_failed``).

        Raises:
            BackendRejected: With ``RejectCode.CODE`` for what cannot be a code.
            BackendUnavailable: The provider did not answer. ``may_have_been_done`` if it may have counted.
        """
        raise NotImplementedError

    def approve(self, sid: str) -> ProviderCheck:
        """Report that the site itself found the custom code of ``sid`` right.

        Returns:
            ``APPROVED``, or ``GONE`` if nothing is pending.

        Raises:
            BackendUnavailable: The provider did not answer.
        """
        raise NotImplementedError

    def cancel(self, sid: str) -> ProviderCheck:
        """Close the pending verification ``sid``.

        Returns:
            ``CANCELED``, or ``GONE`` if nothing is pending.

        Raises:
            BackendUnavailable: The provider did not answer.
        """
        raise NotImplementedError

    def fetch(self, sid: str) -> ProviderCheck:
        """Say where the verification ``sid`` stands, without counting as an answer.

        It is also asked about a verification that the provider never heard of, instead of a send that is pretended, so
        it must take as long as a send does.

        Returns:
            Its status; ``GONE`` if it is not there.

        Raises:
            BackendUnavailable: The provider did not answer.
        """
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


@dataclass(frozen=True, slots=True)
class _LatestSend:
    """How long the latest send took, and whether the gateway was down."""

    seconds: float = 0.0
    is_outage: bool = False
    may_have_been_done: bool = False
    provider_code: int = 0


class CodeBackend(BaseBackend):
    """Base of backends for gateways that only carry a message: SMS, voice, WhatsApp or mail.

    A subclass names its ``channels`` and fills ``send_code``. The app does everything else: it makes the code
    (``secrets``), keeps a salted hash of it with the verification, judges the answers, counts sends and answers, and
    lets it expire. Length and lifetime are those of the backend's alias. Nothing is kept here or at the gateway, so
    ``cancel``, ``fetch`` and expiry need no call.

    Since only a hash is kept, every send carries a new code, and the code before it stops working at the moment the new
    send is reserved. So of two messages that cross, the newest works. A send that the gateway refuses brings the code
    before it back. One whose answer is lost keeps the new code, since its message may have gone out. A resend does not
    extend the lifetime, which counts from the first send; so a message text should not name it.

    A custom code (``SendOptions.custom_code``) is sent instead of a made one.
    """

    features: ClassVar[frozenset[Feature]] = frozenset({Feature.LOCALE, Feature.CUSTOM_CODE})
    """``locale`` arrives in the options of ``send_code`` and may be ignored."""
    same_code_on_resend: ClassVar[bool] = False
    finds_by_recipient: ClassVar[bool] = False
    makes_codes: ClassVar[bool] = False

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        _channels_of(cls, CODE_CHANNELS)
        for name in ("same_code_on_resend", "makes_codes"):
            if getattr(cls, name):
                raise TypeError(f"{cls.__name__}.{name} must be False: the app keeps only a hash of each code.")

    def __init__(self, alias: str, *, timeout: float = 10.0) -> None:
        super().__init__(alias, timeout=timeout)
        self._latest = _LatestSend()

    def send_code(self, recipient: Recipient, channel: Channel, code: str, options: SendOptions) -> str:
        """Hand one message with ``code`` to the gateway, once.

        It may block for ``timeout`` seconds, and is called from several threads at once. Any ``OSError`` that it lets
        through (time-outs, ``smtplib`` and ``requests`` raise those) counts as ``BackendUnavailable`` with
        ``may_have_been_done``.

        Args:
            recipient: A phone number in E.164 format, or an email address: ``recipient.value``.
            channel: One of ``channels``.
            code: What the user has to type. Never log or keep it.
            options: What the class names in ``features``, such as ``locale``, the language of the message.

        Returns:
            The gateway's id of the message, up to 128 characters, or ``""``. It is kept with the send.

        Raises:
            BackendRejected: The gateway refused, and nothing was sent. Its ``RejectCode`` chooses what the user reads.
            BackendUnavailable: The gateway did not answer. ``may_have_been_done`` unless it is certain that nothing was
                sent.
        """
        raise NotImplementedError

    asend_code = twin_of(send_code)

    @sensitive_variables()
    def start(self, recipient: Recipient, channel: Channel, options: SendOptions = NO_OPTIONS) -> ProviderSend:
        """Send the code that the app has put into ``options.custom_code``."""
        code, others = _code_in(options)
        with self._carrying():
            return _carried(channel, self.send_code(recipient, channel, code, others))

    @sensitive_variables()
    async def astart(self, recipient: Recipient, channel: Channel, options: SendOptions = NO_OPTIONS) -> ProviderSend:
        """As ``start``, by ``asend_code``."""
        code, others = _code_in(options)
        with self._carrying():
            return _carried(channel, await self.asend_code(recipient, channel, code, others))

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
        """Return ``GONE``: the app judges, and nothing is pending here."""
        return ProviderCheck(ProviderStatus.GONE, sid)

    def approve(self, sid: str) -> ProviderCheck:
        """Return ``GONE``: nothing is pending here."""
        return ProviderCheck(ProviderStatus.GONE, sid)

    def cancel(self, sid: str) -> ProviderCheck:
        """Return ``GONE``: nothing is pending here."""
        return ProviderCheck(ProviderStatus.GONE, sid)

    def fetch(self, sid: str) -> ProviderCheck:
        """Return ``GONE`` after as long as the latest send of this process took, or fail as that did.

        SECURITY: it is asked instead of a send that is pretended. Without this, time and outages would tell.
        """
        latest = self._latest
        time.sleep(latest.seconds)
        return _gone_as(latest, sid)

    async def afetch(self, sid: str) -> ProviderCheck:
        """As ``fetch``, without a thread."""
        latest = self._latest
        await asyncio.sleep(latest.seconds)
        return _gone_as(latest, sid)

    @contextmanager
    def _carrying(self) -> Iterator[None]:
        """Note how a send went, and turn an error of the connection into ``BackendUnavailable``."""
        began = time.monotonic()
        try:
            yield
        except BackendUnavailable as error:
            # SECURITY: not the error itself, whose frames hold the code and the recipient.
            self._latest = _LatestSend(time.monotonic() - began, True, error.may_have_been_done, error.provider_code)
            raise
        except OSError as error:
            # SECURITY: the name of its type alone: the text may hold the code and the recipient.
            logger.warning("Send failed: backend=%s error=%s", self.alias, type(error).__name__)
            if _is_outage(error):
                self._latest = _LatestSend(time.monotonic() - began, True, may_have_been_done=True)
            raise BackendUnavailable(may_have_been_done=True) from None
        else:
            self._latest = _LatestSend(time.monotonic() - began)


_OF_THE_SITE = frozenset({401, 403, 407, 408, 429})
"""Statuses of HTTP, of those from 400 to 499, that every recipient gets alike."""


def _is_outage(error: OSError) -> bool:
    """Whether the gateway fails for everybody, as far as ``smtplib``, ``urllib``, ``requests`` and ``httpx`` tell.

    SECURITY: who can make a gateway refuse one recipient would else make what stands for a code that nobody was sent
    answer as a gateway that is down, which the codes of real accounts do not.
    """
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return False
    status = getattr(error, "code", None) or getattr(getattr(error, "response", None), "status_code", None)
    return not (isinstance(status, int) and 400 <= status < 500 and status not in _OF_THE_SITE)


@sensitive_variables()
def _code_in(options: SendOptions) -> tuple[str, SendOptions]:
    """The code to send, and what else is told."""
    if not options.custom_code:
        raise ValueError("options.custom_code is empty: a CodeBackend makes no code.")
    return options.custom_code, options.without("custom_code")


def _carried(channel: Channel, message_id: str) -> ProviderSend:
    return ProviderSend("", ProviderStatus.PENDING, channel.value, attempt_sid=message_id or "")


def _gone_as(latest: _LatestSend, sid: str) -> ProviderCheck:
    if latest.is_outage:
        raise BackendUnavailable(may_have_been_done=latest.may_have_been_done, provider_code=latest.provider_code)
    return ProviderCheck(ProviderStatus.GONE, sid)
