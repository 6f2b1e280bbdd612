"""How much of the public modules pyright knows the type of, by ``pyright --verifytypes``.

Nothing public may have an unknown type, in whole or in part. Types that pyright calls ambiguous, since they are
inferred from a call instead of written down, are accepted: async twins (``agrant = query_twin_of(grant)``) and what a
model's ``Meta`` says. ``mistakes.py`` shows that both checkers infer the same of a twin.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGE = "django_twilio_verify"
MODULES = [
    *("client", "consent", "verifications", "factors", "login", "backends.base", "testing"),
    *("signals", "exceptions", "choices", "mixins", "decorators"),
]


@pytest.fixture(scope="module")
def symbols(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What pyright says of each public symbol."""
    # ``--verifytypes`` reads no stub packages, so Django's types are laid where Django is looked for.
    stubs = tmp_path_factory.mktemp("stubs")
    shutil.copytree(str(importlib.metadata.distribution("django-stubs").locate_file("django-stubs")), stubs / "django")
    (stubs / "django" / "py.typed").touch()
    paths = [str(ROOT), str(stubs), os.environ.get("PYTHONPATH", "")]
    command = ["-m", "pyright", "--pythonpath", sys.executable, "--verifytypes", PACKAGE, "--ignoreexternal"]
    run = subprocess.run(
        [sys.executable, *command, "--outputjson"],
        cwd=stubs,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
        capture_output=True,
        text=True,
    )
    answer = json.loads(run.stdout)["typeCompleteness"]
    assert Path(answer["packageRootDirectory"]) == ROOT / PACKAGE
    return {one["name"]: one for one in answer["symbols"]}


def public_names(module: str) -> list[str]:
    """What a module exports: its ``__all__``, or the classes that it defines."""
    imported = importlib.import_module(f"{PACKAGE}.{module}")
    defined = [name for name, one in vars(imported).items() if getattr(one, "__module__", "") == imported.__name__]
    return getattr(imported, "__all__", None) or [name for name in defined if not name.startswith("_")]


@pytest.mark.parametrize("module", MODULES)
def test_every_public_type_is_known(symbols: dict[str, dict[str, Any]], module: str) -> None:
    names = [f"{PACKAGE}.{module}.{name}" for name in public_names(module)]
    assert names and not set(names) - set(symbols)
    unknown = {
        name: [one["message"] for one in symbols[name]["diagnostics"]]
        for name in names
        if not symbols[name]["isTypeKnown"] and not symbols[name]["isTypeAmbiguous"]
    }
    assert not unknown


def test_what_is_ambiguous_is_a_twin_or_made_of_one(symbols: dict[str, dict[str, Any]]) -> None:
    """A public function that is no twin has a type that is written down."""
    ambiguous = [
        (module, name)
        for module in MODULES
        for name in public_names(module)
        if any(
            "missing type annotation" in one["message"] for one in symbols[f"{PACKAGE}.{module}.{name}"]["diagnostics"]
        )
    ]
    assert ambiguous
    assert [(module, name) for module, name in ambiguous if name[1:] not in public_names(module)] == []
