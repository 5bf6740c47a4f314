"""What anchors a log, as an auditor reads it: the notes of witnesses (one that cannot be read is a reservation, no
finding), and printed codes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from lfr_edge.audit.anchor import find_printed, printed_code, read_cosignature
from lfr_edge.audit.checkpoint import Checkpoint, Head, parse_checkpoint
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


def printed_size(code: str, signed: Iterable[Checkpoint], roots: Mapping[int, bytes]) -> int | None:
    """How many entries the head covers whose printed code is `code`; None where it fits no head of this log.

    A code names a head, which is found by trying every one that was signed, with the root that the entries here have
    (`roots`, by size). The origin is the checkpoint's: where the certificate is lost, the paper still tells whether
    these are its entries.

    Raises:
        AuditError: ``audit_code_mistyped``, ``audit_code_misread``.
    """
    printed = {
        printed_code(item.origin, Head(item.head.size, roots[item.head.size])): item.head.size
        for item in signed
        if item.head.size in roots
    }
    found = find_printed(code, printed)
    return None if found is None else printed[found]
