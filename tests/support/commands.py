"""Run a management command as a shell does, and hold it against the reference."""

from __future__ import annotations

import json
import re
from argparse import Action
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command, execute_from_command_line
from django.core.management.base import BaseCommand

ENVELOPE = {"command", "result", "message"}
"""Keys of every command's JSON."""
RESULTS = ("fine", "found", "could_not_look")
"""By exit code."""
REFERENCE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "commands.md"
VERBS = re.compile(r"^(Look|List|Erase|Export|Set|Import|Delete|Remove|Make|Seal|Read|Create)\b")


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def data(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.out)
        return found


def run(capsys: pytest.CaptureFixture[str], *arguments: str) -> Ran:
    """Run ``manage.py`` with ``arguments`` in this process."""
    capsys.readouterr()
    code = 0
    try:
        execute_from_command_line(["manage.py", *arguments])
    except SystemExit as error:
        code = int(error.code or 0)
    said = capsys.readouterr()
    return Ran(code, said.out, said.err)


def check_run(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> dict[str, Any]:
    """Run with ``--json``, hold the answer against ``code``, and return it."""
    ran = run(capsys, *arguments, "--json")
    assert ran.code == code, ran
    assert ran.data["command"] == arguments[0]
    assert ran.data["result"] == RESULTS[code], ran
    assert bool(ran.data["message"]) is bool(code)
    assert "Traceback" not in ran.err
    return ran.data


def check_call(capsys: pytest.CaptureFixture[str], code: int, *arguments: str) -> dict[str, Any]:
    """As ``check_run``, by ``call_command``: for tests within a transaction, which a shell's command would end."""
    capsys.readouterr()
    returned = 0
    try:
        call_command(*arguments, "--json")
    except CommandError as error:
        returned = error.returncode
    data: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert (returned, data["result"]) == (code, RESULTS[code]), data
    return data


def section(name: str) -> str:
    """What the reference says of a command."""
    return REFERENCE.read_text(encoding="utf-8").partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def documented_keys(name: str) -> set[str]:
    """The keys of a command's JSON, without those of all commands."""
    line = re.search(r"^JSON: (.+?)\n\n", section(name) + "\n\n", re.MULTILINE | re.DOTALL)
    assert line, f"{name}: the reference has no line 'JSON: …'"
    first = re.sub(r"\([^)]*\)", "", line[1]).partition(". ")[0]  # without what the parts of a key are called
    return set(re.findall(r"`(\w+)`", first))


def check_reference(name: str, command: BaseCommand) -> None:
    """Hold the help of ``command`` against the style, and its options against the reference."""
    assert VERBS.match(command.help), command.help
    assert command.help.endswith("."), command.help
    page = section(name)
    own = _own_actions(name, command)
    assert "--json" in {flag for action in own for flag in action.option_strings}
    for action in own:
        assert action.help and action.help[0].isupper() and action.help.endswith("."), (name, action.dest)
        for flag in action.option_strings or [action.metavar or action.dest]:
            assert flag == "--json" or re.search(rf"{re.escape(str(flag))}\b", page, re.IGNORECASE), (name, flag)
    known = {flag for action in own for flag in action.option_strings}
    mentioned = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", page.partition("```console")[2].partition("\n```")[0]))
    assert mentioned <= known, (name, mentioned - known)


def _own_actions(name: str, command: BaseCommand) -> list[Action]:
    theirs = {action.dest for action in BaseCommand().create_parser("manage.py", name)._actions}
    return [one for one in command.create_parser("manage.py", name)._actions if one.dest not in theirs]
