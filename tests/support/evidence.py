"""Exports into memory, bundles taken apart and put together again, the script run."""

from __future__ import annotations

import contextlib
import io
import json
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from django_twilio_verify.core.recipients import Recipient
from django_twilio_verify.core.signing_keys import SigningKey
from django_twilio_verify.ledger.export import bundle, verify_bundle
from django_twilio_verify.ledger.export.evidence import Selection
from tests.support.basics import PHONE


def new_key(key_id: str = "k1") -> SigningKey:
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return SigningKey(key_id, pem)


Files = dict[str, bytes]
SCRIPT = Path(verify_bundle.__file__)


def selected(*recipients: str, **period: Any) -> Selection:
    return Selection(recipients=tuple(Recipient.parse(one) for one in recipients or (PHONE,)), **period)


def exported(selection: Selection | None = None, write: Callable[..., Any] = bundle.write, **options: Any) -> bytes:
    stream = io.BytesIO()
    write(stream, selection or selected(), "a carrier asked", "ann", **options)
    return stream.getvalue()


def unpacked(content: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: Files, path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def json_lines(content: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in content.splitlines()]


def resigned(files: Files, sign: Callable[[bytes], bytes]) -> Files:
    """The bundle with a manifest that fits what it now holds, signed anew: what a forger with a key does."""
    manifest = json.loads(files["manifest.json"])
    inside = {name: content for name, content in files.items() if name not in ("manifest.json", "manifest.sig")}
    manifest["files"] = {
        name: {"sha256": verify_bundle.sha256_hex(content), "bytes": len(content)} for name, content in inside.items()
    }
    content = json.dumps(manifest).encode()
    return {**inside, "manifest.json": content, "manifest.sig": sign(content)}


def run_script(*arguments: str | Path, script: Path = SCRIPT) -> subprocess.CompletedProcess[str]:
    """The script as a stranger runs it: alone, without this package on its path."""
    command = [sys.executable, "-I", str(script), *map(str, arguments)]
    alone = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60, cwd="/")
    if alone.returncode in (0, 1):
        # As a module of ours it says the same, and here the run counts the lines it takes.
        heard = io.StringIO()
        with contextlib.redirect_stdout(heard):
            status = verify_bundle.main([str(argument) for argument in arguments])
        assert (status, heard.getvalue()) == (alone.returncode, alone.stdout)
    return alone


def openssl(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    found = shutil.which("openssl")
    if found is None:
        pytest.fail("These tests check bundles with the openssl command: install OpenSSL 3.")
    return subprocess.run([found, *map(str, arguments)], capture_output=True, text=True, check=False, cwd=cwd)


def wrong(path: Path, *arguments: str | Path) -> str:
    """What the script says is wrong with a bundle, which must be something."""
    done = run_script(path, *arguments)
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr == ""
    found: Sequence[str] = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    return "\n".join(found)
