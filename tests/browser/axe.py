"""axe-core, by way of npm: not a dependency, fetched when the browser tests run."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import warnings
from pathlib import Path

VERSION = "4.14.1"
WHERE = "package/axe.min.js"


def axe_source(folder: Path) -> str:
    """The script's text, ``""`` where there is no npm or no registry."""
    npm = shutil.which("npm")
    if npm is None:
        return ""
    command = [npm, "pack", "--silent", f"axe-core@{VERSION}"]
    try:
        subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)
        with tarfile.open(next(folder.glob("*.tgz"))) as archive:
            script = archive.extractfile(WHERE)
            return script.read().decode() if script else ""
    except (OSError, subprocess.SubprocessError, StopIteration, KeyError, tarfile.TarError):
        with warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.warn("axe-core could not be fetched: only the checks of our own were made.", stacklevel=2)
        return ""
