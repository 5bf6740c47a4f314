"""Denormal numbers as zero while a network runs, and only then.

Small networks produce denormal activations, and each costs the processor a microcode assist. ONNX Runtime's option
``session.set_denormal_as_zero`` covers its worker threads, but the calling thread only if it happened to open the
process's first session, and then for ever: an inference thread started later runs without it, and Python's floats
in the opening thread are no longer IEEE. So the mode is set around each call, by the C library's ``fesetenv``.
"""

from __future__ import annotations

import ctypes
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

# glibc's fenv_t: (size, offset of the control word, bits that flush denormals).
_LAYOUTS: Final = {
    "x86_64": (32, 28, 0x8040),  # MXCSR: flush-to-zero (bit 15), denormals-are-zero (bit 6)
    "aarch64": (8, 0, 1 << 24),  # FPCR: FZ
}


@contextmanager
def denormals_as_zero() -> Iterator[None]:
    """**Thread rule:** acts on the calling thread and puts back what was there, whatever the body did."""
    layout = _LAYOUTS.get(platform.machine()) if sys.platform == "linux" else None
    if layout is None:
        yield  # another system: the runtime's own option is all there is
        return
    size, offset, bits = layout
    before, during = (ctypes.create_string_buffer(size) for _ in range(2))
    _LIBM.fegetenv(before)
    ctypes.memmove(during, before, size)
    control = ctypes.c_uint32.from_buffer(during, offset)
    control.value |= bits
    _LIBM.fesetenv(during)
    try:
        yield
    finally:
        _LIBM.fesetenv(before)


_LIBM: Final = ctypes.CDLL(None) if sys.platform != "linux" else ctypes.CDLL("libm.so.6")
