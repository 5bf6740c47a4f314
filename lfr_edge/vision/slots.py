"""Where biometric data lives, and the only place: numbered slots, allocated once, overwritten in bulk.

A probe's template is never a Python attribute that can be copied by accident; it is a slot number. The memory is
kept out of swap, core dumps and forked children where the kernel allows it, so that overwriting a slot is the end
of what it held.
"""

from __future__ import annotations

import ctypes
import mmap
import threading
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

from lfr_edge.capture.frame import UInt8Array
from lfr_edge.errors import VisionError
from lfr_edge.sentences import say
from lfr_edge.vision.faces import Float32Array

_LINE: Final = 64  # bytes of a cache line; each array starts on one


class SealedMemory:
    """Anonymous memory, locked, left out of core dumps and not inherited by a fork.

    `arrays` are carved from it in order. **Lifetime:** as long as the process; :meth:`wipe` overwrites all of it.
    """

    def __init__(self, *arrays: tuple[tuple[int, ...], DTypeLike]) -> None:
        sizes = [int(np.prod(shape)) * np.dtype(kind).itemsize for shape, kind in arrays]
        padded = [-(-size // _LINE) * _LINE for size in sizes]
        self._map = mmap.mmap(
            -1, max(mmap.PAGESIZE, sum(padded)), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS
        )
        self._map.madvise(mmap.MADV_DONTDUMP)
        self._map.madvise(mmap.MADV_DONTFORK)
        self._all: NDArray[np.uint8] = np.frombuffer(self._map, np.uint8)
        self.bytes: int = len(self._map)
        # RLIMIT_MEMLOCK may be 8 MiB; without the lock swap must be off, and doctor says so.
        self.locked: bool = _mlock(self._all.ctypes.data, self.bytes)
        starts = np.cumsum([0, *padded[:-1]])
        self.arrays: tuple[NDArray[Any], ...] = tuple(
            self._all[start : start + size].view(kind).reshape(shape)
            for (shape, kind), start, size in zip(arrays, starts, sizes, strict=True)
        )

    def wipe(self) -> None:
        self._all[:] = 0


class ProbeSlots:
    """A fixed number of slots, each with room for one face: crops, template, and the sum of a passage's templates.

    `crop_shapes` are the (height, width) of the crops a slot holds, one per alignment that the pack's embedders
    want. ``crops[k]`` is (capacity, h, w, 3) BGR; ``templates`` and ``sums`` are (capacity, dimension) float32;
    ``weights`` (capacity,) is what was added to ``sums``. Use rows of these arrays in place and with ``out=``;
    fancy indexing, ``tolist``, ``tobytes``, pickling and printing make copies that no wipe reaches. For many
    templates side by side use :meth:`gather`, whose buffer is wiped too.

    **Lifetime:** a slot's contents from :meth:`acquire` to :meth:`wipe`. After a wipe the libraries that touched
    the data may still hold pieces of it on their stacks and in their arenas; the caller then scrubs the embedder,
    the detector and the index with dummy batches (reliability.md 2).

    **Thread rule:** :meth:`acquire` and :meth:`wipe` from any thread; a slot's arrays belong to whoever acquired it.
    """

    def __init__(
        self, capacity: int, crop_shapes: Sequence[tuple[int, int]], dimension: int, *, queries: int = 32
    ) -> None:
        self.capacity = capacity
        self.dimension = dimension
        self.queries = queries
        self.memory = SealedMemory(
            *(((capacity, h, w, 3), np.uint8) for h, w in crop_shapes),
            ((capacity, dimension), np.float32),
            ((capacity, dimension), np.float32),
            ((capacity,), np.float32),
            ((queries, dimension), np.float32),
            ((dimension,), np.float32),
        )
        *crops, templates, sums, weights, gathered, row = self.memory.arrays
        self.crops: tuple[UInt8Array, ...] = tuple(crops)
        self.templates: Float32Array = templates
        self.sums: Float32Array = sums
        self.weights: Float32Array = weights
        self._gathered: Float32Array = gathered
        self._row: Float32Array = row
        self._lock = threading.Lock()
        self._free = list(range(capacity - 1, -1, -1))
        self._held = np.zeros(capacity, np.bool_)

    @staticmethod
    def bytes_each(crop_shapes: Sequence[tuple[int, int]], dimension: int) -> int:
        """Locked memory of one slot: crops, template, sum, weight."""
        return sum(3 * height * width for height, width in crop_shapes) + (2 * dimension + 1) * 4

    @property
    def occupied(self) -> int:
        """Slots acquired and not yet wiped."""
        return self.capacity - len(self._free)

    def acquire(self, n: int) -> tuple[int, ...]:
        """`n` slot numbers, empty. Raises VisionError ``vision_slots_full`` and takes none if fewer are free."""
        with self._lock:
            if n > len(self._free):
                raise VisionError(
                    "vision_slots_full",
                    say(
                        "{n} slots wanted, {free_count} of {capacity} are free",
                        n=n,
                        free_count=len(self._free),
                        capacity=self.capacity,
                    ),
                    hint="more faces at once than planned for: raise min_eye_px or lower the number of cameras",
                )
            taken = tuple(self._free.pop() for _ in range(n))
            self._held[list(taken)] = True
        return taken

    def wipe(self, slots: Sequence[int]) -> None:
        """Overwrite the slots in bulk and give them back; also everything that :meth:`gather` holds.

        Raises ValueError, before anything is touched, for a slot that is not held (wiped twice).
        """
        rows = sorted(set(slots))
        if not rows:
            return
        with self._lock:
            if len(rows) != len(slots) or not self._held[rows].all():
                raise ValueError("a slot is wiped that is not held")
            self._overwrite(rows)
            self._held[rows] = False
            self._free.extend(reversed(rows))

    def wipe_all(self) -> int:
        """Overwrite everything; the number of slots that were held."""
        with self._lock:
            held = int(self._held.sum())
            self.memory.wipe()
            self._held[:] = False
            self._free = list(range(self.capacity - 1, -1, -1))
        return held

    def gather(self, slots: Sequence[int], *, fused: bool = False) -> Float32Array:
        """Templates of the slots side by side (n, dimension), a view of a sealed buffer, for one search.

        ``fused`` takes the normalised sum of each slot's passage instead. **Lifetime:** until the next call of
        this method or :meth:`wipe`; at most `queries` slots at a time.
        """
        view = self._gathered[: len(slots)]
        if len(view) != len(slots):
            raise ValueError(f"at most {self.queries} slots at a time")
        # mode="clip", because the default copies through a hidden buffer; the rows are checked here instead.
        rows = np.asarray(slots, np.intp)
        assert not len(rows) or 0 <= rows.min() <= rows.max() < self.capacity
        np.take(self.sums if fused else self.templates, rows, axis=0, out=view, mode="clip")
        if fused:
            normalise_rows(view)
        return view

    def accumulate(self, probe: int, passage: int, weight: float) -> None:
        """Add `weight` × the template of slot `probe` to the sum of slot `passage` (they may be the same slot)."""
        np.multiply(self.templates[probe], np.float32(weight), out=self._row)
        np.add(self.sums[passage], self._row, out=self.sums[passage])
        self.weights[passage] += weight
        self._row[:] = 0

    def move(self, source: int, target: int) -> None:
        """Copy crops and template (not the sum) from one held slot to another, in place."""
        for crops in self.crops:
            np.copyto(crops[target], crops[source])
        np.copyto(self.templates[target], self.templates[source])

    def _overwrite(self, rows: list[int]) -> None:
        for crops in self.crops:
            crops[rows] = 0
        self.templates[rows] = 0
        self.sums[rows] = 0
        self.weights[rows] = 0
        self._gathered[:] = 0
        self._row[:] = 0


def normalise_rows(rows: Iterable[Float32Array]) -> None:
    """Each row to unit length, in place; a zero row stays zero."""
    for row in rows:
        norm = float(np.sqrt(np.dot(row, row)))
        if norm > 0:
            np.multiply(row, np.float32(1 / norm), out=row)


def _mlock(address: int, size: int) -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    return bool(libc.mlock(ctypes.c_void_p(address), ctypes.c_size_t(size)) == 0)
