"""What changed between two sealed lists: who came, who went, which fields differ. Never a picture."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

from lfr_edge.watchlist.container import SealedWatchlist


@dataclass(frozen=True, slots=True)
class Changed:
    reference: str
    fields: tuple[str, ...]  # names; "pictures" where a picture is another one

    def to_json(self) -> dict[str, Any]:
        return {"reference": self.reference, "fields": list(self.fields)}


@dataclass(frozen=True, slots=True)
class ListDiff:
    added: tuple[str, ...]  # references, in the order of the newer list
    removed: tuple[str, ...]
    changed: tuple[Changed, ...]
    same: int
    model_changed: bool  # the two were enrolled with different model packs

    def to_json(self) -> dict[str, Any]:
        return {
            "added": list(self.added),
            "removed": list(self.removed),
            "changed": [change.to_json() for change in self.changed],
            "same": self.same,
            "model_changed": self.model_changed,
        }


def difference(older: SealedWatchlist, newer: SealedWatchlist) -> ListDiff:
    """Compare entry by entry. Opens every picture of entries on both lists, one at a time.

    Raises:
        WatchlistError: ``watchlist_altered``.
    """
    before = {entry.reference: entry for entry in older.entries()}
    after = {entry.reference: entry for entry in newer.entries()}
    changed = []
    for reference in after:
        if reference in before:
            fields = _fields(older, newer, reference)
            if fields:
                changed.append(Changed(reference, fields))
    return ListDiff(
        added=tuple(reference for reference in after if reference not in before),
        removed=tuple(reference for reference in before if reference not in after),
        changed=tuple(changed),
        same=sum(reference in before for reference in after) - len(changed),
        model_changed=older.header.fingerprint != newer.header.fingerprint,
    )


def _fields(older: SealedWatchlist, newer: SealedWatchlist, reference: str) -> tuple[str, ...]:
    one, other = older.entry(reference).to_json(), newer.entry(reference).to_json()
    fields = [name for name in other if name != "images" and one.get(name) != other[name]]
    facts = [[(image["source"], image["taken"]) for image in entry["images"]] for entry in (one, other)]
    if facts[0] != facts[1]:
        fields.append("images")
    if _pictures(older, reference) != _pictures(newer, reference):
        fields.append("pictures")
    return tuple(fields)


def _pictures(sealed: SealedWatchlist, reference: str) -> list[bytes]:
    count = len(sealed.entry(reference).images)
    return [hashlib.sha256(sealed.candidate_image(reference, n)).digest() for n in range(count)]
