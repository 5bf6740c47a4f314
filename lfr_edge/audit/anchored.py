"""The witnesses' notes beside a log, as an auditor reads them: what cannot be read is a reservation, no finding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from lfr_edge.audit.anchor import read_cosignature
from lfr_edge.audit.checkpoint import Checkpoint, parse_checkpoint
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.note import VerifierKey
from lfr_edge.audit.report import AnchorReport, Finding
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say


def witnessed_heads(folder: LogFolder, reservations: list[Finding]) -> list[Checkpoint]:
    """Every head with cosignatures that lies beside the log."""
    found = []
    for path in sorted(folder.anchors.glob("*.note")):
        try:
            found.append(parse_checkpoint(path.read_bytes().decode()))
        except (AuditError, UnicodeDecodeError) as error:
            reservations.append(
                Finding("anchor_unreadable", say("{name}: {error}", name=path.name, error=error))
            )
    return found


def cosigned(
    checkpoint: Checkpoint, witnesses: Iterable[VerifierKey], reservations: list[Finding]
) -> Iterator[AnchorReport]:
    """Who of `witnesses` saw this head, and when."""
    for key in witnesses:
        for signature in checkpoint.note.signatures:
            try:
                seen = read_cosignature(checkpoint, signature, key)
            except AuditError as error:
                reservations.append(Finding("anchor_unreadable", error.message))
                continue
            if seen is not None:
                yield AnchorReport(seen.witness, checkpoint.head.size, seen.when_s)
