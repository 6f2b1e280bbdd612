"""The ledger in a database of its own: the tests of ``elsewhere.py``, under ``tests.settings_ledger``."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_ledger_can_stand_in_a_database_of_its_own() -> None:
    # Another process, for Django sets up its databases once.
    name = f"{os.environ.get('TEST_DATABASE_NAME', 'twilio_verify')}_ledger_{os.getpid()}"
    command = [sys.executable, "-m", "pytest", "tests/models/elsewhere.py", "--ds=tests.settings_ledger"]
    command += ["-q", "-p", "no:cacheprovider", "-p", "no:xdist", "--create-db"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment["TEST_DATABASE_NAME"] = name
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout
