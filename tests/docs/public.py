"""The public modules, and what a piece of Python takes from this package."""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable, Iterator
from importlib import import_module
from pathlib import Path

PACKAGE = "django_twilio_verify"

DESCRIBED = ("client", "consent", "verifications", "factors", "login", "decorators", "mixins")
"""Modules whose every name has a section in the reference with its signature."""

PUBLIC = (
    *DESCRIBED,
    *("forms", "exceptions", "signals", "choices", "models", "backends", "backends.base", "testing", "keys"),
)
"""Modules whose ``__all__`` is the public API."""

NAMED = ("middleware", "urls", "contrib")
"""Modules that settings and URLconfs name, with what is in them."""

SETTINGS = (*("backends.console.ConsoleBackend", "backends.locmem.LocMemBackend", "backends.twilio.TwilioBackend"),)
"""Classes that a setting names, which a site may subclass."""

FORMER = (
    *("access", "assurance", "challenges", "channel_plan", "completion", "devices", "disclosures", "lifecycle"),
    *("own_factors", "recovery_codes", "resets", "sealing", "step_up", "trusted_browsers", "outages", "wording"),
)
"""Private modules whose functions pages once called."""

BLOCK = re.compile(r"^( *)```python\n(.*?)^ *```", re.MULTILINE | re.DOTALL)


def names(module: str) -> frozenset[str]:
    return frozenset(import_module(f"{PACKAGE}.{module}").__all__)


def blocks(file: Path) -> list[str]:
    """The Python blocks of a page."""
    return [textwrap.dedent(text) for _, text in BLOCK.findall(file.read_text(encoding="utf-8"))]


def parsed(file: Path) -> list[ast.Module]:
    """The blocks of a page. One that is part of a dict, as of a setting, is read as one."""
    return [_parsed(block) for block in blocks(file)]


def _parsed(block: str) -> ast.Module:
    try:
        return ast.parse(block)
    except SyntaxError:
        return ast.parse(f"{{{block}}}")


def is_named(module: str) -> bool:
    return module.partition(".")[0] in NAMED


def private_names(trees: Iterable[ast.Module], *, package: str = "", page: bool = False) -> Iterator[str]:
    """What ``trees`` take from this package that is not public, as ``module.name``.

    ``package``: the dotted name of the package that relative imports start from. ``page``: a page may leave out the
    imports of the modules that it names.
    """
    modules = {name: name for name in ("consent", "verifications", "factors", "login") if page}
    trees = list(trees)
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.ImportFrom):
            yield from _of_import(node, modules, package)
        elif isinstance(node, ast.Import):
            paths = [one.name.removeprefix(f"{PACKAGE}.") for one in node.names if one.name.startswith(f"{PACKAGE}.")]
            yield from (path for path in paths if path not in PUBLIC and not is_named(path))
    for node in (node for tree in trees for node in ast.walk(tree)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            module = modules.get(node.value.id)
            if module is not None and node.attr not in names(module) and f"{module}.{node.attr}" not in PUBLIC:
                yield f"{module}.{node.attr}"
            elif page and module is None and node.value.id in FORMER:
                yield f"{node.value.id}.{node.attr}"


def _of_import(node: ast.ImportFrom, modules: dict[str, str], package: str) -> Iterator[str]:
    base = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
    path = ".".join(part for part in ((base if node.level else ""), node.module or "") if part)
    if path != PACKAGE and not path.startswith(f"{PACKAGE}."):
        for one in node.names:
            modules.pop(one.asname or one.name, None)
        return
    module = path.removeprefix(PACKAGE).removeprefix(".")
    for one in node.names:
        inner = f"{module}.{one.name}".strip(".")
        if inner in PUBLIC:
            modules[one.asname or one.name] = inner
        elif inner not in SETTINGS and not is_named(inner) and not (module in PUBLIC and one.name in names(module)):
            modules.pop(one.asname or one.name, None)
            yield inner
