"""Make ``.venv`` in the checkout and install this project into it, editable.

    python3 scripts/bootstrap.py [--exactly] [--group NAME]...

Standard library only. The pip that comes with Python 3.11 and 3.13.0 cannot read dependency
groups, so the environment gets a newer pip first. Where nothing changed since the last time,
nothing is done and no network is needed. This file has to parse on interpreters that are too old to
run the project (hence no annotations, and no syntax newer than 3.6), because it is the one that
tells their owners so.
"""

import argparse
import collections
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

OLDEST = (3, 11)
NEWEST_TRIED = (3, 14)
ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".venv")
STAMP = os.path.join(VENV, "bootstrap.json")
BIN = os.path.join(VENV, "Scripts" if os.name == "nt" else "bin")
PYTHON = os.path.join(BIN, "python.exe" if os.name == "nt" else "python")

PROBE = (
    "import importlib.util as u, json, sys;"
    "print(json.dumps([list(sys.version_info[:3]),"
    " bool(u.find_spec('venv') and u.find_spec('ensurepip'))]))"
)


class Stop(Exception):
    """Something the person at the keyboard has to mend; the text is one sentence that says what."""


def say(text):
    sys.stderr.write("==> " + text + "\n")
    sys.stderr.flush()


def dotted(version):
    return ".".join(str(part) for part in version)


# ------------------------------------------------------------------------------- which interpreter


def probe(command):
    """Return ``(version, can_make_environments)`` of an interpreter; None where it does not run.

    It is started rather than looked up: the shims of version managers are on the PATH for
    interpreters that are not there.
    """
    try:
        output = subprocess.check_output([command, "-c", PROBE], stderr=subprocess.DEVNULL, universal_newlines=True)
        version, complete = json.loads(output)
    except (OSError, ValueError, subprocess.CalledProcessError):
        return None
    return tuple(version), complete


def complaint(version, complete):
    """Return why an interpreter will not do, in one sentence, or an empty string where it will."""
    if version[:2] < OLDEST:
        return "This needs Python {} or newer, and {} is Python {}.".format(
            dotted(OLDEST), sys.executable, dotted(version)
        )
    if not complete:
        return (
            "Python {} is here, but without the venv and ensurepip modules; on Debian and Ubuntu "
            "they are in the package python3-venv.".format(dotted(version))
        )
    return ""


def choose_interpreter(exactly):
    """Return ``(command, version)`` of the interpreter to build with: this one, if it will do.

    Otherwise, unless ``exactly``, the newest ``python3.N`` on the PATH that does.
    """
    found = probe(sys.executable)
    if found is None:
        raise Stop("{} cannot start itself.".format(sys.executable))
    wrong = complaint(*found)
    if not wrong:
        return sys.executable, found[0]
    if not exactly:
        for minor in range(NEWEST_TRIED[1], OLDEST[1] - 1, -1):
            other = shutil.which("python3.{}".format(minor))
            seen = probe(other) if other else None
            if seen and not complaint(*seen):
                say("{} Using Python {} instead.".format(wrong, dotted(seen[0])))
                return other, seen[0]
    raise Stop(wrong + " Another one is chosen with PYTHON=, as in: make test PYTHON=python3.13")


# ------------------------------------------------------------------------------------- running pip


def run(command, what):
    """Run a command with its output kept back; show it whole where it fails.

    On a terminal, one line shows what it is busy with.
    """
    kept = collections.deque(maxlen=200)
    terminal = sys.stderr.isatty()
    width = shutil.get_terminal_size().columns - 1
    started = time.time()
    environment = dict(os.environ, PIP_DISABLE_PIP_VERSION_CHECK="1", PYTHONUNBUFFERED="1")
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        universal_newlines=True,
    )
    for line in process.stdout:
        kept.append(line)
        if terminal and line.strip():
            text = "    {:3.0f} s  {}".format(time.time() - started, line.strip())
            sys.stderr.write("\r\x1b[K" + text[:width])
            sys.stderr.flush()
    if terminal:
        sys.stderr.write("\r\x1b[K")
    if process.wait():
        sys.stderr.writelines(kept)
        raise Stop("Could not {}; the reason stands above. Installing needs the package index.".format(what))
    return time.time() - started


def pip(*arguments, **options):
    return run([PYTHON, "-m", "pip", "--no-input", *arguments], **options)


# --------------------------------------------------------------------------------- the environment


def read_stamp():
    """Return what the last run left in ``.venv``; an empty dict where that cannot be read."""
    try:
        with open(STAMP) as file:
            stamp = json.load(file)
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def fingerprint():
    """Return a digest of all that decides what gets installed."""
    with open(os.path.join(ROOT, "pyproject.toml"), "rb") as file:
        return hashlib.sha256(ROOT.encode() + b"\0" + file.read()).hexdigest()


def ensure_environment(exactly):
    """Make ``.venv`` where there is none that works. Returns True where it was made now.

    One that works is kept, whatever interpreter it has, unless another was asked for by name.
    """
    present = probe(PYTHON) if os.path.exists(PYTHON) else None
    stamp = read_stamp()
    works = present and present[0][:2] >= OLDEST and pip_version()
    if works and stamp.get("root", ROOT) == ROOT:
        if not exactly or present[0][:2] == sys.version_info[:2]:
            return False
        if not stamp:
            raise Stop(
                "There is a .venv of Python {} that this script did not finish; remove it first.".format(
                    dotted(present[0])
                )
            )
    command, version = choose_interpreter(exactly)
    say("making .venv with Python {}".format(dotted(version)))
    run([command, "-m", "venv", "--clear", VENV], what="make a virtual environment in .venv")
    return True


def pip_version():
    """Return the version of the pip in ``.venv``, as in (25, 1); empty where there is none."""
    try:
        output = subprocess.check_output(
            [PYTHON, "-c", "import pip; print(pip.__version__)"],
            stderr=subprocess.DEVNULL,
            universal_newlines=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return ()
    return tuple(int(part) for part in output.strip().split(".")[:2] if part.isdigit())


def ensure_pip():
    """Have a pip that reads dependency groups."""
    if pip_version() < (25, 1):
        say("upgrading its pip")
        pip("install", "--upgrade", "pip>=25.1", what="upgrade pip")


def install(groups):
    arguments = ["install", "--editable", "."]
    for group in groups:
        arguments += ["--group", group]
    extra = " with its dependencies for: {}".format(", ".join(groups)) if groups else ""
    say("installing the project{} (up to a minute)".format(extra))
    return pip(*arguments, what="install the project")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--group", action="append", default=[], help="a group to install too")
    parser.add_argument("--exactly", action="store_true", help="use this interpreter and no other")
    options = parser.parse_args()

    made = ensure_environment(options.exactly)
    stamp = {} if made else read_stamp()
    wanted = sorted(set(options.group) | set(stamp.get("groups", [])))
    new = {"root": ROOT, "pyproject": fingerprint(), "groups": wanted}
    if stamp == new:
        return
    # Without its stamp, an environment that an interrupted install left half done is done again.
    if os.path.exists(STAMP):
        os.remove(STAMP)
    ensure_pip()
    seconds = install(wanted)
    with open(STAMP, "w") as file:
        json.dump(new, file)
    say("installed in {:.0f} s".format(seconds))


if __name__ == "__main__":
    try:
        main()
    except Stop as stop:
        sys.exit("error: {}".format(stop))
    except KeyboardInterrupt:
        sys.exit(130)
