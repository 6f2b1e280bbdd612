"""The evidence's pages as PDF. Asked for by its folder: the extra needs libraries of the system (Pango)."""

from __future__ import annotations

import io
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from django.contrib.auth.models import User
from django.core.management import call_command
from pypdf import PdfReader

from django_twilio_verify.ledger.export import pages
from tests.support.basics import PHONE
from tests.support.evidence import exported, run_script, unpacked

pytestmark = pytest.mark.django_db


def text_of(content: bytes) -> str:
    return " ".join(" ".join(page.extract_text() for page in PdfReader(io.BytesIO(content)).pages).split())


def test_the_pdf_says_what_the_page_says(sealed: User) -> None:
    files = unpacked(exported(pdf=True))
    assert {name[:-5] for name in files if name.startswith("recipients/") and name.endswith(".html")} == {
        name[:-4] for name in files if name.startswith("recipients/") and name.endswith(".pdf")
    }
    text = text_of(files["recipients/0001.pdf"])
    for words in (
        "501-712-2661",
        "Where consent stands",
        "What was shown",
        "Standard message and data rates may apply.",
        "Send <code>",
        "Ann's browser",
    ):
        assert words in text


def test_it_can_be_read_aloud_and_has_a_title(sealed: User) -> None:
    reader = PdfReader(io.BytesIO(unpacked(exported(pdf=True))["recipients/0001.pdf"]))
    root = reader.trailer["/Root"]
    assert root["/MarkInfo"]["/Marked"] and "/StructTreeRoot" in root and root["/Lang"] == "en"
    assert reader.metadata is not None and reader.metadata.title


def test_a_bundle_with_pdf_verifies(sealed: User, tmp_path: Path) -> None:
    path = tmp_path / "bundle.zip"
    asked = ("--recipient", PHONE, "--out", str(path), "--by", "officer", "--reason", "a dispute", "--pdf")
    call_command("export_evidence", *asked, stdout=io.StringIO())
    assert run_script(path).returncode == 0


def test_nothing_is_fetched_for_it() -> None:
    """SECURITY: words that somebody wrote are in the page: they must make the server ask nobody."""
    asked: list[str] = []

    class Listener(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)

    with HTTPServer(("127.0.0.1", 0), Listener) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        image = f'<img src="http://127.0.0.1:{server.server_port}/x.png" alt="gone">'
        try:
            made = pages.as_pdf(f'<html lang="en"><title>T</title>{image}<p>Words</p>')
        finally:
            server.shutdown()
            thread.join()
    assert "Words" in text_of(made) and asked == []
