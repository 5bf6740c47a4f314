"""Whether a JPEG or PNG is one whole picture and nothing else, before a decoder sees it.

A signed list may still carry pictures that were made to harm a decoder: two sizes in one file, a thousand scans, a
second file behind the end. Only the structure is walked; nothing is decoded.
"""

from __future__ import annotations

import re
import struct
import zlib
from typing import Final

from lfr_edge.watchlist.pictures import check_size

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_PNG_KINDS: Final = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_PNG_ASIDE: Final = 1 << 20  # bytes of one chunk that holds no pixels
_PNG_CHUNKS: Final = 1000  # libpng gives up on more
_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})  # baseline, extended, progressive Huffman: what cameras write
_SCANS: Final = 64  # a progressive picture has about ten; thousands are a trick to burn time
_SEGMENTS: Final = frozenset({0xC4, 0xDB, 0xDD, 0xDA, 0xFE, *_FRAMES, *range(0xE0, 0xF0)})
_SEGMENTS_MOST: Final = 10_000
_SCAN_END: Final = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]")


def check_whole(name: str, data: bytes) -> None:
    """Raises ValueError, with a sentence for a person, for anything that is not exactly one JPEG or PNG picture."""
    check_size(name, data)
    walk, suffixes = (_png, (".png",)) if data.startswith(_PNG) else (_jpeg, (".jpg", ".jpeg"))
    if not name.lower().endswith(suffixes):
        raise ValueError(f"{name} is not the kind of picture that its name says")
    try:
        walk(data)
    except (struct.error, IndexError):
        raise ValueError(f"{name} is cut short or damaged") from None
    except ValueError as error:
        raise ValueError(f"{name} {error}; save it anew with a picture program") from None


def _png(data: bytes) -> None:
    at, seen, pixels = len(_PNG), list[bytes](), 0
    for _ in range(_SEGMENTS_MOST):
        if at >= len(data):
            break
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 12 + length
        if end > len(data):
            raise IndexError
        if zlib.crc32(data[at + 4 : end - 4]) != struct.unpack_from(">I", data, end - 4)[0]:
            raise ValueError("is damaged")
        if kind == b"IDAT":
            pixels += length
        elif length > _PNG_ASIDE:
            raise ValueError("carries more than a picture needs")
        if kind != b"IDAT" or seen[-1:] != [b"IDAT"]:
            seen.append(kind)
        if len(seen) > _PNG_CHUNKS:
            raise ValueError("carries more than a picture needs")
        at = end
        if kind == b"IEND":
            break
    _png_order(data, seen, pixels, at)


def _png_order(data: bytes, seen: list[bytes], pixels: int, end: int) -> None:
    depth, colour, packing, sieve, interlace = struct.unpack_from(">5B", data, 24)
    if seen[0] != b"IHDR" or seen.count(b"IHDR") != 1 or seen.count(b"IDAT") != 1 or not pixels:
        raise ValueError("has its parts in a wrong order")
    if seen[-1] != b"IEND":
        raise IndexError
    if depth not in _PNG_KINDS.get(colour, ()) or packing or sieve or interlace > 1:
        raise ValueError("has a kind of pixels that does not exist")
    if b"acTL" in seen:
        raise ValueError("is animated")
    if end != len(data):
        raise ValueError("holds something behind the picture")


def _jpeg(data: bytes) -> None:
    at, frames, scans = 2, 0, 0
    for _ in range(_SEGMENTS_MOST):
        if data[at] != 0xFF:
            raise ValueError("is damaged")
        marker = data[at + 1]
        if marker == 0xFF:  # padding
            at += 1
            continue
        if marker == 0xD9:
            break
        if marker not in _SEGMENTS:
            raise ValueError("is a kind of JPEG that is not taken")
        length = struct.unpack_from(">H", data, at + 2)[0]
        if length < 2 or at + 2 + length > len(data):
            raise IndexError
        if marker in _FRAMES:
            frames += 1
            _jpeg_frame(data, at, length)
        at += 2 + length
        if marker == 0xDA:
            scans += 1
            end = _SCAN_END.search(data, at)
            if end is None or not frames:
                raise IndexError
            at = end.end() - 2
    if frames != 1 or not 1 <= scans <= _SCANS:
        raise ValueError("holds several pictures, none, or far too many passes")
    if at + 2 != len(data):
        raise ValueError("holds something behind the picture")


def _jpeg_frame(data: bytes, at: int, length: int) -> None:
    precision, _height, _width, parts = struct.unpack_from(">BHHB", data, at + 4)
    if precision != 8 or parts not in {1, 3, 4} or length != 8 + 3 * parts:
        raise ValueError("is a kind of JPEG that is not taken")
