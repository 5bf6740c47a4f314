"""The files of one log, and the small ones' formats."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from lfr_edge.audit.checkpoint import Head
from lfr_edge.audit.crc32c import crc32c
from lfr_edge.audit.merkle import HASH_BYTES
from lfr_edge.audit.note import decode64, encode64

DEVICE_LOG: Final = "device"


@dataclass(frozen=True, slots=True)
class LogFolder:
    """Where each part of a log lies."""

    path: Path

    @property
    def entries(self) -> Path:
        """The segment: every entry, framed. The truth; all else can be checked against it."""
        return self.path / "entries.lfr"

    @property
    def checkpoints(self) -> Path:
        """Every head that was signed, in order."""
        return self.path / "checkpoints"

    @property
    def heads(self) -> Path:
        """Every head that was about to be signed: durable before its signature exists."""
        return self.path / "heads"

    @property
    def certificate(self) -> Path:
        """The device's signature over this log's key."""
        return self.path / "key.cert"

    @property
    def device_key(self) -> Path:
        """The device's public key, for convenience; an auditor holds their own copy."""
        return self.path / "device.vkey"

    @property
    def ballast(self) -> Path:
        return self.path / "ballast"

    @property
    def anchors(self) -> Path:
        """Checkpoints with the cosignatures of witnesses."""
        return self.path / "anchors"

    @property
    def aside(self) -> Path:
        """Torn writes that recovery cut off, kept as they were."""
        return self.path / "aside"

    @property
    def frozen(self) -> Path:
        """Present when the log was found damaged: nothing may be appended any more."""
        return self.path / "FROZEN"

    def is_log(self) -> bool:
        return self.entries.is_file() and self.certificate.is_file()


def logs_of(box: Path) -> tuple[LogFolder, ...]:
    """Every log that lies in the folder of a box, its device log first."""
    found = (path.parent for path in box.glob("*/entries.lfr"))
    return tuple(map(LogFolder, sorted(found, key=lambda path: (path.name != DEVICE_LOG, path))))


def head_line(head: Head) -> bytes:
    """One line of the heads file: size, root, crc32c of both."""
    front = f"{head.size} {encode64(head.root)}"
    return f"{front} {crc32c(front.encode()):08x}\n".encode()


@dataclass(frozen=True, slots=True)
class Heads:
    whole: tuple[Head, ...]
    end: int  # bytes that the whole lines take
    rest: bytes  # what follows them


def parse_heads(raw: bytes) -> Heads:
    """All heads up to the first line that is not exactly what :func:`head_line` writes."""
    whole: list[Head] = []
    end = 0
    for line in raw.splitlines(keepends=True):
        size, _, rest = line.decode("ascii", "replace").partition(" ")
        root = decode64(rest.partition(" ")[0])
        if not size.isdecimal() or not size.isascii() or len(size) > 16 or len(root) != HASH_BYTES:
            break
        head = Head(int(size), root)
        if head_line(head) != line:
            break
        whole.append(head)
        end += len(line)
    return Heads(tuple(whole), end, raw[end:])
