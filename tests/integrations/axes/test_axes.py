"""Failed factors are failed logins: counted, locked out, and let in again."""

from __future__ import annotations

from typing import Any

import pytest
from axes.models import AccessAttempt
from axes.utils import reset
from django.contrib.auth.signals import user_login_failed
from django.test import Client, override_settings

from django_twilio_verify import consent
from django_twilio_verify.factors import recovery_codes
from django_twilio_verify.models import Verification, VerificationCheck
from django_twilio_verify.testing import outbox
from tests.support.basics import (
    PASSWORD,
    code_path,
    last_code,
    make_client,
    make_factor,
    make_user,
    sign_in,
    wrong_code,
)

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def ann(client):
    user = make_user()
    make_factor(user)
    sign_in(client)
    return user


def code_page(client: Client) -> str:
    return code_path(client.post("/verify/challenge/"))


def failures(username: str = "ann") -> int:
    return sum(one.failures_since_start for one in AccessAttempt.objects.filter(username=username))


def who(client: Client) -> str:
    response = client.get("/account/")
    return response.json()["user"] if response.status_code == 200 else ""


def test_each_wrong_code_is_a_failed_login(client, ann):
    page = code_page(client)
    heard = []

    def receiver(sender, credentials, request, **kwargs):
        heard.append((credentials, request.path))

    user_login_failed.connect(receiver)
    try:
        client.post(page, {"code": wrong_code()})
        client.post(page, {"code": "12"})
        client.post(page, {"code": ""})
    finally:
        user_login_failed.disconnect(receiver)
    assert heard == [({"username": "ann"}, page)] and failures() == 1


def test_passwords_and_codes_count_together_and_the_third_failure_locks(client, ann):
    Client().post("/login/", {"username": "ann", "password": "wrong"})
    page = code_page(client)
    assert client.post(page, {"code": wrong_code()}).status_code == 200
    locked = client.post(page, {"code": wrong_code()})
    assert locked.status_code == 429 and b"Account locked" in locked.content


def locked_out(client: Client) -> str:
    page = code_page(client)
    for _ in range(3):
        client.post(page, {"code": wrong_code()})
    return page


def test_who_is_locked_out_is_judged_and_sent_nothing(client, ann):
    page = locked_out(client)
    judged, sent = VerificationCheck.objects.count(), len(outbox)
    assert judged == 3
    assert client.post(page, {"code": last_code()}).status_code == 429
    assert client.post("/verify/challenge/").status_code == 429
    assert client.post("/verify/challenge/recovery/", {"code": recovery_codes.issue(ann)[0]}).status_code == 429
    assert (VerificationCheck.objects.count(), len(outbox)) == (judged, sent)
    assert sign_in(Client()).status_code == 429  # nor by the password, anew
    assert who(client) == ""


def test_pages_can_be_read_and_left(client, ann):
    page = locked_out(client)
    assert client.get(page).status_code == 200
    assert client.post("/verify/challenge/cancel/").status_code == 302
    assert client.get("/login/").status_code == 200


def test_once_reset_the_same_code_is_right(client, ann):
    page = locked_out(client)
    reset(username="ann")
    assert client.post(page, {"code": last_code()}).status_code == 302
    assert who(client) == "ann"


def test_wrong_recovery_codes_lock_as_well(client, ann):
    codes = recovery_codes.issue(ann)
    for _ in range(2):
        assert client.post("/verify/challenge/recovery/", {"code": "zzzz-zzzz-zzzz"}).status_code == 200
    assert client.post("/verify/challenge/recovery/", {"code": "zzzz-zzzz-zzzz"}).status_code == 429
    assert client.post("/verify/challenge/recovery/", {"code": codes[0]}).status_code == 429
    assert who(client) == ""


def test_another_person_and_another_address_are_not_locked(client, ann):
    locked_out(client)
    elsewhere = Client(REMOTE_ADDR="203.0.113.9")
    assert sign_in(elsewhere).status_code == 302
    assert elsewhere.get("/verify/challenge/").status_code == 200
    ben = make_user("ben")
    make_factor(ben, "+15017122662")
    beside = Client()
    sign_in(beside, "ben")
    assert beside.post(code_page(beside), {"code": last_code()}).status_code == 302
    assert who(beside) == "ben"


def test_codes_of_visitors_are_no_logins(client):
    """A wrong code on a page without an account says nothing of anybody's."""
    shown = client.get("/verify/opt-in/sms/")
    digest = shown.context["form"].initial["disclosure"]
    values = {"number": "+15017122661", "disclosure": digest, "consent": "on"}
    client.post("/verify/opt-in/sms/", values)
    assert not AccessAttempt.objects.exists()


def test_enrolling_is_no_login(client):
    ben = make_user("ben")
    sign_in(client, "ben")
    digest = client.get("/verify/enroll/sms/").context["form"].initial["disclosure"]
    values = {"number": "+15017122661", "disclosure": digest, "consent": "on"}
    page = code_path(client.post("/verify/enroll/sms/", values))
    assert client.post(page, {"code": wrong_code()}).status_code == 200
    assert consent.find(recipient="+15017122661", channel="sms", client=make_client(), user=ben)
    assert failures("ben") == 0


@override_settings(TWILIO_VERIFY_DEFER_LOGIN_SIGNAL=False)
def test_without_deferral_the_right_password_starts_the_count_anew(client, ann):
    page = code_page(client)
    for _ in range(2):
        client.post(page, {"code": wrong_code()})
    assert failures() == 2
    sign_in(Client())
    assert failures() == 0


@override_settings(AXES_LOCKOUT_PARAMETERS=["ip_address"])
def test_who_is_locked_out_can_still_stop_messages(client, ann):
    page = locked_out(client)
    assert client.post(page, {"code": last_code()}).status_code == 429
    visitor = Client()
    digest = visitor.get("/verify/stop/sms/").context["form"].initial["disclosure"]
    values = {"number": "+15017122669", "disclosure": digest, "consent": "on"}
    proof = code_path(visitor.post("/verify/stop/sms/", values))
    assert visitor.post(proof, {"code": last_code()}).status_code == 302
    assert Verification.objects.get(purpose="verify").status == "approved"


@override_settings(AXES_ENABLED=False)
def test_axes_can_be_switched_off(client, ann):
    page = locked_out(client)
    assert client.post(page, {"code": last_code()}).status_code == 302


def test_with_deferral_the_count_lasts_until_the_factor_has_passed(client, ann):
    page = code_page(client)
    for _ in range(2):
        client.post(page, {"code": wrong_code()})
    again = Client()
    sign_in(again)
    assert failures() == 2
    again.post(code_page(again), {"code": last_code()})
    assert who(again) == "ann" and failures() == 0


def test_a_program_is_locked_out_as_a_browser_is():
    """It keeps no session: who it signs in is known when its login is read, and axes is asked then."""
    make_factor(make_user())
    waiting = ask("", username="ann", password=PASSWORD).json()
    way = {name: waiting["ways"][0][name] for name in ("factor", "channel")}
    sent = ask("start/", login=waiting["login"], **way).json()
    begun = {"login": waiting["login"], "verification": sent["verification"]}
    for _ in range(3):
        refused = ask("check/", **begun, code=wrong_code())
    assert refused.status_code == 429
    before = len(outbox), VerificationCheck.objects.count()
    assert ask("check/", **begun, code=last_code()).status_code == 429
    assert ask("check/", login=waiting["login"], recovery_code="abcd-efgh-jkmn").status_code == 429
    assert ask("start/", login=waiting["login"], **way, resend=True).status_code == 429
    assert (len(outbox), VerificationCheck.objects.count()) == before
    reset(username="ann")
    assert "token" in ask("check/", **begun, code=last_code()).json()


def ask(step: str, **body: Any) -> Any:
    return Client().post(f"/api/login/{step}", body, content_type="application/json")
