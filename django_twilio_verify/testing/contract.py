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
from functools import partial
from itertools import count
from typing import ClassVar

from asgiref.sync import async_to_sync

from ..backends.base import BaseBackend
from ..backends.options import NO_OPTIONS, SendOptions
from ..backends.results import ProviderCheck, ProviderSend, ProviderStatus
from ..choices import CODE_CHANNELS, Channel, Feature, RecipientKind
from ..core.codes import make_code
from ..core.recipients import Recipient
from ..exceptions import BackendRejected, RejectCode

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
    """Tests of every method of a backend, by what its attributes say of it. Mix in, and fill the first two methods;
    ``open_link``, too, where it makes links.

    Of a ``CodeBackend`` it holds that each message carries the code that the app made, that what the gateway refuses is
    rejected, and that nothing is kept or logged. The app's own part needs no tests of yours.
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
        """A value that gets past our own parser, and that the provider must refuse. To be replaced where no channel
        leads to a phone.
        """
        return Recipient(RecipientKind.PHONE, "+1")

    def test_a_start_opens_a_verification(self) -> None:
        backend, _, sent = self._started()
        assert sent.sid or not backend.makes_codes, "a start must name its verification"
        assert sent.status is ProviderStatus.PENDING
        assert sent.channel == sent.channel.lower()

    def test_every_channel_carries_a_proof(self) -> None:
        backend = self.make_backend()
        for channel in sorted(map(Channel, backend.channels)):
            recipient = self._recipient_for(channel)
            if not backend.makes_codes:
                assert self._carries(backend, recipient, channel, NO_OPTIONS), f"no code by {channel.value}"
                continue
            sent = backend.start(recipient, channel)
            assert bool(sent.link) == (channel is Channel.SNA) or channel is Channel.AUTO
            answer = self._proved(backend, recipient, sent)
            assert answer.status is ProviderStatus.APPROVED, f"no proof by {channel.value}"
            assert answer.sid == sent.sid

    def test_a_resend_is_the_same_verification(self) -> None:
        backend, recipient, first = self._started()
        if backend.max_sends < 2:
            return
        code = self.last_code(recipient)
        again = self._send(backend, recipient)
        assert again.sid == first.sid, "a resend must not open another verification"
        same = self.last_code(recipient) == code
        assert same == backend.same_code_on_resend, "the code of a resend is not as same_code_on_resend says"

    def test_a_resend_by_another_channel_is_the_same_verification(self) -> None:
        for backend, recipient, first in self._judged():
            code = self.last_code(recipient)
            others = sorted(backend.channels & {Channel.CALL, Channel.WHATSAPP})
            for channel in others[: backend.max_sends - 1]:
                assert backend.start(recipient, Channel(channel)).sid == first.sid
                assert (self.last_code(recipient) == code) == backend.same_code_on_resend

    def test_only_the_newest_code_is_right_where_a_resend_replaces_it(self) -> None:
        for backend, recipient, sent in self._judged():
            if backend.same_code_on_resend or backend.max_sends < 2:
                continue
            code = self.last_code(recipient)
            backend.start(recipient, self._channel(backend))
            assert not _approves(backend, recipient, code, sid=sent.sid)
            assert _approves(backend, recipient, self.last_code(recipient), sid=sent.sid)

    def test_a_link_that_is_not_opened_proves_nothing(self) -> None:
        for backend, recipient, sent in self._started_by_link():
            answer = backend.check(recipient, "", sid=sent.sid)
            assert answer.status is ProviderStatus.PENDING
            self.open_link(sent.link)
            assert backend.check(recipient, "", sid=sent.sid).status is ProviderStatus.APPROVED
            assert backend.check(recipient, "", sid=sent.sid).status is ProviderStatus.GONE

    def test_after_a_link_a_code_will_do(self) -> None:
        for backend, recipient, sent in self._started_by_link():
            again = backend.start(recipient, self._channel(backend))
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
            if channel not in backend.channels:
                channel = self._channel(backend)
            options.check(channel)
            assert feature in options.features, f"the sample of {feature} does not use it"
            recipient = self._recipient_for(channel)
            if not backend.makes_codes:
                assert self._carries(backend, recipient, channel, options), f"{feature} is not carried"
                continue
            sent = backend.start(recipient, channel, options)
            assert sent.status is ProviderStatus.PENDING, f"{feature} is not carried"

    def test_a_language_that_is_not_spoken_is_left_out(self) -> None:
        backend = self.make_backend()
        if Feature.LOCALE not in backend.features:
            return
        channel, options = self._channel(backend), SendOptions(locale="tlh")
        recipient = self._recipient_for(channel)
        if not backend.makes_codes:
            assert self._carries(backend, recipient, channel, options)
            return
        sent = backend.start(recipient, channel, options)
        assert self._proved(backend, recipient, sent).status is ProviderStatus.APPROVED

    def test_a_code_of_the_sites_own_is_reported(self) -> None:
        backend = self.make_backend()
        if Feature.CUSTOM_CODE not in backend.features or not backend.makes_codes:
            return
        channel, options = self.options_for(Feature.CUSTOM_CODE)
        recipient = self._recipient_for(channel)
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
        channel = self._channel(backend)
        sent = [self._send(backend, self._recipient_for(channel)) for _ in range(5)]
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
        assert {one.channel for one in found} == {channel.value}

    def test_a_strangers_request_is_not_authentic(self) -> None:
        backend = self.make_backend()
        for headers in ({}, {"x-twilio-signature": "AAAA"}, {"x-twilio-signature": ""}):
            for url in ("https://example.com/verify/", "https://example.com/?bodySHA256=00", "no address", ""):
                assert not backend.is_authentic(url=url, body=b"[]", headers=headers)

    def test_two_recipients_have_two_verifications(self) -> None:
        for backend, _, first in self._judged():
            other = self._recipient_for(self._channel(backend))
            second = self._send(backend, other)
            assert second.sid != first.sid
            assert backend.check(other, self.last_code(other), sid=second.sid).sid == second.sid
            assert backend.fetch(first.sid).status is ProviderStatus.PENDING

    def test_a_wrong_code_leaves_it_pending(self) -> None:
        for backend, recipient, sent in self._judged():
            answer = backend.check(recipient, self._wrong_code(recipient), sid=sent.sid)
            assert answer.status is ProviderStatus.PENDING
            assert answer.sid == sent.sid

    def test_the_right_code_is_accepted_by_sid(self) -> None:
        for backend, recipient, sent in self._judged():
            answer = backend.check(recipient, self.last_code(recipient), sid=sent.sid)
            assert answer.status is ProviderStatus.APPROVED
            assert answer.sid == sent.sid

    def test_the_right_code_is_accepted_by_recipient_if_the_backend_says_so(self) -> None:
        for backend, recipient, sent in self._judged():
            if backend.finds_by_recipient:
                answer = backend.check(recipient, self.last_code(recipient))
                assert (answer.status, answer.sid) == (ProviderStatus.APPROVED, sent.sid)

    def test_a_code_is_accepted_once(self) -> None:
        for backend, recipient, sent in self._judged():
            code = self.last_code(recipient)
            backend.check(recipient, code, sid=sent.sid)
            assert backend.check(recipient, code, sid=sent.sid).status is ProviderStatus.GONE
            if backend.finds_by_recipient:
                assert backend.check(recipient, code).status is ProviderStatus.GONE

    def test_no_more_than_max_checks_are_judged(self) -> None:
        for backend, recipient, sent in self._judged():
            code, wrong = self.last_code(recipient), self._wrong_code(recipient)
            for _ in range(backend.max_checks):
                assert backend.check(recipient, wrong, sid=sent.sid).status is ProviderStatus.PENDING
            assert backend.check(recipient, code, sid=sent.sid).status is ProviderStatus.EXHAUSTED

    def test_no_more_than_max_sends_go_out(self) -> None:
        for backend, recipient, sent in self._judged():
            for _ in range(backend.max_sends - 1):
                self._send(backend, recipient)
            assert _rejection(partial(self._send, backend, recipient)) == RejectCode.WAIT
            answer = backend.check(recipient, self.last_code(recipient), sid=sent.sid)
            assert answer.status is ProviderStatus.APPROVED, "the code that was sent is still good"

    def test_after_a_cancel_the_next_start_is_a_new_verification(self) -> None:
        for backend, recipient, sent in self._judged():
            code = self.last_code(recipient)
            assert backend.cancel(sent.sid).status is ProviderStatus.CANCELED
            assert backend.check(recipient, code, sid=sent.sid).status is ProviderStatus.GONE
            assert self._send(backend, recipient).sid != sent.sid

    def test_a_fetch_says_where_it_stands_and_costs_no_answer(self) -> None:
        for backend, recipient, sent in self._judged():
            for _ in range(backend.max_checks + 1):
                assert backend.fetch(sent.sid).status is ProviderStatus.PENDING
            answer = backend.check(recipient, self.last_code(recipient), sid=sent.sid)
            assert answer.status is ProviderStatus.APPROVED

    def test_an_expired_verification_is_gone(self) -> None:
        if not self.can_travel:
            return
        for backend, recipient, sent in self._judged():
            code = self.last_code(recipient)
            self.advance(self.lifetime + 1)
            assert backend.check(recipient, code, sid=sent.sid).status is ProviderStatus.GONE
            assert backend.fetch(sent.sid).status is ProviderStatus.GONE
            assert self._send(backend, recipient).sid != sent.sid

    def test_what_was_never_there_is_gone(self) -> None:
        backend = self.make_backend()
        recipient = self._recipient_for(self._channel(backend))
        assert backend.check(recipient, "123456", sid=UNKNOWN_SID).status is ProviderStatus.GONE
        if backend.finds_by_recipient:
            assert backend.check(recipient, "123456").status is ProviderStatus.GONE
        for sid in (UNKNOWN_SID, "no-sid", "../Services"):
            assert backend.cancel(sid).status is ProviderStatus.GONE
            assert backend.fetch(sid).status is ProviderStatus.GONE

    def test_a_recipient_that_cannot_be_reached_is_rejected(self) -> None:
        backend, nobody = self.make_backend(), self.malformed_recipient()
        assert _rejection(lambda: self._send(backend, nobody)) == RejectCode.RECIPIENT

    def test_what_is_no_code_is_rejected(self) -> None:
        for backend, recipient, sent in self._judged():
            assert _rejection(partial(backend.check, recipient, "1", sid=sent.sid)) == RejectCode.CODE

    def test_the_async_twins_do_the_same(self) -> None:
        backend = self.make_backend()
        channel = self._channel(backend)
        recipient, options = self._recipient_for(channel), self._with_code(backend, NO_OPTIONS)
        sent = async_to_sync(backend.astart)(recipient, channel, options)
        assert sent.status is ProviderStatus.PENDING
        if not backend.makes_codes:
            assert self.last_code(recipient) == options.custom_code
            assert async_to_sync(backend.afetch)(UNKNOWN_SID).status is ProviderStatus.GONE
            return
        check = async_to_sync(backend.acheck)
        wrong = check(recipient, self._wrong_code(recipient), sid=sent.sid)
        assert wrong.status is ProviderStatus.PENDING
        right = check(recipient, self.last_code(recipient), sid=sent.sid)
        assert right.status is ProviderStatus.APPROVED

    def test_starts_that_race_share_one_verification(self) -> None:
        backend = self.make_backend()
        recipient = self._recipient_for(self._channel(backend))
        with ThreadPoolExecutor(backend.max_sends) as pool:
            started = [pool.submit(self._send, backend, recipient) for _ in range(backend.max_sends)]
            assert len({one.result().sid for one in started}) == 1

    def test_of_answers_that_race_one_is_accepted(self) -> None:
        for backend, recipient, sent in self._judged():
            code, racing = self.last_code(recipient), backend.max_checks
            with ThreadPoolExecutor(racing) as pool:
                asked = [pool.submit(backend.check, recipient, code, sid=sent.sid) for _ in range(racing)]
                answers = [one.result().status for one in asked]
            assert answers.count(ProviderStatus.APPROVED) == 1

    def test_threads_get_their_own_answers(self) -> None:
        backend = self.make_backend()
        channel = self._channel(backend)
        recipients = [self._recipient_for(channel) for _ in range(16)]
        given = [self._with_code(backend, NO_OPTIONS) for _ in recipients]
        with ThreadPoolExecutor(8) as pool:
            sent = [*pool.map(lambda one, options: backend.start(one, channel, options), recipients, given)]
            codes = [self.last_code(one) for one in recipients]
            if not backend.makes_codes:
                assert codes == [one.custom_code for one in given]
                return
            sids = [one.sid for one in sent]
            answers = [*pool.map(lambda one, code, sid: backend.check(one, code, sid=sid), recipients, codes, sids)]
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
        backend = self.make_backend()
        recipient = self._recipient_for(self._channel(backend))
        return backend, recipient, self._send(backend, recipient)

    def _judged(self) -> Iterator[tuple[BaseBackend, Recipient, ProviderSend]]:
        """A verification whose code is out; none if the app judges the codes."""
        backend, recipient, sent = self._started()
        if backend.makes_codes:
            yield backend, recipient, sent

    def _send(self, backend: BaseBackend, recipient: Recipient) -> ProviderSend:
        return backend.start(recipient, self._channel(backend), self._with_code(backend, NO_OPTIONS))

    def _with_code(self, backend: BaseBackend, options: SendOptions) -> SendOptions:
        """``options`` as the app gives them: with a code that it made, if the provider makes none."""
        return options if backend.makes_codes else options.over(SendOptions(custom_code=make_code(6)))

    def _carries(self, backend: BaseBackend, recipient: Recipient, channel: Channel, options: SendOptions) -> bool:
        """Whether a code that the app made arrives."""
        given = self._with_code(backend, options)
        sent = backend.start(recipient, channel, given)
        is_taken = (sent.status, sent.channel) == (ProviderStatus.PENDING, channel.value)
        return is_taken and self.last_code(recipient) == given.custom_code

    def _channel(self, backend: BaseBackend) -> Channel:
        """The channel that codes are sent by where it does not matter."""
        return next(channel for channel in CODE_CHANNELS if channel in backend.channels)

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
