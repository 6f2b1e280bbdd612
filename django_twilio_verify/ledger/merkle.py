"""Merkle trees as RFC 6962 section 2.1 has them: the root over a list, and the proof that one entry is in it.

Everything works on a stream: beside the proofs that were asked for, memory is one hash for each level of the tree.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

EMPTY_ROOT = sha256().digest()
"""The root over no entry."""


def leaf_hash(entry: bytes) -> bytes:
    """The hash of one entry. The 0 in front keeps an entry from passing for an inner node (RFC 6962 section 2.1)."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """The hash of an inner node."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """A tree that grows entry by entry.

    ``wanted``: indices, from 0, whose inclusion proofs are kept; they can be read from ``paths`` once ``root`` was
    called.
    """

    def __init__(self, wanted: Iterable[int] = ()) -> None:
        self.size = 0
        self.paths: Mapping[int, list[bytes]] = {index: [] for index in wanted}
        self._roots: list[bytes] = []
        """Roots of the complete subtrees so far, the largest first: one for each 1 in the binary form of ``size``."""
        self._tracked: list[list[int]] = []

    def append(self, entry: bytes) -> None:
        """Add an entry at the end."""
        # Spelled out rather than by the functions above: it runs a million times in a seal.
        node, size = sha256(b"\x00" + entry).digest(), self.size
        if self.paths:
            self._append_tracked(node)
        else:
            while size & 1:
                node = sha256(b"\x01" + self._roots.pop() + node).digest()
                size >>= 1
            self._roots.append(node)
        self.size += 1

    def extend(self, entries: Sequence[bytes]) -> None:
        """Add several at the end: level by level, which is faster than one by one."""
        nodes = [sha256(b"\x00" + entry).digest() for entry in entries]
        if self.paths:
            for node in nodes:
                self._append_tracked(node)
                self.size += 1
            return
        kept: list[bytes] = []
        width = self.size
        while nodes or width:
            if width & 1:
                nodes.insert(0, self._roots.pop())
            if len(nodes) & 1:
                kept.append(nodes.pop())
            pairs = iter(nodes)
            nodes = [sha256(b"\x01" + left + right).digest() for left, right in zip(pairs, pairs, strict=True)]
            width >>= 1
        self._roots = kept[::-1]
        self.size += len(entries)

    def _append_tracked(self, node: bytes) -> None:
        size, tracked = self.size, [self.size] if self.size in self.paths else []
        while size & 1:
            node, tracked = self._joined(self._roots.pop(), self._tracked.pop(), node, tracked)
            size >>= 1
        self._roots.append(node)
        self._tracked.append(tracked)

    def _joined(self, left: bytes, in_left: list[int], right: bytes, in_right: list[int]) -> tuple[bytes, list[int]]:
        for index in in_left:
            self.paths[index].append(right)
        for index in in_right:
            self.paths[index].append(left)
        return node_hash(left, right), in_left + in_right

    def root(self) -> bytes:
        """The root over all entries. Call it once where proofs are wanted, and append nothing after it."""
        if not self._roots:
            return EMPTY_ROOT
        node = self._roots[-1]
        if not self.paths:
            for left in reversed(self._roots[:-1]):
                node = node_hash(left, node)
            return node
        tracked = self._tracked[-1]
        for left, in_left in zip(reversed(self._roots[:-1]), reversed(self._tracked[:-1]), strict=True):
            node, tracked = self._joined(left, in_left, node, tracked)
        return node


def root(entries: Iterable[bytes]) -> bytes:
    """The root over ``entries``."""
    tree = Tree()
    for entry in entries:
        tree.append(entry)
    return tree.root()


def inclusion(entries: Iterable[bytes], index: int) -> list[bytes]:
    """The proof that the entry at ``index`` is in the tree over ``entries``: hashes from the leaf to the root.

    Raises ``IndexError`` where there is no such entry.
    """
    tree = Tree([index])
    for entry in entries:
        tree.append(entry)
    if not 0 <= index < tree.size:
        raise IndexError("There is no entry of that index.")
    tree.root()
    return tree.paths[index]


def verify_inclusion(leaf: bytes, index: int, size: int, path: Sequence[bytes], root: bytes) -> bool:
    """Whether ``path`` proves that the entry ``leaf`` is at ``index`` of the tree of ``size`` entries with that root.

    The algorithm is that of RFC 9162 section 2.1.3.2, which RFC 6962 leaves to the reader.
    """
    if not 0 <= index < size:
        return False
    node, last, here = leaf_hash(leaf), size - 1, index
    for sibling in path:
        if last == 0:
            return False
        if here & 1 or here == last:
            node = node_hash(sibling, node)
            while not here & 1 and here:
                here, last = here >> 1, last >> 1
        else:
            node = node_hash(node, sibling)
        here, last = here >> 1, last >> 1
    return last == 0 and node == root
