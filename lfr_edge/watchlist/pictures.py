"""Picture files from outside: found inside the folder, capped, and of a known kind, before anybody decodes them."""

from __future__ import annotations

import errno
import os
import re
import stat
import struct
import unicodedata
from pathlib import Path
from typing import Final

MOST_BYTES: Final = 10 << 20  # reliability.md 4
MOST_PIXELS: Final = 40_000_000
_MOST_SEGMENTS: Final = 10_000  # of a JPEG before its size; a camera writes tens
_DEEPEST: Final = 4  # folders below the list's own
_PART: Final = re.compile(r"[^/\\:*?\"<>|]{1,200}")
_PNG: Final = b"\x89PNG\r\n\x1a\n"
_STANDALONE: Final = frozenset({0x01, *range(0xD0, 0xD8)})  # JPEG markers without a length
_FRAME: Final = frozenset({*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC})  # JPEG markers that carry the size


def read_picture(folder: Path, name: str) -> bytes:
    """The bytes of a JPEG or PNG below `folder`, judged by its header.

    Follows no link, on no part of the way. Raises ValueError with a sentence for a person.
    """
    data = read_inside(folder, name)
    check_size(name, data)
    return data


def check_size(name: str, data: bytes) -> None:
    """Raises ValueError for anything but a JPEG or PNG of at most 40 megapixels, by its header."""
    try:
        width, height = picture_size(data)
    except (ValueError, struct.error, IndexError):
        raise ValueError(f"{name} is not a JPEG or PNG picture") from None
    if not 0 < width * height <= MOST_PIXELS:
        raise ValueError(f"{name} has {width} × {height} pixels; at most {MOST_PIXELS // 1_000_000} million")


def picture_size(data: bytes) -> tuple[int, int]:
    """Width and height out of the header. Raises ValueError, struct.error or IndexError for anything else."""
    if data.startswith(_PNG):
        if data[12:16] != b"IHDR":
            raise ValueError("no header")
        width, height = struct.unpack_from(">II", data, 16)
        return int(width), int(height)
    if not data.startswith(b"\xff\xd8"):
        raise ValueError("another kind of file")
    at = 2
    for _ in range(_MOST_SEGMENTS):
        if data[at] != 0xFF:
            raise ValueError("no marker")
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
        elif marker in _STANDALONE:
            at += 2
        elif marker in _FRAME:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return int(width), int(height)
        else:
            length = struct.unpack_from(">H", data, at + 2)[0]
            if marker == 0xDA or length < 2:  # the scan begins: there was no size
                raise ValueError("no size")
            at += 2 + length
    raise ValueError("no size")


def _parts(name: str) -> list[str]:
    if name != unicodedata.normalize("NFC", name):
        raise ValueError(f"{name!a} is not in normalised form (NFC); rename the file")
    if any(unicodedata.category(sign).startswith("C") for sign in name):
        raise ValueError(f"{name!a} contains control characters")
    parts = name.split("/")
    if len(parts) > _DEEPEST or not all(_PART.fullmatch(part) and part not in {".", ".."} for part in parts):
        raise ValueError(f"{name!a} is not the name of a file inside the list's folder")
    return parts


def read_inside(folder: Path, name: str, most_bytes: int | None = None) -> bytes:
    """A file below `folder`, no link on any part of the way; at most :data:`MOST_BYTES` unless said otherwise.

    Raises ValueError with a sentence for a person.
    """
    most = MOST_BYTES if most_bytes is None else most_bytes
    *way, last = _parts(name)
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
    held = [os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)]
    try:
        for part in way:
            held.append(os.open(part, flags | os.O_DIRECTORY, dir_fd=held[-1]))
        held.append(os.open(last, flags | os.O_NONBLOCK, dir_fd=held[-1]))
        status = os.fstat(held[-1])
        if not stat.S_ISREG(status.st_mode):
            raise ValueError(f"{name} is not a file")
        if not 0 < status.st_size <= most:
            raise ValueError(f"{name} has {status.st_size} bytes; 1 to {most} are taken")
        with os.fdopen(os.dup(held[-1]), "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        why = "is a link, which is not followed" if _is_link(error) else (error.strerror or "unreadable")
        raise ValueError(f"{name}: {why}") from None
    finally:
        for descriptor in held:
            os.close(descriptor)
    if len(data) > most:
        raise ValueError(f"{name} grew while it was read")
    return data


def _is_link(error: OSError) -> bool:
    return error.errno in {errno.ELOOP, errno.ENOTDIR}
