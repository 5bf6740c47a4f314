"""Signed heads of the tree: C2SP ``tlog-checkpoint`` notes.

A head is (size, root): everything about the first `size` entries. Whoever keeps a checkpoint outside the box can
later prove that nothing before it was changed, however little they trust the box.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from lfr_edge.audit.merkle import HASH_BYTES
from lfr_edge.audit.note import Note, Signer, decode64, encode64, parse_note, sign_note
from lfr_edge.errors import AuditError

_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Head:
    """The first `size` entries and the root over them (32 bytes)."""

    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class Checkpoint:
    origin: str
    head: Head
    note: Note

    def __str__(self) -> str:
        return str(self.note)


def head_text(origin: str, head: Head) -> str:
    return f"{origin}\n{head.size}\n{encode64(head.root)}\n"


def sign_head(origin: str, head: Head, signer: Signer) -> Checkpoint:
    return Checkpoint(origin, head, sign_note(head_text(origin, head), signer))


def parse_checkpoint(raw: str) -> Checkpoint:
    """Read a checkpoint; signatures are the caller's to check.

    Raises:
        AuditError: ``audit_note_malformed`` or ``audit_checkpoint_malformed``.
    """
    note = parse_note(raw)
    lines = note.text.split("\n")
    root = decode64(lines[2]) if len(lines) == 4 else b""
    if len(root) != HASH_BYTES or not lines[0] or not _SIZE.fullmatch(lines[1]):
        raise AuditError("audit_checkpoint_malformed", "a checkpoint is not origin, size and root")
    return Checkpoint(lines[0], Head(int(lines[1]), root), note)


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """A file of checkpoints: notes with an empty line after each."""

    whole: tuple[Checkpoint, ...]
    end: int  # bytes that the whole ones take
    rest: bytes  # what follows them: a note that was being written, or damage
    reason: str  # why the rest is not a checkpoint


def parse_checkpoints(raw: bytes) -> Checkpoints:
    """All checkpoints up to the first that is not one."""
    whole: list[Checkpoint] = []
    end = 0
    reason = ""
    while end < len(raw):
        blank = raw.find(b"\n\n", end)
        stop = raw.find(b"\n\n", blank + 2) if blank >= 0 else -1
        if stop < 0:
            reason = "the last checkpoint is cut short"
            break
        try:
            whole.append(parse_checkpoint(raw[end : stop + 1].decode()))
        except (AuditError, UnicodeDecodeError) as error:
            reason = str(error)
            break
        end = stop + 2
    return Checkpoints(tuple(whole), end, raw[end:], reason)
