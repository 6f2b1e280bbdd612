"""The list of what can be added: all that the backend keeps, the strongest first, and what is too weak."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from django_twilio_verify.choices import Channel
from django_twilio_verify.consent import disclosures
from django_twilio_verify.models import ConsentEvent
from django_twilio_verify.testing import outbox
from tests.support.enrollment import offered, text

pytestmark = pytest.mark.django_db


def test_the_strongest_stand_above_the_messages(client: Client, ann: Any) -> None:
    page = client.get("/verify/enroll/")
    assert offered(page) == ["passkey", "totp", "push", "sms", "call", "whatsapp", "email"]
    assert "Your fingerprint, your face or the screen lock" in text(page)
    assert "An app on your phone shows a new code" in text(page)


@pytest.mark.parametrize(
    ("backend", "first"), [("CodesOnly", []), ("TotpOnly", ["totp"])], ids=["none", "authenticator apps"]
)
def test_what_the_provider_does_not_keep_is_not_there(
    client: Client, ann: Any, settings: Any, backend: str, first: list[str]
) -> None:
    settings.TWILIO_VERIFY_BACKENDS = {"default": {"BACKEND": f"tests.views.enroll.backends.{backend}"}}
    assert offered(client.get("/verify/enroll/")) == [*first, "sms", "call", "whatsapp", "email"]


@pytest.mark.parametrize("chosen", [[], ["totp"], ["push", "totp"], ["passkey", "totp", "push"]])
def test_the_site_chooses_among_them(client: Client, ann: Any, settings: Any, chosen: list[str]) -> None:
    settings.TWILIO_VERIFY_DEVICE_FACTORS = chosen
    listed = [one for one in ("passkey", "totp", "push") if one in chosen]
    assert offered(client.get("/verify/enroll/")) == [*listed, "sms", "call", "whatsapp", "email"]
    for one in ("passkey", "totp", "push"):
        expected = 200 if one in chosen else 404
        assert client.get(f"/verify/enroll/{one}/").status_code == expected, one
    for path in ("/verify/enroll/passkey/", "/verify/enroll/passkey/options/"):
        assert (client.post(path, {"name": "x"}).status_code == 404) == ("passkey" not in chosen)


@pytest.mark.parametrize(
    ("minimum", "left", "weak"),
    [
        ("sms", ["passkey", "totp", "push", "sms", "call", "whatsapp"], ["Email"]),
        ("totp", ["passkey", "totp", "push"], ["Text message (SMS)", "Phone call", "WhatsApp", "Email"]),
        ("passkey", ["passkey"], ["Text message (SMS)", "Email"]),
    ],
)
def test_what_is_too_weak_is_left_out_and_the_page_says_why(
    client: Client, ann: Any, settings: Any, minimum: str, left: list[str], weak: list[str]
) -> None:
    settings.TWILIO_VERIFY_MINIMUM_ASSURANCE = minimum
    page = client.get("/verify/enroll/")
    assert offered(page) == left
    assert "asks for something more secure to sign in than these, so they cannot be added:" in text(page)
    listed = page.content.decode().partition("cannot be added:")[2]
    assert [one for one in weak if one not in listed] == []


def test_a_way_that_is_too_weak_takes_nothing(client: Client, ann: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_MINIMUM_ASSURANCE = "totp"
    form = {"email": "ann@example.org", "disclosure": disclosures.compose(Channel.EMAIL).digest, "consent": "on"}
    for answer in (client.get("/verify/enroll/email/"), client.post("/verify/enroll/email/", form)):
        assert answer["Location"] == "/verify/enroll/"
    assert outbox == [] and not ConsentEvent.objects.exists()


def test_other_ways_to_the_same_end_are_not_too_weak_either(client: Client, ann: Any, settings: Any) -> None:
    settings.TWILIO_VERIFY_MINIMUM_ASSURANCE = "sms"
    assert offered(client.get("/verify/enroll/sms/")) == ["call", "whatsapp"]


def test_a_site_that_includes_fewer_pages(client: Client, ann: Any, settings: Any) -> None:
    assert "passkey" in offered(client.get("/verify/enroll/"))  # with all pages
    settings.ROOT_URLCONF = "tests.views.enroll.fewer"
    page = client.get("/verify/enroll/")
    assert page.status_code == 200
    listed = offered(page)
    assert "totp" in listed and "passkey" not in listed
