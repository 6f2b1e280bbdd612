"""Many at once, as django-otp's own ConcurrencyTestCase has it; on a server, where its transaction is a real one."""

from __future__ import annotations

import threading
import time

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import connection, connections, transaction
from django.test import override_settings
from django_otp import match_token, verify_token
from django_otp.forms import OTPTokenForm

from django_twilio_verify.contrib.otp.models import VerifyDevice
from django_twilio_verify.models import Verification, VerificationCheck
from django_twilio_verify.testing import VerifyServer, outbox
from tests.support.basics import last_code, race, wrong_code

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.race]
on_sqlite = connection.vendor == "sqlite"


def verified(results: list) -> int:
    assert not [one for one in results if isinstance(one, BaseException)], results
    return sum(1 for one in results if one)


def test_of_ten_right_answers_one_is_accepted(ann, device):
    device.generate_challenge()
    code = last_code()

    def work(index: int):
        if on_sqlite:
            return VerifyDevice.objects.get(pk=device.pk).verify_token(code)
        return verify_token(ann, device.persistent_id, code)

    assert verified(race(10, work)) == 1


def test_of_ten_matches_one_is_accepted(ann, device):
    device.generate_challenge()
    code = last_code()

    def work(index: int):
        if on_sqlite:
            return any(one.verify_token(code) for one in VerifyDevice.objects.devices_for_user(ann))
        return match_token(ann, code)

    assert verified(race(10, work)) == 1


def test_of_ten_wrong_answers_one_is_judged(ann, device):
    device.generate_challenge()
    wrong = wrong_code()

    def work(index: int):
        if on_sqlite:
            return VerifyDevice.objects.get(pk=device.pk).verify_token(wrong)
        form = OTPTokenForm(ann, None, {"otp_device": device.persistent_id, "otp_token": wrong})
        return form.is_valid()

    with override_settings(OTP_TWILIO_VERIFY_THROTTLE_FACTOR=60):
        assert verified(race(10, work)) == 0
    assert VerifyDevice.objects.get().throttling_failure_count == 1
    assert VerificationCheck.objects.count() == 1


def test_ten_challenges_send_once(ann, device):
    race(10, lambda index: VerifyDevice.objects.get(pk=device.pk).generate_challenge())
    assert len(outbox) == 1


def test_nothing_is_locked_while_the_provider_is_asked(ann, device, settings):
    """django-otp's own transaction is open meanwhile, except on SQLite, where it could not be."""
    verify = (lambda code: device.verify_token(code) and device) if on_sqlite else None
    verify = verify or (lambda code: verify_token(ann, device.persistent_id, code))
    with VerifyServer() as server:
        settings.TWILIO_VERIFY_BACKENDS = server.setting(timeout=10)
        device.generate_challenge()
        code = server.sent[-1].code
        server.delay(6)
        done = []

        def slow() -> None:
            done.append(verify(code))
            connections.close_all()

        thread = threading.Thread(target=slow)
        thread.start()
        deadline = time.monotonic() + 60
        while not server.count("VerificationCheck"):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        began = time.monotonic()
        with transaction.atomic():
            VerifyDevice.objects.filter(pk=device.pk).update(confirmed=True)
            Verification.objects.update(payee="")
        assert time.monotonic() - began < 5 and not done, "it was not waited for, which takes 6 seconds"
        thread.join()
        assert done == [device]


def test_what_was_judged_survives_the_callers_rollback(ann, device):
    """On SQLite nothing is judged there."""
    device.generate_challenge()

    @transaction.atomic
    def rolled_back() -> None:
        assert not VerifyDevice.objects.get().verify_token(wrong_code())
        raise ZeroDivisionError

    with pytest.raises(ImproperlyConfigured if on_sqlite else ZeroDivisionError):
        rolled_back()
    assert [one.outcome for one in VerificationCheck.objects.all()] == ([] if on_sqlite else ["wrong"])
    assert VerifyDevice.objects.get().throttling_failure_count == (0 if on_sqlite else 1)
