"""A site's code under ``mypy --strict`` and strict pyright: what is right passes, and each mistake is found.

Not among the usual tests: ``nox -s types`` installs the type checkers and runs these.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args

import pytest

from django_twilio_verify import choices, verifications
from django_twilio_verify.channels import Channel
from django_twilio_verify.choices import Purpose

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
MISTAKES = HERE / "shop" / "mistakes.py"
ENVIRONMENT = {
    **os.environ,
    "MYPYPATH": os.pathsep.join([str(HERE), str(ROOT)]),
    "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")])),
}


def found_by_mypy(tmp_path: Path) -> set[tuple[str, int]]:
    command = [
        "-m",
        "mypy",
        "--config-file",
        "mypy.ini",
        "--cache-dir",
        str(tmp_path),
        "--output",
        "json",
        "-p",
        "shop",
    ]
    run = subprocess.run([sys.executable, *command], cwd=HERE, env=ENVIRONMENT, capture_output=True, text=True)
    assert not run.stderr, run.stderr
    errors = [json.loads(line) for line in run.stdout.splitlines()]
    return {(Path(one["file"]).name, one["line"]) for one in errors if one["severity"] == "error"}


def found_by_pyright(tmp_path: Path) -> set[tuple[str, int]]:
    command = ["-m", "pyright", "--pythonpath", sys.executable, "--outputjson", "-p", "."]
    run = subprocess.run([sys.executable, *command], cwd=HERE, env=ENVIRONMENT, capture_output=True, text=True)
    answer = json.loads(run.stdout)
    assert answer["summary"]["filesAnalyzed"] == len(list((HERE / "shop").glob("*.py")))
    errors = [one for one in answer["generalDiagnostics"] if one["severity"] == "error"]
    return {(Path(one["file"]).name, one["range"]["start"]["line"] + 1) for one in errors}


CHECKERS = {"mypy": found_by_mypy, "pyright": found_by_pyright}


def marked(checker: str) -> set[tuple[str, int]]:
    """The lines of mistakes that ``checker`` finds: ``# error``, and ``# error: mypy`` for one of the two."""
    lines = enumerate(MISTAKES.read_text().splitlines(), start=1)
    marks = {number: re.search(r"# error(?:: (\w+))?$", line) for number, line in lines}
    return {(MISTAKES.name, number) for number, mark in marks.items() if mark and mark[1] in (None, checker)}


@pytest.mark.parametrize("checker", CHECKERS)
def test_a_sites_code_is_right_but_for_the_marked_lines(checker: str, tmp_path: Path) -> None:
    assert len(marked(checker)) > 20
    assert sorted(CHECKERS[checker](tmp_path)) == sorted(marked(checker))


def test_the_words_for_type_checkers_are_the_values() -> None:
    for name, kind in (("ChannelName", Channel), ("PurposeName", Purpose)):
        members = get_args(getattr(choices, name))
        words = [word for one in members for word in get_args(one)]
        assert sorted(words) == sorted(kind.values), name
        assert kind in members, name


@pytest.mark.parametrize("name", ["start", "check", "poll", "resend", "cancel"])
def test_a_verb_shows_its_signature_and_its_twin_the_same(name: str) -> None:
    shown = inspect.signature(getattr(verifications, name))
    assert "Steps" not in str(shown)
    assert inspect.signature(getattr(verifications, f"a{name}")) == shown
    assert inspect.iscoroutinefunction(getattr(verifications, f"a{name}"))
