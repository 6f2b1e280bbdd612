"""Sets of row numbers as text: ``7,12-15``."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field


@dataclass(slots=True)
class Ranges:
    """Whole numbers as ascending ranges that do not touch, built from below."""

    firsts: list[int] = field(default_factory=list)
    lasts: list[int] = field(default_factory=list)

    @classmethod
    def parse(cls, text: str) -> Ranges:
        """The set that ``text`` writes. Raises ``ValueError`` where it is not one."""
        made = cls()
        for part in text.split(",") if text else ():
            first, _, last = part.partition("-")
            made.add(int(first), int(last or first))
        return made

    def add(self, first: int, last: int) -> None:
        """Put ``first`` to ``last`` behind the others. Raises ``ValueError`` for what is not behind them."""
        if last < first or (self.lasts and first <= self.lasts[-1]):
            raise ValueError("Ranges must ascend.")
        self.firsts.append(first)
        self.lasts.append(last)

    def __contains__(self, number: int) -> bool:
        place = bisect_right(self.firsts, number) - 1
        return place >= 0 and number <= self.lasts[place]

    def meets(self, first: int, last: int) -> bool:
        """Whether any of ``first`` to ``last`` is among them."""
        place = bisect_right(self.firsts, last) - 1
        return place >= 0 and self.lasts[place] >= first

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self.firsts, self.lasts, strict=True)

    def __len__(self) -> int:
        """How many numbers."""
        return sum(last - first + 1 for first, last in self)

    def below(self, number: int) -> int:
        """How many of the numbers are below ``number``."""
        return sum(min(last, number - 1) - first + 1 for first, last in self if first < number)

    def __str__(self) -> str:
        return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in self)


def parse_list(text: str) -> list[int]:
    """The numbers of ``7,12``. Raises ``ValueError``."""
    return [int(part) for part in text.split(",")] if text else []


def format_list(numbers: Iterable[int]) -> str:
    return ",".join(map(str, numbers))
