"""Inclusion proofs for many events of large seals, chunk by chunk.

A seal is read once and the roots of its blocks are kept, 32 bytes for 4096 events; after that, only the blocks that
asked-for events are in are read. The tree of RFC 6962 over all entries is the tree over the roots of aligned blocks,
the last of which may be short.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice

from django.db.models import Q

from ..models import ConsentSeal
from . import seal_records
from .id_ranges import Ranges, parse_list
from .merkle import Tree, node_hash

BLOCK = 4096
"""Events in a block: a power of two."""
KEPT = 64
"""Seals whose blocks are kept."""


@dataclass(frozen=True, slots=True)
class Proof:
    """That an event is at ``index`` (from 0) of the ``size`` entries under seal ``seal_number`` (RFC 6962 section
    2.1.1). ``path``: hashes in hex from the leaf to the root. The leaf is the event's digest, 32 bytes.
    """

    seal_number: int
    index: int
    size: int
    path: tuple[str, ...]


class Prover:
    """Proofs of inclusion. Keeps what it has learnt of seals: one for each export."""

    def __init__(self) -> None:
        self._known: OrderedDict[int, _Blocks] = OrderedDict()

    def proofs(self, event_ids: Iterable[int]) -> dict[int, Proof]:
        """The proof of each event, by id; without those that are not sealed, or whose seal holds no more."""
        wanted = sorted(set(event_ids))
        found: dict[int, Proof] = {}
        for seal in _reaching(wanted):
            places = _Places.of(seal)
            if mine := places.among(wanted):
                found |= self._blocks(seal, places).proofs(mine)
        return found

    def _blocks(self, seal: ConsentSeal, places: _Places) -> _Blocks:
        blocks = self._known.pop(seal.number, None) or _Blocks.read(places)
        self._known[seal.number] = blocks
        if len(self._known) > KEPT:
            self._known.popitem(last=False)
        return blocks


def _reaching(wanted: list[int]) -> Iterator[ConsentSeal]:
    if wanted:
        reach = Q(first_event__lte=wanted[-1], last_event__gte=wanted[0])
        yield from seal_records.seals().filter(reach | ~Q(late="")).iterator(chunk_size=500)


@dataclass(frozen=True, slots=True)
class _Places:
    """Which events a seal covers, and in what order: the late ones, then those of its range without its gaps."""

    seal: ConsentSeal
    late: list[int]
    gaps: Ranges

    @classmethod
    def of(cls, seal: ConsentSeal) -> _Places:
        return cls(seal, parse_list(seal.late), Ranges.parse(seal.gaps))

    def among(self, wanted: list[int]) -> list[int]:
        """Those of ``wanted`` (ascending) that the seal covers."""
        start, end = bisect_left(wanted, self.seal.first_event), bisect_right(wanted, self.seal.last_event)
        late = set(self.late)
        return [each for each in wanted if each in late] + [each for each in wanted[start:end] if each not in self.gaps]

    def entries(self, late_from: int, first: int) -> Iterator[tuple[int, bytes]]:
        """Id and digest from the late event at ``late_from`` on, and then from event ``first`` on."""
        in_range = seal_records.numbered(first, self.seal.last_event)
        rows = chain(seal_records.chosen(self.late[late_from:]), (row for row in in_range if row[0] not in self.gaps))
        return ((number, bytes.fromhex(digest)) for number, digest in rows)


@dataclass(slots=True)
class _Blocks:
    """A seal's tree: the first event of each block, and the levels above the blocks. Empty where the seal is broken."""

    places: _Places
    firsts: list[int] = field(default_factory=list)
    """The first event of the range in each block; ``first_event`` for blocks of late events alone."""
    levels: list[list[bytes]] = field(default_factory=list)

    @classmethod
    def read(cls, places: _Places) -> _Blocks:
        try:
            return cls._read(places)
        except ValueError:  # a digest that is none: somebody overwrote it
            return cls(places)

    @classmethod
    def _read(cls, places: _Places) -> _Blocks:
        made, seal = cls(places), places.seal
        entries = places.entries(0, seal.first_event)
        count, roots = 0, []
        while block := list(islice(entries, BLOCK)):
            late_left = max(0, len(places.late) - count)
            made.firsts.append(block[late_left][0] if late_left < len(block) else seal.first_event)
            roots.append(_tree(block).root())
            count += len(block)
        made.levels = _levels(roots)
        is_whole = count == seal.count and bool(roots) and made.levels[-1][0].hex() == seal.root
        return made if is_whole else cls(places)

    def proofs(self, mine: list[int]) -> dict[int, Proof]:
        found: dict[int, Proof] = {}
        if not self.levels:
            return found
        by_block: dict[int, set[int]] = {}
        for number in mine:
            by_block.setdefault(self._block_of(number), set()).add(number)
        for block, numbers in by_block.items():
            found |= self._within(block, numbers)
        return found

    def _block_of(self, number: int) -> int:
        place = bisect_left(self.places.late, number)
        if place < len(self.places.late) and self.places.late[place] == number:
            return place // BLOCK
        return bisect_right(self.firsts, number) - 1

    def _within(self, block: int, numbers: set[int]) -> dict[int, Proof]:
        start = block * BLOCK
        entries = list(islice(self.places.entries(start, self.firsts[block]), BLOCK))
        indices = {number: index for index, (number, _) in enumerate(entries) if number in numbers}
        tree = _tree(entries, indices.values())
        tree.root()
        above = [step.hex() for step in self._above(block)]
        seal = self.places.seal
        return {
            number: Proof(seal.number, start + index, seal.count, (*(one.hex() for one in tree.paths[index]), *above))
            for number, index in indices.items()
        }

    def _above(self, block: int) -> Iterator[bytes]:
        for level in self.levels[:-1]:
            if block ^ 1 < len(level):
                yield level[block ^ 1]
            block >>= 1


def _tree(entries: list[tuple[int, bytes]], wanted: Iterable[int] = ()) -> Tree:
    tree = Tree(wanted)
    for _, digest in entries:
        tree.append(digest)
    return tree


def _levels(roots: list[bytes]) -> list[list[bytes]]:
    """The levels of the tree over ``roots``, from below; what has no neighbour is taken up as it is."""
    levels = [roots]
    while len(levels[-1]) > 1:
        below = levels[-1]
        pairs = zip(below[::2], below[1::2], strict=False)
        levels.append([node_hash(left, right) for left, right in pairs] + below[len(below) & ~1 :])
    return levels
