"""Memory for templates: pages that are not swapped, not dumped, not inherited, and that can be overwritten."""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import DTypeLike, NDArray

Float32Array = NDArray[np.float32]

_LIBC: Final = ctypes.CDLL(None, use_errno=True)
_ADVICE: Final = tuple(
    getattr(mmap, name) for name in ("MADV_DONTDUMP", "MADV_DONTFORK") if hasattr(mmap, name)
)


@dataclass(frozen=True, slots=True)
class WipeReceipt:
    """What an erasure did; it goes into the record."""

    entries: int
    templates: int  # overwritten
    size: int  # bytes overwritten, unused capacity included
    verified: bool  # every byte was read back as zero

    def to_json(self) -> dict[str, int | bool]:
        return {
            "entries": self.entries,
            "templates": self.templates,
            "bytes": self.size,
            "verified": self.verified,
        }


class TemplatePages:
    """One matrix on pages of its own: the templates (float32), or a smaller copy of them.

    **Lifetime:** until :meth:`wipe`; the pages go back to the kernel with the object. A numpy view must not be
    kept by anybody else: it would keep the pages alive, though not what was on them.
    """

    def __init__(self, rows: int, dimension: int, kind: DTypeLike = np.float32) -> None:
        self._size = max(rows * dimension * np.dtype(kind).itemsize, mmap.PAGESIZE)
        self._map = mmap.mmap(-1, self._size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        for advice in _ADVICE:
            self._map.madvise(advice)
        flat: NDArray[Any] = np.frombuffer(self._map, kind, rows * dimension)
        self.matrix: NDArray[Any] = flat.reshape(rows, dimension)  # (rows, dimension) C order, of `kind`
        # An ordinary account may lock a few MiB only (RLIMIT_MEMLOCK); `doctor` reports where it is too little.
        address = ctypes.c_void_p(self.matrix.ctypes.data if rows else 0)
        self.locked = bool(rows) and _LIBC.mlock(address, ctypes.c_size_t(self._size)) == 0

    def wipe(self) -> tuple[int, bool]:
        """Overwrite every byte; return (bytes, whether all of them read back as zero)."""
        everything = np.frombuffer(self._map, np.uint8)
        everything[:] = 0
        return self._size, not everything.any()
