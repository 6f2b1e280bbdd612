"""The suite on every interpreter, Django and database, and the checks beside it.

    uvx nox -l                                             # what there is
    uvx nox -s "tests(postgres, python3.13, django6.1)"    # one run; the servers have to be up
    uvx nox -s tests -p 3.13                               # all runs of one interpreter
    uvx nox -s lint types layers docs                      # what needs no server

``make test`` is the quick way to the tests: SQLite, on the interpreter at hand.
"""

import os
import shutil
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).parent / "scripts"))
from matrix import DATABASES, PAIRS

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_missing_interpreters = True
nox.options.sessions = ["lint", "types", "layers", "docs"]

PYPROJECT = nox.project.load_toml("pyproject.toml")
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

#: Beside the test group: what a database's run installs, and what it tells the settings. Runs on
#: different servers may stand side by side, and clearing Django's cache flushes a Redis database.
DRIVERS = {
    "sqlite": ((), {}),
    "postgres": (
        ("postgres", "redis"),
        {"TEST_CACHE": "redis", "REDIS_URL": "redis://127.0.0.1:6379/1"},
    ),
    "mariadb": (
        ("mariadb", "redis"),
        {"TEST_CACHE": "redis", "REDIS_URL": "redis://127.0.0.1:6379/8"},
    ),
}


def install(session: nox.Session, *groups: str, django: str = "") -> None:
    """Install the project, editable, with dependency groups, and one release series of Django."""
    requirements = nox.project.dependency_groups(PYPROJECT, *groups) if groups else ()
    pin = [f"Django~={django}.0"] if django else []
    session.install("--editable", ".", *requirements, *pin)


#: What asks nothing of a server that it does not ask of SQLite: values, settings, backends, documents, and pages, whose
#: queries, races and records have tests of their own in the folders that are left. Left out on both servers.
NOT_ON_SERVERS = (
    *("attacks", "backends", "checks", "conf", "core", "demo", "docs"),
    *("login/enforcement/test_login_views.py", "login/step_up", "provider/service"),
    *("views/challenge/test_journeys.py", "views/enroll", "views/passkeys"),
)
LEFT_OUT = {"sqlite": (), "postgres": NOT_ON_SERVERS, "mariadb": NOT_ON_SERVERS}


@nox.session
@nox.parametrize(
    "python,django",
    [nox.param(*pair, id="python{}, django{}".format(*pair)) for pair in PAIRS],
)
@nox.parametrize("database", [nox.param(name, id=name) for name in DATABASES])
def tests(session: nox.Session, django: str, database: str) -> None:
    """The suite; WORKERS=2 says how many processes, further arguments go to pytest."""
    groups, environment = DRIVERS[database]
    install(session, "test", *groups, django=django)
    row = f"{database}-py{session.python}-dj{django}".replace(".", "")
    ignored = [f"--ignore=tests/{path}" for path in LEFT_OUT[database]]
    session.run(
        *("python", "-m", "pytest", "-n", os.environ.get("WORKERS", "2"), *ignored, *session.posargs),
        env={
            "TEST_CACHE": "locmem",
            **environment,
            **{name: os.environ[name] for name in ["REDIS_URL"] if name in os.environ},
            "TEST_DATABASE": database,
            # A run may have a neighbour on the same server.
            "TEST_DATABASE_NAME": os.environ.get("TEST_DATABASE_NAME", row.replace("-", "_")),
        },
    )


@nox.session
def lint(session: nox.Session) -> None:
    """Style."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Types: mypy reads the settings of the tests, so what those import is installed too."""
    install(session, "lint", "test")
    session.run("python", "-m", "mypy")
    # A site's code under mypy and pyright, and how much of the public modules is typed.
    session.run("python", "-m", "pytest", "tests/typing", *session.posargs)


@nox.session
def layers(session: nox.Session) -> None:
    """Which package may import which (CONTRIBUTING.md, "Packages and layers")."""
    install(session, "lint")
    session.run("lint-imports")


@nox.session
def browser(session: nox.Session) -> None:
    """The journeys through a real browser, of which there are WORKERS=2; CHROMIUM names its binary."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if not (found and shutil.which(found)):
        session.error("No Chromium here: install one, or name it with CHROMIUM=/path/to/it.")
    install(session, "test", "browser")
    session.run(
        *("python", "-m", "pytest", "-n", os.environ.get("WORKERS", "2"), "tests/browser", "-m", "browser"),
        *session.posargs,
        env={"CHROMIUM": found},
    )


@nox.session
def integrations(session: nox.Session) -> None:
    """Each app that contrib/ fits, really installed, in a site of its own; arguments name the ones to run."""
    install(session, "test", "integrations")
    folders = sorted(path.parent for path in Path("tests/integrations").glob("*/settings.py"))
    chosen = [folder for folder in folders if not session.posargs or folder.name in session.posargs]
    environment = {"COVERAGE_FILE": str(Path("build/coverage-contrib").absolute())}
    session.run("coverage", "erase", env=environment)
    for folder in chosen:
        settings = ".".join((*folder.parts, "settings"))
        session.run(
            *("python", "-m", "pytest", str(folder), "--ds", settings),
            *("--cov", "--cov-append", "--cov-report="),
            env=environment,
        )
    if not session.posargs:
        session.run("coverage", "report", "--include=*/contrib/*", "--fail-under=90", env=environment)


@nox.session
def pdf(session: nox.Session) -> None:
    """The evidence's pages as PDF; Pango has to be there."""
    install(session, "test", "pdf")
    session.run("python", "-m", "pytest", "tests/ledger/export/pdf", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation; a warning is an error."""
    install(session, "docs")
    session.run("sphinx-build", "-W", "--keep-going", "-b", "html", "docs", "build/docs", *session.posargs)


@nox.session
def package(session: nox.Session) -> None:
    """Build the wheel and the sdist, and look whether they hold what they should and no more."""
    session.install("build", "hatchling")
    shutil.rmtree("build/dist", ignore_errors=True)
    session.run("python", "-m", "build", "--no-isolation", "--outdir", "build/dist", ".", silent=True)
    session.run("python", "scripts/check_dist.py", "build/dist")
    wheel = next(Path("build/dist").glob("*.whl"))
    session.install(str(wheel))
    # Away from the checkout, so that it is the wheel which is imported.
    session.cd(session.create_tmp())
    session.run("python", "-c", "import django_twilio_verify as p; print(p.__version__, p.__file__)")
