"""One Verify Service in memory: the rules of Twilio Verify, without Twilio.

``LocMemBackend``, ``ConsoleBackend`` and ``testing.VerifyServer`` are three skins on
``VerifySimulator``; no rule of the provider is written down twice. It knows nothing of HTTP,
settings or our records, and raises only ``errors.VerifyError``, whose messages, unlike Twilio's
own, never repeat a number or a code.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from threading import RLock
from urllib.parse import urlencode

from ...choices import RecipientKind
from ...core.recipients import Recipient
from ..options import NO_OPTIONS, SendOptions
from ..twilio.errors import VerifyError
from .rules import CODE, KNOWN, ServiceRules, Template, amount_and_payee_required, invalid, not_found

__all__ = ["KNOWN", "Attempt", "Message", "Snapshot", "Template", "VerifySimulator"]

MAX_SENDS = 5
MAX_CHECKS = 5
"""Verify's own rules (errors 60203 and 60202), unless the simulator is told others."""
"""Sends and answers to one verification (Twilio errors 60203 and 60202)."""
LINK_TTL = 600.0
"""Seconds that a link can be opened in (verify/api/verification); it can be opened once."""
PRICE = "0.05"
"""Of every send, in US dollars."""
LINK_BASE = "https://sna.invalid/"
"""Where links lead unless told otherwise: to nowhere."""
STILL_PENDING, NOT_MATCHED, LINK_FAILED, WRONG_TOKEN = 60519, 60500, 60520, 60510
KEPT_ATTEMPTS = 10_000
"""Sends remembered for ``attempts``; the oldest go first, as a console server may run for weeks."""


@dataclass(frozen=True, slots=True)
class Message:
    """What a person would have received. ``alias``: of the backend; ``sid``: the verification's.

    ``channel``: the one that it really came by; ``sent_at``: aware UTC time; ``options``: what was asked for with it.
    ``link``: for ``sna``, which brings no message, what the phone has to open; ``code`` is then empty.
    """

    alias: str
    to: str
    channel: str
    code: str
    sid: str
    sent_at: datetime
    options: SendOptions = NO_OPTIONS
    link: str = ""

    @property
    def locale(self) -> str:
        """BCP 47 tag asked for, or ``""``."""
        return self.options.locale

    def __repr__(self) -> str:
        # SECURITY: a failing test prints its locals; neither code, link nor address go with them. Covers
        # str() too.
        return f"<Message {self.alias} {self.channel} {self.sid}>"


@dataclass(frozen=True, slots=True)
class Attempt:
    """One send: ``sid`` (``VL…``), its verification's SID (``VE…``), and whether a right answer
    came of it.

    ``channel``: as the answer to the send names it; ``carried``: as the list of attempts does, where a text message
    that went as RCS is ``rbm``. ``delivery``: of the message or the call, in Twilio's words; ``error_code``: why it did
    not arrive, 0 if it did; ``told_at``: when the last of this was known.
    """

    sid: str
    verification_sid: str
    to: str
    channel: str
    sent_at: datetime
    options: SendOptions = NO_OPTIONS
    carried: str = ""
    delivery: str = "delivered"
    error_code: int = 0
    converted: bool = False
    told_at: datetime | None = None

    @property
    def updated_at(self) -> datetime:
        return self.told_at or self.sent_at

    @property
    def locale(self) -> str:
        return self.options.locale

    @property
    def country(self) -> str:
        """Of the number, as ISO 3166 has it: ``""`` for an email address."""
        return "" if "@" in self.to else Recipient(RecipientKind.PHONE, self.to).country

    def __repr__(self) -> str:
        return f"<Attempt {self.sid} {self.channel}>"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A verification as it stood at one moment. ``status``: in Twilio's words; ``attempts``: oldest
    first; ``link``: of the latest send, if that made one; ``link_errors``: SID of an attempt and what became of its
    link.
    """

    sid: str
    to: str
    channel: str
    status: str
    created_at: datetime
    updated_at: datetime
    attempts: tuple[Attempt, ...]
    amount: str = ""
    payee: str = ""
    line_type: str = ""
    link: str = ""
    link_errors: tuple[tuple[str, int], ...] = ()

    def __repr__(self) -> str:
        return f"<Snapshot {self.sid} {self.status}>"


@dataclass(slots=True)
class _Link:
    """What a phone has to open. ``token``: what its answer holds, if that was asked for. ``error``: what became of it:
    ``STILL_PENDING`` until it is opened, 0 once the carrier has confirmed the number.
    """

    url: str = field(repr=False)
    attempt_sid: str
    made: float
    token: str = field(default="", repr=False)
    error: int = STILL_PENDING

    def confirmed(self, token: str) -> bool:
        """SECURITY: where a token was asked for, whoever asks without it has proved nothing."""
        right = not self.token or hmac.compare_digest(self.token.encode(), token.encode())
        return self.error == 0 and right


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
    amount: str = ""
    payee: str = ""
    line_type: str = ""
    attempts: list[Attempt] = field(default_factory=list)
    links: list[_Link] = field(default_factory=list)
    max_checks: int = MAX_CHECKS
    checks: int = 0
    link_checks: int = 0

    @property
    def used_up(self) -> bool:
        return self.checks >= self.max_checks

    def snapshot(self, status: str = "", link_errors: tuple[tuple[str, int], ...] = ()) -> Snapshot:
        status = status or ("max_attempts_reached" if self.used_up else "pending")
        created, updated = _utc(self.created), _utc(self.updated)
        last = self.attempts[-1]
        link = next((one.url for one in self.links if one.attempt_sid == last.sid), "")
        return Snapshot(
            self.sid,
            self.to,
            last.channel,
            status,
            created,
            updated,
            tuple(self.attempts),
            self.amount,
            self.payee,
            self.line_type,
            link,
            link_errors,
        )


class VerifySimulator(ServiceRules):
    """One Verify Service, with the settings of ``ServiceRules``. Safe to call from several threads.

    ``code_length``: digits of the codes to come, 4 to 10; ``ttl``: seconds that a verification
    lives from its first send; ``channels``: those switched on. ``deliver``: called with a ``Message`` for each send,
    outside the lock. ``clock``: seconds since 1970; by default ``time.time``, looked up at every call, so that tests
    may travel. ``make_code``: number of digits to code. ``link_base``: what links begin with. ``max_sends``,
    ``max_checks``: of each verification.
    """

    def __init__(
        self,
        alias: str = "default",
        *,
        code_length: int = 6,
        ttl: float = 600,
        channels: Iterable[str] = KNOWN,
        locales: Iterable[str] | None = None,
        deliver: Callable[[Message], None] | None = None,
        clock: Callable[[], float] | None = None,
        make_code: Callable[[int], str] | None = None,
        link_base: str = LINK_BASE,
        max_sends: int = MAX_SENDS,
        max_checks: int = MAX_CHECKS,
    ) -> None:
        super().__init__(channels={*channels}, locales=None if locales is None else frozenset(locales))
        self.alias = alias
        self.code_length = code_length
        self.ttl = ttl
        self.link_base = link_base
        self.max_sends = max_sends
        self.max_checks = max_checks
        self._deliver = deliver
        self._clock = clock
        self._make_code = make_code or _random_code
        self._lock = RLock()
        # By recipient, oldest first: there is at most one for each.
        self._pending: dict[str, _Pending] = {}
        self._by_sid: dict[str, _Pending] = {}
        self._by_link: dict[str, _Pending] = {}
        self._attempts: deque[Attempt] = deque(maxlen=KEPT_ATTEMPTS)
        self._metered: dict[tuple[str, str], list[float]] = {}

    def __repr__(self) -> str:
        return f"<VerifySimulator {self.alias}: {len(self._pending)} pending>"

    def create(self, to: str, channel: str, options: SendOptions = NO_OPTIONS) -> Snapshot:
        """Send to ``to`` by ``channel``: a new code, or the same one again while a verification is
        pending; for ``sna``, and for ``auto`` where the number's carrier can be asked, a link of its own each time.

        Raises ``VerifyError`` for what ``ServiceRules`` refuse, and 60202, 60203, 20429.
        """
        self.refuse(to, channel, options)
        way = self.way(to, channel)
        with self._lock:
            pending = self._reserve(to, options)
            snapshot = self._sent(pending, way, options)
            code = "" if snapshot.link else pending.code
        sent = snapshot.attempts[-1]
        if self._deliver is not None and not sent.error_code:
            self._deliver(Message(self.alias, to, way, code, snapshot.sid, sent.sent_at, options, snapshot.link))
        return snapshot

    def check(
        self,
        code: str,
        *,
        to: str = "",
        sid: str = "",
        amount: str = "",
        payee: str = "",
        sna_client_token: str = "",
    ) -> Snapshot:
        """Judge an answer to the verification ``sid``, or to the pending one of ``to``.

        A wrong one leaves it ``pending``; the fifth wrong one is the last that is judged. Without ``code``: whether a
        link was opened; Twilio does not say whether such questions share the five checks with the codes, here they
        have five of their own. Raises ``VerifyError``: 60200 for what is no code (not counted), 60202 for the sixth
        answer, 60206 for a payment without its amount and payee, 60221, and 20404 if nothing is pending.
        """
        if not (to or sid):
            raise VerifyError(400, 60221, "Required parameter missing: To or VerificationSid")
        if code and not CODE.fullmatch(code):
            raise invalid("Code")
        with self._lock:
            pending = self._find(sid or to, "VerificationCheck")
            if not (code or pending.links):
                raise invalid("Code")
            if pending.used_up or (not code and pending.link_checks >= self.max_checks):
                raise _checks_used_up()
            return self._judged(pending, code, (amount, payee)) if code else self._asked(pending, sna_client_token)

    def open_link(self, url: str, *, error: int = 0) -> str:
        """Play the phone that opens ``url`` over its mobile network; returns the text that it gets.

        ``error``: what goes wrong at that (605xx); else what ``sna_failures`` has for the number. A link works once,
        and not after ``LINK_TTL`` seconds. A number that is not the phone's (60500) looks like success to the phone,
        as with Twilio (verify/best-practices-for-verify-sna-error-handling).
        """
        with self._lock:
            self._forget_expired()
            pending = self._by_link.get(url)
            link = next((one for one in pending.links if one.url == url), None) if pending else None
            if pending is None or link is None or link.error != STILL_PENDING or link.made <= self._now() - LINK_TTL:
                return _opened(LINK_FAILED)
            link.error = error or self.sna_failures.get(pending.to, 0)
            return _opened(link.error, link.token)

    def report(self, attempt_sid: str, delivery: str, *, error_code: int = 0, carried: str = "") -> Attempt:
        """Say what became of a send, as a carrier does later. ``carried``: the channel, if it was another than asked
        for. Raises ``LookupError`` for an attempt that is not there.
        """
        with self._lock:
            known = next((one for one in self._attempts if one.sid == attempt_sid), None)
            if known is None:
                raise LookupError("there is no such attempt")
            told = replace(
                known,
                delivery=delivery,
                error_code=error_code,
                carried=carried or known.carried,
                told_at=_utc(self._now()),
            )
            self._replace(known, told)
            return told

    def update(self, key: str, status: str) -> Snapshot:
        """Set the verification ``key`` (SID or recipient) to ``canceled`` or ``approved``; it is
        gone after.

        ``approved`` is how a site that judges codes itself reports a conversion. Whether Twilio
        still lets a canceled one be fetched is not known; here it is not. Raises ``VerifyError``:
        60200, and 20404.
        """
        if status not in ("canceled", "approved"):
            raise invalid("Status")
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

        Of several sends to one verification, only the last one converts. ``sna`` is none of the channels that Twilio's
        list knows, so such sends are not among them.
        """
        with self._lock:
            kept = [*self._attempts]
        return [
            attempt
            for attempt in reversed(kept)
            if attempt.carried != "sna"
            and (after is None or attempt.sent_at >= after)
            and (before is None or attempt.sent_at < before)
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
            self._by_link.clear()
            self._attempts.clear()
            self._metered.clear()

    def _reserve(self, to: str, options: SendOptions) -> _Pending:
        self._forget_expired()
        pending = self._pending.get(to)
        if pending is not None:
            self._refuse_resend(pending, options)
        self._meter(options)
        if pending is None:
            now = self._now()
            code = options.custom_code or self._make_code(self.code_length)
            payment = (options.amount, options.payee)
            pending = _Pending(_sid("VE"), to, code, now, now, *payment, self.line_type(to), max_checks=self.max_checks)
            self._pending[to] = self._by_sid[pending.sid] = pending
        return pending

    def _refuse_resend(self, pending: _Pending, options: SendOptions) -> None:
        if pending.used_up:
            # "You must wait for it to expire" (error 60202): no fresh code for who has guessed five
            # times.
            raise _checks_used_up()
        if len(pending.attempts) >= self.max_sends:
            raise VerifyError(429, 60203, "Max send attempts reached")
        if (pending.amount, pending.payee) != (options.amount, options.payee):
            # Not documented. One code for two payments would undo what PSD2 is for, so it is refused here.
            raise invalid("Amount")

    def _meter(self, options: SendOptions) -> None:
        """Count a send by the Service's rate limits. Raises ``VerifyError`` 20429, and then counts nothing."""
        now = self._now()
        met = {
            (name, value): buckets for name, value in options.rate_limits.items() if (buckets := self._buckets(name))
        }
        for key, buckets in met.items():
            times = self._metered.get(key, [])
            if any(sum(time > now - seconds for time in times) >= most for most, seconds in buckets):
                raise VerifyError(429, 20429, "Too many requests")
        for key, buckets in met.items():
            longest = max(seconds for _, seconds in buckets)
            self._metered[key] = [*(time for time in self._metered.get(key, []) if time > now - longest), now]

    def _buckets(self, name: str) -> list[tuple[int, float]]:
        return [*(self.rate_limits or {}).get(name, ())]

    def _sent(self, pending: _Pending, way: str, options: SendOptions) -> Snapshot:
        pending.updated = self._now()
        error = self.delivery_error(pending.to, way)
        attempt = Attempt(
            _sid("VL"),
            pending.sid,
            pending.to,
            way,
            _utc(pending.updated),
            options,
            "rbm" if way == "sms" and pending.to in self.rcs_numbers else way,
            "undelivered" if error else "completed" if way == "call" else "delivered",
            error,
        )
        pending.attempts.append(attempt)
        self._attempts.append(attempt)
        if way == "sna":
            self._add_link(pending, attempt)
        return pending.snapshot()

    def _add_link(self, pending: _Pending, attempt: Attempt) -> None:
        token = secrets.token_urlsafe(16) if attempt.options.enable_sna_client_token else ""
        link = _Link(f"{self.link_base}{secrets.token_urlsafe(24)}", attempt.sid, pending.updated, token)
        pending.links.append(link)
        self._by_link[link.url] = pending

    def _judged(self, pending: _Pending, code: str, payment: tuple[str, str]) -> Snapshot:
        agreed = (pending.amount, pending.payee)
        if any(agreed) and not all(payment):
            raise amount_and_payee_required()
        pending.checks += 1
        pending.updated = self._now()
        # SECURITY: as bytes, for digits of other scripts would make compare_digest raise.
        right = hmac.compare_digest(code.encode(), pending.code.encode())
        # SECURITY: a code is good for the payment that it was sent for, and for no other.
        right &= not any(agreed) or payment == agreed
        return self._approved(pending) if right else pending.snapshot("pending")

    def _asked(self, pending: _Pending, token: str) -> Snapshot:
        """Where a verification stands whose links, not whose code, are asked about."""
        confirmed = any(link.confirmed(token) for link in pending.links)
        errors = tuple(
            (link.attempt_sid, link.error or WRONG_TOKEN) for link in pending.links if not link.confirmed(token)
        )
        if not confirmed:
            pending.link_checks += 1
            return pending.snapshot("pending", errors)
        pending.updated = self._now()
        return self._approved(pending, errors)

    def _approved(self, pending: _Pending, link_errors: tuple[tuple[str, int], ...] = ()) -> Snapshot:
        last = pending.attempts[-1]
        self._replace(last, replace(last, converted=True, told_at=_utc(pending.updated)))
        self._forget(pending)
        return pending.snapshot("approved", link_errors)

    def _replace(self, known: Attempt, told: Attempt) -> None:
        if known in self._attempts:
            self._attempts[self._attempts.index(known)] = told
        pending = self._by_sid.get(known.verification_sid)
        if pending is not None:
            pending.attempts = [told if one.sid == told.sid else one for one in pending.attempts]

    def _find(self, key: str, what: str) -> _Pending:
        self._forget_expired()
        pending = self._by_sid.get(key) or self._pending.get(key)
        if pending is None:
            raise not_found(what)
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
        for link in pending.links:
            del self._by_link[link.url]

    def _now(self) -> float:
        return self._clock() if self._clock else time.time()


def _random_code(length: int) -> str:
    return f"{secrets.randbelow(10**length):0{length}d}"


def _sid(prefix: str) -> str:
    return prefix + secrets.token_hex(16)


def _utc(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def _checks_used_up() -> VerifyError:
    return VerifyError(429, 60202, "Max check attempts reached")


def _opened(error: int, token: str = "") -> str:
    """What a link answers. 0: the carrier could tell whether it is the number, not that it is."""
    if error not in (0, NOT_MATCHED):
        return urlencode({"ErrorCode": "-10", "ErrorDescription": "Failure"})
    more = {"SnaClientToken": token} if token else {}
    return urlencode({"ErrorCode": "0", "ErrorDescription": "Success", "Carrier": "VZW", **more})
