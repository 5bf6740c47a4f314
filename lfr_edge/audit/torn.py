"""What a power cut leaves of the last line of `heads` and of the last note of `checkpoints`.

Three things, and mixtures of them. The write's beginning. Nothing. Or zeros: ext4 journals a file's new size before
its data is on the disk, and what never arrived reads as zeros. A disk writes whole sectors, so each sector of the
write either is there or is zeros; a single zero among letters is nobody's power cut.

No signature over a torn write was ever released: each file is made durable before the next is touched. That is also
why only one file of a log, the segment counted, can end in a torn write.
"""

from __future__ import annotations

import re
from typing import Final

from lfr_edge.audit.checkpoint import Head, head_text

SECTOR: Final = 512  # bytes; disks of 4,096 lose eight at a time
_HEAD: Final = re.compile(
    rb"[0-9\0]{1,16}([ \0]([A-Za-z0-9+/=\0]{0,44}|[A-Za-z0-9+/=\0]{44}[ \0][0-9a-f\0]{0,8}[\n\0]?))?"
)
_SIGNED_BYTES: Final = 94  # key id and signature in base64, the end of the line, the empty line
_SIGNATURE: Final = re.compile(rb"[A-Za-z0-9+/=\0]{0,91}|[A-Za-z0-9+/=\0]{92}[\n\0]{0,2}")


def is_torn_head(rest: bytes, at: int = 0) -> bool:
    """Whether a cut may have left `rest`, which begins at byte `at` of the file, of a line of the heads file."""
    # A line that is all there is whole, or else it is wrong; it is not torn.
    return _by_sectors(rest, at) and _HEAD.fullmatch(rest) is not None and (0 in rest or rest[-1:] != b"\n")


def is_torn_checkpoint(rest: bytes, origin: str, head: Head | None, at: int = 0) -> bool:
    """Whether a cut may have left `rest` of the checkpoint over `head`; nothing at all is that, too.

    `head` is the last one on disk, because none is written down before the checkpoint of the one before it.
    """
    if head is None:
        return not rest
    # Bytes, because a write may be cut short within a character.
    front = f"{head_text(origin, head)}\n— {origin} ".encode()
    shown = rest[: len(front)]
    return (
        _by_sectors(rest, at)
        and all(byte in {0, whole} for byte, whole in zip(shown, front, strict=False))
        and _SIGNATURE.fullmatch(rest[len(front) :]) is not None
        and (0 in rest or len(rest) < len(front) + _SIGNED_BYTES)
    )


def _by_sectors(rest: bytes, at: int) -> bool:
    """Whether each sector's part of `rest` is all zeros or has none."""
    first = SECTOR - at % SECTOR
    parts = [rest[:first], *(rest[start : start + SECTOR] for start in range(first, len(rest), SECTOR))]
    return all(0 not in part or not any(part) for part in parts)
