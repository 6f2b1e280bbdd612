"""From the real packages' real tables."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.test import Client
from django_otp.plugins.otp_email.models import EmailDevice
from otp_twilio.models import TwilioSMSDevice
from phone_verify.models import SMSVerification
from trench.models import MFAMethod
from two_factor.plugins.phonenumber.models import PhoneDevice

from django_twilio_verify.models import ConsentEvent, Factor
from django_twilio_verify.testing import outbox
from tests.support.basics import PASSWORD
from tests.support.commands import ENVELOPE, check_call, documented_keys

pytestmark = pytest.mark.django_db

FIRST, SECOND = "+15017122661", "+15017122662"


def person(name: str = "ann", **values: Any) -> Any:
    return get_user_model().objects.create_user(name, f"{name}@example.org", PASSWORD, **values)


def run(source: str, *arguments: str) -> str:
    out = io.StringIO()
    call_command("import_factors", "--from", source, *arguments, stdout=out, stderr=out)
    return out.getvalue()


def test_the_exit_codes_and_the_json(capsys: pytest.CaptureFixture[str]) -> None:
    TwilioSMSDevice.objects.create(user=person(), number=FIRST)
    fine = check_call(capsys, 0, "import_factors", "--from", "otp_twilio")
    assert {*fine} - ENVELOPE == documented_keys("import_factors")
    TwilioSMSDevice.objects.create(user=person("bob"), number="not a number")
    found = check_call(capsys, 1, "import_factors", "--from", "otp_twilio", "--commit")
    assert (found["new"], found["bad"]) == (1, 1)
    assert check_call(capsys, 2, "import_factors", "--from", "phone_verify")["message"]
    assert FIRST not in f"{fine}{found}"


def enrolled() -> list[tuple[str, str, str, str, bool]]:
    rows = Factor.objects.order_by("user_id", "pk").select_related("user")
    return [(row.user.username, row.kind, row.channel, row.recipient_value, row.is_default) for row in rows]


def test_two_factor() -> None:
    ann, bob = person(), person("bob")
    PhoneDevice.objects.create(user=ann, name="backup", number=SECOND, method="call")
    PhoneDevice.objects.create(user=ann, name="default", number=FIRST, method="sms")
    PhoneDevice.objects.create(user=bob, name="backup", number=FIRST, method="sms")
    PhoneDevice.objects.create(user=bob, name="default", number=SECOND, method="sms", confirmed=False)
    EmailDevice.objects.create(user=bob, name="default")
    said = run("two_factor")
    assert "Would import: 4" in said and "Never proved there: 1" in said and not enrolled()
    assert "Imported: 4" in run("two_factor", "--commit")
    assert enrolled() == [
        ("ann", "phone", "call", SECOND, False),
        ("ann", "phone", "sms", FIRST, True),
        ("bob", "phone", "sms", FIRST, False),
        ("bob", "email", "email", "bob@example.org", True),  # his default among those that he has proved
    ]


def test_otp_twilio() -> None:
    ann = person()
    TwilioSMSDevice.objects.create(user=ann, name="work", number="(501) 712-2661")
    TwilioSMSDevice.objects.create(user=ann, name="home", number="not a number")
    with pytest.raises(CommandError, match="could not be read") as found:
        run("otp_twilio", "--commit", "--region", "us")
    assert found.value.returncode == 1
    assert enrolled() == [("ann", "phone", "sms", FIRST, True)] and Factor.objects.get().label == "work"


def test_trench() -> None:
    ann, bob = person(phone=FIRST), person("bob")
    MFAMethod.objects.create(user=ann, name="email", secret="x", is_active=True)
    MFAMethod.objects.create(user=ann, name="sms_twilio", secret="x", is_active=True, is_primary=True)
    MFAMethod.objects.create(user=ann, name="app", secret="x", is_active=True)
    MFAMethod.objects.create(user=bob, name="email", secret="x", is_active=False)
    said = run("trench", "--commit")
    assert "4 row(s)" in said and "Imported: 2" in said and "does not carry: 1" in said
    assert enrolled() == [
        ("ann", "email", "email", "ann@example.org", False),
        ("ann", "phone", "sms", FIRST, True),
    ]


def test_phone_verify() -> None:
    person(phone=FIRST)
    person("bob", phone=SECOND)
    SMSVerification.objects.create(security_code="1", phone_number=FIRST, session_token="a", is_verified=True)
    SMSVerification.objects.create(security_code="1", phone_number=SECOND, session_token="b")
    with pytest.raises(CommandError, match="name the user model's field"):
        run("phone_verify")
    with pytest.raises(CommandError, match="no field 'mobile'"):
        run("phone_verify", "--user-field", "mobile")
    run("phone_verify", "--user-field", "phone", "--commit")
    assert enrolled() == [("ann", "phone", "sms", FIRST, True)]


def test_allauth() -> None:
    person(phone=FIRST)
    person("bob", phone="+15017122669")
    person("cid")
    assert "Never proved there: 1" in run("allauth", "--commit")
    assert enrolled() == [("ann", "phone", "sms", FIRST, True)]


def test_an_adapter_without_phones(settings: Any) -> None:
    settings.ACCOUNT_ADAPTER = "allauth.account.adapter.DefaultAccountAdapter"
    person()
    with pytest.raises(CommandError, match="keeps no phones"):
        run("allauth")


def test_an_app_that_is_not_there(settings: Any) -> None:
    settings.INSTALLED_APPS = [app for app in settings.INSTALLED_APPS if app != "otp_twilio"]
    with pytest.raises(CommandError, match="otp_twilio is not in INSTALLED_APPS"):
        run("otp_twilio")


def test_again_and_beside_what_is_enrolled() -> None:
    """Nothing twice, and the default that a person chose stays."""
    ann = person()
    TwilioSMSDevice.objects.create(user=ann, name="default", number=FIRST)
    run("otp_twilio", "--commit")
    TwilioSMSDevice.objects.create(user=ann, name="new", number=SECOND)
    said = run("otp_twilio", "--commit")
    assert "Imported: 1" in said and "Enrolled already: 1" in said
    assert [row[4] for row in enrolled()] == [True, False]


def test_more_than_a_batch(django_assert_max_num_queries: Any) -> None:
    people = get_user_model().objects.bulk_create([get_user_model()(username=f"p{number}") for number in range(1200)])
    TwilioSMSDevice.objects.bulk_create(
        [
            TwilioSMSDevice(user=user, name="default", number=f"+1501712{number:04}")
            for number, user in enumerate(people)
        ]
    )
    with django_assert_max_num_queries(20):
        assert "Would import: 1,200" in run("otp_twilio")
    assert "Imported: 1,200" in run("otp_twilio", "--commit")
    assert Factor.objects.exclude(default_for=None).count() == 1200


def test_the_first_send_to_an_imported_number_asks() -> None:
    """Whether she agreed is unknown: no consent is made up, and her next sign-in shows the disclosure and a box."""
    TwilioSMSDevice.objects.create(user=person(), name="default", number=FIRST)
    run("otp_twilio", "--commit")
    assert not ConsentEvent.objects.exists()
    browser = Client()
    browser.post("/login/", {"username": "ann", "password": PASSWORD})
    page = browser.get("/verify/challenge/")
    assert page.context["form"].shown, "the disclosure is not on the page"
    refused = browser.post(page.request["PATH_INFO"], {})
    assert refused.status_code == 200 and not outbox
    shown = page.context["form"]
    sent = browser.post(
        page.request["PATH_INFO"], {"disclosure": shown["disclosure"].value(), "consent": "on"}, follow=True
    )
    assert sent.status_code == 200 and len(outbox) == 1 and outbox[0].to == FIRST


@pytest.mark.django_db(transaction=True)
def test_killed_and_run_again(tmp_path: Path) -> None:
    """A batch is written or not; the rest follows in the next run."""
    people = get_user_model().objects.bulk_create([get_user_model()(username=f"p{number}") for number in range(3000)])
    TwilioSMSDevice.objects.bulk_create(
        [
            TwilioSMSDevice(user=user, name="default", number=f"+1501712{number:04}")
            for number, user in enumerate(people)
        ]
    )
    from django.db import connection  # noqa: PLC0415  its settings are those of the test database by now

    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "tests.integrations.importers.settings"}
    script = (
        "import django, os, signal; from django.conf import settings;"
        f"settings.DATABASES['default']['NAME'] = {connection.settings_dict['NAME']!r};"
        "django.setup(); from django_twilio_verify.factors import importing as f; from "
        "django_twilio_verify.factors.import_sources import Source;"
        "f.run(Source('otp_twilio'), dry_run=False, progress=lambda done: os.kill(os.getpid(), signal.SIGKILL) "
        "if done >= 1000 else None)"
    )
    killed = subprocess.run([sys.executable, "-c", script], env=environment, cwd=Path(__file__).parents[3])
    assert killed.returncode == -9
    assert Factor.objects.count() == 1000
    assert "Imported: 2,000" in run("otp_twilio", "--commit")
    assert Factor.objects.count() == 3000
