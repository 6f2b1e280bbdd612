"""Every management command: help, exit codes, JSON, and the reference."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, load_command_class
from django.utils import timezone

import django_twilio_verify
from django_twilio_verify import consent, verifications
from django_twilio_verify.consent import importing
from django_twilio_verify.factors import erasure
from django_twilio_verify.ledger import audit, retention, sealing
from django_twilio_verify.ledger.addressees import Addressee
from django_twilio_verify.management.commands import export_evidence
from django_twilio_verify.models import ConsentEvent, ConsentSeal, Entity, Factor
from django_twilio_verify.signals import consent_recorded
from django_twilio_verify.testing import VerifyServer
from tests.support.basics import EMAIL, PHONE, agree, make_client, make_factor, make_secret, make_user
from tests.support.commands import ENVELOPE, check_reference, check_run, documented_keys, run

PACKAGE = Path(django_twilio_verify.__file__).parent
ROOT = PACKAGE.parent
DJANGOS = {"flush"}
"""Django's own commands that ours extend."""
ELSEWHERE = {
    "sync_otp_devices": "tests/integrations/otp/test_device.py",
    "import_factors": "tests/integrations/importers/test_import_factors.py",
}
"""Commands that do their work with another app only, and the tests that run them beside it."""

WHY = ("--reason", "case 7", "--by", "ann")
SERVICE = {"friendly_name": "Acme Shop"}
LOCMEM = {"default": {"BACKEND": "django_twilio_verify.backends.locmem.LocMemBackend"}}


@dataclass
class World:
    """What a row may use."""

    settings: Any
    folder: Path
    server: VerifyServer

    def file(self, name: str, text: str) -> str:
        place = self.folder / name
        place.write_text(text, encoding="utf-8")
        return str(place)

    def use_server(self, *, service: Any = None, **options: Any) -> None:
        config = self.server.setting()["default"]
        config = {**config, "OPTIONS": {**config["OPTIONS"], **options}}
        self.settings.TWILIO_VERIFY_BACKENDS = {
            "default": config if service is None else {**config, "SERVICE": service}
        }


Arguments = tuple[str, ...]
Scene = Callable[[World], Arguments]


@dataclass(frozen=True)
class Row:
    """How a command comes to each of its exit codes: scenes that return its arguments. ``found``: ``None`` if it has
    nothing to find, or not here.
    """

    fine: Scene
    found: Scene | None
    could_not_look: Scene


def nothing(world: World) -> Arguments:
    return ()


def bad_keys(world: World) -> Arguments:
    world.settings.TWILIO_VERIFY_SIGNING_KEYS = [("short", "x")]
    return ()


def bad_retention(world: World) -> Arguments:
    world.settings.TWILIO_VERIFY_EVIDENCE_RETENTION_DAYS = 0
    return ()


# ---------------------------------------------------------------------------------------------- disclosures, URLs


def good_words(world: World) -> Arguments:
    terms = world.file("terms.txt", "Message and data rates may apply. Write to help@acme.example for help.")
    privacy = world.file("privacy.txt", "We never share your mobile phone number with anybody.")
    return ("--language", "en", "--terms", terms, "--privacy", privacy)


def text_messages_only(world: World) -> Arguments:
    world.settings.TWILIO_VERIFY_CHANNELS = ["sms"]
    return ("--language", "en")


def no_such_page(world: World) -> Arguments:
    return ("--language", "en", "--terms", str(world.folder / "absent.txt"))


def unknown_setting(world: World) -> Arguments:
    world.settings.TWILIO_VERIFY_CHANNELS = ["pigeon"]
    return ()


# --------------------------------------------------------------------------------------------------------- ledger


def events(world: World) -> Arguments:
    agree()
    agree(EMAIL, "email")
    return ()


def no_time_stamp(world: World) -> Arguments:
    world.settings.TWILIO_VERIFY_TIMESTAMP_URL = "http://127.0.0.1:9/"
    agree(channel="call")
    return ()


def missing_seal(world: World) -> Arguments:
    return ("--expect-seal", "0" * 64)


def agreed(world: World) -> Arguments:
    agree()
    make_factor(make_user(), agreed=False)
    return (PHONE, *WHY)


def held(world: World) -> Arguments:
    retention.hold(Addressee.of(PHONE), reason="case 7", actor="counsel")
    return (PHONE, *WHY)


def no_recipient(world: World) -> Arguments:
    return ("12", *WHY)


def export(world: World) -> Arguments:
    agree()
    return ("--recipient", PHONE, "--out", str(world.folder / "bundle.zip"), *WHY)


def nothing_on_record(world: World) -> Arguments:
    return ("--recipient", "+12025550100", "--out", str(world.folder / "other.zip"), *WHY)


def file_is_there(world: World) -> Arguments:
    return ("--recipient", PHONE, "--out", world.file("there.zip", "precious"), *WHY)


HEADER = "number,channel,user,granted_at\n"


def good_lines(world: World) -> Arguments:
    make_user()
    return (world.file("good.csv", f"{HEADER}{PHONE},sms,ann,2024-05-31\n"), "--origin", "old shop")


def bad_lines(world: World) -> Arguments:
    return (world.file("bad.csv", f"{HEADER}12,sms,,2024-05-31\n"), "--origin", "old shop")


def no_such_file(world: World) -> Arguments:
    return (str(world.folder / "absent.csv"), "--origin", "old shop")


def two_keys(world: World) -> Arguments:
    world.settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k1", make_secret("1"))]
    agree()
    world.settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k2", make_secret("2")), ("k1", make_secret("1"))]
    return ()


def older_key_needed(world: World) -> Arguments:
    """From an erased recipient that opted out, no new fingerprint can be made."""
    consent.opt_out(recipient=PHONE, channel="sms", client=make_client())
    erasure.erase(Addressee.of(PHONE), reason="asked for", actor="ann")
    older = world.settings.TWILIO_VERIFY_FINGERPRINT_KEYS
    world.settings.TWILIO_VERIFY_FINGERPRINT_KEYS = [("k3", make_secret("3")), *older]
    return ()


def derived_keys(world: World) -> Arguments:
    del world.settings.TWILIO_VERIFY_FINGERPRINT_KEYS
    return ()


# ------------------------------------------------------------------------------------------------- factors, provider


def reset_requested(world: World) -> Arguments:
    make_factor(make_user("rosa", email="rosa@example.org"), agreed=False)
    return ("rosa", "--site", "https://shop.example", *WHY)


def reset_of_nobodys_factors(world: World) -> Arguments:
    make_user("sue")
    return ("sue", "--site", "https://shop.example", *WHY)


def no_such_user(world: World) -> Arguments:
    return ("absent", "--site", "https://shop.example", *WHY)


def sent(world: World) -> Arguments:
    world.use_server()
    agree()
    verifications.start(recipient=PHONE, channel="sms", client=make_client())
    return ()


def provider_down(world: World) -> Arguments:
    world.use_server(password="wrong")
    return ()


def nobody_enrolled(world: World) -> Arguments:
    world.settings.TWILIO_VERIFY_BACKENDS = LOCMEM
    return ()


def lost(world: World) -> Arguments:
    user = make_user("olga")
    entity = Entity.objects.create(user=user, backend="default", created_at=timezone.now())
    now = timezone.now()
    sid = "YF" + "1" * 32
    Factor.objects.create(
        user=user, entity=entity, kind="totp", channel="totp", key=sid, sid=sid, created_at=now, confirmed_at=now
    )
    return ()


def declared(world: World) -> Arguments:
    world.use_server(service={"friendly_name": "Test"})
    return ("check",)


def differing(world: World) -> Arguments:
    world.use_server(service=SERVICE)
    return ("check",)


def service_unreachable(world: World) -> Arguments:
    world.use_server(service=SERVICE, password="wrong")
    return ("check",)


ROWS = {
    "check_disclosures": Row(good_words, text_messages_only, no_such_page),
    "check_ledger": Row(events, missing_seal, unknown_setting),
    "check_login_urls": Row(nothing, None, unknown_setting),  # found: tests/integrations/token_views
    "erase_recipient": Row(agreed, held, no_recipient),
    "export_evidence": Row(export, nothing_on_record, file_is_there),
    "hold_evidence": Row(agreed, None, no_recipient),
    "import_consents": Row(good_lines, bad_lines, no_such_file),
    "purge_expired": Row(nothing, None, bad_retention),
    "reset_factors": Row(reset_requested, reset_of_nobodys_factors, no_such_user),
    "rotate_fingerprint_keys": Row(two_keys, older_key_needed, derived_keys),
    "seal_ledger": Row(events, no_time_stamp, bad_keys),
    "sync_attempts": Row(sent, None, provider_down),
    "sync_factors": Row(nobody_enrolled, lost, provider_down),
    "twilio_service": Row(declared, differing, service_unreachable),
}


def commands(folder: str) -> set[str]:
    return {file.stem for file in PACKAGE.glob(f"{folder}/management/commands/[a-z]*.py")}


OURS = sorted((commands(".") | {file for app in ("otp",) for file in commands(f"contrib/{app}")}) - DJANGOS)


def test_every_command_has_a_row() -> None:
    everywhere = {file.stem for file in PACKAGE.rglob("management/commands/[a-z]*.py")} - DJANGOS
    assert everywhere == {*OURS} == {*ROWS, *ELSEWHERE}
    for name, place in ELSEWHERE.items():
        assert f'"{name}"' in (ROOT / place).read_text(encoding="utf-8")


@pytest.mark.parametrize("name", [name for name in OURS if name != "sync_otp_devices"])
def test_help_and_reference(name: str) -> None:
    check_reference(name, load_command_class("django_twilio_verify", name))


@pytest.fixture
def world(settings: Any, tmp_path: Path) -> Any:
    with VerifyServer() as server:
        yield World(settings, tmp_path, server)
    settings.TWILIO_VERIFY_BACKENDS = LOCMEM


# Transactions are real: a command that ends closes its connections. Ids begin anew, or those of seals that the flush
# after another test took away would count as lost.
@pytest.mark.django_db(transaction=True, reset_sequences=True)
@pytest.mark.parametrize("name", ROWS)
def test_exit_codes_and_json(name: str, world: World, capsys: pytest.CaptureFixture[str]) -> None:
    row = ROWS[name]
    fine = check_run(capsys, 0, name, *row.fine(world))
    keys = documented_keys(name)
    assert {*fine} - ENVELOPE == keys
    told = [json.dumps(fine)]
    if row.found is not None:
        told.append(json.dumps(check_run(capsys, 1, name, *row.found(world))))
    last = check_run(capsys, 2, name, *row.could_not_look(world))
    assert {*last} - ENVELOPE <= keys
    told.append(json.dumps(last))
    for secret in (PHONE, PHONE[1:], EMAIL, "rosa@example.org"):
        assert secret not in "".join(told)


@pytest.mark.parametrize("name", ROWS)
def test_arguments_that_cannot_be_read(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    ran = run(capsys, name, "--bogus")
    assert (ran.code, ran.out) == (2, "")
    assert "--bogus" in ran.err or "required" in ran.err


EMPTY = """
import contextlib, io, json, sys
from django.conf import settings
import tests.settings as base
values = {name: getattr(base, name) for name in dir(base) if name.isupper()}
values["DATABASES"] = {"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}}
values["TWILIO_VERIFY_FINGERPRINT_KEYS"] = [("k1", "5f" * 32)]
settings.configure(**values)
from django.core.management import execute_from_command_line
codes = {}
for name, arguments in json.loads(sys.argv[1]).items():
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            execute_from_command_line(["manage.py", name, *arguments, "--json"])
            codes[name] = [0, ""]
        except SystemExit as error:
            codes[name] = [error.code, json.loads(said.getvalue())["result"]]
print(json.dumps(codes))
"""
ASKS_NO_DATABASE = {"check_disclosures", "check_login_urls", "twilio_service"}


def test_a_database_without_our_tables_is_no_finding(tmp_path: Path) -> None:
    good = tmp_path / "good.csv"
    good.write_text(f"{HEADER}{PHONE},sms,ann,2024-05-31\n", encoding="utf-8")
    arguments: dict[str, Any] = {name: [] for name in ROWS if name not in ASKS_NO_DATABASE}
    arguments |= {
        "erase_recipient": [PHONE, *WHY],
        "hold_evidence": [PHONE, *WHY],
        "export_evidence": ["--recipient", PHONE, "--out", str(tmp_path / "out.zip"), *WHY],
        "import_consents": [str(good), "--origin", "old shop"],
        "reset_factors": ["ann", "--site", "https://shop.example", *WHY],
    }
    done = subprocess.run(
        [sys.executable, "-c", EMPTY, json.dumps(arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {name: [2, "could_not_look"] for name in arguments}, done.stderr


@pytest.mark.django_db(transaction=True)
def test_a_crash_is_no_finding(capsys: pytest.CaptureFixture[str], settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.no_such_module"  # an ImportError, which no handler expects
    ran = run(capsys, "check_login_urls", "--skip-checks")
    assert ran.code == 2
    assert "Traceback" in ran.err


@pytest.mark.django_db
def test_call_command_raises_with_the_exit_code() -> None:
    out, err = io.StringIO(), io.StringIO()
    with pytest.raises(CommandError) as found:
        call_command("check_ledger", "--json", expect_seal=["0" * 64], stdout=out, stderr=err)
    assert found.value.returncode == 1
    assert json.loads(out.getvalue())["result"] == "found"
    assert "events" in err.getvalue()
    with pytest.raises(CommandError) as failed:
        call_command("sync_factors", backend="absent", stdout=out, stderr=err)
    assert failed.value.returncode == 2


# -------------------------------------------------------------------------------------------- two runs at once


@pytest.mark.django_db
def test_a_rival_seal_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The other run seals between this one's reading and writing."""
    agree()
    stamped = sealing._stamped

    def rival(content: bytes) -> Any:
        monkeypatch.setattr(sealing, "_stamped", stamped)
        call_command("seal_ledger", stdout=io.StringIO())
        return stamped(content)

    monkeypatch.setattr(sealing, "_stamped", rival)
    out = io.StringIO()
    call_command("seal_ledger", stdout=out)
    assert "Another run" in out.getvalue()
    assert ConsentSeal.objects.count() == 1
    assert timezone.now() - ConsentSeal.objects.get().created_at < timedelta(minutes=1)


@pytest.mark.django_db
def test_a_rival_export_is_not_written_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    agree()
    out = tmp_path / "rows.csv"
    summary = audit.record

    def rival(*args: Any, **values: Any) -> Any:
        out.exists() or out.write_text("the rival's")
        return summary(*args, **values)

    monkeypatch.setattr(audit, "record", rival)
    with pytest.raises(CommandError, match="is there already") as refused:
        call_command(export_evidence.Command(), "--recipient", PHONE, "--out", str(out), *WHY, format="csv")
    assert refused.value.returncode == 2
    assert out.read_text() == "the rival's"
    assert [each.name for each in tmp_path.iterdir()] == ["rows.csv"]


@pytest.mark.django_db(transaction=True)
def test_two_imports_of_one_file_write_each_line_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other run imports the file between two batches of this one."""
    make_user()
    lines = "".join(f"+1501712266{number},sms,ann,2024-05-31\n" for number in range(1, 5))
    file = tmp_path / "consents.csv"
    file.write_text(HEADER + lines, encoding="utf-8")
    monkeypatch.setattr(importing, "BATCH", 1)
    rivals = []

    def rival(**values: Any) -> None:
        if not rivals:
            rivals.append(1)
            call_command("import_consents", file, origin="old shop", stdout=io.StringIO(), stderr=io.StringIO())

    consent_recorded.connect(rival)
    try:
        out = io.StringIO()
        call_command("import_consents", "--json", file, origin="old shop", stdout=out, stderr=io.StringIO())
    finally:
        consent_recorded.disconnect(rival)
    told = json.loads(out.getvalue())
    assert (told["new"], told["known"], ConsentEvent.objects.count()) == (1, 3, 4)
