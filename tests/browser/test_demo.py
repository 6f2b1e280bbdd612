"""``manage.py demo`` before there is a page to look at: what is wrong is said in one sentence."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.browser.steps import ROOT

pytestmark = pytest.mark.browser

SID = "0123456789abcdef" * 2
HALF_SET = {
    "a SID alone": {"TWILIO_ACCOUNT_SID": f"AC{SID}"},
    "no service": {"TWILIO_ACCOUNT_SID": f"AC{SID}", "TWILIO_AUTH_TOKEN": "not-a-token"},
    "half a key": {"TWILIO_ACCOUNT_SID": f"AC{SID}", "VERIFY_SERVICE_SID": f"VA{SID}", "TWILIO_API_KEY": f"SK{SID}"},
    "malformed": {
        "TWILIO_ACCOUNT_SID": f"VA{SID}",
        "VERIFY_SERVICE_SID": f"VA{SID}",
        "TWILIO_AUTH_TOKEN": "not-a-token",
    },
}


def run(command: str, tmp_path: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TWILIO_", "VERIFY_"))}
    environ.pop("DJANGO_SETTINGS_MODULE", None)
    environ |= {"PYTHONPATH": str(ROOT), "DATABASE": str(tmp_path / "shop.sqlite3"), **variables}
    manage = str(ROOT / "example_project" / "manage.py")
    return subprocess.run([sys.executable, manage, command], env=environ, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("command", ["demo", "runserver"])
@pytest.mark.parametrize("variables", HALF_SET.values(), ids=HALF_SET)
def test_half_set_credentials_are_one_sentence(command: str, variables: dict[str, str], tmp_path: Path) -> None:
    done = run(command, tmp_path, **variables)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert len(done.stderr.splitlines()) == 1
    for value in variables.values():  # nobody's secret ends up on a screen
        assert value not in done.stderr


def test_complete_credentials_choose_twilio(tmp_path: Path) -> None:
    complete = {"TWILIO_ACCOUNT_SID": f"AC{SID}", "VERIFY_SERVICE_SID": f"VA{SID}", "TWILIO_AUTH_TOKEN": "not-a-token"}
    done = run("diffsettings", tmp_path, **complete)
    assert done.returncode == 0
    assert "TwilioBackend" in done.stdout
    assert run("check", tmp_path, **complete).returncode == 0


def test_a_port_that_is_taken_is_one_sentence(tmp_path: Path) -> None:
    with closing(socket.socket()) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("demo", tmp_path, PORT=str(port))
    assert done.returncode == 1
    assert str(port) in done.stderr
    assert len(done.stderr.splitlines()) == 1
