"""The reference of the public modules has each name, with the signature, fields and members that the code has."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from django.utils.functional import cached_property

from django_twilio_verify import exceptions
from tests.docs.public import DESCRIBED
from tests.docs.test_docs import DOCS, error_classes, rows

SECTION = re.compile(r"^### ([a-z_.]+)\.(\w+)\n(.*?)(?=^##? |^### |\Z)", re.MULTILINE | re.DOTALL)
BLOCK = re.compile(r"^```python\n(.*?)^```", re.MULTILINE | re.DOTALL)
NAMES = {"timedelta": timedelta}
"""What a default on a page may be written with."""


def documented() -> dict[tuple[str, str], str]:
    """The text of each section of the reference whose heading is a public name with its module."""
    found: dict[tuple[str, str], str] = {}
    for file in sorted((DOCS / "reference").glob("*.md")):
        for module, name, text in SECTION.findall(file.read_text(encoding="utf-8")):
            assert (module, name) not in found, f"{module}.{name} is described twice"
            found[module, name] = text
    return found


SECTIONS = documented()


def members(module: str) -> dict[str, Any]:
    found = import_module(f"django_twilio_verify.{module}")
    return {name: getattr(found, name) for name in found.__all__}


def twins(module: str) -> dict[str, Any]:
    names = members(module)
    return {name: value for name, value in names.items() if name[:1] == "a" and name[1:] in names}


def functions() -> Iterator[tuple[str, str, Any]]:
    for module in (*DESCRIBED, "testing"):
        for name, value in members(module).items():
            if inspect.isfunction(value) and name not in twins(module):
                yield module, name, value


def helpers() -> dict[str, Any]:
    """The functions of ``testing``. Its classes have sections by autodoc."""
    return {name: value for name, value in members("testing").items() if inspect.isfunction(value)}


def classes() -> Iterator[tuple[str, str, Any]]:
    for module in DESCRIBED:
        yield from ((module, name, value) for name, value in members(module).items() if inspect.isclass(value))


def definition(module: str, name: str) -> ast.stmt | None:
    """What the first block of a section defines; ``None`` where it has no block that defines ``name``."""
    block = BLOCK.search(SECTIONS[module, name])
    first = ast.parse(block[1]).body[0] if block else None
    return first if getattr(first, "name", "") == name else None


def annotation(node: ast.expr | None) -> str:
    return "" if node is None else ast.unparse(node)


def of_code(annotated: Any) -> str:
    if annotated is inspect.Parameter.empty:
        return ""
    return ast.unparse(ast.parse(annotated if isinstance(annotated, str) else inspect.formatannotation(annotated)))


def of_page(node: ast.FunctionDef | ast.AsyncFunctionDef) -> tuple[list[tuple[str, str, str, Any]], str]:
    """The parameters (name, kind, annotation, default) and the result that a page shows."""
    given = node.args
    plain = [*given.posonlyargs, *given.args]
    defaults = [None] * (len(plain) - len(given.defaults)) + list(given.defaults)
    found = [(one, "POSITIONAL_OR_KEYWORD", default) for one, default in zip(plain, defaults, strict=True)]
    found += [(given.vararg, "VAR_POSITIONAL", None)] if given.vararg else []
    found += [(one, "KEYWORD_ONLY", default) for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)]
    found += [(given.kwarg, "VAR_KEYWORD", None)] if given.kwarg else []
    parameters = [(one.arg, kind, annotation(one.annotation), evaluated(default)) for one, kind, default in found]
    return parameters, annotation(node.returns)


def evaluated(node: ast.expr | None) -> Any:
    """The value of a default as a page writes it."""
    if node is None:
        return inspect.Parameter.empty
    return eval(compile(ast.Expression(node), "page", "eval"), {"__builtins__": {}}, NAMES)  # noqa: S307  # our own docs


def signature_of(function: Any) -> tuple[list[tuple[str, str, str, Any]], str]:
    signature = inspect.signature(function)
    parameters = [
        (one.name, one.kind.name, of_code(one.annotation), one.default) for one in signature.parameters.values()
    ]
    return parameters, of_code(signature.return_annotation)


def test_every_public_name_has_a_section_and_no_other_name_has() -> None:
    public = {(module, name) for module in DESCRIBED for name in members(module) if name not in twins(module)}
    public |= {("forms", name) for name in members("forms")}
    public |= {("testing", name) for name in helpers() if name not in twins("testing")}
    assert public == {*SECTIONS}


@pytest.mark.parametrize(("module", "name", "function"), list(functions()))
def test_a_function_has_the_signature_of_the_reference(module: str, name: str, function: Any) -> None:
    node = definition(module, name)
    assert isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    assert of_page(node) == signature_of(function)
    assert isinstance(node, ast.AsyncFunctionDef) == inspect.iscoroutinefunction(function)


@pytest.mark.parametrize("module", [*DESCRIBED, "testing"])
def test_the_twins_of_a_module_are_listed_and_take_the_same_arguments(module: str) -> None:
    pages = [file.read_text(encoding="utf-8") for file in (DOCS / "reference").glob("*.md")]
    [section] = [
        text.partition(f"\n## {module}\n")[2].partition("\n### ")[0] for text in pages if f"\n## {module}\n" in text
    ]
    listed = section.partition("**Async twins**")[2].partition("\n\n")[0]
    assert {*re.findall(r"`(a\w+)`", listed)} - {"a"} == {*twins(module)}
    for name, twin in twins(module).items():
        assert signature_of(twin) == signature_of(members(module)[name[1:]])
        assert inspect.iscoroutinefunction(twin)


def own_members(cls: type) -> dict[str, Any]:
    """The public methods and properties that ``cls`` defines itself."""
    found = {}
    for name, value in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(value, property):
            found[name] = value.fget
        elif isinstance(value, cached_property):
            found[name] = value.func
        elif isinstance(value, classmethod | staticmethod):
            found[name] = value.__func__
        elif inspect.isfunction(value):
            found[name] = value
    return found


@pytest.mark.parametrize(("module", "name", "cls"), list(classes()))
def test_a_class_has_the_members_of_the_reference(module: str, name: str, cls: type) -> None:
    node = definition(module, name)
    body = node.body if isinstance(node, ast.ClassDef) else []
    shown = {one.name: of_page(one) for one in body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert shown == {member: signature_of(function) for member, function in own_members(cls).items()}
    kinds = {
        one.name: [ast.unparse(mark) for mark in one.decorator_list] for one in body if isinstance(one, ast.FunctionDef)
    }
    properties = {member for member in shown if isinstance(vars(cls)[member], property | cached_property)}
    assert {member for member, marks in kinds.items() if marks == ["property"]} == properties
    explained = {*re.findall(r"^- `(\w+)`: ", SECTIONS[module, name], re.MULTILINE)}
    assert {*shown} <= explained


@pytest.mark.parametrize(("module", "name", "cls"), [one for one in classes() if dataclasses.is_dataclass(one[2])])
def test_a_type_has_the_fields_of_the_reference(module: str, name: str, cls: type) -> None:
    table = [
        re.split(r"(?<!\\)\|", line)[1:-1] for line in SECTIONS[module, name].splitlines() if line.startswith("| `")
    ]
    cells = [[cell.strip().replace("\\|", "|") for cell in row] for row in table]
    shown = [(row[0].strip("`"), row[1].strip("`"), of_cell(row[2])) for row in cells]
    assert shown == [(one.name, str(one.type), default_of(one)) for one in dataclasses.fields(cls)]
    assert all(len(row) == 4 and row[3] for row in cells)


CALLS = ("send", "asend", "resend", "aresend", "check", "acheck")
"""What the forms have besides Django's own methods."""


@pytest.mark.parametrize("name", sorted(members("forms")))
def test_a_form_has_the_methods_of_the_reference(name: str) -> None:
    form = members("forms")[name]
    own = [call for call in CALLS if hasattr(form, call)]
    own += ["__init__"] if form.__init__.__module__.startswith("django_twilio_verify.") else []
    node = definition("forms", name)
    assert isinstance(node, ast.ClassDef)
    shown = {one.name: one for one in node.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert {key: of_page(one) for key, one in shown.items()} == {key: signature_of(getattr(form, key)) for key in own}
    is_async = {key for key, one in shown.items() if isinstance(one, ast.AsyncFunctionDef)}
    assert is_async == {key for key in own if inspect.iscoroutinefunction(getattr(form, key))}


def of_cell(cell: str) -> Any:
    return evaluated(ast.parse(cell.strip("`"), mode="eval").body) if cell else inspect.Parameter.empty


def default_of(one: dataclasses.Field[Any]) -> Any:
    if one.default_factory is not dataclasses.MISSING:
        return one.default_factory()
    return inspect.Parameter.empty if one.default is dataclasses.MISSING else one.default


def test_the_table_of_errors_has_the_class_the_django_type_and_the_status_of_each() -> None:
    table = {row[0]: row[1:] for row in rows("reference/exceptions") if len(row) == 5}
    for one in error_classes():
        if one in (exceptions.TwilioVerifyError, exceptions.BackendError):
            continue
        bases = [base.__name__ for base in one.__bases__ if base is not exceptions.TwilioVerifyError]
        also, status, codes, _ = table[one.__name__]
        assert also == ", ".join(bases)
        assert status == str(one.status_code)
        assert re.findall(r"\w+", codes) == [str(code) for code in one.user_messages]
    assert {*table} - {"Class", "---|---|---|---|---"} == {
        one.__name__ for one in error_classes() if one not in (exceptions.TwilioVerifyError, exceptions.BackendError)
    }


def test_every_class_of_the_exceptions_is_exported() -> None:
    defined = {
        name for name, value in vars(exceptions).items() if getattr(value, "__module__", "") == exceptions.__name__
    }
    assert {name for name in defined if inspect.isclass(getattr(exceptions, name))} == {*exceptions.__all__}
