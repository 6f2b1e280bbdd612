"""A mixin for Django's test case classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.test import SimpleTestCase, override_settings

from ..backends.locmem import clear_outbox, outbox
from . import helpers

if TYPE_CHECKING:
    _Base = SimpleTestCase
else:
    _Base = object


class TwilioVerifyTestMixin(_Base):
    """Runs each test with ``LocMemBackend``, an empty ``outbox`` and a fast password hasher.

    List it before Django's class: ``class PayoutTests(TwilioVerifyTestMixin, TestCase)``. A ``setUp`` of your own
    calls ``super().setUp()``. Every alias of ``TWILIO_VERIFY_BACKENDS`` gets a ``LocMemBackend``, unless it has one.
    ``override_settings`` on the class comes after the mixin's own settings.
    """

    @classmethod
    def setUpClass(cls) -> None:
        overridden = override_settings(**helpers.testing_settings())
        overridden.enable()
        cls.addClassCleanup(overridden.disable)
        clear_outbox(factors=True)
        super().setUpClass()

    def setUp(self) -> None:
        super().setUp()
        clear_outbox()

    def assertCodeSent(self, to: str) -> str:
        """Fail unless a code was sent to ``to`` in this test. Returns the newest one."""
        try:
            return helpers.last_code(to)
        except AssertionError as error:
            self.fail(str(error))

    def assertNothingSent(self) -> None:
        """Fail if a code or a link was sent in this test."""
        if outbox:
            self.fail(helpers.describe_sent())
