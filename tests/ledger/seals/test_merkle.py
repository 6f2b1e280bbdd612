"""Merkle trees against RFC 6962's definition and the vectors of its reference implementation."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from django_twilio_verify.ledger import merkle

ENTRIES = [
    bytes.fromhex(entry)
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
"""The leaves of the tests of Certificate Transparency's reference implementation (merkle_tree_test.cc)."""
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""The roots over the first 0 to 8 of them."""

entries = st.lists(st.binary(max_size=8), min_size=1, max_size=70)


def by_definition(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, word for word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\0" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\1" + by_definition(leaves[:split]) + by_definition(leaves[split:])).digest()


def path_by_definition(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1, word for word."""
    if len(leaves) == 1:
        return []
    split = 1 << (len(leaves) - 1).bit_length() - 1
    if index < split:
        return [*path_by_definition(index, leaves[:split]), by_definition(leaves[split:])]
    return [*path_by_definition(index - split, leaves[split:]), by_definition(leaves[:split])]


@pytest.mark.parametrize("size", range(9))
def test_the_known_roots(size: int) -> None:
    assert merkle.root(ENTRIES[:size]).hex() == ROOTS[size]


@given(entries)
def test_the_root_is_the_defined_one(leaves: list[bytes]) -> None:
    assert merkle.root(leaves) == by_definition(leaves)


@given(st.lists(st.lists(st.binary(max_size=4), max_size=20), max_size=8))
def test_entries_may_come_in_any_portions(portions: list[list[bytes]]) -> None:
    tree = merkle.Tree()
    for portion in portions:
        tree.extend(portion)
    leaves = [leaf for portion in portions for leaf in portion]
    assert (tree.root(), tree.size) == (by_definition(leaves), len(leaves))


@given(entries, st.data())
def test_proofs_are_the_defined_ones_and_prove(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path = merkle.inclusion(leaves, index)
    assert path == path_by_definition(index, leaves)
    assert merkle.verify_inclusion(leaves[index], index, len(leaves), path, by_definition(leaves))


@given(entries, st.data())
def test_proofs_of_several_at_once_are_those_of_each(leaves: list[bytes], data: st.DataObject) -> None:
    wanted = data.draw(st.sets(st.integers(0, len(leaves) - 1), min_size=1))
    tree = merkle.Tree(wanted)
    for leaf in leaves:
        tree.append(leaf)
    assert tree.root() == by_definition(leaves)
    assert tree.paths == {index: path_by_definition(index, leaves) for index in wanted}


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=70, unique=True), st.data())
def test_a_proof_proves_nothing_else(leaves: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(leaves) - 1))
    path, root, size = merkle.inclusion(leaves, index), by_definition(leaves), len(leaves)
    other = data.draw(st.integers(-1, size).filter(lambda number: number != index))
    assert not merkle.verify_inclusion(leaves[index], other, size, path, root)
    assert not merkle.verify_inclusion(leaves[index] + b"x", index, size, path, root)
    assert not merkle.verify_inclusion(leaves[index], index, size, [*path, root], root)
    assert not merkle.verify_inclusion(leaves[index], index, size, path, bytes(32))
    if path:
        assert not merkle.verify_inclusion(leaves[index], index, size, path[:-1], root)
        spoilt = data.draw(st.integers(0, len(path) - 1))
        bad = [*path[:spoilt], bytes(32), *path[spoilt + 1 :]]
        assert not merkle.verify_inclusion(leaves[index], index, size, bad, root)


def test_an_inner_node_cannot_pass_for_an_entry() -> None:
    left, right = merkle.leaf_hash(b"a"), merkle.leaf_hash(b"b")
    assert merkle.root([b"a", b"b"]) == merkle.node_hash(left, right)
    assert merkle.root([left + right]) != merkle.root([b"a", b"b"])


@pytest.mark.parametrize("index", [-1, 2])
def test_there_is_no_proof_of_what_is_not_there(index: int) -> None:
    with pytest.raises(IndexError):
        merkle.inclusion([b"a", b"b"], index)


def test_a_tree_holds_no_more_than_one_hash_a_level() -> None:
    tree = merkle.Tree()
    for number in range(10_000):
        tree.append(number.to_bytes(4))
        assert len(tree._roots) <= 14
