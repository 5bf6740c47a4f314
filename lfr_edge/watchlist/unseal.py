"""A sealed templates part → the index, inside the recogniser.

Rows are decrypted straight into the index's pages: no other buffer ever holds a template of the list.
"""

from __future__ import annotations

import hashlib
import json

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist.index import WatchlistIndex
from lfr_edge.watchlist.templates import TAG, altered, nonce, read_head


def unseal_templates(
    part: bytes | memoryview, key: bytes, *, fingerprint: str | None = None, most_probes: int = 64
) -> WatchlistIndex:
    """The index of a sealed templates part.

    Raises:
        WatchlistError: ``watchlist_altered``, or ``watchlist_model_mismatch`` where `fingerprint` is given and
            is not the one that made the templates.
    """
    view = memoryview(part)
    head, start = read_head(view)
    cipher, seal_of_head = AESGCM(key), hashlib.sha256(view[:start]).digest()
    try:
        end = start + head["names"]
        names = json.loads(cipher.decrypt(nonce(0), view[start:end], seal_of_head))
    except (InvalidTag, ValueError):
        raise altered("the templates' list of references") from None
    if fingerprint is not None and fingerprint != head["fingerprint"]:
        raise WatchlistError(
            "watchlist_model_mismatch",
            "the list was enrolled with another model pack than the one that runs",
            hint="seal it again with this pack, or configure the pack that enrolled it",
        )
    rows, chunk_rows, dimension = head["rows"], head["chunk_rows"], head["dimension"]
    chunks = -(-rows // chunk_rows)
    if len(view) != end + rows * dimension * 4 + chunks * TAG:
        raise altered("the templates part")
    index = WatchlistIndex(dimension, capacity=rows, most_probes=most_probes)
    matrix = index.reserve(rows)
    try:
        for number in range(chunks):
            target = memoryview(matrix[number * chunk_rows : (number + 1) * chunk_rows].data).cast("B")
            sealed = view[end : end + len(target) + TAG]
            cipher.decrypt_into(nonce(number + 1), sealed, seal_of_head, target)
            end += len(sealed)
    except (InvalidTag, ValueError):
        index.wipe()
        raise altered("a chunk of templates") from None
    index.commit(names["references"], names["owners"])
    return index
