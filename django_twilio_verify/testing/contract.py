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
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import ClassVar

from asgiref.sync import async_to_sync

from ..backends.base import BaseBackend
from ..backends.options import NO_OPTIONS, SendOptions
from ..backends.results import ProviderCheck, ProviderSend, ProviderStatus
from ..choices import Channel, Feature, RecipientKind
from ..core.recipients import Recipient
from ..exceptions import BackendRejected

MAX_SENDS = MAX_CHECKS = 5
UNKNOWN_SID = "VE" + "0" * 32

SAMPLES: Mapping[Feature, tuple[Channel, SendOptions]] = {
    Feature.LOCALE: (Channel.SMS, SendOptions(locale="de")),
    Feature.CUSTOM_FRIENDLY_NAME: (Channel.SMS, SendOptions(custom_friendly_name="Acme")),
    Feature.CUSTOM_MESSAGE: (Channel.SMS, SendOptions(custom_message="Your code")),
    Feature.SEND_DIGITS: (Channel.CALL, SendOptions(send_digits="ww12#")),
    Feature.CUSTOM_CODE: (Channel.SMS, SendOptions(custom_code="471108")),
    Feature.PSD2: (Channel.SMS, SendOptions(amount="39.90", payee="Acme")),
    Feature.RATE_LIMITS: (Channel.SMS, SendOptions(rate_limits={"end_user": "7f3a"})),
    Feature.CHANNEL_CONFIGURATION: (
        Channel.EMAIL,
        SendOptions(channel_configuration={"from": "codes@example.com", "substitutions": {"name": "Ann"}}),
    ),
    Feature.APP_HASH: (Channel.SMS, SendOptions(app_hash="He42w354ol9")),
    Feature.TEMPLATE: (
        Channel.SMS,
        SendOptions(template_sid="HJ" + "1" * 32, template_custom_substitutions={"name": "Ann"}),
    ),
    Feature.TEMPLATES: (
        Channel.SMS,
        SendOptions(templates=({"sid": "HJ" + "1" * 32, "substitutions": {"name": "Ann"}},)),
    ),
    Feature.DEVICE_IP: (Channel.AUTO, SendOptions(device_ip="192.0.2.1")),
    Feature.SNA_CLIENT_TOKEN: (Channel.SNA, SendOptions(enable_sna_client_token=True)),
    Feature.RISK_CHECK: (Channel.SMS, SendOptions(risk_check="disable")),
    Feature.TAGS: (Channel.SMS, SendOptions(tags={"verification": "7f3a"})),
}
"""One send for each feature."""

_numbers = count()


class BackendContract:
    """Tests of every method of a backend, channel by channel and feature by feature of those that it flags. Mix in,
    and fill the first two methods; ``open_link``, too, where it makes links.
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

    def open_link(self, url: str) -> str:
        """Play the phone: open ``url`` as over the mobile network of the number. Needed for ``sna`` and ``auto``.

        Returns the token that the answer holds, ``""`` if it holds none.
        """
        raise NotImplementedError

    def options_for(self, feature: Feature) -> tuple[Channel, SendOptions]:
        """A send that uses ``feature``, which the provider at the other end accepts. To be replaced where that wants
        names of its own: of templates, of rate limits.
        """
        return SAMPLES[feature]

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

    def test_a_link_that_is_not_opened_proves_nothing(self) -> None:
        for backend, recipient, sent in self._started_by_link():
            answer = backend.check(recipient, "", sid=sent.sid)
            assert answer.status is ProviderStatus.PENDING
            self.open_link(sent.link)
            assert backend.check(recipient, "", sid=sent.sid).status is ProviderStatus.APPROVED
            assert backend.check(recipient, "", sid=sent.sid).status is ProviderStatus.GONE

    def test_after_a_link_a_code_will_do(self) -> None:
        for backend, recipient, sent in self._started_by_link():
            again = backend.start(recipient, Channel.SMS)
            assert (again.sid, again.link) == (sent.sid, "")
            assert self._proved(backend, recipient, again).status is ProviderStatus.APPROVED

    def test_a_link_with_a_token_needs_it(self) -> None:
        if Feature.SNA_CLIENT_TOKEN not in self.make_backend().features:
            return
        _, options = self.options_for(Feature.SNA_CLIENT_TOKEN)
        for backend, recipient, sent in self._started_by_link(options):
            token = self.open_link(sent.link)
            for wrong in ("", "another"):
                assert not _approves(backend, recipient, "", sid=sent.sid, sna_client_token=wrong)
            right = backend.check(recipient, "", sid=sent.sid, sna_client_token=token)
            assert right.status is ProviderStatus.APPROVED

    def test_every_feature_is_carried(self) -> None:
        backend = self.make_backend()
        for feature in sorted(backend.features):
            channel, options = self.options_for(feature)
            options.check(channel)
            assert feature in options.features, f"the sample of {feature} does not use it"
            sent = backend.start(self._recipient_for(channel), channel, options)
            assert sent.status is ProviderStatus.PENDING, f"{feature} is not carried"

    def test_a_language_that_is_not_spoken_is_left_out(self) -> None:
        backend = self.make_backend()
        if Feature.LOCALE not in backend.features:
            return
        recipient = self.recipient()
        sent = backend.start(recipient, Channel.SMS, SendOptions(locale="tlh"))
        assert self._proved(backend, recipient, sent).status is ProviderStatus.APPROVED

    def test_a_code_of_the_sites_own_is_reported(self) -> None:
        backend, recipient = self.make_backend(), self.recipient()
        if Feature.CUSTOM_CODE not in backend.features:
            return
        channel, options = self.options_for(Feature.CUSTOM_CODE)
        sid = backend.start(recipient, channel, options).sid
        assert self.last_code(recipient) == options.custom_code
        assert options.custom_code not in f"{options!r}"
        assert backend.approve(sid).status is ProviderStatus.APPROVED
        for gone in (sid, UNKNOWN_SID, "no-sid"):
            assert backend.approve(gone).status is ProviderStatus.GONE

    def test_a_payment_is_bound_to_its_amount_and_payee(self) -> None:
        backend, recipient = self.make_backend(), self.recipient()
        if Feature.PSD2 not in backend.features:
            return
        channel, options = self.options_for(Feature.PSD2)
        sid, code = backend.start(recipient, channel, options).sid, self.last_code(recipient)
        for amount, payee in (("", ""), (f"{options.amount}1", options.payee), (options.amount, "Another")):
            assert not _approves(backend, recipient, code, sid=sid, amount=amount, payee=payee)
        right = backend.check(recipient, code, sid=sid, amount=options.amount, payee=options.payee)
        assert right.status is ProviderStatus.APPROVED

    def test_attempts_come_in_pages(self) -> None:
        backend = self.make_backend()
        if not backend.supports_attempts:
            return
        start = datetime.now(UTC)
        sent = [backend.start(self.recipient(), Channel.SMS) for _ in range(5)]
        after, before = start - timedelta(minutes=1), start + timedelta(minutes=1)
        page = backend.attempts_page(after=after, before=before, size=2)
        found = [*page.attempts]
        while page.next_page:
            assert len(page.attempts) <= 2
            page = backend.attempts_page(after=after, before=before, page=page.next_page, size=2)
            found += page.attempts
        assert sorted(one.sid for one in found) == sorted(one.attempt_sid for one in sent), "one missed, or twice"
        assert {one.verification_sid for one in found} == {one.sid for one in sent}
        assert {one.sid for one in backend.attempts(after=after, before=before)} == {one.sid for one in found}
        assert {one.channel for one in found} == {"sms"}

    def test_a_strangers_request_is_not_authentic(self) -> None:
        backend = self.make_backend()
        for headers in ({}, {"x-twilio-signature": "AAAA"}, {"x-twilio-signature": ""}):
            for url in ("https://example.com/verify/", "https://example.com/?bodySHA256=00", "no address", ""):
                assert not backend.is_authentic(url=url, body=b"[]", headers=headers)

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

    def _started_by_link(
        self, options: SendOptions = NO_OPTIONS
    ) -> Iterator[tuple[BaseBackend, Recipient, ProviderSend]]:
        """A verification whose link is out; none if the backend makes no links."""
        backend, recipient = self.make_backend(), self.recipient()
        if Channel.SNA in backend.channels:
            yield backend, recipient, backend.start(recipient, Channel.SNA, options)

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


def _approves(backend: BaseBackend, recipient: Recipient, code: str, **asked: str) -> bool:
    """Whether an answer counts as proof. Not if it is rejected."""
    try:
        return backend.check(recipient, code, **asked).status is ProviderStatus.APPROVED
    except BackendRejected:
        return False


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
