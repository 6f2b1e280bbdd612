"""The table of channels, and what a new row in it brings along."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import django_twilio_verify
from django_twilio_verify.channels import CHANNELS, CONSENT_CHANNELS, VERIFICATION_CHANNELS
from django_twilio_verify.choices import Channel

PACKAGE = Path(django_twilio_verify.__file__).parent
ROOT = PACKAGE.parent

MEMBER = """    RECOVERY = "recovery", _("recovery code")
"""
ROW = """    Channel.EMAIL: ChannelRow(
"""
NEW_MEMBER = """    VIBER = "viber", _("Viber message")
"""
NEW_ROW = """    Channel.VIBER: ChannelRow(
        name=_("Viber"),
        assurance=2,
        instead=_("Send a Viber message instead"),
        hint=_("We send a code to your Viber."),
        plural=_("Viber messages"),
        nouns=_("Viber messages"),
        recipient=RecipientKind.PHONE,
        has_code=True,
        disclosure=DisclosureWords(
            purpose=_("%(name)s will send a one-time security code by Viber to this number when you ask for one."),
            label=_("I agree to get one-time security codes from %(name)s by Viber."),
            once=_("%(name)s will send a security code by Viber to this number, to make sure that it is yours."),
            once_label=_("I agree to get this security code from %(name)s by Viber."),
            mentions="viber",
            cost=RATES,
        ),
    ),
"""
SCRIPT = """
import importlib, sys
from django.conf import settings
base = importlib.import_module("tests.settings")
values = {name: getattr(base, name) for name in dir(base) if name.isupper()}
values["DATABASES"] = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
values["TWILIO_VERIFY_CHANNELS"] = ["viber", "sms"]
settings.configure(**values)
import django
django.setup()
from django.core.management import call_command
from django.test import Client
call_command("makemigrations", "twilio_verify", verbosity=0)
call_command("migrate", verbosity=0)
call_command("check", verbosity=0)
from django_twilio_verify import testing, verifications
from tests.support.basics import PHONE, agree, make_client
print(Client(HTTP_HOST="localhost").get("/verify/opt-in/viber/").content.decode())
agree(PHONE, "viber")
started = verifications.start(recipient=PHONE, channel="viber", client=make_client())
print("sent by", started.channel)
code = testing.outbox[-1].code
print("approved", verifications.check(started.verification, code=code, client=make_client()).approved)
"""


@pytest.mark.parametrize("channel", Channel)
def test_every_channel_has_a_row_and_its_words(channel: Channel) -> None:
    row = CHANNELS[channel]
    assert row.name
    assert row.assurance in range(1, 6)
    if channel in VERIFICATION_CHANNELS:
        assert row.instead and row.hint and row.button and row.recipient is not None
        assert channel.consent_channel in CONSENT_CHANNELS
    if channel in CONSENT_CHANNELS:
        assert row.plural and row.disclosure is not None
        for sentence in (row.disclosure.purpose, row.disclosure.label, row.disclosure.once, row.disclosure.once_label):
            assert "%(name)s" in str(sentence)


def test_a_channel_is_added_by_its_row_and_a_migration(tmp_path: Path) -> None:
    """A copy of the package, one file of which is changed: pages, consent, a send and a check know the new channel."""
    copy = tmp_path / PACKAGE.name
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    before = {path: path.read_bytes() for path in copy.rglob("*.*") if path.is_file()}
    table = copy / "channels.py"
    text = table.read_text(encoding="utf-8")
    assert text.count(MEMBER) == text.count(ROW) == 1
    table.write_text(text.replace(MEMBER, MEMBER + NEW_MEMBER).replace(ROW, NEW_ROW + ROW), encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), str(ROOT)]), "TEST_DATABASE": "sqlite"}
    environment = {name: value for name, value in environment.items() if name != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT], env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    shown = re.sub(r"\s+", " ", done.stdout)
    assert "I agree to get one-time security codes from Acme by Viber." in shown
    assert "sent by viber" in shown and "approved True" in shown
    after = {path: path.read_bytes() for path in copy.rglob("*.*") if path.is_file() and path.suffix != ".pyc"}
    changed = {
        path.relative_to(copy).parent.name or path.name
        for path, content in after.items()
        if before.get(path) != content
    }
    assert changed == {"channels.py", "migrations"}
