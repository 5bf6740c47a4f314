"""Showing that an item is gone while the log still stands (reliability.md 1.10).

The log keeps what was recorded about the item: a reference, a commitment, who decided. What is proved here is that
the erasure was recorded under a signed head, and that nothing with the item's name is left where material lies.
That the destroyed key is gone from the drive as well is the work of the key store, not of this proof.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.audit.proof import EntryProof, prove_entry
from lfr_edge.audit.view import LogView
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

_ERASURES: Final = frozenset({"alert.erased", "material.erased"})


@dataclass(frozen=True, slots=True)
class ErasureProof:
    """The entries of one item, each with its proof, and what is left of it."""

    ref: str
    origin: str
    first: EntryProof  # where the item entered the record
    erased: tuple[EntryProof, ...]
    left: tuple[str, ...]  # files that still carry the item's name

    @property
    def gone(self) -> bool:
        return bool(self.erased) and not self.left

    def to_json(self) -> dict[str, object]:
        return {
            "ref": self.ref,
            "origin": self.origin,
            "gone": self.gone,
            "left": list(self.left),
            "first": str(self.first),
            "erased": [str(proof) for proof in self.erased],
        }


def prove_erasure(view: LogView, ref: str, stores: Iterable[Path] = ()) -> ErasureProof:
    """Collect the proofs for the item `ref`; `stores` are folders where its material used to lie.

    Raises:
        AuditError: ``audit_reference_unknown``, ``audit_entry_unsigned``.
    """
    entries = [entry for _, entry in view.entries() if entry.event.ref == ref]
    if not ref or not entries:
        raise AuditError(
            "audit_reference_unknown",
            say("no entry of {origin} has the reference {ref!r}", origin=view.origin, ref=ref),
            hint="lfr-edge audit show prints the references",
        )
    erased = [entry.seq for entry in entries if entry.event.ev in _ERASURES]
    left = sorted(str(path) for store in stores for path in store.rglob("*") if ref in path.name)
    return ErasureProof(
        ref,
        view.origin,
        prove_entry(view, entries[0].seq, view.body(entries[0].seq)),
        tuple(prove_entry(view, seq, view.body(seq)) for seq in erased),
        tuple(left),
    )
