"""Every example in the guide to tests, and the one in the README, is a test module that passes."""

from __future__ import annotations

import re

import pytest

from django_twilio_verify import testing
from tests.testing.conftest import ROOT, run_tests

pytest_plugins = ["pytester"]


def python_blocks(text: str) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_examples_pass(run: pytest.Pytester) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").partition("\n## In your tests\n")[2]
    guide = (ROOT / "docs" / "howto" / "testing.md").read_text(encoding="utf-8")
    (first,) = python_blocks(readme.partition("\n## ")[0])
    blocks = [first, *python_blocks(guide)]
    tests = [re.findall(r"^ *(?:async )?def (test_\w+)", block, re.MULTILINE) for block in blocks]
    assert [] not in tests, "an example that tests nothing"
    for number, block in enumerate(blocks):
        run.makepyfile(**{f"test_example_{number}": block})
    run.makeini("[pytest]\nDJANGO_SETTINGS_MODULE = tests.testing.site.settings\nfilterwarnings = error\n")
    run_tests(run).assert_outcomes(passed=sum(map(len, tests)))


def test_every_public_name_is_in_the_reference() -> None:
    reference = (ROOT / "docs" / "reference" / "testing.md").read_text(encoding="utf-8")
    assert [name for name in testing.__all__ if not re.search(rf"`{name}[`(]", reference)] == []
