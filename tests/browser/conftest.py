"""The example shop, served for real, and a headless Chromium that visits it.

``CHROMIUM``: the browser's binary, else ``chromium`` on the PATH. ``SCREENSHOTS``: folder for pictures of every page,
at the width of a phone and of a desk.
"""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from importlib.resources import files
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.steps import ROOT, Manage
from tests.browser.visitor import Visitor

MANAGE = [sys.executable, str(ROOT / "example_project" / "manage.py")]
FLAGS = [
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """The browser, one for all tests."""
    binary = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not binary or not shutil.which(binary):
        pytest.fail("There is no Chromium here: install one, or name it with CHROMIUM=/path/to/it.", pytrace=False)
    as_root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=binary, args=[*FLAGS, *(["--no-sandbox"] if as_root else [])]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, of a package that brings it."""
    return (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")


@pytest.fixture(scope="session")
def screenshots() -> Path | None:
    """Where the pictures go; ``None`` if nobody has asked for them."""
    named = os.environ.get("SCREENSHOTS")
    if not named:
        return None
    folder = Path(named)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture
def shop_environ() -> dict[str, str]:
    """What the shop finds in its environment besides."""
    return {}


def _environment(database: Path) -> dict[str, str]:
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("TWILIO_", "VERIFY_"))}
    environ.pop("DJANGO_SETTINGS_MODULE", None)
    environ |= {"PORT": str(port), "HOST": "127.0.0.1", "DATABASE": str(database)}
    environ |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "DEBUG": "1"}
    environ |= {"SUGGEST_STRONGER_FACTOR": "0"}  # but for the tests of it: journeys end where they were going
    return environ


@pytest.fixture(scope="session")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of a shop that was just opened for the first time: made once, since that takes seconds."""
    folder = tmp_path_factory.mktemp("opened")
    environ, log = _environment(folder / "shop.sqlite3"), folder / "server.log"
    with _served(environ, log):
        pass
    return folder / "shop.sqlite3"


@pytest.fixture
def environ(tmp_path: Path, opened: Path, shop_environ: dict[str, str]) -> dict[str, str]:
    """All that the shop and its commands find in their environment: a port and a database of the test's own."""
    database = tmp_path / "shop.sqlite3"
    # Not as a file: what was written last may still be in the log beside it.
    with closing(sqlite3.connect(opened)) as made, closing(sqlite3.connect(database)) as copy:
        made.backup(copy)
    return _environment(database) | shop_environ


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """What the shop prints: requests, and the letters that it would send."""
    return tmp_path / "server.log"


@pytest.fixture
def manage(shop: str, environ: dict[str, str]) -> Manage:
    """Runs ``manage.py`` beside the open shop: takes the arguments, answers with what it printed."""

    def run(*arguments: str) -> str:
        done = subprocess.run([*MANAGE, *arguments], env=environ, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def shop(environ: dict[str, str], log: Path) -> Iterator[str]:
    """The address of a shop of the test's own, just opened by ``manage.py demo``."""
    with _served(environ, log):
        yield f"http://127.0.0.1:{environ['PORT']}"
    assert "Traceback" not in log.read_text(), log.read_text()


@contextmanager
def _served(environ: dict[str, str], log: Path) -> Iterator[None]:
    with log.open("wb") as output:
        server = subprocess.Popen([*MANAGE, "demo"], env=environ, stdout=output, stderr=subprocess.STDOUT)
    try:
        _wait_for(server, int(environ["PORT"]), log)
        yield
    finally:
        server.terminate()
        server.wait(timeout=20)


def _wait_for(server: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"The shop did not open:\n{log.read_text()}", pytrace=False)


@pytest.fixture
def visitor(chromium: Browser, shop: str, axe: str, screenshots: Path | None) -> Iterator[Visitor]:
    """Somebody at a phone, with cookies of their own. What the console complained of fails the test."""
    visitor = Visitor(chromium, shop, axe, screenshots)
    yield visitor
    visitor.leave()


@pytest.fixture
def phone(chromium: Browser, shop: str, axe: str, screenshots: Path | None) -> Iterator[Visitor]:
    """As ``visitor``, at a phone that says so: by touch, and by what its browser tells of itself."""
    visitor = Visitor(chromium, shop, axe, screenshots, mobile=True)
    yield visitor
    visitor.leave()


@pytest.fixture
def visitor_without_scripts(chromium: Browser, shop: str, axe: str, screenshots: Path | None) -> Iterator[Visitor]:
    """As ``visitor``, with JavaScript switched off."""
    visitor = Visitor(chromium, shop, axe, screenshots, scripts=False)
    yield visitor
    visitor.leave()
