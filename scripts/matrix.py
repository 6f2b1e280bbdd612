"""What is tested with what: the one table of interpreters, Django releases and databases.

    matrix.py interpreters                # "3.12 /somewhere/bin" for each that this machine has
    matrix.py missing                     # "3.14" for each that it lacks
    matrix.py plan [--done 5.2]           # "database python django" for each run of the suite beside "make test"

Standard library only: CI asks it before anything is installed, and the noxfile imports it.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
from pathlib import Path

PYTHONS = ("3.11", "3.12", "3.13", "3.14")
DJANGOS = ("5.2", "6.0", "6.1")
SERVERS = ("postgres", "mariadb")
DATABASES = ("sqlite", *SERVERS)

#: The oldest interpreter of a Django release, where it is not our own oldest.
OLDEST_PYTHON = {"6.0": "3.12", "6.1": "3.12"}


def possible(python: str, django: str) -> bool:
    """Say whether that Django runs on that interpreter."""
    return PYTHONS.index(python) >= PYTHONS.index(OLDEST_PYTHON.get(django, PYTHONS[0]))


PAIRS = [(python, django) for python in PYTHONS for django in DJANGOS if possible(python, django)]


def runs(command: str | Path, python: str) -> bool:
    """Say whether a command starts and is that Python (a version manager's shim may be neither)."""
    try:
        answer = subprocess.run(
            [command, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return False
    return answer.stdout.strip() == python


def pyenv_versions() -> Path:
    """Return the folder where pyenv keeps interpreters; it need not exist."""
    if pyenv := shutil.which("pyenv"):
        answer = subprocess.run([pyenv, "root"], capture_output=True, text=True, check=False)
        if answer.returncode == 0 and answer.stdout.strip():
            return Path(answer.stdout.strip(), "versions")
    return Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"), "versions")


def find(python: str) -> Path | None:
    """Return the folder of a working ``python3.N``: pyenv's newest, else the PATH's, else None."""

    def release(folder: Path) -> list[int]:
        return [int(part) for part in folder.name.split(".") if part.isdigit()]

    candidates = [folder / "bin" for folder in sorted(pyenv_versions().glob(f"{python}.*"), key=release, reverse=True)]
    candidates += [Path(folder) for folder in os.get_exec_path()]
    name = f"python{python}"
    for folder in candidates:
        if (folder / name).exists() and runs(folder / name, python):
            return folder
    return None


def plan(pythons: list[str], done: str = "") -> list[tuple[str, str, str]]:
    """Return the runs ``(database, python, django)`` beside ``make test``, for the interpreters at hand.

    ``done``: the Django that ``make test`` has had, on SQLite and the interpreter at hand. Each server gets another
    one, and another interpreter, from the newest down: the three runs have each database, Django and interpreter.
    (All pairs on all databases are what ``nox -s tests`` runs: hours on one machine.)
    """
    rows = []
    left = [django for django in reversed(DJANGOS) if django != done]
    for turn, (server, django) in enumerate(zip(SERVERS, left, strict=False), start=1):
        if fit := [python for python in pythons if possible(python, django)]:
            rows.append((server, fit[-turn % len(fit)], django))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("what", choices=["interpreters", "missing", "plan"])
    parser.add_argument("--done", default="", metavar="DJANGO")
    options = parser.parse_args()
    found = {python: folder for python in PYTHONS if (folder := find(python))}
    if options.what == "interpreters":
        for python, folder in found.items():
            print(python, folder)
    elif options.what == "missing":
        for python in PYTHONS:
            if python not in found:
                print(python)
    else:
        for row in plan(list(found), options.done):
            print(*row)


if __name__ == "__main__":
    main()
