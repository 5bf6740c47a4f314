"""Reading a log without touching it: entries, tree, signed heads, proofs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from lfr_edge.audit.checkpoint import Checkpoint, Head, parse_checkpoints
from lfr_edge.audit.entry import Entry, parse_entry
from lfr_edge.audit.folder import LogFolder, logs_of
from lfr_edge.audit.keys import read_certificate
from lfr_edge.audit.merkle import Tree
from lfr_edge.audit.segment import BadFrame, Content, map_segment, read_frame, read_frames
from lfr_edge.errors import AuditError
from lfr_edge.sentences import listed, say


@dataclass(frozen=True, slots=True)
class LogView:
    """The unbroken prefix of a log as it lies on disk. Nothing is verified here: that is ``verify``.

    **Thread rule:** any thread; a snapshot, so entries appended later are not in it.
    """

    folder: LogFolder
    origin: str
    tree: Tree
    checkpoints: tuple[Checkpoint, ...]
    _data: Content
    _offsets: tuple[int, ...]

    @classmethod
    def load(cls, path: Path) -> LogView:
        """Read the log in the folder `path`.

        Raises:
            AuditError: ``audit_log_unreadable``.
        """
        folder = LogFolder(path)
        if not folder.entries.exists() and (below := logs_of(path)):
            raise AuditError(
                "audit_log_unreadable",
                say("{path} holds several logs, and one is meant", path=path),
                hint=say("give one of their folders: {logs}", logs=listed(str(one.path) for one in below)),
            )
        try:
            data = map_segment(folder.entries)
            origin = read_certificate(folder.certificate).text.split("\n")[1]
            raw = folder.checkpoints.read_bytes() if folder.checkpoints.exists() else b""
        except (OSError, UnicodeDecodeError, IndexError, AuditError) as error:
            raise unreadable(path, error) from None
        tree, offsets = Tree(), []
        for frame in read_frames(data):
            if isinstance(frame, BadFrame):
                break
            tree.append(frame.leaf)
            offsets.append(frame.offset)
        return cls(folder, origin, tree, parse_checkpoints(raw).whole, data, tuple(offsets))

    @property
    def size(self) -> int:
        return self.tree.size

    @property
    def latest(self) -> Checkpoint | None:
        return self.checkpoints[-1] if self.checkpoints else None

    @property
    def signed(self) -> Head | None:
        return self.checkpoints[-1].head if self.checkpoints else None

    def body(self, seq: int) -> bytes:
        """The canonical bytes of entry `seq`.

        Raises:
            AuditError: ``audit_entry_missing``.
        """
        if not 0 <= seq < self.size:
            raise AuditError(
                "audit_entry_missing",
                say("there is no entry {seq}; the log has {size}", seq=seq, size=self.size),
                hint="entries count from 0",
            )
        frame = read_frame(self._data, self._offsets[seq])
        assert not isinstance(frame, BadFrame), "load() read it"
        return frame.body

    def entry(self, seq: int) -> Entry:
        return parse_entry(self.body(seq))

    def entries(self, start: int = 0) -> Iterator[tuple[int, Entry]]:
        """(byte offset, entry) from entry `start` on."""
        for seq in range(start, self.size):
            yield self._offsets[seq], self.entry(seq)

    def consistency(self, old: int, size: int) -> tuple[bytes, ...]:
        return self.tree.consistency(old, size)

    def inclusion(self, seq: int, size: int) -> tuple[bytes, ...]:
        return self.tree.inclusion(seq, size)


def unreadable(path: Path, error: Exception) -> AuditError:
    reason = getattr(error, "strerror", None) or str(error)
    return AuditError(
        "audit_log_unreadable",
        say(
            "{path} cannot be read as a log: {reason}",
            path=getattr(error, "filename", None) or path,
            reason=reason,
        ),
        hint="give the folder that holds entries.lfr, or the folder above it",
    )
