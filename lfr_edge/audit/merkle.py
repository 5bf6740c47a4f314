"""The Merkle tree of RFC 6962: hashes, roots, inclusion and consistency proofs.

:class:`Tree` keeps every complete node (64 bytes an entry), so that a proof is a handful of look-ups.
:class:`Peaks` keeps only the roots of the complete subtrees on the right edge: enough for a root, for any length
of log, in constant memory; the verifier streams with it.
"""

from __future__ import annotations

from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
EMPTY_ROOT: Final = sha256(b"").digest()


def leaf_hash(body: bytes) -> bytes:
    return sha256(b"\x00" + body).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two below `size` (at least 2)."""
    return 1 << (size - 1).bit_length() - 1


class Peaks:
    """Roots of the complete subtrees on the right edge, largest first."""

    __slots__ = ("_peaks", "size")

    def __init__(self) -> None:
        self.size = 0
        self._peaks: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        peaks = self._peaks
        # Each trailing one bit of the size is a complete subtree that the new leaf closes.
        size = self.size
        while size & 1:
            leaf = node_hash(peaks.pop(), leaf)
            size >>= 1
        peaks.append(leaf)
        self.size += 1

    def root(self) -> bytes:
        if not self._peaks:
            return EMPTY_ROOT
        root = self._peaks[-1]
        for peak in reversed(self._peaks[:-1]):
            root = node_hash(peak, root)
        return root


class Tree:
    """All complete nodes, level by level. **Thread rule:** one writer; readers see whole leaves only."""

    __slots__ = ("_levels", "size")

    def __init__(self) -> None:
        self.size = 0
        self._levels: list[bytearray] = []

    def append(self, leaf: bytes) -> None:
        index = self.size
        for level in self._levels:
            level += leaf
            if not index & 1:
                break
            leaf = node_hash(bytes(level[-2 * HASH_BYTES : -HASH_BYTES]), leaf)
            index >>= 1
        else:
            self._levels.append(bytearray(leaf))
        self.size += 1

    def leaf(self, index: int) -> bytes:
        if not 0 <= index < self.size:
            raise ValueError(f"no leaf {index} in a tree of {self.size}")
        return self._subtree(index, index + 1)

    def root(self, size: int | None = None) -> bytes:
        """The root of the first `size` leaves (all of them if None)."""
        size = self.size if size is None else size
        if not 0 <= size <= self.size:
            raise ValueError(f"no tree of {size} leaves in one of {self.size}")
        return self._subtree(0, size) if size else EMPTY_ROOT

    def inclusion(self, index: int, size: int | None = None) -> tuple[bytes, ...]:
        """The siblings from the leaf up that connect leaf `index` with the root of the first `size` leaves."""
        size = self.size if size is None else size
        if not 0 <= index < size <= self.size:
            raise ValueError(f"no leaf {index} in a tree of {size}")
        low, high, path = 0, size, []
        while high - low > 1:
            middle = low + _split(high - low)
            if index < middle:
                path.append(self._subtree(middle, high))
                high = middle
            else:
                path.append(self._subtree(low, middle))
                low = middle
        return tuple(reversed(path))

    def consistency(self, old: int, size: int | None = None) -> tuple[bytes, ...]:
        """The nodes that show the first `old` leaves to be a prefix of the first `size` (RFC 6962, 2.1.2)."""
        size = self.size if size is None else size
        if not 0 <= old <= size <= self.size:
            raise ValueError(f"no tree of {old} leaves in one of {size}")
        if old in {0, size}:
            return ()
        low, high, path, whole = 0, size, [], True
        while old != high:
            middle = low + _split(high - low)
            if old <= middle:
                path.append(self._subtree(middle, high))
                high = middle
            else:
                path.append(self._subtree(low, middle))
                low, whole = middle, False
        if not whole:
            path.append(self._subtree(low, high))
        return tuple(reversed(path))

    def _subtree(self, low: int, high: int) -> bytes:
        width = high - low
        if width & (width - 1) == 0:
            # Ranges come from splits at powers of two, so a power-of-two width is always aligned.
            start = (low // width) * HASH_BYTES
            return bytes(self._levels[width.bit_length() - 1][start : start + HASH_BYTES])
        middle = low + _split(width)
        return node_hash(self._subtree(low, middle), self._subtree(middle, high))


def verify_inclusion(leaf: bytes, index: int, size: int, path: tuple[bytes, ...], root: bytes) -> bool:
    """Whether `path` connects `leaf` at `index` with `root` of `size` leaves (RFC 9162, 2.1.3.2)."""
    if not 0 <= index < size:
        return False
    position, last, node = index, size - 1, leaf
    for sibling in path:
        if last == 0:
            return False
        if position & 1 or position == last:
            node = node_hash(sibling, node)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            node = node_hash(node, sibling)
        position >>= 1
        last >>= 1
    return last == 0 and node == root


def verify_consistency(old: int, old_root: bytes, size: int, root: bytes, path: tuple[bytes, ...]) -> bool:
    """Whether `path` shows the tree of `old` leaves to be a prefix of that of `size` (RFC 9162, 2.1.4.2)."""
    if not 0 <= old <= size:
        return False
    if old == 0:
        return not path and old_root == EMPTY_ROOT
    if old == size:
        return not path and old_root == root
    nodes = list(path)
    if old & (old - 1) == 0:
        nodes.insert(0, old_root)
    if not nodes:
        return False
    position, last = old - 1, size - 1
    while position & 1:
        position >>= 1
        last >>= 1
    old_node = new_node = nodes[0]
    for node in nodes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old_node, new_node = node_hash(node, old_node), node_hash(node, new_node)
            while position and not position & 1:
                position >>= 1
                last >>= 1
        else:
            new_node = node_hash(new_node, node)
        position >>= 1
        last >>= 1
    return last == 0 and old_node == old_root and new_node == root
