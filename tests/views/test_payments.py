"""Approving a payment through the pages: shown, bound, used once."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import time_machine
from django.test import Client, RequestFactory

from django_twilio_verify.choices import Purpose
from django_twilio_verify.login import payments
from django_twilio_verify.models import Factor, Verification
from django_twilio_verify.testing import outbox
from django_twilio_verify.verifications import Payment
from tests.support.basics import (
    EMAIL,
    PHONE,
    agree,
    code_path,
    last_code,
    make_factor,
    make_user,
    race,
    sign_in,
    wrong_code,
)
from tests.support.changes import proved
from tests.support.pages import form, text
from tests.support.services import set_service

pytestmark = pytest.mark.django_db
BREAD = {"amount": "49.90 EUR", "payee": "The Corner Shop"}


@pytest.fixture
def ann(client):
    """Ann, signed in with her second factor; nothing in the outbox."""
    user = make_user()
    make_factor(user)
    sign_in(client)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    outbox.clear()
    return user


def begin(client, **values: str) -> str:
    """Press "Pay"; the page of the payment."""
    response = client.post("/pay/", {**BREAD, **values})
    assert response.status_code == 302
    found = re.fullmatch(r"(/verify/payment/[\w-]+/)\?next=%2Fpaid%2F", response["Location"])
    assert found, response["Location"]
    return response["Location"]


def approve(client, **values: str) -> None:
    page = begin(client, **values)
    code = client.post(page, {"next": "/paid/"})["Location"]
    assert client.post(code, {"code": last_code()})["Location"] == "/paid/"


def test_the_payment_is_shown_approved_and_paid_once(client, ann):
    page = begin(client)
    shown = client.get(page)
    assert "Confirm 49.90 EUR to The Corner Shop" in text(shown) and outbox == []
    code = client.post(page, {"next": "/paid/"})["Location"]
    assert "Confirm 49.90 EUR to The Corner Shop" in text(client.get(code))
    verification = Verification.objects.latest("created_at")
    assert (verification.purpose, verification.amount, verification.payee) == (
        "payment",
        "49.90 EUR",
        "The Corner Shop",
    )
    wrong = client.post(code, {"code": wrong_code()})
    assert "You have 4 tries left." in text(wrong) and "Confirm 49.90 EUR" in text(wrong)
    assert client.get("/paid/").status_code == 409
    assert client.post(code, {"code": last_code()})["Location"] == "/paid/"
    assert client.get("/paid/").content == b"paid"
    again = client.get("/paid/")
    assert again.status_code == 409 and "used already" in text(again)


def test_a_service_for_psd2_is_told_amount_and_payee(client, ann, settings):
    set_service(settings, PSD2=True)
    page = begin(client)
    assert "/call/" not in client.get(page).content.decode()
    client.post(page)
    sent = outbox[-1].options
    assert (sent.amount, sent.payee) == ("49.90 EUR", "The Corner Shop")
    verification = Verification.objects.latest("created_at")
    assert client.get(f"/verify/code/{verification.pk}/call/").status_code == 404
    factor = Factor.objects.get()
    assert client.post(f"{page.partition('?')[0]}{factor.pk}/call/").status_code == 404


@pytest.mark.parametrize("channel", ["sna", "auto"])
def test_a_link_that_shows_nobody_what_is_paid_is_not_offered(client, ann, settings, channel):
    settings.TWILIO_VERIFY_CHANNELS = [channel, "sms"]
    Factor.objects.update(channel=channel)
    page = begin(client)
    assert "text a code" in text(client.get(page))
    assert client.post(f"{page.partition('?')[0]}{Factor.objects.get().pk}/{channel}/").status_code == 404
    client.post(page)
    assert outbox[-1].channel == "sms"
    assert client.post(f"/verify/code/{Verification.objects.latest('created_at').pk}/{channel}/").status_code == 404


@pytest.mark.parametrize(
    "changed",
    [
        {"amount": "4.99 EUR"},
        {"amount": "49.90 USD"},
        {"amount": "49,90 EUR"},
        {"amount": "149.90 EUR"},
        {"payee": "The Comer Shop"},
        {"payee": "Тhe Corner Shop"},
    ],
    ids=["less", "currency", "comma", "more", "look-alike", "Cyrillic"],
)
def test_a_basket_that_has_changed_is_not_paid(client, ann, changed):
    approve(client)
    cart = {**BREAD, **changed}
    client.post("/set-cart/", {"cart": [cart["amount"], cart["payee"]]})
    refused = client.get("/paid/")
    assert refused.status_code == 409 and "isn't the one that you approved" in text(refused)
    client.post("/set-cart/", {"cart": [*BREAD.values()]})
    assert client.get("/paid/").content == b"paid"  # a refusal uses nothing up


def test_two_tabs_with_two_payments(client, ann):
    first, second = begin(client), begin(client, amount="5.00 EUR")
    assert "Confirm 49.90 EUR" in text(client.get(first)) and "Confirm 5.00 EUR" in text(client.get(second))
    code = client.post(first)["Location"]
    answer = client.post(second)
    assert code_path(answer) not in code  # each has a verification, and a page, of its own
    client.post(code, {"code": outbox[0].code})
    client.post("/set-cart/", {"cart": ["5.00 EUR", "The Corner Shop"]})
    assert client.get("/paid/").status_code == 409
    client.post("/set-cart/", {"cart": [*BREAD.values()]})
    assert client.get("/paid/").content == b"paid"


def test_an_approval_that_is_old_is_too_late(client, ann):
    with time_machine.travel(datetime.now(UTC).timestamp() - 700, tick=False):
        approve(client)
    refused = client.get("/paid/")
    assert refused.status_code == 409 and "too long ago" in text(refused)


def test_another_session_of_the_same_person_pays_nothing(client, ann):
    approve(client)
    other = Client()
    sign_in(other)
    with time_machine.travel(datetime.now(UTC).timestamp() + 40, tick=False):
        other.post(code_path(other.post("/verify/challenge/")), {"code": last_code()})
    other.post("/set-cart/", {"cart": [*BREAD.values()]})
    refused = other.get("/paid/")
    assert refused.status_code == 409 and "hasn't been approved" in text(refused)
    assert other.get(begin(client)).status_code == 404  # nor sees the payment


def test_a_password_alone_sees_and_approves_nothing(client, ann):
    page = begin(client)
    waiting = Client()
    sign_in(waiting)
    assert waiting.get(page)["Location"].startswith("/login/")
    assert waiting.post(page)["Location"].startswith("/login/")
    assert outbox == []


def test_a_proof_for_something_else_pays_nothing(client, ann):
    client.post("/set-cart/", {"cart": [*BREAD.values()]})
    proof = Verification.objects.get()  # of the sign-in
    session = client.session
    session["_twilio_verify_payment_proofs"] = [str(proof.pk)]
    session.save()
    assert proof.purpose == Purpose.LOGIN and client.get("/paid/").status_code == 409


def test_who_has_no_factor_adds_one_and_comes_back(client):
    user = make_user()
    client.force_login(user)
    page = begin(client)
    enroll = client.get(page)["Location"]
    assert enroll.startswith("/verify/enroll/?next=%2Fverify%2Fpayment%2F")
    wanted = page
    code = client.post("/verify/enroll/sms/", form("sms", next=wanted))["Location"]
    codes = client.post(code, {"code": last_code(), "next": wanted})
    assert "Your recovery codes" in text(codes)
    assert "Confirm 49.90 EUR" in text(client.get(page))


def test_an_address_without_consent_is_asked_for_it(client):
    user = make_user()
    make_factor(user)
    sign_in(client)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    factor = Factor.objects.get()
    page = begin(client).replace("?", f"{factor.pk}/whatsapp/?")
    outbox.clear()
    assert "checkbox" in client.get(page).content.decode()
    assert client.post(page).status_code == 200 and outbox == []
    agree(PHONE, "whatsapp", user=user)
    assert client.post(page).status_code == 302 and outbox[-1].channel == "whatsapp"


def test_another_way_carries_the_same_payment(client, ann):
    agree(PHONE, "call", user=ann)
    code = client.post(begin(client), {"next": "/paid/"})["Location"]
    verification = Verification.objects.latest("created_at")
    with time_machine.travel(datetime.now(UTC).timestamp() + 31, tick=False):
        shown = client.get(f"/verify/code/{verification.pk}/call/")
        assert "Confirm 49.90 EUR to The Corner Shop" in text(shown)
        assert client.post(f"/verify/code/{verification.pk}/call/", {"next": "/paid/"})["Location"] == code
        client.post(code, {"code": last_code()})
        client.post("/set-cart/", {"cart": [*BREAD.values()]})
        assert client.get("/paid/").content == b"paid"


HOSTILE = ["<script>alert(1)</script>", "‮RUE 09.94", "{{ settings.SECRET_KEY }}", "%(x)s %s", "a' OR 1=1 --"]


@pytest.mark.parametrize("payee", HOSTILE)
def test_a_hostile_payee_is_shown_as_it_is_and_nothing_more(client, ann, payee):
    page = begin(client, payee=payee)
    html = client.get(page).content.decode()
    assert "<script>alert" not in html and "<bdi>" in html
    code = client.post(page)["Location"]
    assert "<script>alert" not in client.get(code).content.decode()


@pytest.mark.parametrize(
    "values", [{"amount": ""}, {"payee": ""}, {"amount": "9" * 33}, {"payee": "x" * 129}, {"amount": "  "}]
)
def test_a_payment_that_is_none_is_the_sites_mistake(rf: RequestFactory, values):
    with pytest.raises(ValueError, match="A payment has an amount"):
        payments.begin(rf.get("/"), Payment(**{**BREAD, **values}), next="/")


@pytest.mark.parametrize("key", ["x", "../../etc", "0" * 500, "%00", "_twilio_verify_secret"])
def test_unknown_payments_are_404(client, ann, key):
    assert client.get(f"/verify/payment/{key}/").status_code == 404


def test_a_session_keeps_five_payments(client, ann):
    pages = [begin(client, amount=f"{number}.00 EUR") for number in range(6)]
    assert [client.get(page).status_code for page in pages] == [404, *[200] * 5]


def test_next_never_leaves_the_site(client, ann):
    page = begin(client).partition("?")[0]
    response = client.post(f"{page}?next=https://evil.example/", {"next": "//evil.example/"})
    assert "evil" not in response["Location"]


def test_email_can_approve_where_no_psd2_is_asked_for(client):
    user = make_user()
    make_factor(user, EMAIL, channel="email")
    sign_in(client)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})
    with time_machine.travel(datetime.now(UTC).timestamp() + 31, tick=False):
        page = begin(client)
        code = client.post(page, {"next": "/paid/"})["Location"]
        client.post(code, {"code": last_code()})
        assert client.get("/paid/").content == b"paid"


@pytest.mark.django_db(transaction=True)
@pytest.mark.race
def test_of_eight_loads_one_pays(client, ann):
    approve(client)
    client.get("/public/")
    browsers = [Client() for _ in range(8)]
    for browser in browsers:
        browser.cookies.update(client.cookies)
    answers = race(8, lambda index: browsers[index].get("/paid/"))
    assert sorted(getattr(one, "status_code", one) for one in answers) == [200, *[409] * 7]


@pytest.mark.parametrize("engine", ["db", "cached_db", "cache", "file", "signed_cookies"])
def test_nothing_is_paid_in_a_session_that_was_ended(settings, tmp_path, engine):
    """Approved, and then the user signs out everywhere: the site's own page is asked within the decision age."""
    settings.SESSION_ENGINE, settings.SESSION_FILE_PATH = f"django.contrib.sessions.backends.{engine}", str(tmp_path)
    settings.ROOT_URLCONF = "tests.factors.changes.urls"
    make_factor(make_user())
    there, here = proved(Client()), proved(Client())
    approve(there)
    assert here.post("/everywhere/").status_code == 200
    assert there.get("/paid/").content != b"paid"
    assert Verification.objects.get(purpose="payment").redeemed_at is None
