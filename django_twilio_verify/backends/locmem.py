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

from ..choices import CODE_CHANNELS, Channel
from ..conf import settings
from ..exceptions import BackendError
from ..options import NO_OPTIONS, SendOptions
from ..recipients import Recipient
from ..results import ProviderAttempt, ProviderCheck, ProviderSend
from .base import BaseBackend
from .errors import VerifyError, called, judged, status_of
from .simulator import CARRIED, Message, Snapshot, VerifySimulator

__all__ = ["LocMemBackend", "Message", "outbox", "reset"]

T = TypeVar("T")

outbox: list[Message] = []
"""What every ``LocMemBackend`` of this process has sent, oldest first. Empty it with
``outbox.clear()``.
"""


@dataclass(frozen=True, slots=True)
class _Fault:
    error: Exception
    carried_out: bool


class LocMemBackend(BaseBackend):
    """Verify in this process's memory.

    ``code_length`` (digits) and ``ttl`` (seconds that a code lives) follow
    ``TWILIO_VERIFY_CODE_LENGTH`` and ``TWILIO_VERIFY_CODE_LIFETIME`` unless given. ``channels``:
    those that the pretended Service has switched on. ``simulator`` is the Service itself: its sets
    make landlines, fraud blocks and closed countries.
    """

    channels = frozenset(CODE_CHANNELS)
    supports_attempts = True
    delivers = False

    def __init__(
        self,
        alias: str,
        *,
        timeout: float = 10.0,
        code_length: int | None = None,
        ttl: float | None = None,
        channels: Iterable[str] = CARRIED,
    ) -> None:
        super().__init__(alias, timeout=timeout)
        self._code_length = code_length
        self._ttl = ttl
        self.simulator = VerifySimulator(alias, channels=channels, deliver=self.deliver)
        self._faults: deque[_Fault] = deque()
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

            backend.fail_next(BackendUnavailable(perhaps_done=False))  # never reached
            backend.fail_next(BackendUnavailable(perhaps_done=True), carried_out=True)  # sent, no
            answer backend.fail_next(code=60410)  # blocked by Fraud Guard
        """
        fault = _Fault(error or VerifyError(status, code), carried_out)
        self._faults.extend([fault] * times)

    def reset(self) -> None:
        """Forget all verifications, sends and failures to come. Leaves ``outbox``."""
        self._faults.clear()
        self.simulator.reset()

    @sensitive_variables()
    def start(
        self,
        recipient: Recipient,
        channel: Channel,
        options: SendOptions = NO_OPTIONS,
    ) -> ProviderSend:
        to, way = recipient.value, channel.value
        snapshot = called(lambda: self._served(lambda: self.simulator.create(to, way, locale=options.locale)))
        sent = snapshot.attempts[-1]
        return ProviderSend(snapshot.sid, status_of(snapshot.status), sent.channel, sent.sid)

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
        to = recipient.value
        return self._answer(lambda: self.simulator.check(code, to=to, sid=sid), sid)

    def cancel(self, sid: str) -> ProviderCheck:
        return self._answer(lambda: self.simulator.update(sid, "canceled"), sid)

    def fetch(self, sid: str) -> ProviderCheck:
        return self._answer(lambda: self.simulator.fetch(sid), sid)

    def attempts(self, *, after: datetime, before: datetime | None = None) -> Iterable[ProviderAttempt]:
        found = called(lambda: self._served(lambda: self.simulator.attempts(after=after, before=before)))
        return [ProviderAttempt(one.sid, one.verification_sid, one.channel, one.converted) for one in found]

    def _answer(self, question: Callable[[], Snapshot], sid: str) -> ProviderCheck:
        def asked() -> ProviderCheck:
            snapshot = self._served(question)
            return ProviderCheck(status_of(snapshot.status), snapshot.sid)

        return judged(asked, sid)

    def _served(self, work: Callable[[], T]) -> T:
        """Do ``work`` in the simulator, or fail as ``fail_next`` wants. Raises ``VerifyError``,
        ``BackendError``.
        """
        # Read late, as every setting is: a test may change them while the backend lives.
        self.simulator.code_length = self._code_length or settings.code_length
        self.simulator.ttl = self._ttl or settings.code_lifetime
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


_made: WeakSet[LocMemBackend] = WeakSet()


def reset() -> None:
    """Empty ``outbox`` and ``reset`` every ``LocMemBackend`` of this process: for between two
    tests.
    """
    outbox.clear()
    for backend in [*_made]:
        backend.reset()
