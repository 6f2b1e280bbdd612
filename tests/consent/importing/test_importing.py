"""Import: what a file says is checked as a whole, written once, and never undoes a stop."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext

from django_twilio_verify import consent, verifications
from django_twilio_verify.consent import importing
from django_twilio_verify.exceptions import ConsentRequired
from django_twilio_verify.ledger import records
from django_twilio_verify.models import ConsentEvent, ConsentEvidence
from tests.support.basics import EMAIL, PHONE, agree, make_client, make_user

pytestmark = pytest.mark.django_db

HEADER = "number,channel,user,granted_at,evidence,source"
GOOD = f"{PHONE},sms,ann,2024-05-31T14:30:00+02:00,Ticked the box,old shop"


@pytest.fixture
def ann() -> Any:
    return make_user()


@pytest.fixture
def write(tmp_path: Path) -> Any:
    def write(*lines: str, header: str = HEADER, encoding: str = "utf-8", end: str = "\n") -> Path:
        path = tmp_path / "consents.csv"
        path.write_bytes((end.join([header, *lines]) + end).encode(encoding))
        return path

    return write


def run(path: Path, **options: Any) -> tuple[str, str]:
    out, err = io.StringIO(), io.StringIO()
    try:
        call_command("import_consents", path, **{"origin": "old shop", "stdout": out, "stderr": err, **options})
    except CommandError as error:
        err.write(str(error))
    return out.getvalue(), err.getvalue()


def refused(path: Path, **options: Any) -> str:
    """What is said of a file of which nothing was imported."""
    said = run(path, **options)[1]
    assert "Nothing was imported" in said
    assert not ConsentEvent.objects.exists()
    return said


def test_a_consent_is_imported_with_how_much_is_known(ann: Any, write: Any) -> None:
    out, err = run(write(GOOD), by="clerk")
    assert ("Imported: 1." in out, err) == (True, "")
    event = ConsentEvent.objects.get()
    assert (event.event, event.medium, event.actor, event.origin) == ("imported", "import", "staff", "old shop")
    assert event.disclosure is None
    note = event.evidence.note
    assert "2024-05-31T14:30:00+02:00" in note and "Ticked the box" in note and "Source: old shop" in note
    assert (event.evidence.actor_label, event.evidence.person_label) == ("clerk", "ann")
    assert records.holds(event)
    assert not verifications.start(recipient=PHONE, channel="sms", user=ann, client=make_client()).reused


def test_a_dry_run_counts_and_writes_nothing(ann: Any, write: Any) -> None:
    out, _ = run(write(GOOD, f"{EMAIL},email,ann,2024-05-31,,"), dry_run=True)
    assert "2 line(s). Would import: 2." in out
    assert not ConsentEvent.objects.exists()


def test_again_adds_nothing(ann: Any, write: Any) -> None:
    path = write(GOOD, GOOD, f"{EMAIL},email,,2024-05-31,,")
    assert "Imported: 2. Already on record: 1." in run(path)[0]
    assert "Imported: 0. Already on record: 3." in run(path)[0]
    assert ConsentEvent.objects.count() == 2


@pytest.mark.parametrize("user", ["ann", ""])
@pytest.mark.parametrize("stop", ["opt_out", "withdraw"])
def test_a_file_never_undoes_a_stop(ann: Any, write: Any, stop: str, user: str) -> None:
    agree(user=ann)
    values = {"user": ann, "client": make_client()} if stop == "withdraw" else {}
    getattr(consent, stop)(recipient=PHONE, channel="sms", **values)
    out, _ = run(write(GOOD.replace(",ann,", f",{user},").replace("2024", "2026")))
    assert "it was stopped since: 1." in out
    with pytest.raises(ConsentRequired):
        verifications.start(recipient=PHONE, channel="sms", user=ann, client=make_client())


def test_a_line_without_an_account_is_told_to_serve_nobody(ann: Any, write: Any) -> None:
    out, _ = run(write(GOOD.replace(",ann,", ",,")))
    assert "1 line(s) name no account" in out
    assert ConsentEvent.objects.get().person_kind == "holder"
    assert consent.find(recipient=PHONE, channel="sms", user=ann, client=make_client()) is None


BAD = {
    "+4312,sms,ann,2024-05-31,,": "too short",
    "5017122661,sms,ann,2024-05-31,,": "country",
    "1.50171E+10,sms,ann,2024-05-31,,": "spreadsheet",
    ",sms,ann,2024-05-31,,": "number",
    f"{PHONE},fax,ann,2024-05-31,,": "channel must be one of",
    f"{PHONE},totp,ann,2024-05-31,,": "channel must be one of",
    f"{PHONE},email,ann,2024-05-31,,": "does not go to such an address",
    f"{EMAIL},sms,ann,2024-05-31,,": "does not go to such an address",
    f"{PHONE},sms,nobody,2024-05-31,,": "no account with that user name",
    f"{PHONE},sms,ANN,2024-05-31,,": "no account with that user name",
    f"{PHONE},sms,ann,31.5.2024,,": "must be written as",
    f"{PHONE},sms,ann,2024-13-31,,": "must be written as",
    f"{PHONE},sms,ann,,,": "must be written as",
    f"{PHONE},sms,ann,2999-01-01,,": "future",
    f"{PHONE},sms,ann,0001-01-01T00:00:00+14:00,,": "",
    f"{PHONE},sms,ann,2024-05-31,{'x' * 901},": "longer than 900",
    f"{PHONE},sms": "fewer cells",
}


@pytest.mark.parametrize(("line", "sentence"), BAD.items())
def test_a_bad_line_imports_nothing_and_is_named(ann: Any, write: Any, line: str, sentence: str) -> None:
    path = write(GOOD, line)
    if not sentence:  # far back, but a time
        assert "Imported: 2" in run(path)[0] or "Already" in run(path)[0]
        return
    said = refused(path)
    assert said.startswith("Line 3: ")
    assert sentence in said.splitlines()[0]
    assert PHONE not in said and "7122661" not in said and EMAIL not in said


def test_bad_lines_can_be_left_out(ann: Any, write: Any) -> None:
    out, err = run(write("x,sms,ann,2024-05-31,,", GOOD), skip_bad=True)
    assert "Imported: 1." in out and "Bad: 1." in out
    assert err.startswith("Line 2: ")


def test_many_bad_lines_are_counted_not_listed(write: Any) -> None:
    said = refused(write(*["x,sms,,2024-05-31,,"] * 120))
    assert said.count("Line ") == 50
    assert "70 bad lines more" in said


def test_a_line_is_counted_as_an_editor_does(ann: Any, write: Any) -> None:
    said = refused(write(GOOD.replace("Ticked the box", '"two\nlines"'), "", "x,sms,ann,2024-05-31,,"))
    assert said.startswith("Line 5: ")


# -------------------------------------------------------------------------------------------- kinds of files


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1252", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_what_spreadsheets_write_is_read(ann: Any, write: Any, encoding: str, delimiter: str, end: str) -> None:
    lines = [line.replace(",", delimiter) for line in (HEADER, GOOD.replace("Ticked", "Häkchen"))]
    out, err = run(write(*lines[1:], header=lines[0], encoding=encoding, end=end))
    assert ("Imported: 1." in out, err) == (True, "")
    assert "Häkchen" in ConsentEvidence.objects.get().note


@pytest.mark.parametrize("cell", [f'"=""{PHONE}"""', f"'{PHONE}", f"tel:{PHONE}", "+1 (501) 712-2661", "0015017122661"])
def test_numbers_are_read_as_they_are_written(ann: Any, write: Any, cell: str) -> None:
    out, err = run(write(GOOD.replace(PHONE, cell)), region="AT")
    assert ("Imported: 1." in out, err) == (True, "")
    assert ConsentEvidence.objects.get().recipient == PHONE


def test_what_looks_like_a_formula_is_text(ann: Any, write: Any) -> None:
    run(write(GOOD.replace("Ticked the box", "=HYPERLINK(1)\0")))
    assert "=HYPERLINK(1)" in ConsentEvidence.objects.get().note


def test_the_header_may_be_written_in_other_ways(ann: Any, write: Any) -> None:
    path = write(f"ann,{PHONE},2024-05-31,SMS,blue", header="Username,Phone Number,GRANTED_AT,Channel,Colour")
    out, _ = run(path)
    assert "Imported: 1." in out
    assert "Columns that are not read: colour." in out


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "empty"),
        (b"\n\n", "empty"),
        (b"number,channel\n", "no column granted_at"),
        (b"number,email,channel,granted_at\n", "Two columns"),
        (f'{HEADER}\n{PHONE},sms,,2024-05-31,"open\n{GOOD}\n'.encode(), "is no CSV"),
        (f"{HEADER}\n{PHONE},sms,,2024-05-31,{'x' * 200_000},\n".encode(), "is no CSV"),
        (f"{HEADER}\n{GOOD}\n".encode() + b"\x81\x8d\x8f,sms\n", "neither UTF-8"),
        (f"{HEADER}\n{GOOD}\n".encode() * 200 + b"\x81\x8d\x8f,sms\n", "no text"),
        (b"\xff\xfen\x00u\x00m", "neither UTF-8"),
        (b"PK\x03\x04\x14\x00\x06\x00\x08\x00", "no column"),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, ann: Any, content: bytes, sentence: str) -> None:
    path = tmp_path / "x.csv"
    path.write_bytes(content)
    said = run(path)[1]
    assert sentence in said, said
    assert not ConsentEvent.objects.exists()


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "No such file" in run(tmp_path / "none.csv")[1]
    assert "directory" in run(tmp_path)[1]


@pytest.mark.parametrize("origin", ["", " ", "x" * 65])
def test_an_import_has_a_name(ann: Any, write: Any, origin: str) -> None:
    assert "Name the import" in run(write(GOOD), origin=origin)[1]
    assert not ConsentEvent.objects.exists()


def test_the_document_is_kept_by_its_digest(ann: Any, write: Any) -> None:
    header = f"{HEADER},document_sha256"
    assert "64 hexadecimal" in refused(write(f"{GOOD},abc", header=header))
    run(write(f"{GOOD},{'A' * 64}", header=header))
    assert ConsentEvent.objects.get().document_digest == "a" * 64


def test_checking_costs_the_same_for_few_lines_and_many(ann: Any, write: Any) -> None:
    def cost(lines: int) -> int:
        path = write(*[f"+1501712{number:04},sms,ann,2024-05-31,," for number in range(lines)])
        with CaptureQueriesContext(connection) as captured:
            report = importing.run(importing.Source(path, "x"), dry_run=True)
        assert (report.new, report.bad) == (lines, 0)
        return len(captured)

    cost(1)  # registers the fingerprint key
    assert cost(3) == cost(300)
