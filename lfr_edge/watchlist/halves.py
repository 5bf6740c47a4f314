"""The templates once more in half precision: what one probe reads first, because reading is what a search costs.

A row's half has eleven significant bits, so its inner product with a probe is known to within a proven bound
(:meth:`HalfRows.error`). Whoever scans the halves compares the few best rows again in full precision; a row whose
half lies further below these than the bound cannot be among them.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from lfr_edge.watchlist.pages import Float32Array, TemplatePages

Float16Array = NDArray[np.float16]

_HALF: Final = 2.0**-11  # relative rounding error of a normal half
_TINY: Final = 2.0**-25  # rounding error of a subnormal one
_SINGLE: Final = 2.0**-24  # relative rounding error of a float32 operation
# Halves end at 65,504; templates have length 1. A list with longer rows is searched without this copy.
LONGEST: Final = 1024.0


class HalfRows:
    """**Lifetime:** as the templates': on pages of its own, until :meth:`wipe`. **Thread rule:** the index's."""

    def __init__(self, rows: int, dimension: int) -> None:
        self._pages = TemplatePages(rows, dimension, np.float16)
        self._dimension = dimension
        self._longest = 0.0  # length of the longest row that was ever taken

    @property
    def matrix(self) -> Float16Array:
        """(rows, dimension), row i being the template of row i."""
        return self._pages.matrix

    @property
    def locked(self) -> bool:
        return self._pages.locked

    @property
    def usable(self) -> bool:
        return self._longest <= LONGEST

    def take(self, rows: slice, templates: Float32Array, longest: float) -> None:
        """Copy `templates` into `rows`; none of them is longer than `longest`."""
        self._longest = max(self._longest, longest)
        if self.usable:
            np.copyto(self.matrix[rows], templates, casting="same_kind")

    def adopt(self, other: HalfRows, rows: int) -> None:
        """The first `rows` of `other`, whose pages are then overwritten."""
        self.matrix[:rows] = other.matrix[:rows]
        self._longest = other._longest
        other.wipe()

    def error(self, probe: Float32Array) -> float:
        """No inner product of `probe` (dimension,) differs by more between a template and its half.

        Rounding each value costs at most 2⁻¹¹ of it, or 2⁻²⁵ where it is tiny; with Cauchy and Schwarz the sum of
        these is at most 2⁻¹¹ |probe| |row| + 2⁻²⁵ √d |probe|. Both sums are themselves rounded, each by at most
        d 2⁻²⁴ / (1 - d 2⁻²⁴) of |probe| |row| in any order of adding (Higham, Accuracy and Stability, 3.1).
        """
        d = self._dimension
        length = math.sqrt(float(np.dot(probe, probe))) * (1 + d * _SINGLE)
        adding = d * _SINGLE / (1 - d * _SINGLE)
        return length * (self._longest * (_HALF + 2.1 * adding) + math.sqrt(d) * _TINY)

    def wipe(self) -> tuple[int, bool]:
        """Overwrite every byte; return (bytes, whether all of them read back as zero)."""
        self._longest = 0.0
        return self._pages.wipe()
