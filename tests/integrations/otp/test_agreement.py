"""``is_verified()``, ``otp_required`` and the admin site of django-otp, and our wall, say the same."""

from __future__ import annotations

from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import SESSION_KEY, login
from django.contrib.auth.signals import user_login_failed
from django.contrib.sessions.backends.db import SessionStore
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test import AsyncClient, Client
from django_otp import DEVICE_ID_SESSION_KEY
from django_otp.plugins.otp_static.models import StaticDevice

from django_twilio_verify import signals
from django_twilio_verify.contrib.otp import clients
from django_twilio_verify.contrib.otp.models import VerifyDevice
from django_twilio_verify.factors import devices, recovery_codes
from django_twilio_verify.login import session
from django_twilio_verify.login.state import LoginState
from django_twilio_verify.models import Factor
from django_twilio_verify.testing import outbox
from tests.integrations.otp.helpers import account, device_login
from tests.support.basics import PASSWORD, agree, code_path, last_code, make_factor, make_user, sign_in, wrong_code

pytestmark = pytest.mark.django_db(transaction=True)


def pass_wall(client: Client) -> None:
    sign_in(client)
    client.post(code_path(client.post("/verify/challenge/")), {"code": last_code()})


def test_what_passed_our_wall_is_verified(client, ann, device):
    pass_wall(client)
    found = account(client)
    assert found == {"user": "ann", "verified": True, "passed": True, "device": device.persistent_id}
    assert client.get("/guarded/").content == b"in"
    assert client.get("/admin/").status_code == 200


def test_a_password_alone_is_verified_nowhere(client, ann, device):
    sign_in(client)
    assert client.get("/guarded/").status_code == 302
    assert client.get("/admin/").status_code == 302
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")


def test_nobody_without_a_factor_is_verified(client):
    make_user("ben")
    sign_in(client, "ben")
    assert account(client) == {"user": "ben", "verified": False, "passed": False, "device": None}
    assert client.get("/guarded/").status_code == 302


def test_the_device_that_was_used_is_the_one_that_is_named(client, ann, device):
    other = make_factor(ann, "+15017122662")
    sign_in(client)
    client.post(code_path(client.post(f"/verify/challenge/{other.pk}/sms/")), {"code": last_code()})
    assert account(client)["device"] == VerifyDevice.objects.get(factor=other).persistent_id


def test_a_recovery_code_verifies(client, ann, device):
    code = recovery_codes.issue(ann)[0]
    sign_in(client)
    client.post("/verify/challenge/recovery/", {"code": code})
    assert account(client)["verified"] is True


def test_a_removed_factor_verifies_nobody(client, ann, device):
    pass_wall(client)
    make_factor(ann, "+15017122662")
    devices.remove(ann, device.factor_id)
    found = account(client)
    assert (found["verified"], found["device"]) == (False, None)
    assert DEVICE_ID_SESSION_KEY not in client.session
    assert client.get("/admin/").status_code == 302


def test_enrolling_while_signed_in_verifies(client):
    ben = make_user("ben")
    sign_in(client, "ben")
    words = agree(user=ben).disclosure.digest
    values = {"number": "+15017122661", "disclosure": words, "consent": "on"}
    client.post(code_path(client.post("/verify/enroll/sms/", values)), {"code": last_code()})
    found = account(client)
    assert found["verified"] and found["passed"] and VerifyDevice.objects.get().persistent_id == found["device"]


def test_what_django_otp_verified_passes_our_wall(client, ann, device):
    shown = device_login(client, device, otp_challenge="1").content.decode()
    assert "OTP Challenge: We sent a code to ••• ••61." in shown and len(outbox) == 1
    assert "2 tries" not in shown and not account(client)["user"]
    answer = device_login(client, device, last_code())
    assert (answer.status_code, answer["Location"]) == (302, "/account/")
    assert account(client) == {"user": "ann", "verified": True, "passed": True, "device": device.persistent_id}
    assert client.get("/admin/").status_code == 200


def test_a_wrong_token_is_a_failed_login(client, ann, device):
    heard = []

    def receiver(sender, credentials, request, **kwargs):
        heard.append((credentials, request.path))

    device_login(client, device, otp_challenge="1")
    user_login_failed.connect(receiver)
    try:
        device_login(client, device, wrong_code())
    finally:
        user_login_failed.disconnect(receiver)
    assert heard == [({"username": "ann"}, "/device-login/")]


def test_the_form_says_why_a_code_was_refused(settings, client, ann, device):
    settings.OTP_TWILIO_VERIFY_THROTTLE_FACTOR = 1
    device_login(client, device, otp_challenge="1")
    assert "You have 4 tries left." in device_login(client, device, wrong_code()).content.decode()
    assert "temporarily disabled because of 1 failed attempt" in device_login(client, device, "1").content.decode()
    assert not account(client)["user"]


def test_the_admins_own_login_page(client, ann, device):
    def post(token="", **more):
        values = {"username": "ann", "password": PASSWORD, "otp_device": device.persistent_id, "otp_token": token}
        return client.post("/admin/login/", {**values, **more})

    post(otp_challenge="1")
    assert post(last_code()).status_code == 302
    assert client.get("/admin/").status_code == 200 and account(client)["passed"]


def test_a_code_counts_in_the_session_that_asked_for_it(client, ann, device):
    """SECURITY: who has the password and is given a code by its owner is in another browser."""
    device_login(client, device, otp_challenge="1")
    other = Client()
    assert "Invalid token" in device_login(other, device, last_code()).content.decode()
    assert not other.get("/account/").json()["user"]
    assert device_login(client, device, last_code()).status_code == 302


def test_another_session_does_not_send_beside_it(client, ann, device):
    device_login(client, device, otp_challenge="1")
    shown = device_login(Client(), device, otp_challenge="1").content.decode()
    assert "A code was sent a moment ago." in shown and len(outbox) == 1


def test_somebody_elses_device_is_no_device(client, ann):
    ben = make_user("ben")
    make_factor(ben, "+15017122662")
    his = VerifyDevice.objects.get(user=ben)
    shown = device_login(client, his, otp_challenge="1").content.decode()
    assert outbox == [] and not account(client)["user"] and "61" not in shown.partition("otp_device")[0]


def test_the_stock_form(client, ann, device):
    shown = device_login(client, device, url="/stock-login/", otp_challenge="1").content.decode()
    if connection.vendor == "sqlite":
        assert "On SQLite, verify outside of a transaction" in shown and outbox == []
        return
    assert "We sent a code" in shown
    assert device_login(client, device, last_code(), url="/stock-login/").status_code == 302
    assert account(client)["passed"]


def test_a_device_of_django_otp_passes_our_wall_as_well(client, ann):
    static = StaticDevice.objects.create(user=ann, name="backup")
    static.token_set.create(token="abc123")
    assert device_login(client, static, "abc123").status_code == 302
    found = account(client)
    assert found["verified"] and found["passed"]


def test_but_not_where_the_site_asks_for_strength_that_nobody_knows(settings, client, ann):
    settings.TWILIO_VERIFY_MINIMUM_ASSURANCE = "sms"
    static = StaticDevice.objects.create(user=ann, name="backup")
    static.token_set.create(token="abc123")
    device_login(client, static, "abc123")
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")


def test_a_device_that_was_not_asked_is_no_proof(client, ann, device, rf):
    """SECURITY: as of a cookie that remembers a browser: somebody hands ``login()`` a user with a device."""
    request = rf.get("/")
    request.session = SessionStore()
    request.twilio_verify = LoginState(request)
    request.user = ann
    ann.otp_device = VerifyDevice.objects.get()
    login(request, ann, backend="django.contrib.auth.backends.ModelBackend")
    assert session.pending_login(request) is not None and session.verified_session(request) is None


def test_an_inactive_hint_of_django_otp_opens_nothing(client, ann, device):
    """A session that waits and names a device waits on."""
    sign_in(client)
    stored = client.session
    stored[DEVICE_ID_SESSION_KEY] = device.persistent_id
    stored.save()
    assert client.get("/account/")["Location"].startswith("/verify/challenge/")


def test_async_sites(ann, device):
    browser = AsyncClient()
    post, get = async_to_sync(browser.post), async_to_sync(browser.get)
    post("/login/", {"username": "ann", "password": PASSWORD})
    post(code_path(post("/verify/challenge/")), {"code": last_code()})
    assert get("/aaccount/").json() == {"user": "ann", "verified": True}
    other = AsyncClient()
    values = {"username": "ann", "password": PASSWORD, "otp_device": device.persistent_id}
    async_to_sync(other.post)("/device-login/", {**values, "otp_challenge": "1"})
    async_to_sync(other.post)("/device-login/", {**values, "otp_token": last_code()})
    assert async_to_sync(other.get)("/account/").json()["passed"] is True


def test_removal_leaves_no_device_behind(ann, device):
    Factor.objects.all().delete()
    assert not VerifyDevice.objects.exists()


def in_session_of(user: Any, rf: Any) -> Any:
    request = rf.get("/")
    request.session = SessionStore()
    request.session[SESSION_KEY] = str(user.pk)
    request.user = user
    return request


@pytest.mark.parametrize("signal", [signals.login_completed, signals.step_up_completed])
def test_a_proof_of_another_user_verifies_no_device_here(device: VerifyDevice, rf: Any, signal: Any) -> None:
    """A program proves ann's factor in a browser that bob uses."""
    request = in_session_of(make_user("bob"), rf)
    signal.send(sender=type(device.user), request=request, user=device.user, channel="sms")
    assert DEVICE_ID_SESSION_KEY not in request.session
    own = in_session_of(device.user, rf)
    signal.send(sender=type(device.user), request=own, user=device.user, channel="sms")
    assert own.session[DEVICE_ID_SESSION_KEY] == device.persistent_id


def test_who_comes_back_from_acting_as_a_user_is_verified_to_django_otp(device: VerifyDevice, rf: Any) -> None:
    request = in_session_of(device.user, rf)
    signals.impersonation_ended.send(sender=None, request=request, user=None, impersonator=device.user)
    assert request.session[DEVICE_ID_SESSION_KEY] == device.persistent_id


def test_a_device_is_asked_nothing_by_somebody_who_acts_as_its_user(device: VerifyDevice, rf: Any) -> None:
    request = in_session_of(device.user, rf)
    request.session["hijack_history"] = ["1"]
    sent = len(outbox)
    with clients.serving(request), pytest.raises(PermissionDenied):
        device.generate_challenge()
    with clients.serving(request), pytest.raises(PermissionDenied):
        device.verify_token("123456")
    assert len(outbox) == sent
