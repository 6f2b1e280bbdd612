"""A pytest of its own, for the tests of a small site."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def run(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.Pytester:
    """A folder for a site's tests, in an environment in which this package is installed as it stands here."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    (entry,) = project["entry-points"]["pytest11"].items()
    place = tmp_path / "installed" / "django_twilio_verify_here-0.dist-info"
    place.mkdir(parents=True)
    (place / "METADATA").write_text("Metadata-Version: 2.1\nName: django-twilio-verify-here\nVersion: 0\n")
    (place / "entry_points.txt").write_text("[pytest11]\n{} = {}\n".format(*entry))
    for name in ("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS", "COV_CORE_SOURCE", "COV_CORE_CONFIG"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}:{place.parent}")
    return pytester


def run_tests(run: pytest.Pytester, *args: str) -> pytest.RunResult:
    return run.runpytest_subprocess("-p", "no:randomly", "-p", "no:cacheprovider", "-p", "no:xdist", *args)
