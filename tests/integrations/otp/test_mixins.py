"""django-otp's own tests for authors of devices."""

from __future__ import annotations

from django.test import override_settings
from django_otp import test_utils

from django_twilio_verify.contrib.otp.models import VerifyDevice
from tests.support.basics import last_code, make_factor, make_user, wrong_code


class Sent:
    """A device to which a code was sent."""

    challenged = True

    def setUp(self) -> None:
        self.user = make_user()
        make_factor(self.user)
        self.device = VerifyDevice.objects.get()
        if self.challenged:
            self.device.generate_challenge()

    def valid_token(self) -> str:
        return last_code()

    def invalid_token(self) -> str:
        return wrong_code()


@override_settings(OTP_TWILIO_VERIFY_THROTTLE_FACTOR=1)
class ThrottlingTests(Sent, test_utils.ThrottlingTestMixin, test_utils.TestCase):
    pass


@override_settings(OTP_TWILIO_VERIFY_THROTTLE_FACTOR=1)
class ThrottlingOfNumbersTests(Sent, test_utils.ThrottlingTestMixin, test_utils.TestCase):
    def invalid_token(self) -> int:
        return -1  # what a form for numbers may give


class TimestampTests(Sent, test_utils.TimestampTestMixin, test_utils.TestCase):
    pass


@override_settings(OTP_TWILIO_VERIFY_COOLDOWN_DURATION=10)
class CooldownTests(Sent, test_utils.CooldownTestMixin, test_utils.TestCase):
    challenged = False

    def setUp(self) -> None:
        # These tests want ten seconds, of which our own limits know nothing: 30 is what Twilio asks for.
        spacing = override_settings(TWILIO_VERIFY_RESEND_COOLDOWN_SECONDS=[10, 40, 60, 90, 120])
        spacing.enable()
        self.addCleanup(spacing.disable)
        super().setUp()
