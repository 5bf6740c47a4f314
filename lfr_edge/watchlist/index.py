"""Exact search over all templates of the list: the only module that imports FAISS.

FAISS scans the rows for one probe; from two probes on BLAS multiplies blocks of the same rows, which FAISS does
not do for small batches (platform.md 3.1: 60 ms against 17 ms for 32 × 20,000 × 512). One probe costs what reading
the rows costs, so it reads a copy of half the size first and compares the few best again in full (halves.py says
why nothing is missed). FAISS is called over our own pages and never holds a row, so the templates and their halves
lie on pages that are wiped, and nowhere else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import faiss
import numpy as np
from numpy.typing import NDArray

from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import say
from lfr_edge.watchlist.halves import HalfRows
from lfr_edge.watchlist.pages import Float32Array, TemplatePages, WipeReceipt

IntArray = NDArray[np.intp]
Int64Array = NDArray[np.int64]

NOBODY: Final = -1
# 32 probes × 8,192 rows of scores are 1 MiB and stay in the cache; larger blocks gain nothing (platform.md 3.1).
BLOCK_ROWS: Final = 8192
# Above this many rows a person FAISS's result heap costs more than it saves; BLAS then serves single probes too.
MOST_SCANNED_ROWS: Final = 64
# Up to so many probes are cheaper one by one, each reading the halves, than together: BLAS multiplies a few rows by
# many little faster than 32 (of 20,000 × 704, CPU ms one by one and together: 2 probes 2.7 and 12.7, 4 5.4 and 13.2,
# 8 10.9 and 14.4, 12 15.0 and 15.2).
MOST_SINGLE_PROBES: Final = 8
# Of shorter lists several probes are cheaper together: their rows lie in the cache (4 probes one by one and together:
# 500 rows 0.22 and 0.26 ms, 120 rows 0.14 and 0.05).
LEAST_SINGLE_ROWS: Final = 1000
# Compared again in full, beyond the rows that hold the two best persons. Of 20,000 random templates the second and
# the tenth best lie thirty bounds apart; where they do not, all rows are read in full.
_SPARE_ROWS: Final = 8

faiss.omp_set_num_threads(1)  # two OpenMP threads were 10 × slower on a busy 2-core box (performance.md)


@dataclass(frozen=True, slots=True)
class Candidates:
    """The two best persons for each probe; row i of every array is probe i.

    **Lifetime:** views of the index's own arrays, valid until its next search.
    """

    entry: IntArray  # (n,) entry number, see WatchlistIndex.reference; NOBODY where the list is empty
    score: Float32Array  # (n,) inner product with that person's best template; -inf where there is nobody
    runner_up: IntArray  # (n,) the best other person; NOBODY where there is none
    runner_up_score: Float32Array  # (n,)

    def __len__(self) -> int:
        return len(self.entry)


class WatchlistIndex:
    """All templates of one list, grouped by person; a person's best template counts.

    Of equal scores the row that was added first wins. **Thread rule:** one thread; changes take effect with the
    next :meth:`search`. **Lifetime:** templates live on the index's pages until withdrawn or wiped.
    """

    def __init__(self, dimension: int, *, capacity: int = 0, most_probes: int = 64) -> None:
        if dimension < 1 or most_probes < 1:
            raise ValueError("dimension and most_probes count from 1")
        self.dimension = dimension
        self._pages = TemplatePages(capacity, dimension)
        self._halves = HalfRows(capacity, dimension)
        self._quantiser: Any = faiss.ScalarQuantizer(dimension, faiss.ScalarQuantizer.QT_fp16)
        self._owners = np.full(capacity, NOBODY, np.intp)  # (capacity,) entry number of each row
        self._valid = np.zeros(capacity // 8 + 1, np.uint8)  # one bit a row, as IDSelectorBitmap reads it
        self._used = 0
        self._references: list[str] = []
        self._numbers: dict[str, int] = {}
        self._rows: list[list[int]] = []  # rows of each entry; empty once withdrawn
        self._most_rows = (
            0  # no person has more rows; counting them in every search would cost more than the search
        )
        self._dead: set[int] = set()
        self._dead_rows = np.zeros(0, np.intp)  # the same, sorted, for masking
        self._most_probes = most_probes
        self._scores = np.empty((most_probes, BLOCK_ROWS), np.float32)
        self._blank = np.zeros((most_probes, dimension), np.float32)
        self._best = Candidates(
            np.empty(most_probes, np.intp),
            np.empty(most_probes, np.float32),
            np.empty(most_probes, np.intp),
            np.empty(most_probes, np.float32),
        )

    def __len__(self) -> int:
        """How many persons can be found now."""
        return len(self._numbers)

    @property
    def rows(self) -> int:
        """How many templates can be found now."""
        return self._used - len(self._dead)

    @property
    def locked(self) -> bool:
        """Whether the kernel promised not to swap the templates."""
        return self._pages.locked and self._halves.locked

    def reference(self, entry: int) -> str:
        """The reference of an entry number out of :class:`Candidates`."""
        if not 0 <= entry < len(self._references):
            raise IndexError(f"no entry {entry}")
        return self._references[entry]

    def __contains__(self, reference: object) -> bool:
        return reference in self._numbers

    def reserve(self, rows: int) -> Float32Array:
        """Room for `rows` more templates: (rows, dimension), to be filled and then handed to :meth:`commit`.

        The way in that leaves no copy elsewhere: a sealed list is decrypted straight into these rows.
        """
        self._grow(rows)
        return self._pages.matrix[self._used : self._used + rows]

    def commit(self, references: Sequence[str], owners: Sequence[int] | IntArray) -> None:
        """Make the rows that were filled since :meth:`reserve` findable.

        `owners[i]` says whose row i is, as a position in `references`.

        Raises:
            WatchlistError: ``template_invalid`` for a row that is not finite or all zero; nothing is added.
        """
        numbers = np.asarray(owners, np.intp)
        fresh = slice(self._used, self._used + len(numbers))
        matrix = self._pages.matrix[fresh]
        if len(matrix) != len(numbers) or (
            len(numbers) and not 0 <= numbers.min() <= numbers.max() < len(references)
        ):
            raise ValueError("owners and reserved rows do not belong together")
        # Squares of a finite row sum to a finite number: one pass without a copy of the templates.
        lengths = np.einsum("ij,ij->i", matrix, matrix)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            matrix[:] = 0
            raise WatchlistError(
                "template_invalid",
                "a template of the list is not a finite vector",
                hint="compile and seal the list again",
            )
        if len(numbers):
            self._halves.take(fresh, matrix, 1.001 * math.sqrt(float(lengths.max())))  # the sum was rounded
        for offset, position in enumerate(numbers):
            row, number = self._used + offset, self._number(references[position])
            self._owners[row] = number
            self._rows[number].append(row)
            self._most_rows = max(self._most_rows, len(self._rows[number]))
            self._valid[row // 8] |= np.uint8(1 << row % 8)
        self._used += len(numbers)

    def add(self, reference: str, templates: Float32Array) -> None:
        """Add a person, or more images of a person: (images, dimension), findable with the next search."""
        rows = np.atleast_2d(templates)
        if rows.shape[1] != self.dimension or not len(rows):
            raise ValueError(f"templates of {reference} are {rows.shape}, not (≥1, {self.dimension})")
        self.reserve(len(rows))[:] = rows
        self.commit([reference], [0] * len(rows))

    def withdraw(self, reference: str) -> int:
        """Take a person off the list now and overwrite the templates; returns how many there were.

        Raises:
            WatchlistError: ``watchlist_unknown_reference``.
        """
        number = self._numbers.pop(reference, None)
        if number is None:
            raise WatchlistError(
                "watchlist_unknown_reference",
                say("{reference} is not on the active list", reference=reference),
                hint="see the references with: lfr-edge watchlist inspect",
            )
        rows, self._rows[number] = self._rows[number], []
        for row in rows:
            self._pages.matrix[row] = 0
            self._halves.matrix[row] = 0
            self._owners[row] = NOBODY
            self._valid[row // 8] &= np.uint8(~(1 << row % 8) & 0xFF)
        self._dead.update(rows)
        self._dead_rows = np.array(sorted(self._dead), np.intp)
        return len(rows)

    def compact(self) -> int:
        """Close the gaps that withdrawals left; returns how many rows moved up. For a quiet moment."""
        if not self._dead:
            return 0
        kept = np.flatnonzero(self._owners[: self._used] != NOBODY)
        for target, source in enumerate(kept):  # upwards: a row is read before it is overwritten
            for matrix in (self._pages.matrix, self._halves.matrix):
                matrix[target] = matrix[source]
        for matrix in (self._pages.matrix, self._halves.matrix):
            matrix[len(kept) : self._used] = 0
        owners = self._owners[kept]
        moved = int((kept != np.arange(len(kept))).sum())
        self._reset_rows()
        self._used = len(kept)
        self._owners[: len(kept)] = owners
        for row, number in enumerate(owners):
            self._rows[number].append(row)
            self._valid[row // 8] |= np.uint8(1 << row % 8)
        self._most_rows = max(map(len, self._rows), default=0)
        return moved

    def search(self, probes: Float32Array, *, k: int = 2) -> Candidates:
        """The best person, and for k = 2 the best other person, for each of (n, dimension) probes.

        Exact: every findable template is compared with every probe. Raises ValueError for another shape, for
        more probes than `most_probes`, or another k.
        """
        n = len(probes)
        if k not in (1, 2) or probes.shape != (n, self.dimension) or n > self._most_probes:
            raise ValueError(f"cannot search {probes.shape} with k={k} in {self.dimension} dimensions")
        best = self._result(n)
        best.entry[:], best.score[:] = NOBODY, -np.inf
        best.runner_up[:], best.runner_up_score[:] = NOBODY, -np.inf
        if not self.rows or not n:
            return best
        deepest = 1 + (self._most_rows if k == 2 else 0)
        few = n == 1 or (n <= MOST_SINGLE_PROBES and self._used >= LEAST_SINGLE_ROWS)
        if few and deepest <= MOST_SCANNED_ROWS:
            whole = np.ascontiguousarray(probes, np.float32)
            for at in range(n):
                self._find_one(whole[at : at + 1], min(deepest, self.rows), best, at)
        else:
            for start in range(0, self._used, BLOCK_ROWS):
                self._multiply(probes, start, min(start + BLOCK_ROWS, self._used), k, best)
        return best

    def scrub(self) -> None:
        """Overwrite what a search left behind: scores, and the registers FAISS and BLAS spilled to the stack.

        Searching with zeros puts zeros where the last probe's fragments were (reliability.md 2); a few rows do,
        because fragments are left by the call and not by the row. Withdrawn rows are read, too: everybody may have
        been withdrawn since that probe.
        """
        rows = min(self._used, 512)
        for scan in (self._scan_halves, self._scan):
            for deepest in (1, 2)[:rows]:  # FAISS searches for one in code of its own
                scan(self._blank[:1], deepest, rows, None)
        # A full batch: BLAS packs the probes into a buffer of its own.
        np.matmul(self._blank, self._pages.matrix[:rows].T, out=self._scores[:, :rows])
        self._scores[:] = 0
        best = self._result(self._most_probes)
        best.entry[:], best.score[:], best.runner_up[:], best.runner_up_score[:] = NOBODY, 0, NOBODY, 0

    def wipe(self) -> WipeReceipt:
        """End of the deployment: overwrite every template and forget every reference."""
        entries, rows = len(self._numbers), self.rows
        size, verified = self._pages.wipe()
        verified &= self._halves.wipe()[1]
        self._references.clear()
        self._numbers.clear()
        self._reset_rows()
        self._rows.clear()
        self._used = 0
        self.scrub()
        return WipeReceipt(entries, rows, size, verified)

    def _result(self, n: int) -> Candidates:
        b = self._best
        return Candidates(b.entry[:n], b.score[:n], b.runner_up[:n], b.runner_up_score[:n])

    def _number(self, reference: str) -> int:
        number = self._numbers.get(reference)
        if number is None:
            number = self._numbers[reference] = len(self._references)
            self._references.append(reference)
            self._rows.append([])
        return number

    def _reset_rows(self) -> None:
        self._owners[:] = NOBODY
        self._valid[:] = 0
        self._dead.clear()
        self._dead_rows = np.zeros(0, np.intp)
        for rows in self._rows:
            rows.clear()

    def _grow(self, rows: int) -> None:
        needed = self._used + rows
        capacity = len(self._owners)
        if needed <= capacity:
            return
        capacity = max(needed, capacity * 3 // 2)
        pages = TemplatePages(capacity, self.dimension)
        pages.matrix[: self._used] = self._pages.matrix[: self._used]
        self._pages.wipe()
        self._pages = pages
        halves = HalfRows(capacity, self.dimension)
        halves.adopt(self._halves, self._used)
        self._halves = halves
        owners = np.full(capacity, NOBODY, np.intp)
        owners[: self._used] = self._owners[: self._used]
        valid = np.zeros(capacity // 8 + 1, np.uint8)
        valid[: len(self._valid)] = self._valid
        self._owners, self._valid = owners, valid

    def _find_one(self, probe: Float32Array, deepest: int, best: Candidates, at: int) -> None:
        """Probe `at` (1, dimension): the `deepest` best rows hold two persons, if there are two."""
        used = self._used
        selector = self._selector()
        found = self._scan_halves(probe, deepest, used, selector) if self._halves.usable else None
        scores, rows = found if found is not None else self._scan(probe, deepest, used, selector)
        # FAISS does not promise an order among equals; ours is by row.
        for place in np.lexsort((rows, -scores))[:deepest]:
            if rows[place] != NOBODY:
                self._offer(best, at, int(self._owners[rows[place]]), float(scores[place]))

    def _scan(
        self, probe: Float32Array, deepest: int, used: int, selector: Any
    ) -> tuple[Float32Array, Int64Array]:
        """The `deepest` best of the first `used` rows that may be found, and their scores, each read in full."""
        scores, rows = np.empty(deepest, np.float32), np.empty(deepest, np.int64)
        faiss.knn_inner_product(
            faiss.swig_ptr(probe),
            faiss.swig_ptr(self._pages.matrix),
            self.dimension,
            1,
            used,
            deepest,
            faiss.swig_ptr(scores),
            faiss.swig_ptr(rows),
            selector,
        )
        return scores, rows

    def _scan_halves(
        self, probe: Float32Array, deepest: int, used: int, selector: Any
    ) -> tuple[Float32Array, Int64Array] | None:
        """As :meth:`_scan`, perhaps with more rows than asked for; None where the halves cannot tell them."""
        most = min(deepest + _SPARE_ROWS, used)
        near, rows = np.full(most, -np.inf, np.float32), np.full(most, NOBODY, np.int64)
        scanner = self._quantiser.select_InvertedListScanner(
            faiss.METRIC_INNER_PRODUCT, None, True, selector, False
        )
        scanner.set_list(0, 0.0)  # with store_pairs, rows of list 0 are numbered from 0
        scanner.set_query(faiss.swig_ptr(probe))
        scanner.scan_codes(
            used,
            faiss.swig_ptr(self._halves.matrix.view(np.uint8)),
            None,
            faiss.swig_ptr(near),
            faiss.swig_ptr(rows),
            most,
        )
        matrix, scores = self._pages.matrix, np.full(most, -np.inf, np.float32)
        for place, row in enumerate(rows):
            if row != NOBODY:
                scores[place] = np.dot(matrix[row], probe[0])
        left_out = near.min() + self._halves.error(probe[0])  # no row that is not among these scores more
        if most < self.rows and not np.partition(scores, -deepest)[-deepest] > left_out:
            return None
        return scores, rows

    def _selector(self) -> Any:
        """Which rows FAISS may find; None for all."""
        return faiss.IDSelectorBitmap(self._used, faiss.swig_ptr(self._valid)) if self._dead else None

    def _multiply(self, probes: Float32Array, start: int, end: int, k: int, best: Candidates) -> None:
        """All probes against one block of rows."""
        scores = self._scores[: len(probes), : end - start]
        np.matmul(probes, self._pages.matrix[start:end].T, out=scores)
        low, high = np.searchsorted(self._dead_rows, (start, end))
        scores[:, self._dead_rows[low:high] - start] = -np.inf
        for _ in range(k):
            top = scores.argmax(axis=1)
            for probe, column in enumerate(top):
                score = float(scores[probe, column])
                if score == -np.inf:
                    continue
                owner = int(self._owners[start + column])
                self._offer(best, probe, owner, score)
                own = [row - start for row in self._rows[owner] if start <= row < end]
                scores[probe, own] = -np.inf

    @staticmethod
    def _offer(best: Candidates, probe: int, entry: int, score: float) -> None:
        """Keep the two best persons; offers come in order of rows, so an equal score does not displace."""
        if entry == best.entry[probe]:
            best.score[probe] = max(best.score[probe], score)
        elif score > best.score[probe]:
            best.runner_up[probe], best.runner_up_score[probe] = best.entry[probe], best.score[probe]
            best.entry[probe], best.score[probe] = entry, score
        elif score > best.runner_up_score[probe]:
            best.runner_up[probe], best.runner_up_score[probe] = entry, score
