"""What every backend must do, as tests to inherit.

    class TestMyBackend(BackendContract):
        def make_backend(self):
            return MyBackend("default", ...)

        def last_code(self, recipient):
            return my_provider.inbox[recipient.value].code

Works in a pytest class as it stands, and mixed into a ``django.test.SimpleTestCase``. The backend
must be connected to something that answers: a stub, a sandbox, or a test account of the provider.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from typing import ClassVar

from asgiref.sync import async_to_sync

from ..backends.base import BaseBackend
from ..choices import Channel, RecipientKind
from ..exceptions import BackendRejected
from ..recipients import Recipient
from ..results import ProviderCheck, ProviderSend, ProviderStatus

MAX_SENDS = MAX_CHECKS = 5
UNKNOWN_SID = "VE" + "0" * 32

_numbers = count()


class BackendContract:
    """Tests of ``start``, ``check``, ``cancel``, ``fetch`` and their twins. Mix in, and fill the
    first two methods.
    """

    can_travel: ClassVar[bool] = False
    """Does ``advance`` work, so that expiry can be tested?"""
    lifetime: ClassVar[float] = 600
    """Seconds that a verification lives."""

    def make_backend(self) -> BaseBackend:
        """A backend ready for use, with nothing pending. Called once by each test."""
        raise NotImplementedError

    def last_code(self, recipient: Recipient) -> str:
        """The code of the latest message to ``recipient``."""
        raise NotImplementedError

    def open_link(self, url: str) -> None:
        """Play the phone: open ``url`` as over the mobile network of the number. Needed for ``sna`` and ``auto``."""
        raise NotImplementedError

    def advance(self, seconds: float) -> None:
        """Let ``seconds`` pass for the provider. Needed if ``can_travel``."""
        raise NotImplementedError

    def recipient(self) -> Recipient:
        """A number that nobody has, another one at each call: +1 202 555 0100 to 0199 are kept for
        fiction.
        """
        return Recipient.phone(f"+1202555{100 + next(_numbers) % 100:04}")

    def malformed_recipient(self) -> Recipient:
        """A value that gets past our own parser, and that the provider must refuse."""
        return Recipient(RecipientKind.PHONE, "+1")

    def test_a_start_opens_a_verification(self) -> None:
        sent = self.make_backend().start(self.recipient(), Channel.SMS)
        assert sent.sid, "a start must name its verification"
        assert sent.status is ProviderStatus.PENDING
        assert sent.channel == sent.channel.lower()

    def test_every_channel_carries_a_proof(self) -> None:
        backend = self.make_backend()
        for channel in sorted(backend.channels):
            recipient = self._recipient_for(channel)
            sent = backend.start(recipient, channel)
            assert bool(sent.link) == (channel is Channel.SNA) or channel is Channel.AUTO
            answer = self._proved(backend, recipient, sent)
            assert answer.status is ProviderStatus.APPROVED, f"no proof by {channel.value}"
            assert answer.sid == sent.sid

    def test_a_resend_is_the_same_verification_and_the_same_code(self) -> None:
        backend, recipient, first = self._started()
        code = self.last_code(recipient)
        again = backend.start(recipient, Channel.SMS)
        assert again.sid == first.sid, "a resend must not open another verification"
        assert self.last_code(recipient) == code, "a resend must not change the code"

    def test_a_resend_by_another_channel_is_the_same_verification(self) -> None:
        backend, recipient, first = self._started()
        code = self.last_code(recipient)
        for channel in sorted(backend.channels & {Channel.CALL, Channel.WHATSAPP}):
            assert backend.start(recipient, channel).sid == first.sid
            assert self.last_code(recipient) == code

    def test_two_recipients_have_two_verifications(self) -> None:
        backend, _, first = self._started()
        other = self.recipient()
        second = backend.start(other, Channel.SMS)
        assert second.sid != first.sid
        assert backend.check(other, self.last_code(other), sid=second.sid).sid == second.sid
        assert backend.fetch(first.sid).status is ProviderStatus.PENDING

    def test_a_wrong_code_leaves_it_pending(self) -> None:
        backend, recipient, sent = self._started()
        answer = backend.check(recipient, self._wrong_code(recipient), sid=sent.sid)
        assert answer.status is ProviderStatus.PENDING
        assert answer.sid == sent.sid

    def test_the_right_code_is_accepted_by_sid_and_by_recipient(self) -> None:
        for by_sid in (True, False):
            backend, recipient, sent = self._started()
            sid = sent.sid if by_sid else ""
            answer = backend.check(recipient, self.last_code(recipient), sid=sid)
            assert answer.status is ProviderStatus.APPROVED
            assert answer.sid == sent.sid

    def test_a_code_is_accepted_once(self) -> None:
        backend, recipient, sent = self._started()
        code = self.last_code(recipient)
        backend.check(recipient, code, sid=sent.sid)
        assert backend.check(recipient, code, sid=sent.sid).status is ProviderStatus.GONE
        assert backend.check(recipient, code).status is ProviderStatus.GONE

    def test_the_sixth_answer_is_not_judged(self) -> None:
        backend, recipient, sent = self._started()
        code, wrong = self.last_code(recipient), self._wrong_code(recipient)
        for _ in range(MAX_CHECKS):
            assert backend.check(recipient, wrong, sid=sent.sid).status is ProviderStatus.PENDING
        assert backend.check(recipient, code, sid=sent.sid).status is ProviderStatus.EXHAUSTED

    def test_the_sixth_send_is_refused(self) -> None:
        backend, recipient, sent = self._started()
        for _ in range(MAX_SENDS - 1):
            backend.start(recipient, Channel.SMS)
        assert _rejection(lambda: backend.start(recipient, Channel.SMS)) == "wait"
        answer = backend.check(recipient, self.last_code(recipient), sid=sent.sid)
        assert answer.status is ProviderStatus.APPROVED, "the code that was sent is still good"

    def test_after_a_cancel_the_next_start_is_a_new_verification(self) -> None:
        backend, recipient, sent = self._started()
        code = self.last_code(recipient)
        assert backend.cancel(sent.sid).status is ProviderStatus.CANCELED
        assert backend.check(recipient, code, sid=sent.sid).status is ProviderStatus.GONE
        assert backend.start(recipient, Channel.SMS).sid != sent.sid

    def test_a_fetch_says_where_it_stands_and_costs_no_answer(self) -> None:
        backend, recipient, sent = self._started()
        for _ in range(MAX_CHECKS + 1):
            assert backend.fetch(sent.sid).status is ProviderStatus.PENDING
        answer = backend.check(recipient, self.last_code(recipient), sid=sent.sid)
        assert answer.status is ProviderStatus.APPROVED

    def test_an_expired_verification_is_gone(self) -> None:
        if not self.can_travel:
            return
        backend, recipient, sent = self._started()
        code = self.last_code(recipient)
        self.advance(self.lifetime + 1)
        assert backend.check(recipient, code, sid=sent.sid).status is ProviderStatus.GONE
        assert backend.fetch(sent.sid).status is ProviderStatus.GONE
        assert backend.start(recipient, Channel.SMS).sid != sent.sid

    def test_what_was_never_there_is_gone(self) -> None:
        backend, recipient = self.make_backend(), self.recipient()
        assert backend.check(recipient, "123456", sid=UNKNOWN_SID).status is ProviderStatus.GONE
        assert backend.check(recipient, "123456").status is ProviderStatus.GONE
        for sid in (UNKNOWN_SID, "no-sid", "../Services"):
            assert backend.cancel(sid).status is ProviderStatus.GONE
            assert backend.fetch(sid).status is ProviderStatus.GONE

    def test_a_recipient_that_cannot_be_reached_is_rejected(self) -> None:
        backend, nobody = self.make_backend(), self.malformed_recipient()
        assert _rejection(lambda: backend.start(nobody, Channel.SMS)) == "recipient"

    def test_what_is_no_code_is_rejected(self) -> None:
        backend, recipient, sent = self._started()
        assert _rejection(lambda: backend.check(recipient, "1", sid=sent.sid)) == "code"

    def test_the_async_twins_do_the_same(self) -> None:
        backend, recipient = self.make_backend(), self.recipient()
        sent = async_to_sync(backend.astart)(recipient, Channel.SMS)
        assert sent.status is ProviderStatus.PENDING
        check = async_to_sync(backend.acheck)
        wrong = check(recipient, self._wrong_code(recipient), sid=sent.sid)
        assert wrong.status is ProviderStatus.PENDING
        right = check(recipient, self.last_code(recipient), sid=sent.sid)
        assert right.status is ProviderStatus.APPROVED

    def test_starts_that_race_share_one_verification(self) -> None:
        backend, recipient = self.make_backend(), self.recipient()
        with ThreadPoolExecutor(MAX_SENDS) as pool:
            started = [pool.submit(backend.start, recipient, Channel.SMS) for _ in range(MAX_SENDS)]
            assert len({one.result().sid for one in started}) == 1

    def test_of_answers_that_race_one_is_accepted(self) -> None:
        backend, recipient, sent = self._started()
        code = self.last_code(recipient)
        with ThreadPoolExecutor(MAX_CHECKS) as pool:
            asked = [pool.submit(backend.check, recipient, code, sid=sent.sid) for _ in range(MAX_CHECKS)]
            answers = [one.result().status for one in asked]
        assert answers.count(ProviderStatus.APPROVED) == 1

    def test_threads_get_their_own_answers(self) -> None:
        backend = self.make_backend()
        recipients = [self.recipient() for _ in range(16)]
        with ThreadPoolExecutor(8) as pool:
            sids = [*pool.map(lambda one: backend.start(one, Channel.SMS).sid, recipients)]
            codes = [self.last_code(one) for one in recipients]
            answers = [*pool.map(backend.check, recipients, codes)]
        assert len({*sids}) == len(recipients)
        assert [one.sid for one in answers] == sids

    def test_nothing_secret_is_logged_or_shown(self) -> None:
        with _log() as lines:
            backend, recipient, sent = self._started()
            code, wrong = self.last_code(recipient), self._wrong_code(recipient)
            answers = [
                backend.check(recipient, wrong, sid=sent.sid),
                backend.fetch(sent.sid),
                backend.cancel(sent.sid),
            ]
            shown = f"{backend!r} {backend} {sent!r} {answers!r} {lines!r}"
        for secret in (code, wrong, recipient.value, recipient.value.lstrip("+")):
            assert secret not in shown, "a code or a whole recipient was logged or shown"

    def _started(self) -> tuple[BaseBackend, Recipient, ProviderSend]:
        backend, recipient = self.make_backend(), self.recipient()
        return backend, recipient, backend.start(recipient, Channel.SMS)

    def _proved(self, backend: BaseBackend, recipient: Recipient, sent: ProviderSend) -> ProviderCheck:
        """The judgement of the right answer."""
        if sent.link:
            self.open_link(sent.link)
        return backend.check(recipient, "" if sent.link else self.last_code(recipient), sid=sent.sid)

    def _wrong_code(self, recipient: Recipient) -> str:
        """The right code with its last digit changed: of the right length, so that it is judged."""
        code = self.last_code(recipient)
        return f"{code[:-1]}{(int(code[-1]) + 1) % 10}"

    def _recipient_for(self, channel: Channel) -> Recipient:
        if channel.recipient_kind == RecipientKind.EMAIL:
            return Recipient.email(f"person{next(_numbers)}@example.com")
        return self.recipient()


def _rejection(call: Callable[[], object]) -> str:
    """The code with which ``call`` is rejected."""
    try:
        call()
    except BackendRejected as error:
        return error.code
    raise AssertionError("the provider should have refused, and said so by BackendRejected")


@contextmanager
def _log() -> Iterator[list[str]]:
    """The lines that any logger writes meanwhile, at every level."""
    lines: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(self.format(record))

    root, collector = logging.getLogger(), Collector()
    before = root.level
    root.addHandler(collector)
    root.setLevel(logging.DEBUG)
    try:
        yield lines
    finally:
        root.setLevel(before)
        root.removeHandler(collector)
