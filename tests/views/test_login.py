"""Signing in through the pages: challenge, code, other ways, recovery, and a provider that fails."""

from __future__ import annotations

import re
from datetime import UTC, datetime

import pytest
import time_machine
from django.test import Client

from django_twilio_verify import consent
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.consent import disclosures
from django_twilio_verify.exceptions import BackendRejected, BackendUnavailable
from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.models import Factor, RecoveryCode, Verification, VerificationAttempt
from django_twilio_verify.signals import login_completed
from django_twilio_verify.testing import outbox
from tests.support.basics import (
    EMAIL,
    OTHER_PHONE,
    PHONE,
    agree,
    code_path,
    last_code,
    make_client,
    make_factor,
    make_user,
    sign_in,
    wrong_code,
)
from tests.support.pages import restart_url, text
from tests.support.services import set_service

pytestmark = pytest.mark.django_db
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock():
    with time_machine.travel(NOON, tick=False) as traveller:
        yield traveller


@pytest.fixture
def ann(client):
    user = make_user()
    make_factor(user)
    sign_in(client)
    return user


def send(client, path: str = "/verify/challenge/", **values: str):
    return client.post(path, values)


def signed_in(client) -> bool:
    return client.get("/account/").status_code == 200


def test_password_then_code_then_in(client, ann):
    assert "••• ••61" in text(client.get("/verify/challenge/")) and outbox == []
    page = code_path(send(client))
    shown = client.get(page)
    assert PHONE[-4:] not in text(shown) and "••61" in text(shown)
    assert client.post(page, {"code": last_code()})["Location"] == "/account/"
    assert signed_in(client)
    assert Factor.objects.get().last_used_at is not None
    verification = Verification.objects.get()
    assert (verification.purpose, verification.factor.user, verification.user) == ("login", ann, ann)


def test_a_wrong_code_lets_nobody_in(client, ann):
    page = code_path(send(client))
    assert "You have 4 tries left." in text(client.post(page, {"code": wrong_code()}))
    assert not signed_in(client)


def test_the_signal_names_the_way(client, ann):
    heard = []

    def receiver(sender, request, user, channel, **kwargs):
        heard.append((user, channel))

    login_completed.connect(receiver)
    try:
        client.post(code_path(send(client)), {"code": last_code()})
    finally:
        login_completed.disconnect(receiver)
    assert heard == [(ann, "sms")]


def test_the_default_factor_comes_first_and_all_other_ways_are_offered(client, ann):
    make_factor(ann, EMAIL, channel="email")
    phone, email = Factor.objects.order_by("id")
    html = client.get("/verify/challenge/").content.decode()
    for factor, channel in ((phone, "call"), (phone, "whatsapp"), (email, "email")):
        assert f"/verify/challenge/{factor.pk}/{channel}/" in html
    Factor.objects.filter(pk=phone.pk).update(default_for=None)
    Factor.objects.filter(pk=email.pk).update(default_for=ann)
    assert "a•••@example.org" in text(client.get("/verify/challenge/"))


def test_another_factor_signs_in_as_well(client, ann):
    make_factor(ann, EMAIL, channel="email")
    email = Factor.objects.get(kind="email")
    page = code_path(send(client, f"/verify/challenge/{email.pk}/email/"))
    assert outbox[-1].to == EMAIL
    client.post(page, {"code": last_code()})
    assert signed_in(client)


def test_another_way_to_the_same_number_asks_for_its_own_consent(client, ann):
    factor = Factor.objects.get()
    path = f"/verify/challenge/{factor.pk}/call/"
    shown = disclosures.compose(disclosures.Channel.CALL)
    html = client.get(path).content.decode()
    assert shown.lines[0] in text(client.get(path))
    assert "checked" not in re.search(r'<input type="checkbox"[^>]*>', html).group()
    refused = send(client, path)
    assert refused.status_code == 200 and outbox == []
    page = code_path(send(client, path, disclosure=shown.digest, consent="on"))
    assert outbox[-1].channel == "call"
    client.post(page, {"code": last_code()})
    assert signed_in(client)
    assert consent.find(recipient=PHONE, channel="call", client=make_client(), user=ann) is not None


def test_the_default_way_asks_again_after_consent_was_withdrawn(client, ann):
    consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=ann)
    assert "checkbox" in client.get("/verify/challenge/").content.decode()
    assert send(client).status_code == 200 and outbox == []


@pytest.mark.parametrize(
    "path", ["/verify/challenge/999/sms/", "/verify/challenge/{}/email/", "/verify/challenge/{}/fax/"]
)
def test_ways_that_are_not_the_persons_are_not_there(client, ann, path):
    stranger = make_user("eve")
    make_factor(stranger, OTHER_PHONE)
    for factor in Factor.objects.all():
        if factor.user == ann and "{}" not in path:
            continue
        for answer in (client.get(path.format(factor.pk)), client.post(path.format(factor.pk))):
            if factor.user == ann:  # a way that this factor has not
                assert answer.status_code == 404
            else:  # alike for what is gone and for what is somebody else's: to what is left, and why
                assert answer["Location"] == "/verify/challenge/?gone=1"
    theirs = Factor.objects.get(user=stranger)
    assert client.post(f"/verify/challenge/{theirs.pk}/sms/")["Location"] == "/verify/challenge/?gone=1"
    assert "This sign-in method was removed or changed." in text(client.get("/verify/challenge/?gone=1"))
    assert outbox == []


def test_the_challenge_is_nothing_for_a_visitor_or_for_who_is_in(client):
    assert client.get("/verify/challenge/")["Location"].startswith("/login/")
    make_user("bob")
    sign_in(client, "bob")
    assert client.get("/verify/challenge/")["Location"] == "/account/"
    assert client.get("/verify/challenge/recovery/?next=/context/")["Location"] == "/context/"


def test_resending_waits_for_the_servers_spacing(client, clock, ann):
    page = code_path(send(client))
    early = client.post(page + "resend/")
    assert early.status_code == 429 and early["Retry-After"] == "30"
    assert "A code was sent a moment ago." in text(early)
    assert 'name="code"' in early.content.decode()  # the code that is under way can still be typed
    clock.shift(30)
    assert code_path(client.post(page + "resend/")) == page
    assert [message.code for message in outbox] == [outbox[0].code] * 2
    assert client.get(page + "resend/").status_code == 405


def test_an_expired_code_says_so_and_a_new_one_can_be_had(client, clock, ann):
    page = code_path(send(client))
    code = last_code()
    clock.shift(601)
    assert "expired" in text(client.get(page))
    assert "This code has expired. Ask for a new one." in text(client.post(page, {"code": code}))
    sent = len(outbox)
    for button in ("resend/", "call/"):  # of a page that was left open
        old = client.post(page + button)
        assert old.status_code == 200 and len(outbox) == sent
    fresh = code_path(client.post(restart_url(old)))
    assert fresh != page
    client.post(fresh, {"code": last_code()})
    assert signed_in(client)


def test_the_other_way_of_the_code_page_sends_the_same_code(client, clock, ann):
    page = code_path(send(client))
    agree(PHONE, "call", user=ann)
    assert client.get(page + "call/").status_code == 200
    assert len(outbox) == 1
    assert client.post(page + "call/").status_code == 429
    clock.shift(30)
    assert code_path(client.post(page + "call/")) == page
    assert [(message.channel, message.code) for message in outbox] == [
        ("sms", outbox[0].code),
        ("call", outbox[0].code),
    ]
    assert code_path(client.get(page + "call/")) == page  # it goes that way already
    for path in ("email/", "fax/"):
        assert client.get(page + path).status_code == 404


def test_five_wrong_codes_end_it_and_another_factor_is_left(client, ann):
    make_factor(ann, EMAIL, channel="email")
    page = code_path(send(client))
    for _ in range(5):
        told = client.post(page, {"code": wrong_code()})
    assert "Too many wrong codes." in text(told)
    assert send(client).status_code == 429
    email = Factor.objects.get(kind="email")
    client.post(code_path(send(client, f"/verify/challenge/{email.pk}/email/")), {"code": last_code()})
    assert signed_in(client)


def test_a_recovery_code_signs_in_once(client, ann):
    codes = recovery_codes.issue(ann)
    assert client.post("/verify/challenge/recovery/", {"code": codes[0].upper()})["Location"] == "/account/"
    assert signed_in(client)
    client.post("/logout/")
    sign_in(client)
    again = client.post("/verify/challenge/recovery/", {"code": codes[0]})
    assert "This is not one of your unused recovery codes." in text(again)
    assert (
        client.post("/verify/challenge/recovery/?next=/context/", {"code": codes[1].replace("-", " ")})["Location"]
        == "/context/"
    )


@pytest.mark.parametrize("typed", ["", "x", "ÄÖÜ", "0000-0000-0000", "a" * 100, "a" * 5000])
def test_what_is_no_recovery_code_is_told_so(client, ann, typed):
    recovery_codes.issue(ann)
    response = client.post("/verify/challenge/recovery/", {"code": typed})
    assert response.status_code == 200 and "problem" in text(response).lower()
    assert not signed_in(client)


def test_somebody_elses_recovery_code_is_none(client, ann):
    codes = recovery_codes.issue(make_user("eve"))
    client.post("/verify/challenge/recovery/", {"code": codes[0]})
    assert not signed_in(client)
    assert RecoveryCode.objects.filter(used_at=None).count() == 10


def test_guessing_recovery_codes_ends_after_ten(client, ann):
    good = recovery_codes.issue(ann)[0]
    for _ in range(10):
        client.post("/verify/challenge/recovery/", {"code": "0000-0000-0000"})
    response = client.post("/verify/challenge/recovery/", {"code": good})
    assert response.status_code == 429 and int(response["Retry-After"]) > 300
    assert not signed_in(client)


@pytest.mark.parametrize(
    ("fault", "status", "sentence", "attempt"),
    [
        (BackendUnavailable(may_have_been_done=False), 503, "is not answering", "not_sent"),
        (BackendRejected("cannot_send", provider_code=60410), 200, "We cannot send a code there right now.", "refused"),
        (BackendRejected("wait", provider_code=60212), 429, "Too many codes were asked for.", "refused"),
        (
            BackendRejected("misconfigured", provider_code=60223),
            200,
            "This way does not work at the moment.",
            "refused",
        ),
    ],
    ids=["down", "blocked", "too many", "switched off"],
)
def test_a_provider_that_cannot_send_is_told_and_leaves_other_ways(client, ann, fault, status, sentence, attempt):
    make_factor(ann, EMAIL, channel="email")
    backends["default"].fail_next(fault)
    response = send(client)
    assert response.status_code == status and sentence in text(response)
    assert f"/verify/challenge/{Factor.objects.get(kind='email').pk}/email/" in response.content.decode()
    assert status == 200 or "Retry-After" in response.headers
    assert VerificationAttempt.objects.get().status == attempt
    assert code_path(send(client)) and len(outbox) == 1


def test_a_doubtful_send_shows_the_code_page_and_says_so(client, ann):
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=True), carried_out=True)
    page = code_path(send(client))
    words = text(client.get(page))
    assert "did not confirm" in words or "may still arrive" in words
    client.post(page, {"code": last_code()})
    assert signed_in(client)


def test_a_provider_that_cannot_check_is_told_and_the_code_stays_good(client, ann):
    page = code_path(send(client))
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
    response = client.post(page, {"code": last_code()})
    assert response.status_code == 503 and "is not answering" in text(response)
    client.post(page, {"code": last_code()})
    assert signed_in(client)


def test_a_session_swapped_between_start_and_check_proves_nothing(client, ann):
    page = code_path(send(client))
    code = last_code()
    other = type(client)()
    sign_in(other)
    assert other.get(page).status_code == 404
    assert other.post(page, {"code": code}).status_code == 404
    assert not signed_in(other)
    visitor = type(client)()
    assert visitor.post(page, {"code": code})["Location"] == "/account/"
    assert not signed_in(visitor)


@pytest.mark.parametrize("page", ["", "resend/", "call/"])
def test_a_second_press_whose_session_was_replaced_goes_where_the_first_one_went(client, ann, page):
    """The browser shows the answer to the second press, and holds the cookie of the first."""
    stale = type(client)()
    stale.cookies.update(client.cookies)
    code_page = code_path(send(client))
    client.post(code_page, {"code": last_code()})
    assert stale.post(f"{code_page}{page}?next=/context/", {"code": last_code()})["Location"] == "/context/"
    late = stale.post(f"/verify/code/3fa63c9c-4a80-4a26-b855-05f4d3e7e7a2/{page}")
    assert late["Location"] == "/account/"
    assert "sessionid" not in late.cookies, "the browser goes on with the session of the first press"
    assert not signed_in(stale)


def test_a_proof_that_comes_after_giving_up_signs_nobody_in(client, ann):
    page = code_path(send(client))
    client.post("/verify/challenge/cancel/")
    assert client.post(page, {"code": last_code()})["Location"] == "/account/"
    assert not signed_in(client)


def test_a_proof_after_the_sign_in_has_waited_too_long_signs_nobody_in(client, ann, settings):
    set_service(settings, CODE_LIFETIME_SECONDS=3600)
    page = code_path(send(client))
    with time_machine.travel(datetime.now(UTC).timestamp() + 1900, tick=False):
        client.post(page, {"code": last_code()})
        assert not signed_in(client)


def test_csrf_is_asked_for_on_every_post(ann):
    strict = Client(enforce_csrf_checks=True)
    for path in (
        "/verify/challenge/",
        "/verify/challenge/cancel/",
        "/verify/challenge/recovery/",
        "/verify/enroll/sms/",
        "/verify/recovery-codes/",
    ):
        assert strict.post(path).status_code == 403, path


def test_a_code_with_letters_is_asked_for_with_a_keyboard_that_has_them(client, ann, settings):
    assert 'inputmode="numeric"' in client.get(code_path(send(client))).content.decode()
    backends["default"].reset()
    Verification.objects.all().delete()
    settings.TWILIO_VERIFY_SEND_OPTIONS = {"custom_code": "7xQ2"}
    page = code_path(send(client))
    shown = client.get(page).content.decode()
    assert 'inputmode="text"' in shown and 'inputmode="numeric"' not in shown
    client.post(page, {"code": "7xQ2"})
    assert signed_in(client)
