"""The backend for development."""

from __future__ import annotations

import io

import pytest
from django.test import override_settings

from django_twilio_verify.backends.console import KEPT, ConsoleBackend
from django_twilio_verify.backends.options import SendOptions
from django_twilio_verify.backends.results import ProviderStatus
from django_twilio_verify.choices import Channel
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.testing import outbox


def test_it_prints_what_it_would_have_sent(recipient: Recipient) -> None:
    stream = io.StringIO()
    config = {"BACKEND": "django_twilio_verify.backends.console.ConsoleBackend", "CODE_LIFETIME_SECONDS": 300}
    backend = ConsoleBackend("shop", stream=stream)
    with override_settings(TWILIO_VERIFY_BACKENDS={"shop": config}):
        backend.start(recipient, Channel.CALL)
    (message,) = backend.sent
    assert stream.getvalue().splitlines() == [
        "-" * 64,
        "twilio verify (shop): phone call to +12025550143",
        f"Your code is {message.code}. It can be used for 5 minutes.",
        "-" * 64,
    ]


def test_it_prints_a_link_that_plays_the_phone(recipient: Recipient) -> None:
    stream = io.StringIO()
    backend = ConsoleBackend("shop", stream=stream, link_base="http://127.0.0.1:8000/phone/")
    sent = backend.start(recipient, Channel.SNA)
    assert sent.link.startswith("http://127.0.0.1:8000/phone/")
    assert f"The phone opens {sent.link}, once, over its mobile network." in stream.getvalue()
    assert backend.sent[0].link == sent.link
    backend.simulator.open_link(sent.link)
    assert backend.check(recipient, "", sid=sent.sid).status is ProviderStatus.APPROVED


def test_it_prints_what_a_code_is_for(recipient: Recipient) -> None:
    stream = io.StringIO()
    backend = ConsoleBackend("shop", stream=stream)
    backend.start(recipient, Channel.SMS, SendOptions(amount="39.90 EUR", payee="Acme"))
    assert f"Your code for 39.90 EUR to Acme is {backend.sent[0].code}." in stream.getvalue()


def test_it_prints_to_the_standard_output_of_the_moment(
    recipient: Recipient, capsys: pytest.CaptureFixture[str]
) -> None:
    backend = ConsoleBackend("default")
    backend.start(recipient, Channel.SMS)
    printed = capsys.readouterr()
    assert backend.sent[0].code in printed.out
    assert printed.err == ""


def test_the_code_that_it_shows_is_good(recipient: Recipient) -> None:
    backend = ConsoleBackend("default", stream=io.StringIO())
    sid = backend.start(recipient, Channel.SMS).sid
    answer = backend.check(recipient, backend.sent[-1].code, sid=sid)
    assert answer.status is ProviderStatus.APPROVED


def test_it_keeps_its_own_list(recipient: Recipient) -> None:
    backend = ConsoleBackend("default", stream=io.StringIO())
    backend.start(recipient, Channel.SMS)
    assert outbox == []
    assert [one.to for one in backend.sent] == ["+12025550143"]
    backend.reset()
    assert not backend.sent
    assert not backend.delivers


def test_it_does_not_grow_for_ever() -> None:
    backend = ConsoleBackend("default", stream=io.StringIO())
    for number in range(KEPT + 5):
        backend.start(Recipient.email(f"person{number}@example.com"), Channel.EMAIL)
    assert len(backend.sent) == KEPT
    assert backend.sent[-1].to == f"person{KEPT + 4}@example.com"


def test_it_shows_no_code_but_where_it_is_meant_to(recipient: Recipient, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    backend = ConsoleBackend("default", stream=io.StringIO())
    backend.start(recipient, Channel.SMS)
    shown = f"{backend!r} {backend.sent!r} {caplog.text}"
    assert backend.sent[0].code not in shown
    assert "2025550143" not in shown
