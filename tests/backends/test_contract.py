"""All three backends keep the contract, and the contract notices one that does not."""

from __future__ import annotations

import io
import logging
from collections.abc import Iterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import time_machine
from django.test import SimpleTestCase

from django_twilio_verify.backends.base import BaseBackend
from django_twilio_verify.backends.console import ConsoleBackend
from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.backends.options import NO_OPTIONS, SendOptions
from django_twilio_verify.backends.results import AttemptsPage, ProviderCheck, ProviderSend, ProviderStatus
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.choices import Channel
from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.testing import BackendContract, Message, VerifyServer, outbox
from tests.support.strict_backend import StrictBackend

START = "2026-11-20T12:00:00Z"


def last(messages: list[Message], recipient: Recipient) -> str:
    return next(one.code for one in reversed(messages) if one.to == recipient.value)


def token_of(answer: str) -> str:
    return parse_qs(answer).get("SnaClientToken", [""])[0]


class Travelling(BackendContract):
    can_travel = True

    @pytest.fixture(autouse=True)
    def _travel(self) -> Iterator[None]:
        with time_machine.travel(START) as self.traveller:
            yield

    def advance(self, seconds: float) -> None:
        self.traveller.shift(seconds)


class TestLocMem(Travelling):
    def make_backend(self) -> BaseBackend:
        self.backend = LocMemBackend("default")
        self.backend.simulator.locales = frozenset({"de"})
        return self.backend

    def last_code(self, recipient: Recipient) -> str:
        return last(outbox, recipient)

    def open_link(self, url: str) -> str:
        return token_of(self.backend.simulator.open_link(url))


class TestConsole(Travelling):
    def make_backend(self) -> BaseBackend:
        self.backend = ConsoleBackend("default", stream=io.StringIO())
        self.backend.simulator.locales = frozenset({"de"})
        return self.backend

    def last_code(self, recipient: Recipient) -> str:
        return last([*self.backend.sent], recipient)

    def open_link(self, url: str) -> str:
        return token_of(self.backend.simulator.open_link(url))


class TestTwilio(Travelling):
    """The real SDK, over HTTP, against the loopback server."""

    @pytest.fixture(autouse=True)
    def _serve(self, server: VerifyServer) -> Iterator[None]:
        self.server = server
        server.simulator.locales = frozenset({"de"})
        self.made: list[TwilioBackend] = []
        yield
        for one in self.made:
            one.close()

    def make_backend(self) -> BaseBackend:
        self.made.append(TwilioBackend("default", **self.server.options(timeout=5)))
        return self.made[-1]

    def last_code(self, recipient: Recipient) -> str:
        return last(self.server.sent, recipient)

    def open_link(self, url: str) -> str:
        answer = requests.get(url, timeout=5)
        assert answer.headers["Content-Type"].startswith("text/plain")
        return token_of(answer.text)


class TestInAUnittestClass(BackendContract, SimpleTestCase):
    """As the docs say: no pytest needed, and no travel in time."""

    def make_backend(self) -> BaseBackend:
        self.backend = LocMemBackend("default")
        return self.backend

    def last_code(self, recipient: Recipient) -> str:
        return last(outbox, recipient)

    def open_link(self, url: str) -> str:
        return token_of(self.backend.simulator.open_link(url))


class TestStrict(TestLocMem):
    """The contract reads what the backend says of itself."""

    def make_backend(self) -> BaseBackend:
        self.backend = StrictBackend("default")
        self.backend.simulator.locales = frozenset({"de"})
        return self.backend


class BoastingBackend(LocMemBackend):
    """Says what is not so."""

    max_sends = 3
    max_checks = 3
    same_code_on_resend = False

    def __init__(self, alias: str) -> None:
        super().__init__(alias)
        self.simulator.max_sends = self.simulator.max_checks = 2


class ForgetfulBackend(LocMemBackend):
    """Opens a new verification at each send."""

    def start(self, recipient: Recipient, channel: Channel, options: SendOptions = NO_OPTIONS) -> ProviderSend:
        self.simulator.reset()
        return super().start(recipient, channel, options)


class CredulousBackend(LocMemBackend):
    """Believes everybody."""

    def check(self, recipient: Recipient, code: str, *, sid: str = "", **more: str) -> ProviderCheck:
        return ProviderCheck(ProviderStatus.APPROVED, sid)

    def approve(self, sid: str) -> ProviderCheck:
        return ProviderCheck(ProviderStatus.APPROVED, sid)

    def is_authentic(self, **request: object) -> bool:
        return True


class CarelessBackend(LocMemBackend):
    """Drops what it is told beside recipient and channel, and all but the first page."""

    def start(self, recipient: Recipient, channel: Channel, options: SendOptions = NO_OPTIONS) -> ProviderSend:
        if options.template_sid:
            return ProviderSend("VE1", ProviderStatus.UNKNOWN)
        return super().start(recipient, channel)

    def attempts_page(self, **asked: Any) -> AttemptsPage:
        return replace(super().attempts_page(**asked), next_page="")


class TalkativeBackend(LocMemBackend):
    """Logs codes."""

    def check(self, recipient: Recipient, code: str, *, sid: str = "", **more: str) -> ProviderCheck:
        logging.getLogger("talk").debug("asked about %s", code)
        return super().check(recipient, code, sid=sid, **more)


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (BoastingBackend, "test_a_resend_is_the_same_verification"),
        (BoastingBackend, "test_a_resend_by_another_channel_is_the_same_verification"),
        (BoastingBackend, "test_no_more_than_max_checks_are_judged"),
        (ForgetfulBackend, "test_a_resend_is_the_same_verification"),
        (ForgetfulBackend, "test_a_resend_by_another_channel_is_the_same_verification"),
        (ForgetfulBackend, "test_no_more_than_max_sends_go_out"),
        (ForgetfulBackend, "test_two_recipients_have_two_verifications"),
        (CredulousBackend, "test_a_wrong_code_leaves_it_pending"),
        (CredulousBackend, "test_a_code_is_accepted_once"),
        (CredulousBackend, "test_no_more_than_max_checks_are_judged"),
        (CredulousBackend, "test_what_was_never_there_is_gone"),
        (CredulousBackend, "test_what_is_no_code_is_rejected"),
        (CredulousBackend, "test_of_answers_that_race_one_is_accepted"),
        (CredulousBackend, "test_a_link_that_is_not_opened_proves_nothing"),
        (CredulousBackend, "test_a_link_with_a_token_needs_it"),
        (CredulousBackend, "test_a_code_of_the_sites_own_is_reported"),
        (CredulousBackend, "test_a_payment_is_bound_to_its_amount_and_payee"),
        (CredulousBackend, "test_a_strangers_request_is_not_authentic"),
        (ForgetfulBackend, "test_after_a_link_a_code_will_do"),
        (CarelessBackend, "test_every_feature_is_carried"),
        (CarelessBackend, "test_a_link_with_a_token_needs_it"),
        (CarelessBackend, "test_a_payment_is_bound_to_its_amount_and_payee"),
        (CarelessBackend, "test_attempts_come_in_pages"),
        (TalkativeBackend, "test_nothing_secret_is_logged_or_shown"),
    ],
)
def test_the_contract_notices(kind: type[LocMemBackend], test: str) -> None:
    class Case(BackendContract):
        def make_backend(self) -> BaseBackend:
            self.backend = kind("default")
            return self.backend

        def last_code(self, recipient: Recipient) -> str:
            return last(outbox, recipient)

        def open_link(self, url: str) -> str:
            return token_of(self.backend.simulator.open_link(url))

    with pytest.raises(AssertionError):
        getattr(Case(), test)()
