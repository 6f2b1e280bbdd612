"""Say whether a wheel and an sdist hold what they should: ``check_dist.py build/dist``.

Compared with the checkout, not with a list: a folder of templates, styles or translations that a
build configuration forgot is the mistake this looks for. Standard library only.
"""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "django_twilio_verify"
BESIDE = ("tests", "docs", "example_project")


def files_under(folder: str) -> set[str]:
    """Return the files under a folder of the checkout, without what running leaves there."""
    return {
        path.relative_to(ROOT).as_posix()
        for path in (ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
    }


def complaints(dist: Path) -> list[str]:
    """Return what is wrong with the one wheel and the one sdist in a folder, a sentence each."""
    (wheel,) = dist.glob("*.whl")
    (sdist,) = dist.glob("*.tar.gz")
    packed = {name for name in zipfile.ZipFile(wheel).namelist() if not name.endswith("/")}
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    source = files_under(PACKAGE)
    found = [f"The wheel lacks {name}." for name in sorted(source - packed)]
    found += [
        f"The wheel has {name}, which is not the package's."
        for name in sorted(packed - source)
        if not name.split("/")[0].endswith(".dist-info")
    ]
    found += [f"The sdist lacks {name}." for name in sorted(source - names)]
    found += [f"There is no {PACKAGE}/py.typed."] * (f"{PACKAGE}/py.typed" not in packed)
    for folder in BESIDE:
        if not any(name.startswith(f"{folder}/") for name in names):
            found.append(f"The sdist has no {folder}.")
    return found


if __name__ == "__main__":
    wrong = complaints(Path(sys.argv[1]))
    print("\n".join(wrong) or "The wheel and the sdist hold what they should.")
    sys.exit(bool(wrong))
