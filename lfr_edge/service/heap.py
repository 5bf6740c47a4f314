"""The C library's heap of a process that lives through many deployments.

glibc gives threads heaps of their own, up to eight for each processor, and returns to the kernel what is free at
a heap's end only. What a deployment let go of then stays with the process in pieces: about a mebibyte more after
each, and bytes of alert pictures among them. Two heaps are enough for threads that mostly wait for disks.
"""

from __future__ import annotations

import ctypes
import gc
from typing import Final

_ARENA_MAX: Final = -8  # M_ARENA_MAX, mallopt(3)
_HEAPS: Final = 2


def keep_few_heaps() -> None:
    """Before threads are started. Another C library than glibc is left as it is. **Thread rule:** any."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_ARENA_MAX, _HEAPS)


def give_back() -> None:
    """Every free page to the kernel, which empties it.

    Some 0.1 s, most of it the search for cycles, in which no other thread runs. **Thread rule:** any.
    """
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
