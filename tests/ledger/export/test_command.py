"""``manage.py export_evidence``."""

from __future__ import annotations

import io
import json
import stat
import sys
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command

from django_twilio_verify.ledger.export import pages
from django_twilio_verify.models import AuditEvent
from tests.support.basics import EMAIL, OTHER_PHONE, PHONE
from tests.support.evidence import json_lines, run_script, unpacked

pytestmark = pytest.mark.django_db


def export(out: Path, *arguments: str, **options: Any) -> str:
    said = io.StringIO()
    call_command(
        "export_evidence",
        *arguments,
        "--out",
        str(out),
        "--reason",
        "a carrier asked",
        "--by",
        "root",
        stdout=said,
        **options,
    )
    return said.getvalue()


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "bundle.zip"


def test_a_bundle_that_holds(sealed: User, out: Path) -> None:
    said = export(out, "--recipient", PHONE)
    assert run_script(out).returncode == 0
    audited = AuditEvent.objects.get()
    assert json.loads(audited.details)["sha256"] in said
    assert (audited.actor_label, audited.reason) == ("root", "a carrier asked")
    assert "1 events are under no seal yet" in said
    assert stat.S_IMODE(out.stat().st_mode) == 0o600
    assert [each.name for each in out.parent.iterdir()] == ["bundle.zip"]


def test_by_list_of_numbers(sealed: User, out: Path, tmp_path: Path) -> None:
    (tmp_path / "numbers.txt").write_text(f"{PHONE}\n# not {OTHER_PHONE}\n{EMAIL}\n")
    export(out, "--numbers", str(tmp_path / "numbers.txt"))
    assert json.loads(unpacked(out.read_bytes())["manifest.json"])["counts"]["recipients"] == 2


def test_by_numbers_from_standard_input(sealed: User, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(f"{PHONE}\n"))
    export(out, "--numbers", "-", "--format", "twilio")
    assert len(json_lines(out.read_bytes())) == 3


@pytest.mark.parametrize("how", ["--user", "--user-id"])
def test_by_person(sealed: User, out: Path, how: str) -> None:
    export(out, how, "ann" if how == "--user" else str(sealed.pk), "--format", "receipt")
    assert len(json_lines(out.read_bytes())) == 2


def test_by_period_with_pages_for_some(sealed: User, out: Path) -> None:
    said = export(out, "--since", "2020-01-01", "--until", "2100-01-01T00:00Z", "--pages", "2")
    assert "Pages were made for 2 of 3 recipients (--pages)." in said
    files = unpacked(out.read_bytes())
    assert [name for name in files if name.startswith("recipients/")] == [
        "recipients/0001.html",
        "recipients/0002.html",
    ]
    assert "Pages were made for 2 recipients" in files["README.txt"].decode()
    assert run_script(out).returncode == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--recipient", "+12025550100"], "No evidence is on record for this selection. Nothing was written."),
        (["--since", "2100-01-01"], "No evidence is on record"),
        (["--numbers", "EMPTY", "--since", "2020-01-01"], "No evidence is on record"),
        ([], "Say whose evidence"),
        (["--recipient", "12"], "recipient 1: "),
        (["--numbers", "ABSENT"], "The list of numbers cannot be read"),
        (["--user", "nobody"], "There is no account 'nobody'"),
        (["--since", "yesterday"], "--since: write 2026-01-31"),
        (["--until", "2026-02-31"], "--until: write"),
    ],
)
def test_what_cannot_be_exported_is_said_and_nothing_is_written(
    sealed: User, out: Path, tmp_path: Path, arguments: list[str], sentence: str
) -> None:
    (tmp_path / "EMPTY").write_text("\n# nobody\n")
    places = {"EMPTY": str(tmp_path / "EMPTY"), "ABSENT": str(tmp_path / "ABSENT")}
    with pytest.raises(CommandError) as caught:
        export(out, *(places.get(each, each) for each in arguments))
    assert sentence in str(caught.value)
    assert [each.name for each in tmp_path.iterdir()] == ["EMPTY"]
    assert not AuditEvent.objects.exists()


def test_a_file_that_is_there_is_not_written_over(sealed: User, out: Path) -> None:
    out.write_text("precious")
    with pytest.raises(CommandError, match="is there already"):
        export(out, "--recipient", PHONE)
    assert out.read_text() == "precious"


def test_a_key_that_cannot_sign_is_said_before_anything_is_written(sealed: User, out: Path, settings: Any) -> None:
    settings.TWILIO_VERIFY_SIGNING_KEYS = [("short", "x")]
    with pytest.raises(CommandError, match=r"(?i)signing_key.*'short'"):
        export(out, "--recipient", PHONE)
    assert not out.exists() and not AuditEvent.objects.exists()


def test_pdf_without_the_extra_is_said(sealed: User, out: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "weasyprint", None)
    with pytest.raises(CommandError, match=r"django-twilio-verify\[pdf\]"):
        export(out, "--recipient", PHONE, "--pdf")
    assert not out.exists()


def test_a_page_loads_nothing() -> None:
    with pytest.raises(ValueError, match="loads nothing"):
        pages._Nothing()("file:///etc/passwd")
