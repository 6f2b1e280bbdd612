"""A task and a test."""

from __future__ import annotations

from datetime import timedelta

from django.contrib.auth.models import User
from django.core.mail import send_mail
from django.test import TestCase

from django_twilio_verify import factors
from django_twilio_verify.testing import TwilioVerifyTestMixin, age_verification, enroll, last_code, outbox, sign_in


def ask_to_verify_again() -> int:
    due = factors.due_for_reverification(older_than=timedelta(days=180))
    for factor in due.select_related("user").iterator():
        send_mail("Verify your number again", "https://b.example/verify/", None, [factor.user.get_username()])
    return due.count()


class PayoutTests(TwilioVerifyTestMixin, TestCase):
    def test_a_second_factor_older_than_ten_minutes_is_asked_for_again(self) -> None:
        user = User.objects.create_user("ann")
        factor = enroll(user, recipient="+12025550143")
        sign_in(self.client, user)
        age_verification(self.client, timedelta(minutes=11))
        self.assertEqual(self.client.get("/payout/").status_code, 302)
        self.assertEqual(outbox, [])
        code: str = last_code(factor.recipient.value)
        self.assertTrue(code)
