"""The pages with a gateway that only carries messages: sent again, by another channel, wrong, and when it fails."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from django_twilio_verify.models import Factor, Verification
from tests.support.basics import agree, code_path, make_factor, make_user, sign_in, wrong_code
from tests.support.pages import form, text
from tests.support.pigeon import Pigeon
from tests.support.provider import clock

__all__ = ["clock"]

pytestmark = pytest.mark.django_db
NEWEST = "Only the newest code works."


@pytest.fixture
def pigeon(settings) -> Iterator[Pigeon]:
    with Pigeon() as running:
        settings.TWILIO_VERIFY_BACKENDS = running.setting()
        yield running


@pytest.fixture
def page(client, pigeon, clock) -> str:
    """Ann has typed her password and was sent a code."""
    user = make_user()
    make_factor(user)
    sign_in(client)
    return code_path(client.post("/verify/challenge/"))


def signed_in(client) -> bool:
    return client.get("/account/").status_code == 200


def again(client, page: str, clock):
    clock.shift(60)
    return client.post(f"{page}resend/")


def test_password_then_code_then_in(client, page, pigeon):
    shown = client.get(page)
    assert NEWEST not in text(shown) and 'inputmode="numeric"' in shown.content.decode()
    assert "You have 4 tries left." in text(client.post(page, {"code": wrong_code(pigeon.codes[0])}))
    assert not signed_in(client)
    client.post(page, {"code": pigeon.codes[0]})
    assert signed_in(client)


def test_after_a_resend_the_page_says_that_the_newest_code_counts(client, page, pigeon, clock):
    assert code_path(again(client, page, clock)) == page
    assert NEWEST in text(client.get(page))
    wrong = text(client.post(page, {"code": wrong_code(pigeon.codes[-1])}))
    assert "This is not the newest code. Enter the one in our latest message. You have 4 tries left." in wrong
    client.post(page, {"code": pigeon.codes[-1]})
    assert signed_in(client)


def test_a_resend_too_early_keeps_the_code(client, page, pigeon):
    assert client.post(f"{page}resend/").status_code == 429
    assert NEWEST not in text(client.get(page)) and len(pigeon.sent) == 1
    client.post(page, {"code": pigeon.codes[0]})
    assert signed_in(client)


def test_it_goes_on_by_a_call(client, page, pigeon, clock):
    agree(channel="call", user=Factor.objects.get().user)
    clock.shift(60)
    call = f"{page}call/"
    assert f'href="{call}' in client.get(page).content.decode()
    assert "email" not in client.get(page).content.decode().partition("No code?")[2]
    assert code_path(client.post(call)) == page
    assert [one["by"] for one in pigeon.sent] == ["sms", "call"]
    assert NEWEST in text(client.get(page))
    client.post(page, {"code": pigeon.codes[-1]})
    assert signed_in(client)


def test_a_resend_that_is_refused_says_so_and_the_code_before_works(client, page, pigeon, clock):
    pigeon.fail("refuse:no_credit")
    assert "This way does not work at the moment." in text(again(client, page, clock))
    client.post(page, {"code": pigeon.codes[0]})
    assert signed_in(client)


def test_a_gateway_that_does_not_answer_leads_to_the_code_page(client, page, pigeon, clock):
    pigeon.fail("lost")
    assert code_path(again(client, page, clock)) == page
    shown = text(client.get(page))
    assert "did not confirm it" in shown and NEWEST in shown
    client.post(page, {"code": pigeon.codes[-1]})
    assert signed_in(client)


def test_used_up_and_expired_lead_to_a_new_code(client, page, pigeon, clock):
    for _ in range(5):
        shown = client.post(page, {"code": wrong_code(pigeon.codes[0])})
    assert "Too many wrong codes." in text(shown)
    clock.shift(601)
    assert not client.post(page, {"code": pigeon.codes[0]}).has_header("Location")
    fresh = code_path(client.post("/verify/challenge/"))
    assert fresh != page and Verification.objects.count() == 2
    client.post(fresh, {"code": pigeon.codes[-1]})
    assert signed_in(client)


def test_somebody_new_enrolls_a_phone(client, pigeon):
    client.force_login(make_user())
    page = code_path(client.post("/verify/enroll/sms/", form()))
    client.post(page, {"code": pigeon.codes[-1]})
    assert Factor.objects.get().confirmed_at is not None
