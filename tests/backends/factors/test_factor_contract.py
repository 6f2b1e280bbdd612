"""Backends that keep factors keep the contract, and the contract notices one that does not."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Iterator
from typing import Any

import pytest
import time_machine
from django.test import SimpleTestCase

from django_twilio_verify.backends.base import BaseBackend
from django_twilio_verify.backends.console import ConsoleBackend
from django_twilio_verify.backends.factor_results import (
    ChallengeStatus,
    FactorStatus,
    ProviderChallenge,
    ProviderFactor,
)
from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.backends.twilio.backend import TwilioBackend
from django_twilio_verify.testing import FactorContract, FactorRoutes, HttpApi, LocalApi, Phone, VerifyServer
from tests.support.factor_backends import START


class Travelling(FactorContract):
    @pytest.fixture(autouse=True)
    def _travel(self) -> Iterator[None]:
        with time_machine.travel(START) as self.traveller:
            yield

    def advance(self, seconds: float) -> None:
        self.traveller.shift(seconds)


def local_phone(backend: BaseBackend, identity: str) -> Phone:
    assert isinstance(backend, LocMemBackend)
    simulator = backend.factor_simulator
    return Phone(LocalApi(FactorRoutes(simulator)), service_sid=simulator.place.service_sid, identity=identity)


class TestLocMem(Travelling):
    def make_backend(self) -> BaseBackend:
        return LocMemBackend("default")

    def phone(self, backend: BaseBackend, identity: str) -> Phone:
        return local_phone(backend, identity)


class TestConsole(TestLocMem):
    def make_backend(self) -> BaseBackend:
        return ConsoleBackend("default", stream=io.StringIO())


class TestTwilio(Travelling):
    """The real SDK, over HTTP, against the loopback server."""

    @pytest.fixture(autouse=True)
    def _serve(self, server: VerifyServer) -> Iterator[None]:
        self.server = server
        self.made: list[TwilioBackend] = []
        yield
        for one in self.made:
            one.close()

    def make_backend(self) -> BaseBackend:
        self.made.append(TwilioBackend("default", **self.server.options(timeout=5)))
        return self.made[-1]

    def phone(self, backend: BaseBackend, identity: str) -> Phone:
        return Phone(HttpApi(self.server.url), service_sid=self.server.service_sid, identity=identity)


class TestInAUnittestClass(FactorContract, SimpleTestCase):
    """As the docs say: no pytest needed."""

    def setUp(self) -> None:
        self.traveller = time_machine.travel(START)
        self.clock = self.traveller.start()
        self.addCleanup(self.traveller.stop)

    def advance(self, seconds: float) -> None:
        self.clock.shift(seconds)

    def make_backend(self) -> BaseBackend:
        return LocMemBackend("default")

    def phone(self, backend: BaseBackend, identity: str) -> Phone:
        return local_phone(backend, identity)


class Credulous(LocMemBackend):
    """Believes everybody."""

    def challenge(self, *args: Any, **more: Any) -> ProviderChallenge:
        made = super().challenge(*args, **more)
        return dataclasses.replace(made, status=ChallengeStatus.APPROVED) if more.get("code") else made

    def answer(self, identity: str, challenge_sid: str, *args: Any, **more: Any) -> ProviderChallenge:
        return ProviderChallenge(challenge_sid, ChallengeStatus.APPROVED)

    def confirm(self, identity: str, factor_sid: str, *args: Any) -> ProviderFactor:
        super().confirm(identity, factor_sid, *args)
        return ProviderFactor(factor_sid, FactorStatus.VERIFIED)


class Talkative(LocMemBackend):
    """Tells secrets again."""

    def factor(self, identity: str, factor_sid: str) -> ProviderFactor:
        return dataclasses.replace(super().factor(identity, factor_sid), secret="JBSWY3DPEHPK3PXP")


class Hoarding(LocMemBackend):
    """Removes nothing."""

    def remove(self, identity: str, factor_sid: str) -> bool:
        return True

    def remove_entity(self, identity: str) -> bool:
        return True


@pytest.mark.parametrize(
    ("kind", "test"),
    [
        (Credulous, "test_a_right_code_confirms_and_a_wrong_one_does_not"),
        (Credulous, "test_the_sixth_answer_at_enrollment_is_not_judged"),
        (Credulous, "test_a_right_code_is_proof_once"),
        (Credulous, "test_a_code_of_another_app_and_an_old_one_are_wrong"),
        (Credulous, "test_an_expired_challenge_takes_no_answer"),
        (Credulous, "test_of_answers_that_race_one_is_accepted"),
        (Credulous, "test_what_is_another_persons_is_gone"),
        (Credulous, "test_a_signature_of_another_key_or_another_challenge_is_wrong"),
        (Credulous, "test_an_assertion_is_proof_once_and_for_its_own_challenge"),
        (Credulous, "test_an_assertion_of_another_origin_person_or_clone_is_refused"),
        (Credulous, "test_a_registration_of_another_origin_or_for_another_factor_is_refused"),
        (Talkative, "test_a_new_factor_is_not_verified_and_shows_its_secret_once"),
        (Hoarding, "test_a_removed_factor_is_no_proof_any_more"),
        (Hoarding, "test_a_removed_person_leaves_nothing"),
    ],
)
def test_the_contract_notices(kind: type[LocMemBackend], test: str) -> None:
    with time_machine.travel(START) as clock:

        class Case(FactorContract):
            def make_backend(self) -> BaseBackend:
                return kind("default")

            def phone(self, backend: BaseBackend, identity: str) -> Phone:
                return local_phone(backend, identity)

            def advance(self, seconds: float) -> None:
                clock.shift(seconds)

        with pytest.raises(AssertionError):
            getattr(Case(), test)()
