"""A ledger with seals, and somebody who has the database and drops its triggers."""

from __future__ import annotations

import subprocess
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from tests.support.seals import Authority, Sealed, drop_triggers, findings, seal, write


@pytest.fixture(autouse=True)
def closed_gate() -> Iterator[None]:
    """Whatever a test told the triggers of MariaDB's session, the next one finds them as they are."""
    yield
    if connection.vendor == "mysql" and connection.connection is not None:
        with connection.connection.cursor() as cursor:
            cursor.execute("SET @twilio_verify_flush = NULL")


@pytest.fixture
def sealed(db: None) -> Sealed:
    first = write(7)
    seal()
    second = write(3, 7)
    seal()
    loose = write(2, 10)
    assert findings() == set()
    drop_triggers()
    return Sealed(first, second, loose)


# ------------------------------------------------------------------------------ an authority of our own

_EXTENSIONS = """
[req]
distinguished_name = dn
[dn]
[tsa]
extendedKeyUsage = critical,timeStamping
[tsa_config]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256
certs = {folder}/tsa.pem
"""


@pytest.fixture
def authority() -> Iterator[Authority]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "openssl.cnf").write_text(_EXTENSIONS.format(folder=folder))
        (folder / "serial").write_text("01")
        _openssl(
            folder, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
            "-subj", "/CN=Authority of the tests", "-keyout", "tsa.key", "-out", "tsa.pem", "-config", "openssl.cnf",
            "-extensions", "tsa",
        )  # fmt: skip
        made = Authority("", folder / "tsa.pem")
        server = HTTPServer(("127.0.0.1", 0), _handler(folder, made))
        made.url = f"http://127.0.0.1:{server.server_port}/"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield made
        server.shutdown()
        server.server_close()
        thread.join()


def _openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True, timeout=30)


def _handler(folder: Path, authority: Authority) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = self.rfile.read(int(self.headers["Content-Length"]))
            (folder / "question").write_bytes(question)
            _openssl(folder, "ts", "-reply", "-config", "openssl.cnf", "-section", "tsa_config", "-queryfile",
                     "question", "-out", "answer")  # fmt: skip
            body = authority.body if authority.body is not None else (folder / "answer").read_bytes()
            self.send_response(authority.status)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: Any) -> None:
            """Nothing on the terminal."""

    return Handler
