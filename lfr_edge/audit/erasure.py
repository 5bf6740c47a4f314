"""Showing that an item is gone while the log still stands (reliability.md 1.10).

The log keeps what was recorded about the item: a reference, a commitment, who decided. What is proved here is that
the erasure was recorded under a signed head, and that nothing with the item's name is left where material lies. What
outlives its deployment is erased when that log is closed for good: the device log has the erasure then, so the proof
is looked for in all logs of a box.
That the destroyed key is gone from the drive as well is the work of the key store, not of this proof.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.audit.folder import LogFolder, logs_of
from lfr_edge.audit.proof import EntryProof, prove_entry
from lfr_edge.audit.view import LogView, unreadable
from lfr_edge.errors import AuditError
from lfr_edge.sentences import listed, say

_ERASURES: Final = frozenset({"alert.erased", "material.erased"})


@dataclass(frozen=True, slots=True)
class ErasureProof:
    """The entries of one item, each with its proof, and what is left of it. `origin` is the log it entered."""

    ref: str
    origin: str
    first: EntryProof  # where the item entered the record
    erased: tuple[EntryProof, ...]
    searched: tuple[str, ...]  # folders where its material used to lie
    left: tuple[str, ...]  # files there that still carry the item's name

    @property
    def gone(self) -> bool:
        return bool(self.erased) and not self.left

    def to_json(self) -> dict[str, object]:
        return {
            "ref": self.ref,
            "origin": self.origin,
            "gone": self.gone,
            "searched": list(self.searched),
            "left": list(self.left),
            "first": str(self.first),
            "erased": [str(proof) for proof in self.erased],
        }


def views_of(path: Path) -> tuple[LogView, ...]:
    """The log in the folder `path`, or every log of the box there; the device log last, as it has only the end.

    Raises:
        AuditError: ``audit_log_unreadable``.
    """
    if LogFolder(path).entries.exists():
        return (LogView.load(path),)
    views = tuple(LogView.load(folder.path) for folder in logs_of(path))
    if not views:
        raise unreadable(path, FileNotFoundError(errno.ENOENT, "no log lies there"))
    return (*views[1:], views[0])


def prove_erasure(views: Sequence[LogView], ref: str, stores: Iterable[Path] = ()) -> ErasureProof:
    """Collect the proofs for the item `ref`; `stores` are folders where its material used to lie.

    Raises:
        AuditError: ``audit_reference_unknown``, ``audit_entry_unsigned``; ``audit_store_unreadable`` where a folder
            cannot be searched: nothing found there would prove nothing.
    """
    found = [(view, entry) for view in views for _, entry in view.entries() if entry.event.ref == ref]
    if not ref or not found:
        origins = listed(view.origin for view in views)
        raise AuditError(
            "audit_reference_unknown",
            say("no entry of {origin} has the reference {ref!r}", origin=origins, ref=ref),
            hint="lfr-edge audit show prints the references",
        )
    first, entry = found[0]
    searched = tuple(stores)
    left = sorted(path for store in searched for path in _left_in(store, ref))
    return ErasureProof(
        ref,
        first.origin,
        prove_entry(first, entry.seq, first.body(entry.seq)),
        tuple(
            prove_entry(view, entry.seq, view.body(entry.seq))
            for view, entry in found
            if entry.event.ev in _ERASURES
        ),
        tuple(map(str, searched)),
        tuple(left),
    )


def _left_in(store: Path, ref: str) -> Iterator[str]:
    """Every file and folder below `store` whose name holds `ref`."""

    def refuse(error: OSError) -> None:
        raise AuditError(
            "audit_store_unreadable",
            say("{path} cannot be searched: {reason}", path=error.filename, reason=error.strerror),
            hint="name the folder where the material lay, and read it as somebody who may",
        ) from None

    for folder, folders, files in os.walk(store, onerror=refuse):
        yield from (str(Path(folder, name)) for name in (*folders, *files) if ref in name)
