"""A sealed templates part → the index, inside the recogniser.

Rows are decrypted straight into the index's pages: no other buffer ever holds a template of the list.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import say
from lfr_edge.watchlist.index import NOBODY, WatchlistIndex
from lfr_edge.watchlist.pages import Float32Array
from lfr_edge.watchlist.templates import TAG, altered, nonce, read_head


def unseal_templates(
    part: bytes | memoryview, key: bytes, *, fingerprint: str | None = None, most_probes: int = 64
) -> WatchlistIndex:
    """The index of a sealed templates part.

    Raises:
        WatchlistError: ``watchlist_altered``, or ``watchlist_model_mismatch`` where `fingerprint` is given and
            is not the one that made the templates.
    """
    head, _ = read_head(memoryview(part))
    index = WatchlistIndex(head["dimension"], capacity=head["rows"], most_probes=most_probes)
    try:
        unseal_into(index, part, key, fingerprint=fingerprint)
    except BaseException:
        index.wipe()
        raise
    return index


@dataclass(frozen=True, slots=True)
class Added:
    references: tuple[str, ...]
    templates: int
    look_alikes: tuple[tuple[str, str, float], ...]  # (added, on the list before, cosine), nearest first


def unseal_into(
    index: WatchlistIndex,
    part: bytes | memoryview,
    key: bytes,
    *,
    fingerprint: str | None = None,
    look_alike: float | None = None,
) -> Added:
    """Put the people of a sealed templates part on a list, findable with its next search; all of them or none.

    With `look_alike` the new people are compared with the list as it was, and the two nearest at or above that
    cosine are told for each image.

    Raises:
        WatchlistError: ``watchlist_altered``, ``watchlist_model_mismatch``, ``template_invalid``, or
            ``watchlist_duplicate_reference`` for somebody who is on the list already.
    """
    view = memoryview(part)
    head, start = read_head(view)
    cipher, seal_of_head = AESGCM(key), hashlib.sha256(view[:start]).digest()
    try:
        end = start + head["names"]
        names = json.loads(cipher.decrypt(nonce(0), view[start:end], seal_of_head))
    except (InvalidTag, ValueError):
        raise altered("the templates' list of references") from None
    if head["dimension"] != index.dimension or (
        fingerprint is not None and fingerprint != head["fingerprint"]
    ):
        raise WatchlistError(
            "watchlist_model_mismatch",
            "the list was enrolled with another model pack than the one that runs",
            hint="seal it again with this pack, or configure the pack that enrolled it",
        )
    doubled = [reference for reference in names["references"] if reference in index]
    if doubled:
        raise WatchlistError(
            "watchlist_duplicate_reference",
            say("{doubled} is on the list already", doubled=doubled[0]),
            hint="withdraw the entry first, or give the new one another reference",
        )
    matrix = index.reserve(head["rows"])
    try:
        _decrypt(view, end, head, cipher, seal_of_head, matrix)
        near = _near(index, matrix, names, look_alike) if look_alike is not None else ()
    except BaseException:
        matrix[:] = 0
        raise
    index.commit(names["references"], names["owners"])
    return Added(tuple(names["references"]), head["rows"], near)


def _decrypt(
    view: memoryview,
    at: int,
    head: dict[str, Any],
    cipher: AESGCM,
    seal_of_head: bytes,
    matrix: Float32Array,
) -> None:
    rows, chunk_rows, dimension = head["rows"], head["chunk_rows"], head["dimension"]
    chunks = -(-rows // chunk_rows)
    if len(view) != at + rows * dimension * 4 + chunks * TAG:
        raise altered("the templates part")
    try:
        for number in range(chunks):
            target = memoryview(matrix[number * chunk_rows : (number + 1) * chunk_rows].data).cast("B")
            sealed = view[at : at + len(target) + TAG]
            cipher.decrypt_into(nonce(number + 1), sealed, seal_of_head, target)
            at += len(sealed)
    except (InvalidTag, ValueError):
        raise altered("a chunk of templates") from None


def _near(
    index: WatchlistIndex, matrix: Float32Array, names: dict[str, Any], least: float
) -> tuple[tuple[str, str, float], ...]:
    """Who on the list the new rows resemble; `index` does not find the new rows yet."""
    best: dict[tuple[str, str], float] = {}
    for row, owner in zip(matrix, names["owners"], strict=True):
        found = index.search(row[None])
        for entry, score in (
            (found.entry[0], found.score[0]),
            (found.runner_up[0], found.runner_up_score[0]),
        ):
            if entry != NOBODY and score >= least:
                pair = (names["references"][owner], index.reference(int(entry)))
                best[pair] = max(best.get(pair, -1.0), float(score))
    index.scrub()
    return tuple((*pair, round(score, 4)) for pair, score in sorted(best.items(), key=lambda item: -item[1]))
