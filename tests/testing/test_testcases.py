"""The mixin, in Django's own test case classes."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
from django.contrib.auth.hashers import identify_hasher
from django.test import SimpleTestCase, TestCase, TransactionTestCase, override_settings

from django_twilio_verify import verifications
from django_twilio_verify.backends.console import ConsoleBackend
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.backends.locmem import LocMemBackend
from django_twilio_verify.testing import (
    TwilioVerifyTestMixin,
    enroll,
    fail_next,
    outbox,
    sign_in,
)
from tests.support.basics import PHONE, agree, make_client, make_user

CONSOLE = "django_twilio_verify.backends.console.ConsoleBackend"
LOCMEM = "django_twilio_verify.backends.locmem.LocMemBackend"
PBKDF2 = "django.contrib.auth.hashers.PBKDF2PasswordHasher"


class SlowSettings:
    """What a site has that names nothing for its tests. Comes before the mixin's settings."""

    changed: ClassVar[Any]

    @classmethod
    def setUpClass(cls) -> None:
        cls.changed = override_settings(
            PASSWORD_HASHERS=[PBKDF2],
            TWILIO_VERIFY_BACKENDS={
                "default": {"BACKEND": CONSOLE},
                "few": {"BACKEND": LOCMEM, "OPTIONS": {"channels": ["sms"]}},
            },
        )
        cls.changed.enable()
        cls.addClassCleanup(cls.changed.disable)  # type: ignore[attr-defined]
        super().setUpClass()  # type: ignore[misc]


def send(user: Any) -> None:

    verifications.start(recipient=PHONE, channel="sms", user=user, client=make_client())


class MixinTests(SlowSettings, TwilioVerifyTestMixin, TestCase):
    user: ClassVar[Any]

    @classmethod
    def setUpTestData(cls) -> None:
        cls.user = make_user()
        enroll(cls.user)

    def test_every_backend_is_in_memory_and_keeps_its_options(self) -> None:
        backend = backends["default"]
        assert isinstance(backend, LocMemBackend)
        assert not isinstance(backend, ConsoleBackend)
        few = backends["few"]
        assert isinstance(few, LocMemBackend)
        assert few.simulator.channels == {"sms"}

    def test_passwords_are_hashed_fast(self) -> None:
        assert identify_hasher(self.user.password).algorithm == "md5"

    def test_the_outbox_is_emptied_1(self) -> None:
        self._send_once()

    def test_the_outbox_is_emptied_2(self) -> None:
        self._send_once()

    def _send_once(self) -> None:
        self.assertNothingSent()
        agree(PHONE, user=self.user)
        send(self.user)
        assert self.assertCodeSent(PHONE) == outbox[0].code
        assert len(outbox) == 1
        with pytest.raises(AssertionError, match="No code was sent to ann@example"):
            self.assertCodeSent("ann@example.org")
        with pytest.raises(AssertionError) as failed:
            self.assertNothingSent()
        assert PHONE in str(failed.value)
        assert outbox[0].code not in str(failed.value)
        fail_next(60410)  # which the next test must not meet


class CommittingTests(TwilioVerifyTestMixin, TransactionTestCase):
    def test_helpers_work_where_tests_commit(self) -> None:
        user = make_user()
        enroll(user)
        sign_in(self.client, user)
        assert self.client.get("/account/").status_code == 200
        self.assertNothingSent()


class WithoutADatabaseTests(TwilioVerifyTestMixin, SimpleTestCase):
    def test_it_asks_for_no_database(self) -> None:
        self.assertNothingSent()


@override_settings(TWILIO_VERIFY_BACKENDS={"default": {"BACKEND": LOCMEM, "CODE_LENGTH": 8}})
class OverriddenTests(TwilioVerifyTestMixin, TestCase):
    def test_the_settings_of_the_class_win(self) -> None:
        user = make_user()
        agree(PHONE, user=user)
        send(user)
        assert len(self.assertCodeSent(PHONE)) == 8
