"""Make ``.venv`` and install this project into it, editable, with dependency groups.

    python3 scripts/bootstrap.py [--exactly] [--group NAME]...

Standard library only, and no syntax newer than Python 3.6: an interpreter that is too old still says so. Where nothing
changed since the last run, nothing is done and no network is needed.
"""

import argparse
import hashlib
import json
import os
import shutil
import subprocess
import sys

OLDEST, NEWEST = (3, 11), (3, 14)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "bootstrap.json")
PYTHON = os.path.join(VENV, *(("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")))


def answer(command, code):
    """Return what ``code`` prints under an interpreter, or an empty string where it does not run.

    It is started rather than looked up: version managers put names on the PATH that lead nowhere.
    """
    options = {"stderr": subprocess.DEVNULL, "universal_newlines": True}
    try:
        return subprocess.check_output([command, "-c", code], **options).strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def version_of(command, needs=""):
    found = answer(command, "import sys{}; print('%d.%d' % sys.version_info[:2])".format(needs))
    return tuple(int(part) for part in found.split(".")) if found else ()


def interpreter(exactly):
    """Return this interpreter if it will do, else, unless ``exactly``, the newest on the PATH that will."""
    others = ["python%d.%d" % (OLDEST[0], minor) for minor in range(NEWEST[1], OLDEST[1] - 1, -1)]
    for command in [sys.executable] + ([] if exactly else others):
        if shutil.which(command) and version_of(command, ", venv, ensurepip") >= OLDEST:
            return command
    sys.exit(
        "error: this needs Python {}.{} or newer with venv and ensurepip (on Debian: python3-venv). Choose one with "
        "PYTHON=, as in: make test PYTHON=python3.13".format(*OLDEST)
    )


def run(*command):
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1")
    if subprocess.call(command, cwd=ROOT, env=environment):
        sys.exit("error: could not install. Installing needs a package index.")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--group", action="append", default=[], help="a dependency group to install too")
    parser.add_argument("--exactly", action="store_true", help="use this interpreter and no other")
    options = parser.parse_args()

    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        digest = hashlib.sha256(ROOT.encode() + file.read()).hexdigest()
    try:
        with open(STAMP) as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        stamp = {}
    present = version_of(PYTHON, ", pip")
    # One that was made by hand is kept, too; one that was moved here with its checkout would lead elsewhere.
    keep = stamp.get("root", ROOT) == ROOT and present >= OLDEST
    if keep and options.exactly and present != sys.version_info[:2]:
        keep = False
        if not stamp:
            sys.exit("error: there is a .venv of Python {}.{} that this script did not make.".format(*present))
    groups = sorted(set(options.group) | set(stamp.get("groups", []) if keep else []))
    new = {"root": ROOT, "pyproject": digest, "groups": groups}
    if keep and stamp == new:
        return

    if not keep:
        run(interpreter(options.exactly), "-m", "venv", "--clear", VENV)
    if not keep or not stamp:
        # The pip of Python 3.11 cannot read dependency groups.
        run(PYTHON, "-m", "pip", "install", "--quiet", "--upgrade", "pip>=25.1")
    # Without its stamp, an environment that an interrupted install left half done is made again.
    if os.path.exists(STAMP):
        os.remove(STAMP)
    sys.stderr.write("==> installing the project with: {} (up to a minute)\n".format(", ".join(groups) or "no group"))
    quiet = [] if sys.stderr.isatty() else ["--quiet"]
    arguments = [argument for group in groups for argument in ("--group", group)]
    run(PYTHON, "-m", "pip", "install", *quiet, "--editable", ".", *arguments)
    with open(STAMP, "w") as file:
        json.dump(new, file)


if __name__ == "__main__":
    main()
