"""Progress of a command: drawn on a terminal, and nowhere else."""

from __future__ import annotations

import time
from typing import Any


class Progress:
    """Calls with a number of rows done; at most five times a second a line is drawn anew.

    ``stream``: the command's ``stderr``; where it is no terminal, nothing is ever written. ``total``: rows in all, 0
    where it is not known.
    """

    def __init__(self, stream: Any, what: str, total: int = 0) -> None:
        self._stream = stream
        self._what = what
        self._total = total
        self._began = self._drawn = time.monotonic()
        self._width = 0
        self._shows = bool(getattr(stream, "isatty", bool)())

    def __call__(self, done: int) -> None:
        now = time.monotonic()
        if self._shows and now - self._drawn >= 0.2:
            self._drawn = now
            self._draw(self._line(done, now - self._began))

    def clear(self) -> None:
        """Take the line away, before something else is written and at the end."""
        if self._width:
            self._draw("")
            self._stream.write("\r", ending="")
            self._stream.flush()
            self._width = 0

    def _line(self, done: int, seconds: float) -> str:
        share = f" of {self._total:,} ({done / self._total:.0%})" if self._total else ""
        return f"{done:,}{share} {self._what}, {done / max(seconds, 0.001):,.0f} a second"

    def _draw(self, line: str) -> None:
        self._stream.write("\r" + line.ljust(self._width), ending="")
        self._stream.flush()
        self._width = len(line)
