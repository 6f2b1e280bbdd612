"""``manage.py demo`` itself, in a process of its own, with every factor of the page /phone/."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
MANAGE = str(ROOT / "example_project" / "manage.py")


def environ(folder: Path, port: int) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TWILIO_", "VERIFY_", "DJANGO"))}
    mine = {"PORT": str(port), "HOST": "127.0.0.1", "DATABASE": str(folder / "shop.sqlite3"), "DEBUG": "1"}
    return {**kept, **mine, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}


@contextmanager
def shop(folder: Path) -> Iterator[tuple[str, Path]]:
    """Its address, and what it prints."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / f"{port}.log"
    with log.open("wb") as output:
        server = subprocess.Popen(
            [sys.executable, MANAGE, "demo"], env=environ(folder, port), stdout=output, stderr=subprocess.STDOUT
        )
    try:
        _wait(server, port, log)
        yield f"http://localhost:{port}", log
    finally:
        server.terminate()
        server.wait(timeout=20)
    assert "Traceback" not in log.read_text(), log.read_text()


def _wait(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise AssertionError(log.read_text())


class Visitor:
    """A browser as far as cookies and forms go."""

    def __init__(self, site: str) -> None:
        self.site, self.session = site, requests.Session()

    def get(self, path: str) -> str:
        answer = self.session.get(self.site + path, timeout=10)
        assert answer.status_code == 200, (path, answer.status_code)
        return answer.text

    def post(self, path: str, **form: str) -> requests.Response:
        given = {**form, "csrfmiddlewaretoken": self.session.cookies.get("csrftoken", "")}
        return self.session.post(self.site + path, data=given, headers={"Referer": self.site + path}, timeout=10)

    def sign_in(self) -> None:
        self.get("/login/")
        assert self.post("/login/", username="ann", password="fresh-bread-at-seven").status_code == 200


def test_the_demo_has_a_phone_with_the_app(tmp_path: Path) -> None:
    with shop(tmp_path) as (site, log):
        said = log.read_text().partition("sign in as")[0]
        assert f"{site}/phone/" in said and "127.0.0.1" not in said, "browsers make no passkey for a bare address"
        ann = Visitor(site)
        assert "Sign in to the app" not in ann.get("/phone/")
        ann.sign_in()
        assert "Sign in to the app as ann" in ann.get("/phone/")
        shown = ann.post("/phone/app/").text
        assert "You are signed in to the app on the phone." in shown
        assert "Make new recovery codes" in shown, "the first factor brings them"
        made = ann.post("/verify/recovery-codes/", next="/phone/").text
        assert len(re.findall(r"<code>[^<]+</code>", made)) == 10
        assert "Nobody is asking." in ann.get("/phone/")
        assert "Demo phone" in ann.get("/verify/")
        state = ["--site", site, "--state", str(tmp_path / "phone.json")]
        listed = subprocess.run(
            [sys.executable, MANAGE, "verify_phone", "list", *state],
            env=environ(tmp_path, 8000),
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert listed.returncode == 1 and "register one first" in listed.stderr
        assert len(re.findall(r"\n", listed.stderr)) == 1
    with shop(tmp_path) as (site, _log):
        # The pretended provider has forgotten the phone, so the account has none either.
        again = Visitor(site)
        again.sign_in()
        assert "You are signed in as" in again.get("/account/")
        assert "Your password is all that protects this account." in again.get("/account/")
