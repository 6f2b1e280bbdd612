"""The backend for tests: behaves as Twilio Verify does, and keeps what it would have sent.

from django_twilio_verify.testing import outbox

assert outbox[-1].to == "+12025550143"
client.post(url, {"code": outbox[-1].code})
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar
from weakref import WeakSet

from django.views.decorators.debug import sensitive_variables

from ..choices import VERIFICATION_CHANNELS, Channel, Feature
from ..conf import settings
from ..core.recipients import Recipient
from ..exceptions import BackendError
from .base import BaseBackend
from .locmem_factors import LocMemFactors
from .options import NO_OPTIONS, SendOptions
from .results import AttemptsPage, ProviderAttempt, ProviderCheck, ProviderSend
from .simulator.verifications import KNOWN, LINK_BASE, PRICE, Attempt, Message, Snapshot, VerifySimulator
from .twilio.errors import VerifyError, called, check_of, in_some_language, judged, status_of

__all__ = ["LocMemBackend", "Message", "clear_outbox", "outbox"]

T = TypeVar("T")

outbox: list[Message] = []
"""What every ``LocMemBackend`` of this process has sent, oldest first. ``clear_outbox()`` empties it."""


@dataclass(frozen=True, slots=True)
class _Fault:
    error: Exception
    carried_out: bool


class LocMemBackend(LocMemFactors, BaseBackend):
    """Verify in this process's memory.

    Its codes have the ``CODE_LENGTH`` and ``CODE_LIFETIME_SECONDS`` of the alias. ``channels``: those that the
    pretended Service has switched on; all six by default. ``link_base``: what the links of silent network
    authentication begin with. ``simulator`` is the Service itself: its sets make landlines, fraud blocks and
    closed countries, and its ``open_link`` plays the phone.
    """

    channels = frozenset(VERIFICATION_CHANNELS)
    features = frozenset(Feature)
    supports_attempts = True
    delivers = False

    def __init__(
        self,
        alias: str,
        *,
        timeout: float = 10.0,
        channels: Iterable[str] = KNOWN,
        link_base: str = LINK_BASE,
    ) -> None:
        super().__init__(alias, timeout=timeout)
        self.simulator = VerifySimulator(
            alias,
            channels=channels,
            deliver=self.deliver,
            link_base=link_base,
            max_sends=self.max_sends,
            max_checks=self.max_checks,
        )
        self._faults: deque[_Fault] = deque()
        self.begin_factors()
        _made.add(self)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias}>"

    def deliver(self, message: Message) -> None:
        """What becomes of a message: here it goes to ``outbox``."""
        outbox.append(message)

    def fail_next(
        self,
        error: BackendError | None = None,
        *,
        code: int = 0,
        status: int = 400,
        carried_out: bool = False,
        times: int = 1,
    ) -> None:
        """Make the next ``times`` calls fail: with ``error``, or as on Twilio's error ``code`` with
        HTTP ``status``.

        ``carried_out``: the call does its work first, as when only the answer is lost::

            backend.fail_next(BackendUnavailable(may_have_been_done=False))  # never reached
            backend.fail_next(BackendUnavailable(may_have_been_done=True), carried_out=True)  # sent, no
            answer backend.fail_next(code=60410)  # blocked by Fraud Guard
        """
        fault = _Fault(error or VerifyError(status, code), carried_out)
        self._faults.extend([fault] * times)

    def reset(self) -> None:
        """Forget all verifications, sends, factors and failures to come. Leaves ``outbox``."""
        self.forget_pending()
        self.reset_factors()

    def forget_pending(self) -> None:
        """Forget all verifications, sends and failures to come. What is enrolled stays."""
        self._faults.clear()
        self.simulator.reset()
        self.factor_simulator.forget_usage()

    @sensitive_variables()
    def start(
        self,
        recipient: Recipient,
        channel: Channel,
        options: SendOptions = NO_OPTIONS,
    ) -> ProviderSend:
        to, way = recipient.value, channel.value

        def send(options: SendOptions) -> Snapshot:
            return self.simulator.create(to, way, options)

        return _sent(called(lambda: self._served(lambda: in_some_language(send, options)), way))

    @sensitive_variables()
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
        to, token = recipient.value, sna_client_token
        return self._answer(
            lambda: self.simulator.check(code, to=to, sid=sid, amount=amount, payee=payee, sna_client_token=token),
            sid,
        )

    def approve(self, sid: str) -> ProviderCheck:
        return self._answer(lambda: self.simulator.update(sid, "approved"), sid)

    def cancel(self, sid: str) -> ProviderCheck:
        return self._answer(lambda: self.simulator.update(sid, "canceled"), sid)

    def fetch(self, sid: str) -> ProviderCheck:
        return self._answer(lambda: self.simulator.fetch(sid), sid)

    def attempts(self, *, after: datetime, before: datetime | None = None) -> Iterable[ProviderAttempt]:
        found = called(lambda: self._served(lambda: self.simulator.attempts(after=after, before=before)))
        return [_attempt(one) for one in found]

    def attempts_page(self, *, after: datetime, before: datetime, page: str = "", size: int = 200) -> AttemptsPage:
        found = [*self.attempts(after=after, before=before)]
        first = int(page) if page.isdecimal() else 0  # a page of another backend's is none of ours
        more = str(first + size) if len(found) > first + size else ""
        return AttemptsPage(tuple(found[first : first + size]), more)

    def _answer(self, question: Callable[[], Snapshot], sid: str) -> ProviderCheck:
        def asked() -> ProviderCheck:
            snapshot = self._served(question)
            errors = tuple(code for _, code in snapshot.link_errors)
            return check_of(snapshot.status, snapshot.sid, errors)

        return judged(asked, sid)

    def _served(self, work: Callable[[], T]) -> T:
        """Do ``work`` in the simulator, or fail as ``fail_next`` wants. Raises ``VerifyError``,
        ``BackendError``.
        """
        # Read late, as every setting is: a test may change them while the backend lives.
        service = settings.service(self.alias)
        self.simulator.code_length, self.simulator.ttl = service.code_length, service.code_lifetime_seconds
        fault = self._next_fault()
        if fault is None:
            return work()
        if fault.carried_out:
            work()
        raise fault.error.with_traceback(None)

    def _next_fault(self) -> _Fault | None:
        try:
            return self._faults.popleft()
        except IndexError:
            return None


def _sent(snapshot: Snapshot) -> ProviderSend:
    last = snapshot.attempts[-1]
    status = status_of(snapshot.status)
    return ProviderSend(snapshot.sid, status, last.channel, last.sid, snapshot.link, snapshot.line_type)


def _attempt(one: Attempt) -> ProviderAttempt:
    return ProviderAttempt(
        one.sid,
        one.verification_sid,
        one.carried,
        one.converted,
        PRICE,
        "USD",
        one.delivery,
        one.error_code,
        country=one.country,
        at=one.updated_at,
    )


_made: WeakSet[LocMemBackend] = WeakSet()


def clear_outbox(*, factors: bool = False) -> None:
    """Empty ``outbox``, and have every ``LocMemBackend`` of this process forget what is pending.

    Call it between two tests. What ``fail_next`` has planned is forgotten too. Authenticator apps, passkeys and phones
    stay, so that those which a class enrolls in ``setUpTestData`` work in each of its tests.

    Args:
        factors: Forget those as well.
    """
    outbox.clear()
    for backend in [*_made]:
        if factors:
            backend.reset()
        else:
            backend.forget_pending()
