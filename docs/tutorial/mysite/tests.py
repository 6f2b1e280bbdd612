"""The tests of the tutorial."""

import secrets

from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import TestCase

from django_twilio_verify.testing import TwilioVerifyTestMixin, get_disclosure_digest, last_code, outbox


class SignInTests(TwilioVerifyTestMixin, TestCase):
    def setUp(self) -> None:
        super().setUp()
        self.password = secrets.token_urlsafe()
        User.objects.create_superuser("ann", password=self.password)

    def sign_in(self) -> HttpResponse:
        return self.client.post("/admin/login/?next=/", {"username": "ann", "password": self.password}, follow=True)

    def enroll(self) -> HttpResponse:
        """Give a number, agree, and type the code that came."""
        page = self.client.get("/verify/enroll/sms/")
        shown = get_disclosure_digest(page)
        number = {"country": "US", "number": "(202) 555-0143", "disclosure": shown, "consent": "on"}
        page = self.client.post("/verify/enroll/sms/", number)
        return self.client.post(page["Location"], {"code": last_code()})

    def test_the_password_alone_opens_nothing(self) -> None:
        page = self.sign_in()
        self.assertContains(page, "Add a way to confirm that it is you")
        self.assertRedirects(self.client.get("/"), "/verify/challenge/?next=%2F", fetch_redirect_response=False)

    def test_enrolling_signs_in_and_shows_recovery_codes(self) -> None:
        self.sign_in()
        self.assertContains(self.enroll(), "Your recovery codes")
        self.assertContains(self.client.get("/"), "Hello ann. Second factor: True")

    def test_the_next_sign_in_wants_a_code(self) -> None:
        self.sign_in()
        self.enroll()
        self.client.post("/admin/logout/")
        self.assertContains(self.sign_in(), "Confirm that it is you")
        sent = len(outbox)
        page = self.client.post("/verify/challenge/", {"next": "/"})
        assert len(outbox) == sent + 1
        self.client.post(page["Location"], {"code": last_code(), "next": "/"})
        self.assertContains(self.client.get("/"), "Hello ann. Second factor: True")
