"""Twilio's numbers stay in its own backend: above it, errors and results are told apart by named facts."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import django_twilio_verify
from django_twilio_verify.backends.twilio.error_table import TABLE
from django_twilio_verify.backends.twilio.rejections import REJECTIONS
from django_twilio_verify.consent import linter

PACKAGE = Path(django_twilio_verify.__file__).parent
REFERENCE = PACKAGE.parent / "docs" / "reference" / "commands.md"
ALLOWED = ("backends/twilio/", "backends/simulator/", "testing/")
"""Twilio's adapter, what behaves like Twilio, and what answers like Twilio in a site's tests."""
# The REST API (20xxx), messaging (21xxx), delivery and carriers (30xxx), Verify (60xxx), channels (63xxx), Verify's
# WhatsApp (68xxx), trial accounts (575xxx). A number with a fraction, a sign or letters beside it is none of them.
_CODE = re.compile(r"(?<![\w.+#/-])(?:(?:20|21|30|60|63|68)\d{3}|575\d{3})(?![\w-]|\.\d)")


def is_code(value: object) -> bool:
    return _CODE.search(value if isinstance(value, str) else str(value)) is not None


def _docstrings(tree: ast.Module) -> set[int]:
    """Texts that stand as statements: docstrings of modules, classes, functions and names. They cite sources."""
    return {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}


def codes_in(source: str) -> Iterator[int]:
    """The lines with a number of Twilio's in code: as a number, or in a text."""
    tree = ast.parse(source)
    cited = _docstrings(tree)
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or id(node) in cited or isinstance(node.value, bool):
            continue
        # "30_000" is a quantity: no code is written so.
        is_quantity = isinstance(node.value, int) and "_" in (ast.get_source_segment(source, node) or "")
        if isinstance(node.value, int | str) and not is_quantity and is_code(node.value):
            yield node.lineno


def test_no_module_but_twilios_has_a_number_of_twilios() -> None:
    sources = {path.relative_to(PACKAGE).as_posix(): path.read_text() for path in PACKAGE.rglob("*.py")}
    found = [
        f"{path}:{line}"
        for path, source in sorted(sources.items())
        if not path.startswith(ALLOWED)
        for line in codes_in(source)
    ]
    assert len(sources) > 200 and found == []


def test_no_template_has_one() -> None:
    templates = [path for path in (PACKAGE / "templates").rglob("*") if path.is_file()]
    found = [str(path) for path in templates if is_code(path.read_text())]
    assert len(templates) > 20 and found == []


@pytest.mark.parametrize("code", [*TABLE, *REJECTIONS.values()])
def test_every_number_that_we_know_would_be_found(code: int) -> None:
    assert list(codes_in(f"if error.provider_code == {code}:\n    pass")) == [1]
    assert list(codes_in(f"'refused (Twilio error {code}).'.strip()")) == [1]


@pytest.mark.parametrize(
    "source",
    ["'''Verify answers 60203.'''", "wait = 30_000", "days = 60", "key = 'a60203'", "color = '#302010'", "x = 60203.5"],
)
def test_what_is_none_is_not_found(source: str) -> None:
    assert list(codes_in(source)) == []


def test_every_finding_of_the_linter_has_a_reference_and_its_line_on_the_page() -> None:
    rows = re.findall(r"^\| `(\w+)` \| .+ \| (\d{5}) \|$", REFERENCE.read_text(), re.MULTILINE)
    assert list(linter.REMEDIES) == list(REJECTIONS)
    assert {code: int(number) for code, number in rows} == dict(REJECTIONS)
    assert linter.reference("sms_only") == "Twilio error 30553"
