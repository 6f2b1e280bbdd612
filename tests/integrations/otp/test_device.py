"""The device by itself: what it sends, judges and refuses, and what that costs."""

from __future__ import annotations

import json

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connection, transaction
from django_otp import devices_for_user, match_token, user_has_device, verify_token
from django_otp.models import Device, GenerateNotAllowed
from django_otp.plugins.otp_totp.models import TOTPDevice

from django_twilio_verify import consent
from django_twilio_verify.backends.handler import backends
from django_twilio_verify.contrib.otp.management.commands import sync_otp_devices
from django_twilio_verify.contrib.otp.models import VerifyDevice
from django_twilio_verify.exceptions import BackendUnavailable, RateLimited
from django_twilio_verify.factors import devices
from django_twilio_verify.models import Factor, Verification, VerificationCheck
from django_twilio_verify.testing import VerifyServer, outbox
from tests.integrations.otp.helpers import app_of
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE, last_code, make_client, make_factor, make_user, wrong_code
from tests.support.commands import check_reference, documented_keys

pytestmark = pytest.mark.django_db(transaction=True)
on_sqlite = connection.vendor == "sqlite"


def test_each_factor_has_one_device_that_goes_with_it(ann, device):
    assert device.factor.recipient_value == PHONE and device.confirmed and device.created_at is not None
    assert Device.from_persistent_id(device.persistent_id) == device
    assert device.persistent_id == f"twilio_verify_otp.verifydevice/{device.pk}"
    assert "••61" in device.name and PHONE not in f"{device} {device.name}"
    assert devices.remove(ann, device.factor_id)
    assert not VerifyDevice.objects.exists() and not user_has_device(ann)


def test_factors_that_are_not_confirmed_are_no_devices(ann):
    factor = Factor.objects.get()
    Factor.objects.create(user=ann, kind="totp", channel="totp", key="YF1", sid="YF1", created_at=factor.created_at)
    assert [one.factor for one in devices_for_user(ann)] == [factor]


def test_factors_that_were_there_before_get_theirs(ann, capsys):
    VerifyDevice.objects.all().delete()
    call_command("sync_otp_devices")
    assert "1 made." in capsys.readouterr().out and user_has_device(ann)
    call_command("sync_otp_devices", "--json")
    assert json.loads(capsys.readouterr().out) == {
        "command": "sync_otp_devices",
        "result": "fine",
        "message": "",
        "made": 0,
    }
    assert documented_keys("sync_otp_devices") == {"made"}
    check_reference("sync_otp_devices", sync_otp_devices.Command())
    VerifyDevice.objects.all().delete()
    call_command("migrate", verbosity=0)
    assert user_has_device(ann)


def test_the_default_factor_is_the_first(ann, device):
    make_factor(ann, EMAIL, channel="email")
    assert [one.factor.kind for one in devices_for_user(ann)] == ["phone", "email"]
    Factor.objects.update(default_for=None)
    Factor.objects.filter(kind="email").update(default_for=ann)
    assert [one.factor.kind for one in devices_for_user(ann)] == ["email", "phone"]


def test_a_code_is_sent_and_right_once(ann, device):
    assert device.is_interactive()
    assert device.generate_challenge() == "We sent a code to ••• ••61." and len(outbox) == 1
    code = last_code()
    assert device.verify_token(code)
    assert device.proved_by == "sms" and device.problem == ""
    assert not device.verify_token(code)
    verification = Verification.objects.get()
    assert (verification.purpose, verification.factor_id, verification.user) == ("login", device.factor_id, ann)
    assert VerifyDevice.objects.get().last_used_at is not None


def test_numbers_keep_their_leading_zeros(device, monkeypatch):
    monkeypatch.setattr("django_twilio_verify.backends.simulator.verifications.secrets.randbelow", lambda bound: 7890)
    device.generate_challenge()
    assert last_code() == "007890"
    assert device.verify_token(7890)


def test_challenges_in_a_row_send_once(device):
    said = {device.generate_challenge() for _ in range(3)}
    assert said == {"We sent a code to ••• ••61."} and len(outbox) == 1
    allowed, why = device.generate_is_allowed()
    assert not allowed and why["reason"] == GenerateNotAllowed.COOLDOWN_DURATION_PENDING
    assert why["next_generation_at"] >= Verification.objects.get().resend_at


def test_without_consent_nothing_is_sent_and_the_person_is_told(ann, device):
    consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=ann)
    assert "agree" in device.generate_challenge().lower()
    assert outbox == [] and not Verification.objects.exists()


def test_a_way_that_was_agreed_to_is_taken_before_one_that_was_not(ann, device):
    consent.withdraw(recipient=PHONE, channel="sms", client=make_client(), user=ann)
    from_other = make_factor(ann, OTHER_PHONE, channel="sms", agreed=False)
    consent.grant(
        recipient=OTHER_PHONE,
        channel="call",
        user=ann,
        client=make_client(),
        disclosure=consent.get_disclosure("call"),
    )
    VerifyDevice.objects.get(factor=from_other).generate_challenge()
    assert [(one.to, one.channel) for one in outbox] == [(OTHER_PHONE, "call")]


def test_the_limits_hold(settings, ann, device):
    settings.TWILIO_VERIFY_LIMITS = {"login_network_hour": 0}
    assert device.generate_challenge() == str(RateLimited.user_messages["login_network_hour"]) and outbox == []


@pytest.mark.parametrize("token", ["", "abc", "12", -1, None, True, 3.5, b"123456", ["1"], "1" * 5000, "\0"])
def test_what_is_no_code_is_refused_without_a_call(settings, device, token):
    settings.OTP_TWILIO_VERIFY_THROTTLE_FACTOR = 0
    device.generate_challenge()
    calls = VerificationCheck.objects.count()
    assert device.verify_token(token) is False
    assert VerificationCheck.objects.count() == calls
    assert device.verify_token(last_code())


def test_after_five_wrong_codes_the_right_one_is_refused_and_said_to_be(settings, device):
    settings.OTP_TWILIO_VERIFY_THROTTLE_FACTOR = 0
    device.generate_challenge()
    for _ in range(5):
        assert not device.verify_token(wrong_code())
    assert not device.verify_token(last_code())
    assert device.verify_is_allowed() == (
        False,
        {"error_message": "Too many wrong codes. You can ask for a new code later."},
    )
    assert "Too many wrong codes" in device.problem
    assert device.generate_is_allowed()[0] is False


def test_a_provider_that_is_down_is_no_failed_try(device):
    device.generate_challenge()
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=False))
    assert not device.verify_token(last_code())
    assert "not answering" in device.problem
    assert VerifyDevice.objects.get().throttling_failure_count == 0
    assert device.verify_token(last_code())


def test_a_lost_answer_is_not_asked_again(device):
    backends["default"].fail_next(BackendUnavailable(may_have_been_done=True), carried_out=True)
    assert device.generate_challenge().startswith("We sent a code") and len(outbox) == 1
    assert device.verify_token(last_code())


def test_one_typed_code_costs_one_call_however_many_devices(settings, ann):
    """The device that was not asked for a code refuses here, over HTTP with the real SDK."""
    make_factor(ann, EMAIL, channel="email")
    make_factor(ann, OTHER_PHONE)
    with VerifyServer() as server:
        settings.TWILIO_VERIFY_BACKENDS = server.setting(timeout=10)
        last = list(devices_for_user(ann))[-1]
        last.generate_challenge()
        code = server.sent[-1].code
        found = next(one for one in devices_for_user(ann) if one.verify_token(code))
        assert found == last and server.count("VerificationCheck") == 1
        assert VerifyDevice.objects.get(pk=last.pk).throttling_failure_count == 0


def test_another_persons_device_proves_nothing(ann, device):
    ben = make_user("ben")
    device.generate_challenge()
    assert verify_token(ben, device.persistent_id, last_code()) is None
    assert not VerificationCheck.objects.exists() and VerifyDevice.objects.get().throttling_failure_count == 0


def test_an_authenticator_app(ann):
    device, app = app_of(ann)
    assert not device.is_interactive() and device.generate_challenge() is None
    assert not device.verify_token(wrong_code(app.code()))
    VerifyDevice.objects.update(throttling_failure_count=0, throttling_failure_timestamp=None)
    device = VerifyDevice.objects.get(pk=device.pk)
    assert device.verify_token(int(app.code())) and device.proved_by == "totp"
    assert not device.verify_token(app.code())


def test_a_lost_factor_is_not_offered(ann, device):
    Factor.objects.update(lost_at=device.created_at)
    assert not list(devices_for_user(ann))


@pytest.mark.parametrize("change", [{"lost_at": "2026-11-20T12:00:00Z"}, {"confirmed_at": None}, {"user": "eve"}])
def test_a_code_of_a_factor_that_is_gone_is_refused(ann, device, change):
    device.generate_challenge()
    code, sent = last_code(), len(outbox)
    values = {name: make_user("eve") if value == "eve" else value for name, value in change.items()}
    Factor.objects.filter(pk=device.factor_id).update(**values, default_for=None)
    assert not device.verify_token(code)
    assert "removed or changed" in device.problem
    Verification.objects.update(status="expired", pending_key=None)
    VerifyDevice.objects.update(last_generated_timestamp=None)
    again = VerifyDevice.objects.get()
    assert again.generate_challenge() and len(outbox) == sent


def test_deleting_the_device_removes_the_factor(ann, device):
    make_factor(ann, EMAIL, channel="email")
    device.delete()
    assert Factor.objects.get().kind == "email" and Factor.objects.get().is_default
    with transaction.atomic():
        VerifyDevice.objects.get().delete()
    assert not Factor.objects.exists() and not VerifyDevice.objects.exists()


def test_within_a_transaction_on_sqlite_it_says_what_to_do_instead(ann, device):
    device.generate_challenge()
    code = last_code()
    if not on_sqlite:
        assert verify_token(ann, device.persistent_id, code) == device
        return
    with pytest.raises(ImproperlyConfigured, match="outside of a transaction"):
        verify_token(ann, device.persistent_id, code)
    with pytest.raises(ImproperlyConfigured), transaction.atomic():
        VerifyDevice.objects.get().generate_challenge()
    assert VerifyDevice.objects.get().verify_token(code)


def test_where_nothing_is_pending_match_token_asks_nobody_and_throttles_nobody(ann, device):
    TOTPDevice.objects.create(user=ann, name="app")
    assert match_token(ann, "123456") is None
    assert VerifyDevice.objects.get().throttling_failure_count == 0 and not VerificationCheck.objects.exists()
