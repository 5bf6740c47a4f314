"""The fast tree against RFC 6962's own recursive definitions."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.audit.merkle import (
    EMPTY_ROOT,
    Peaks,
    Tree,
    leaf_hash,
    node_hash,
    verify_consistency,
    verify_inclusion,
)

LEAVES = [leaf_hash(b"%d" % number) for number in range(200)]


def split(size: int) -> int:
    k = 1
    while k * 2 < size:
        k *= 2
    return k


def reference_root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return leaves[0]
    k = split(len(leaves))
    return node_hash(reference_root(leaves[:k]), reference_root(leaves[k:]))


def reference_path(m: int, leaves: list[bytes]) -> list[bytes]:
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*reference_path(m, leaves[:k]), reference_root(leaves[k:])]
    return [*reference_path(m - k, leaves[k:]), reference_root(leaves[:k])]


def reference_consistency(m: int, leaves: list[bytes], whole: bool = True) -> list[bytes]:
    if m == len(leaves):
        return [] if whole else [reference_root(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*reference_consistency(m, leaves[:k], whole), reference_root(leaves[k:])]
    return [*reference_consistency(m - k, leaves[k:], False), reference_root(leaves[:k])]


def build(size: int) -> Tree:
    tree = Tree()
    for leaf in LEAVES[:size]:
        tree.append(leaf)
    return tree


def test_published_vectors() -> None:
    # Certificate Transparency's test vectors: the empty tree, the empty leaf, and three leaves
    assert EMPTY_ROOT.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert leaf_hash(b"").hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    tree = Tree()
    for data in (b"", b"\x00", b"\x10"):
        tree.append(leaf_hash(data))
    assert tree.root().hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"


def test_roots_and_proofs_of_every_size() -> None:
    tree = build(70)
    peaks = Peaks()
    assert peaks.root() == EMPTY_ROOT
    for size in range(1, 71):
        peaks.append(LEAVES[size - 1])
        root = reference_root(LEAVES[:size])
        assert tree.root(size) == root == peaks.root()
        for index in range(size):
            path = tree.inclusion(index, size)
            assert list(path) == reference_path(index, LEAVES[:size])
            assert verify_inclusion(LEAVES[index], index, size, path, root)
        for old in range(size + 1):
            proof = tree.consistency(old, size)
            assert list(proof) == (reference_consistency(old, LEAVES[:size]) if old else [])
            assert verify_consistency(old, tree.root(old), size, root, proof)


@given(st.integers(1, 200), st.data())
def test_wrong_proofs_are_refused(size: int, draw: st.DataObject) -> None:
    tree = build(size)
    root = tree.root()
    index = draw.draw(st.integers(0, size - 1))
    path = tree.inclusion(index)
    other = draw.draw(st.integers(0, size - 1).filter(lambda value: value != index)) if size > 1 else size
    assert not verify_inclusion(LEAVES[index], other, size, path, root)
    assert not verify_inclusion(leaf_hash(b"another"), index, size, path, root)
    assert not verify_inclusion(LEAVES[index], index, size, (*path, root), root)
    assert not verify_inclusion(LEAVES[index], index, size, path, EMPTY_ROOT)
    if path:
        assert not verify_inclusion(LEAVES[index], index, size, path[:-1], root)
    old = draw.draw(st.integers(0, size))
    proof = tree.consistency(old)
    assert not verify_consistency(old, EMPTY_ROOT if old else LEAVES[0], size, root, proof)
    assert not verify_consistency(old, tree.root(old), size, root, (*proof, root))
    if old:
        assert not verify_consistency(old, tree.root(old), size, LEAVES[-1], proof)
    if proof:
        assert not verify_consistency(old, tree.root(old), size, root, proof[:-1])
        assert not verify_consistency(old, tree.root(old), size, root, ())


def test_impossible_questions() -> None:
    tree = build(5)
    root = tree.root()
    assert not verify_inclusion(LEAVES[0], 5, 5, (), root)
    assert not verify_inclusion(LEAVES[0], -1, 5, (), root)
    assert not verify_consistency(6, root, 5, root, ())
    assert not verify_consistency(-1, root, 5, root, ())
    assert not verify_consistency(0, root, 5, root, ())
    assert not verify_consistency(3, root, 5, root, ())
    with pytest.raises(ValueError, match="no tree of 6"):
        tree.root(6)
    with pytest.raises(ValueError, match="no leaf 5"):
        tree.inclusion(5)
    with pytest.raises(ValueError, match="no tree of 6"):
        tree.consistency(6)
    with pytest.raises(ValueError, match="no leaf 5"):
        tree.leaf(5)
    assert tree.leaf(4) == LEAVES[4]
    assert tree.root(0) == EMPTY_ROOT


def test_one_entry_among_a_million_takes_twenty_hashes() -> None:
    # The path's length depends on the size alone, so a tree of 2¹⁶ with the shape of 10⁶ shows it cheaply.
    tree = Tree()
    for _ in range(65_536):
        tree.append(LEAVES[0])
    assert len(tree.inclusion(12_345)) == 16
    assert (1_000_000 - 1).bit_length() == 20


def test_there_is_no_leaf_beyond_the_last() -> None:
    tree = Tree()
    tree.append(leaf_hash(b"0"))
    assert tree.leaf(0) == leaf_hash(b"0")
    for index in (1, -1):
        with pytest.raises(ValueError, match="no leaf"):
            tree.leaf(index)
