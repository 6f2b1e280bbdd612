"""``CodeBackend``: what its author writes is small, and what can be got wrong is told at once."""

from __future__ import annotations

import logging
import smtplib
import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.error import HTTPError

import pytest
from asgiref.sync import async_to_sync

from django_twilio_verify.backends import base
from django_twilio_verify.backends.base import (
    BackendRejected,
    BackendUnavailable,
    BaseBackend,
    Channel,
    CodeBackend,
    Feature,
    ProviderStatus,
    Recipient,
    RejectCode,
    SendOptions,
)
from django_twilio_verify.choices import RecipientKind
from django_twilio_verify.testing import BackendContract
from tests.support.basics import PHONE
from tests.support.pigeon import Pigeon, PigeonBackend

TO = Recipient.phone(PHONE)
CODE = SendOptions(custom_code="471108")


class TestPigeon(BackendContract):
    @pytest.fixture(autouse=True)
    def _serve(self) -> Iterator[None]:
        with Pigeon() as self.pigeon:
            yield

    def make_backend(self) -> BaseBackend:
        return PigeonBackend("default", **self.pigeon.options)

    def last_code(self, recipient: Recipient) -> str:
        return self.pigeon.last_code(recipient)


class Inbox(CodeBackend):
    """Keeps emails."""

    channels = frozenset({"email"})

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.emails: list[tuple[str, str]] = []

    def send_code(self, recipient: Recipient, channel: Channel, code: str, options: SendOptions) -> str:
        if "@" not in recipient.value:
            raise BackendRejected(RejectCode.RECIPIENT)
        self.emails.append((recipient.value, code))
        return ""


class TestInbox(BackendContract):
    """No channel leads to a phone."""

    def make_backend(self) -> BaseBackend:
        self.backend = Inbox("default")
        return self.backend

    def last_code(self, recipient: Recipient) -> str:
        return next(code for to, code in reversed(self.backend.emails) if to == recipient.value)

    def malformed_recipient(self) -> Recipient:
        return Recipient(RecipientKind.EMAIL, "somebody")


class Sender(CodeBackend):
    """Does as ``act`` does."""

    channels = frozenset({"sms"})
    act: Any = None

    def send_code(self, recipient: Recipient, channel: Channel, code: str, options: SendOptions) -> str:
        return self.act(recipient, channel, code, options)


def sender(act: Any) -> Sender:
    made = Sender("default")
    made.act = act
    return made


def fails_with(error: BaseException) -> Any:
    def act(*given: Any) -> str:
        raise error

    return act


def test_authors_import_from_one_module() -> None:
    assert all(hasattr(base, name) for name in base.__all__)
    assert {"BaseBackend", "CodeBackend", "RejectCode", "ProviderStatus", "Feature", "Channel"} <= {*base.__all__}


def test_channels_may_be_words() -> None:
    assert Sender.channels == {Channel.SMS} and all(isinstance(one, Channel) for one in Sender.channels)


@pytest.mark.parametrize(
    ("base_class", "channels", "message"),
    [
        (BaseBackend, {"smss"}, "'smss' is none of sms, call, whatsapp, email, sna, auto"),
        (BaseBackend, {"push"}, "'push' is none of"),
        (CodeBackend, {"sms", "sna"}, "'sna' is none of sms, call, whatsapp, email"),
    ],
)
def test_a_channel_that_there_is_not_is_told_when_the_class_is_made(base_class, channels, message) -> None:
    with pytest.raises(ValueError, match=message):
        type("Mistaken", (base_class,), {"channels": frozenset(channels)})


@pytest.mark.parametrize("name", ["same_code_on_resend", "makes_codes"])
def test_what_needs_the_code_itself_cannot_be_promised(name) -> None:
    with pytest.raises(TypeError, match=f"Mistaken.{name} must be False"):
        type("Mistaken", (CodeBackend,), {name: True})


def test_what_the_app_names_arrives_and_the_code_only_once() -> None:
    heard: list[Any] = []
    options = SendOptions(custom_code="471108", locale="de")
    sent = sender(lambda *given: heard.append(given) or "M1").start(TO, Channel.SMS, options)
    assert heard == [(TO, Channel.SMS, "471108", SendOptions(locale="de"))]
    assert (sent.sid, sent.attempt_sid, sent.status, sent.channel) == ("", "M1", ProviderStatus.PENDING, "sms")
    assert {Feature.LOCALE, Feature.CUSTOM_CODE} == Sender.features


def test_without_a_code_nothing_is_sent() -> None:
    with pytest.raises(ValueError, match="makes no code"):
        sender(fails_with(AssertionError("sent"))).start(TO, Channel.SMS)


@pytest.mark.parametrize("error", [TimeoutError("471108"), ConnectionResetError(PHONE), OSError(f"{PHONE} 471108")])
@pytest.mark.parametrize("twin", ["start", "astart"])
def test_an_error_of_the_connection_may_have_sent_it_and_shows_nothing(error, twin, caplog) -> None:
    backend = sender(fails_with(error))
    start = getattr(backend, twin)
    with caplog.at_level(logging.DEBUG), pytest.raises(BackendUnavailable) as caught:
        (async_to_sync(start) if twin == "astart" else start)(TO, Channel.SMS, CODE)
    assert caught.value.may_have_been_done and caught.value.__cause__ is None and caught.value.__suppress_context__
    assert type(error).__name__ in caplog.text
    assert "471108" not in caplog.text and PHONE not in caplog.text


def test_any_other_mistake_of_the_author_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        sender(fails_with(KeyError("id"))).start(TO, Channel.SMS, CODE)


class _OfRequests(OSError):
    def __init__(self, status: int) -> None:
        super().__init__(f"{status} for {PHONE}")
        self.response = SimpleNamespace(status_code=status)


@pytest.mark.parametrize(
    ("error", "is_outage"),
    [
        (smtplib.SMTPRecipientsRefused({"ann@example.com": (550, b"no such mailbox")}), False),
        (HTTPError("https://gateway.example", 400, "bad number", {}, None), False),  # type: ignore[arg-type]
        (_OfRequests(422), False),
        (_OfRequests(401), True),
        (_OfRequests(429), True),
        (_OfRequests(503), True),
        (HTTPError("https://gateway.example", 502, "bad gateway", {}, None), True),  # type: ignore[arg-type]
        (smtplib.SMTPServerDisconnected("gone"), True),
        (TimeoutError(), True),
    ],
    ids=repr,
)
def test_what_is_wrong_with_one_recipient_is_no_outage(error, is_outage) -> None:
    """A visitor who has one recipient refused learns nothing about the accounts of others."""
    backend = sender(fails_with(error))
    with pytest.raises(BackendUnavailable):
        backend.start(TO, Channel.SMS, CODE)
    if is_outage:
        with pytest.raises(BackendUnavailable):
            backend.fetch("VE1")
    else:
        assert backend.fetch("VE1").status is ProviderStatus.GONE


@pytest.mark.parametrize("twin", ["fetch", "afetch"])
def test_what_is_not_there_takes_as_long_as_the_latest_send_and_fails_as_it_did(twin) -> None:
    backend = sender(lambda *given: time.sleep(0.2) or "M1")
    fetch = async_to_sync(backend.afetch) if twin == "afetch" else backend.fetch
    backend.start(TO, Channel.SMS, CODE)
    began = time.monotonic()
    assert fetch("VE1").status is ProviderStatus.GONE
    assert time.monotonic() - began >= 0.2
    backend.act = fails_with(BackendUnavailable(may_have_been_done=False, provider_code=7))
    with pytest.raises(BackendUnavailable):
        backend.start(TO, Channel.SMS, CODE)
    with pytest.raises(BackendUnavailable) as caught:
        fetch("VE1")
    assert (caught.value.may_have_been_done, caught.value.provider_code) == (False, 7)
    backend.act = fails_with(BackendRejected(RejectCode.RECIPIENT))
    with pytest.raises(BackendRejected):
        backend.start(TO, Channel.SMS, CODE)
    with pytest.raises(BackendUnavailable):
        fetch("VE1")  # a refusal is of one recipient, and tells nothing of the gateway
    backend.act = lambda *given: "M2"
    backend.start(TO, Channel.SMS, CODE)
    assert fetch("VE1").status is ProviderStatus.GONE


def test_an_async_gateway_needs_no_thread() -> None:
    class Async(Sender):
        async def asend_code(self, recipient: Recipient, channel: Channel, code: str, options: SendOptions) -> str:
            return f"async {code}"

    assert async_to_sync(Async("default").astart)(TO, Channel.SMS, CODE).attempt_sid == "async 471108"


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("refuse:bad_number", "recipient"),
        ("refuse:landline", "landline"),
        ("refuse:stopped", "opted_out"),
        ("refuse:slow_down", "wait"),
        ("refuse:no_credit", "misconfigured"),
        ("refuse:full_moon", "cannot_send"),
        ("500", True),
        ("lost", True),
        ("slow", True),
        ("garbled", True),
    ],
)
def test_the_backend_of_the_guide_tells_apart_what_can_go_wrong(fault, expected) -> None:
    with Pigeon() as pigeon:
        backend = PigeonBackend("default", **pigeon.options)
        pigeon.fail(fault)
        with pytest.raises((BackendRejected, BackendUnavailable)) as caught:
            backend.start(TO, Channel.SMS, CODE)
    assert getattr(caught.value, "may_have_been_done", caught.value.code) == expected


def test_the_backend_of_the_guide_speaks_the_users_language() -> None:
    with Pigeon() as pigeon:
        backend = PigeonBackend("default", **pigeon.options)
        for locale in ("de-AT", "tlh", ""):
            backend.start(TO, Channel.SMS, SendOptions(custom_code="471108", locale=locale))
    assert [one["text"][7:10] for one in pigeon.sent] == ["ist", "is ", "is "]
