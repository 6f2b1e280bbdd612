"""The code of a guide, as printed there."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

DOCS = Path(__file__).resolve().parents[2] / "docs"
_BLOCK = re.compile(r"^```(?:[\w+]+)\n(?:# |\{# |/\* )([\w./]+)(?: #\}| \*/)?\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def files(page: str) -> dict[str, str]:
    """The files that ``page`` prints: each a block whose first line names it."""
    return dict(_BLOCK.findall((DOCS / f"{page}.md").read_text(encoding="utf-8")))


def package(name: str, page: str, **modules: ModuleType) -> dict[str, Any]:
    """The Python files of ``page`` as modules of a new package ``name``, with ``modules`` beside them."""
    root = sys.modules[name] = ModuleType(name)
    root.__path__ = []
    for file in files(page):
        if file.endswith(".py"):
            modules[file.removesuffix(".py")] = ModuleType(f"{name}.{file.removesuffix('.py')}")
    for short, module in modules.items():
        sys.modules[f"{name}.{short}"] = module
        setattr(root, short, module)
    for file, code in files(page).items():
        if file.endswith(".py"):
            module = modules[file.removesuffix(".py")]
            module.__package__ = name
            exec(compile(code, f"{page}.md:{file}", "exec"), vars(module))  # noqa: S102  our own guide
    return dict(modules)


def forget(name: str) -> None:
    """Take the package ``name`` out again."""
    for module in [one for one in sys.modules if one == name or one.startswith(f"{name}.")]:
        del sys.modules[module]
