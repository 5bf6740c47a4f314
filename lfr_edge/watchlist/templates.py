"""The sealed templates part: written by the compiler, opened only inside the recogniser (unseal.py).

::

    length of head | head (JSON: fingerprint, dimension, rows, chunk sizes) | names | chunk | chunk | …

Rows are sealed in chunks, so that memory stays bounded. The head is authenticated by every piece after it.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Iterator, Sequence
from typing import Any, Final

import numpy as np
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import say
from lfr_edge.watchlist.pages import Float32Array

TEMPLATES: Final = "templates"
_LENGTH: Final = struct.Struct("<4sI")
_MAGIC: Final = b"LFRT"
TAG: Final = 16
CHUNK_BYTES: Final = 1 << 20


def nonce(number: int) -> bytes:
    """Counters serve as nonces: every key belongs to one part of one container and is never used again."""
    return number.to_bytes(12, "little")


def altered(what: str) -> WatchlistError:
    return WatchlistError(
        "watchlist_altered",
        say(
            "{what} does not verify: the sealed list was altered or damaged, or this is not its key",
            what=what,
        ),
        hint="use the list's own key; if that fails, do not use the list: seal it again from the bundle",
    )


def seal_templates(
    key: bytes,
    fingerprint: str,
    references: Sequence[str],
    owners: NDArray[np.intp],
    matrices: Sequence[Float32Array],
    dimension: int,
) -> Iterator[bytes]:
    """The part, piece by piece. `owners[i]` is the position in `references` of the person of row i."""
    names = json.dumps({"references": list(references), "owners": [int(o) for o in owners]}).encode()
    chunk_rows = max(1, CHUNK_BYTES // (dimension * 4))
    head = json.dumps(
        {
            "fingerprint": fingerprint,
            "dimension": dimension,
            "rows": len(owners),
            "chunk_rows": chunk_rows,
            "names": len(names) + TAG,
        }
    ).encode()
    prefix = _LENGTH.pack(_MAGIC, len(head)) + head
    cipher, seal_of_head = AESGCM(key), hashlib.sha256(prefix).digest()
    yield prefix
    yield cipher.encrypt(nonce(0), names, seal_of_head)
    chunk: Float32Array = np.empty((chunk_rows, dimension), np.float32)
    filled, number = 0, 1
    for matrix in matrices:
        for row in matrix:
            chunk[filled] = row
            filled += 1
            if filled == chunk_rows:
                yield cipher.encrypt(nonce(number), memoryview(chunk.data).cast("B"), seal_of_head)
                filled, number = 0, number + 1
    if filled:
        yield cipher.encrypt(nonce(number), memoryview(chunk[:filled].data).cast("B"), seal_of_head)
    chunk[:] = 0


def read_head(view: memoryview) -> tuple[dict[str, Any], int]:
    """The head's fields and its length in bytes. Raises WatchlistError ``watchlist_altered``."""
    try:
        magic, length = _LENGTH.unpack_from(view)
        if magic != _MAGIC or length > 1 << 16:
            raise ValueError
        start = _LENGTH.size + length
        head = json.loads(bytes(view[_LENGTH.size : start]))
        sizes = [head[name] for name in ("dimension", "rows", "chunk_rows", "names")]
        if not all(type(size) is int and 0 < size < 1 << 31 for size in sizes):
            raise ValueError
        if not isinstance(head["fingerprint"], str):
            raise ValueError
    except (ValueError, KeyError, TypeError, struct.error, RecursionError):
        raise altered("the head of the templates part") from None
    return head, start
