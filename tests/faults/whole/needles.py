"""What is looked for in memory, on the disk and on the wire: the very bytes that a passer-by left in a process.

The recogniser is stopped while somebody who is on no list stands before the camera, and the memory that it seals off
for faces (`MADV_DONTDUMP`) is compared with what lay there before anybody came. What differs is of this face: its
aligned crop, its templates, their sum. Nothing has to be computed a second time and come out the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

_MOST_WORDS, _MOST_PIECES = 4000, 12  # of one stop
_SPREAD = (
    64  # of the bytes of a word: the wall behind a face is as grey in the crop as in the camera's picture
)
_STEP = 24  # from one pixel to the next: two faces in the same light share many a smooth patch of cheek, to the bit
_VECTOR = 64  # floats in a row that make a template
_CHUNK, _OVERLAP = 1 << 25, 16


@dataclass
class Needles:
    words: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))  # eight bytes each
    pieces: list[bytes] = field(default_factory=list)  # sixteen bytes each, found at any place
    vectors: int = 0

    def __add__(self, other: Needles) -> Needles:
        words = np.unique(np.concatenate([self.words, other.words]))
        return Needles(words, self.pieces + other.pieces, self.vectors + other.vectors)

    def in_memory(self, pid: int) -> dict[str, set[str]]:
        """Those that a process holds, as hex, by the kind of region they were found in."""
        sieve, found = Sieve(self), dict[str, set[str]]()
        for kind, chunk in resident(pid):
            if hits := sieve.catch(chunk):
                found.setdefault(kind, set()).update(hits)
        return found

    def among(self, hits: set[str]) -> int:
        """How many of `hits` are of these."""
        own = {f"{word:016x}" for word in self.words.tolist()} | {piece.hex() for piece in self.pieces}
        return len(hits & own)

    def in_bytes(self, data: bytes) -> int:
        """How many of them stand anywhere in `data`."""
        hits: set[int] = set()
        for shift in range(8):
            size = (len(data) - shift) // 8
            if size > 0:
                here = np.frombuffer(data, np.uint64, size, shift)
                hits.update(here[np.isin(here, self.words)].tolist())
        return len(hits) + sum(piece in data for piece in self.pieces)


class Sieve:
    """Finds the words at every fourth byte of memory and the pieces at every byte.

    A piece of sixteen bytes, wherever it lies, holds a whole aligned word: one of the eight that begin at its first
    eight bytes. So the pieces cost one look at each aligned word, and a comparison where one of theirs turns up.
    """

    def __init__(self, needles: Needles) -> None:
        self._words = np.unique(needles.words)
        self._starts: dict[int, list[tuple[bytes, int]]] = {}
        for piece in needles.pieces:
            for at in range(8):
                word = int.from_bytes(piece[at : at + 8], "little")
                self._starts.setdefault(word, []).append((piece, at))
        inside = np.array(sorted(self._starts), np.uint64)
        self._aligned = np.union1d(self._words, inside)
        # Of the first three pairs of bytes of a word, one after the other: sorts out almost everything at once.
        self._pairs = [np.zeros(1 << 16, np.bool_) for _ in range(3)]
        for place, pairs in enumerate(self._pairs):
            pairs[self._aligned.view(np.uint16)[place::4]] = True

    def catch(self, chunk: bytes) -> set[str]:
        """As hex. What crosses the end of a chunk is not seen: see :func:`resident`."""
        hits: set[str] = set()
        for shift in (0, 4):
            here = np.frombuffer(chunk, np.uint64, max(0, len(chunk) - shift) // 8, shift)
            places = self._candidates(here)
            words = here[places]
            hits.update(f"{word:016x}" for word in words[_among(self._words, words)].tolist())
            if shift == 0 and self._starts:
                hits |= self._pieces(chunk, places, words)
        return hits

    def _candidates(self, here: np.ndarray) -> np.ndarray:
        """Indices of the words that may be one of ours."""
        pairs = here.view(np.uint16)
        places = np.flatnonzero(self._pairs[0][pairs[::4]])
        for place in (1, 2):
            places = places[self._pairs[place][pairs[4 * places + place]]]
        return places[_among(self._aligned, here[places])]

    def _pieces(self, chunk: bytes, places: np.ndarray, words: np.ndarray) -> set[str]:
        hits: set[str] = set()
        for place, word in zip(places.tolist(), words.tolist(), strict=True):
            for piece, at in self._starts.get(word, ()):
                begin = 8 * place - at
                if begin >= 0 and chunk[begin : begin + 16] == piece:
                    hits.add(piece.hex())
        return hits


def _among(ordered: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Which of `words` are in `ordered`. A search in what is in order already costs less than np.isin's sorting."""
    if not len(ordered):
        return np.zeros(len(words), np.bool_)
    places = np.minimum(np.searchsorted(ordered, words), len(ordered) - 1)
    return ordered[places] == words


@dataclass(frozen=True)
class Region:
    """A run of another process's memory that it may write."""

    low: int
    high: int
    kind: str  # "sealed" for what the kernel leaves out of dumps; otherwise what /proc calls it, and how large it is
    shared: bool


def regions(pid: int) -> Iterator[Region]:
    head: list[str] = []
    for line in Path(f"/proc/{pid}/smaps").read_text(encoding="ascii", errors="replace").splitlines():
        words = line.split()
        if "-" in words[0] and not words[0].endswith(":"):
            head = words
        elif words[0] == "VmFlags:" and head[1].startswith("rw"):
            low, high = (int(end, 16) for end in head[0].split("-"))
            name = Path(head[5]).name if len(head) > 5 else "anonymous"
            kind = "sealed" if "dd" in words else f"{name}, {(high - low) >> 10} KiB"
            yield Region(low, high, kind, head[1].endswith("s"))


def resident(pid: int) -> Iterator[tuple[str, bytes]]:
    """Every writable page of another process that is there (or swapped out), in runs, with an overlap, and the kind of
    its region: no page that was never touched is read, or a scan would read gigabytes of zeros.
    """
    size = os.sysconf("SC_PAGE_SIZE")
    with (
        Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory,
        Path(f"/proc/{pid}/pagemap").open("rb", buffering=0) as pagemap,
    ):
        for one in regions(pid):
            pagemap.seek(one.low // size * 8)
            there = (
                np.frombuffer(pagemap.read((one.high - one.low) // size * 8), np.uint64) >> np.uint64(62) != 0
            )  # present, or swapped out
            if one.shared and there.any():
                there[:] = True  # pages of shared memory that another process wrote need not be mapped here
            edges = np.flatnonzero(np.diff(np.concatenate([[False], there, [False]]).astype(np.int8)))
            for first, last in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
                end = one.low + last * size
                for start in range(one.low + first * size, end, _CHUNK):
                    memory.seek(start)
                    yield one.kind, memory.read(min(_CHUNK + _OVERLAP, end - start))


def sealed_memory(pid: int) -> dict[int, np.ndarray]:
    """Every private mapping that the kernel leaves out of dumps, by address."""
    found: dict[int, np.ndarray] = {}
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for one in regions(pid):
            if one.kind == "sealed" and not one.shared:
                memory.seek(one.low)
                found[one.low] = np.frombuffer(memory.read(one.high - one.low), np.uint8)
    return found


def differing(before: dict[int, np.ndarray], now: dict[int, np.ndarray]) -> Needles:
    """What a face put into the sealed memory."""
    words: list[np.ndarray] = []
    pieces: list[bytes] = []
    vectors = 0
    for low, there in now.items():
        was = before.get(low)
        if was is None or len(was) != len(there):
            continue
        changed = np.flatnonzero(was.view(np.uint64) != there.view(np.uint64))
        for run in np.split(changed, np.flatnonzero(np.diff(changed) > 1) + 1):
            if len(run) < 4:
                continue
            raw = there[8 * run[0] : 8 * (run[-1] + 1)]
            words.append(raw.view(np.uint64))
            pieces += _pieces(raw.tobytes())
            for vector in _vectors(raw):
                vectors += 1
                words += _forms(vector)
    if not words:
        return Needles()
    every = np.unique(np.concatenate(words))
    every = every[_telling(every)]
    chosen = np.random.default_rng(0).permutation(every)[:_MOST_WORDS]
    return Needles(np.sort(chosen), pieces[:: max(1, len(pieces) // _MOST_PIECES)][:_MOST_PIECES], vectors)


def _pieces(raw: bytes) -> list[bytes]:
    cut = (raw[at : at + 16] for at in range(64, len(raw) - 16, 256))
    return [
        piece
        for piece in cut
        if len(set(piece)) > 9
        and max(piece) - min(piece) >= _SPREAD
        and _steps(np.frombuffer(piece, np.uint8))
    ]


def _steps(rows: np.ndarray) -> Any:
    """Whether neighbouring pixels (three bytes each) differ anywhere in bytes (…, n). A template's always do."""
    pixels = rows.astype(np.int16)
    return np.abs(pixels[..., 3:] - pixels[..., :-3]).max(axis=-1) >= _STEP


def _vectors(raw: np.ndarray) -> Iterator[np.ndarray]:
    """Runs of plausible numbers: a template's or a sum's floats lie within ±16 and are hardly ever zero."""
    floats = raw.view(np.float32)
    with np.errstate(invalid="ignore"):
        fits = np.isfinite(floats) & (np.abs(floats) < 16) & (np.abs(floats) > 1e-7)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], fits.astype(np.int8), [0]])))
    for start, stop in zip(edges[::2], edges[1::2], strict=True):
        if stop - start >= _VECTOR:
            yield floats[start:stop]


def _forms(vector: np.ndarray) -> list[np.ndarray]:
    """As it is and of length one; in half, single and double precision; at both places of a word."""
    forms: list[np.ndarray] = []
    for values in (vector, vector / np.linalg.norm(vector)):
        for kind, step in ((np.float16, 4), (np.float32, 2), (np.float64, 1)):
            copy = values.astype(kind)
            for shift in range(0, step, max(1, step // 2)):
                whole = (len(copy) - shift) // step * step
                forms.append(copy[shift : shift + whole].view(np.uint64))
    return forms


def _telling(words: np.ndarray) -> np.ndarray:
    """Words of which memory is not full anyhow: different bytes far apart. A grey wall's are not, nor a cheek's."""
    rows = words.view(np.uint8).reshape(-1, 8)
    ordered = np.sort(rows, axis=1)
    different = 1 + np.count_nonzero(np.diff(ordered, axis=1), axis=1)
    apart = (different >= 7) & (ordered[:, -1] - ordered[:, 0] >= _SPREAD) & (ordered[:, 1] > 0)
    return np.asarray(apart & _steps(rows))
