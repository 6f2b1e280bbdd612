"""One Verify Service in memory: the rules of Twilio Verify, without Twilio.

``LocMemBackend``, ``ConsoleBackend`` and ``testing.VerifyServer`` are three skins on
``VerifySimulator``; no rule of the provider is written down twice. It knows nothing of HTTP,
settings or our records, and raises only ``errors.VerifyError``, whose messages, unlike Twilio's
own, never repeat a number or a code.
"""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import RLock

from .errors import VerifyError

MAX_SENDS = 5
MAX_CHECKS = 5
"""Sends and answers to one verification (Twilio errors 60203 and 60202)."""
CARRIED = ("sms", "call", "whatsapp", "email")
"""The channels that bring a code to type. ``sna`` and ``auto`` are known words, and always switched
off.
"""
KNOWN = frozenset({*CARRIED, "sna", "auto"})
KEPT_ATTEMPTS = 10_000
"""Sends remembered for ``attempts``; the oldest go first, as a console server may run for weeks."""

_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_CODE = re.compile(r"[0-9A-Za-z]{4,10}")


@dataclass(frozen=True, slots=True)
class Message:
    """What a person would have received. ``alias``: of the backend; ``sid``: the verification's.

    ``sent_at``: aware UTC time. ``locale``: BCP 47 tag asked for, or ``""``.
    """

    alias: str
    to: str
    channel: str
    code: str
    sid: str
    locale: str
    sent_at: datetime

    def __repr__(self) -> str:
        # SECURITY: a failing test prints its locals; neither code nor address go with them. Covers
        # str() too.
        return f"<Message {self.alias} {self.channel} {self.sid}>"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One send: ``sid`` (``VL…``), its verification's SID (``VE…``), and whether a right answer
    came of it.
    """

    sid: str
    verification_sid: str
    to: str
    channel: str
    sent_at: datetime
    locale: str = ""
    converted: bool = False

    def __repr__(self) -> str:
        return f"<Attempt {self.sid} {self.channel}>"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A verification as it stood at one moment. ``status``: in Twilio's words; ``attempts``: oldest
    first.
    """

    sid: str
    to: str
    channel: str
    status: str
    created_at: datetime
    updated_at: datetime
    attempts: tuple[Attempt, ...]

    def __repr__(self) -> str:
        return f"<Snapshot {self.sid} {self.status}>"


@dataclass(slots=True)
class _Pending:
    """A verification that can still be answered. Only the simulator, under its lock, touches
    one.
    """

    sid: str
    to: str
    code: str = field(repr=False)
    created: float
    updated: float
    attempts: list[Attempt] = field(default_factory=list)
    checks: int = 0

    @property
    def used_up(self) -> bool:
        return self.checks >= MAX_CHECKS

    def snapshot(self, status: str = "") -> Snapshot:
        status = status or ("max_attempts_reached" if self.used_up else "pending")
        created, updated = _utc(self.created), _utc(self.updated)
        channel = self.attempts[-1].channel
        return Snapshot(self.sid, self.to, channel, status, created, updated, tuple(self.attempts))


class VerifySimulator:
    """One Verify Service. Safe to call from several threads.

    ``code_length``: digits of the codes to come, 4 to 10; ``ttl``: seconds that a verification
    lives from its first send; ``channels``: those switched on. These three may be changed at any
    time. ``deliver``: called with a ``Message`` for each send, outside the lock. ``clock``: seconds
    since 1970; by default ``time.time``, looked up at every call, so that tests may travel.
    ``make_code``: number of digits to code.

    Numbers may be put into ``landlines`` (error 60205 for sms), number prefixes into
    ``fraud_prefixes`` (60410) and ``closed_prefixes`` (country switched off, 60605). ``locales``,
    if not ``None``, are the only ones known.
    """

    def __init__(
        self,
        alias: str = "default",
        *,
        code_length: int = 6,
        ttl: float = 600,
        channels: Iterable[str] = CARRIED,
        locales: Iterable[str] | None = None,
        deliver: Callable[[Message], None] | None = None,
        clock: Callable[[], float] | None = None,
        make_code: Callable[[int], str] | None = None,
    ) -> None:
        self.alias = alias
        self.code_length = code_length
        self.ttl = ttl
        self.channels = {*channels}
        self.locales = None if locales is None else frozenset(locales)
        self.landlines: set[str] = set()
        self.fraud_prefixes: set[str] = set()
        self.closed_prefixes: set[str] = set()
        self._deliver = deliver
        self._clock = clock
        self._make_code = make_code or _random_code
        self._lock = RLock()
        # By recipient, oldest first: there is at most one for each.
        self._pending: dict[str, _Pending] = {}
        self._by_sid: dict[str, _Pending] = {}
        self._attempts: deque[Attempt] = deque(maxlen=KEPT_ATTEMPTS)

    def __repr__(self) -> str:
        return f"<VerifySimulator {self.alias}: {len(self._pending)} pending>"

    def create(self, to: str, channel: str, *, locale: str = "") -> Snapshot:
        """Send to ``to`` by ``channel``: a new code, or the same one again while a verification is
        pending.

        Raises ``VerifyError``: 60200, 60202, 60203, 60205, 60223, 60410, 60605, and 20404 for an
        unknown locale.
        """
        self._refuse(to, channel, locale)
        with self._lock:
            pending = self._reserve(to)
            snapshot = self._sent(pending, channel, locale)
            code = pending.code
        if self._deliver is not None:
            attempt = snapshot.attempts[-1]
            self._deliver(Message(self.alias, to, channel, code, snapshot.sid, locale, attempt.sent_at))
        return snapshot

    def check(self, code: str, *, to: str = "", sid: str = "") -> Snapshot:
        """Judge an answer to the verification ``sid``, or to the pending one of ``to``.

        A wrong one leaves it ``pending``; the fifth wrong one is the last that is judged. Raises
        ``VerifyError``: 60200 for what is no code (not counted), 60202 for the sixth answer, 60221,
        and 20404 if nothing is pending.
        """
        if not (to or sid):
            raise VerifyError(400, 60221, "Required parameter missing: To or VerificationSid")
        if not _CODE.fullmatch(code):
            raise VerifyError(400, 60200, "Invalid parameter: Code")
        with self._lock:
            pending = self._find(sid or to, "VerificationCheck")
            if pending.used_up:
                raise _checks_used_up()
            pending.checks += 1
            pending.updated = self._now()
            # SECURITY: as bytes, for digits of other scripts would make compare_digest raise.
            right = hmac.compare_digest(code.encode(), pending.code.encode())
            return self._approved(pending) if right else pending.snapshot("pending")

    def update(self, key: str, status: str) -> Snapshot:
        """Set the verification ``key`` (SID or recipient) to ``canceled`` or ``approved``; it is
        gone after.

        ``approved`` is how a site that judges codes itself reports a conversion. Whether Twilio
        still lets a canceled one be fetched is not known; here it is not. Raises ``VerifyError``:
        60200, and 20404.
        """
        if status not in ("canceled", "approved"):
            raise VerifyError(400, 60200, "Invalid parameter: Status")
        with self._lock:
            pending = self._find(key, "Verification")
            pending.updated = self._now()
            if status == "approved":
                return self._approved(pending)
            self._forget(pending)
            return pending.snapshot(status)

    def fetch(self, key: str) -> Snapshot:
        """Where the verification ``key`` (SID or recipient) stands. Raises ``VerifyError``
        20404.
        """
        with self._lock:
            return self._find(key, "Verification").snapshot()

    def attempts(self, *, after: datetime | None = None, before: datetime | None = None) -> list[Attempt]:
        """The sends from ``after`` (included) to ``before`` (not included), newest first.

        Of several sends to one verification, only the last one converts.
        """
        with self._lock:
            kept = [*self._attempts]
        return [
            attempt
            for attempt in reversed(kept)
            if (after is None or attempt.sent_at >= after) and (before is None or attempt.sent_at < before)
        ]

    def last_code(self, to: str) -> str:
        """The code now pending for ``to``. Raises ``LookupError`` if there is none."""
        with self._lock:
            self._forget_expired()
            if to not in self._pending:
                raise LookupError("nothing is pending for this recipient")
            return self._pending[to].code

    def reset(self) -> None:
        """Forget every verification and every send; the settings stay."""
        with self._lock:
            self._pending.clear()
            self._by_sid.clear()
            self._attempts.clear()

    def _refuse(self, to: str, channel: str, locale: str) -> None:
        """Raise what the Service answers to a send that it does not even look up. Twilio's order is
        not known.
        """
        if channel not in KNOWN:
            raise VerifyError(400, 60200, "Invalid parameter: Channel")
        if not (_EMAIL if channel == "email" else _E164).fullmatch(to):
            raise VerifyError(400, 60200, "Invalid parameter: To")
        if channel not in self.channels.intersection(CARRIED):
            raise VerifyError(400, 60223, f"Delivery channel disabled: {channel}")
        if locale and self.locales is not None and locale not in self.locales:
            # Documented only as "404" (verify/supported-languages), so it looks like any other.
            raise _not_found("Verifications")
        self._refuse_number(to, channel)

    def _refuse_number(self, to: str, channel: str) -> None:
        if channel == "email":
            return
        if to.startswith(tuple(self.closed_prefixes)):
            raise VerifyError(403, 60605, "Verification delivery attempt blocked by Geo-Permissions")
        if channel != "sms":  # Fraud Guard and the look-up of landlines cover text messages only
            return
        if to in self.landlines:
            raise VerifyError(403, 60205, "SMS is not supported by landline phone number")
        if to.startswith(tuple(self.fraud_prefixes)):
            raise VerifyError(403, 60410, "Verification delivery attempt blocked")

    def _reserve(self, to: str) -> _Pending:
        self._forget_expired()
        pending = self._pending.get(to)
        if pending is None:
            now = self._now()
            pending = _Pending(_sid("VE"), to, self._make_code(self.code_length), now, now)
            self._pending[to] = self._by_sid[pending.sid] = pending
        elif pending.used_up:
            # "You must wait for it to expire" (error 60202): no fresh code for who has guessed five
            # times.
            raise _checks_used_up()
        elif len(pending.attempts) >= MAX_SENDS:
            raise VerifyError(429, 60203, "Max send attempts reached")
        return pending

    def _sent(self, pending: _Pending, channel: str, locale: str) -> Snapshot:
        pending.updated = self._now()
        attempt = Attempt(_sid("VL"), pending.sid, pending.to, channel, _utc(pending.updated), locale)
        pending.attempts.append(attempt)
        self._attempts.append(attempt)
        return pending.snapshot()

    def _approved(self, pending: _Pending) -> Snapshot:
        self._forget(pending)
        last = pending.attempts[-1]
        pending.attempts[-1] = replace(last, converted=True)
        if last in self._attempts:
            self._attempts[self._attempts.index(last)] = pending.attempts[-1]
        return pending.snapshot("approved")

    def _find(self, key: str, what: str) -> _Pending:
        self._forget_expired()
        pending = self._by_sid.get(key) or self._pending.get(key)
        if pending is None:
            raise _not_found(what)
        return pending

    def _forget_expired(self) -> None:
        oldest = self._now() - self.ttl
        while self._pending:
            first = next(iter(self._pending.values()))
            if first.created > oldest:
                break
            self._forget(first)

    def _forget(self, pending: _Pending) -> None:
        del self._pending[pending.to]
        del self._by_sid[pending.sid]

    def _now(self) -> float:
        return self._clock() if self._clock else time.time()


def _random_code(length: int) -> str:
    return f"{secrets.randbelow(10**length):0{length}d}"


def _sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _not_found(what: str) -> VerifyError:
    return VerifyError(404, 20404, f"The requested resource {what} was not found")


def _checks_used_up() -> VerifyError:
    return VerifyError(429, 60202, "Max check attempts reached")
