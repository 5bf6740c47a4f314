"""One entry shown alone: the entry, its inclusion proof and a signed head, nothing else (C2SP tlog-proof).

The entry's canonical bytes travel in the proof's ``extra`` line; their leaf hash ties them to the path.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from lfr_edge.audit.checkpoint import Checkpoint, parse_checkpoint
from lfr_edge.audit.merkle import HASH_BYTES, leaf_hash, verify_inclusion
from lfr_edge.audit.note import VerifierKey, decode64, encode64
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

TITLE: Final = "c2sp.org/tlog-proof@v1"
_PATH_MAX: Final = 63


class ProofSource(Protocol):
    """A log that can prove things: an open one or a view of its folder."""

    @property
    def latest(self) -> Checkpoint | None: ...

    def inclusion(self, seq: int, size: int) -> tuple[bytes, ...]: ...

    def consistency(self, old: int, size: int) -> tuple[bytes, ...]: ...


@dataclass(frozen=True, slots=True)
class EntryProof:
    """Entry number `index` with body `body` is in the log that `checkpoint` signs."""

    index: int
    body: bytes
    path: tuple[bytes, ...]
    checkpoint: Checkpoint

    def __str__(self) -> str:
        path = "".join(encode64(node) + "\n" for node in self.path)
        return f"{TITLE}\nextra {encode64(self.body)}\nindex {self.index}\n{path}\n{self.checkpoint}"

    def holds(self, key: VerifierKey) -> bool:
        """Whether the path leads to the root and `key` signed it.

        Raises:
            AuditError: ``audit_signature_wrong``.
        """
        head = self.checkpoint.head
        return self.checkpoint.note.signed_by(key) and verify_inclusion(
            leaf_hash(self.body), self.index, head.size, self.path, head.root
        )


def prove_entry(source: ProofSource, seq: int, body: bytes) -> EntryProof:
    """Prove entry `seq` under the newest signed head.

    Raises:
        AuditError: ``audit_entry_unsigned`` if no head covers it yet.
    """
    checkpoint = source.latest
    if checkpoint is None or checkpoint.head.size <= seq:
        raise AuditError(
            "audit_entry_unsigned",
            say("no signed head covers entry {seq} yet", seq=seq),
            hint="a running log signs every 10 seconds; try again",
        )
    return EntryProof(seq, body, source.inclusion(seq, checkpoint.head.size), checkpoint)


def parse_proof(raw: str) -> EntryProof:
    """Read a proof file.

    Raises:
        AuditError: ``audit_proof_malformed``, ``audit_note_malformed``, ``audit_checkpoint_malformed``.
    """
    front, gap, checkpoint = raw.partition("\n\n")
    lines = front.split("\n")
    if not gap or len(lines) < 3 or lines[0] != TITLE or not lines[1].startswith("extra "):
        raise _malformed("title, entry or checkpoint is missing")
    index = lines[2].removeprefix("index ")
    if not lines[2].startswith("index ") or not index.isdecimal() or str(int(index)) != index:
        raise _malformed("the index is not a number")
    path = tuple(decode64(line) for line in lines[3:])
    if len(path) > _PATH_MAX or any(len(node) != HASH_BYTES for node in path):
        raise _malformed("a line of the path is not a hash")
    body = decode64(lines[1].removeprefix("extra "))
    return EntryProof(int(index), body, path, parse_checkpoint(checkpoint))


def _malformed(reason: str) -> AuditError:
    return AuditError("audit_proof_malformed", say("a proof cannot be read: {reason}", reason=reason))
