"""The first block of a sealed list: what anybody may read, authenticated once the list is opened with its key."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import rfc8785

from lfr_edge.errors import WatchlistError
from lfr_edge.formats import Ladder
from lfr_edge.sentences import say

HEADER_BYTES: Final = 4096


def _compile_anew(_: dict[str, Any]) -> dict[str, Any]:
    """A sealed list is 24 hours old at most when it is used, and its key is not here: it is not worth a step."""
    raise WatchlistError(
        "watchlist_format_old",
        "this list was sealed by an older release",
        hint="compile it anew from its bundle: lfr-edge watchlist compile",
    )


FORMATS: Final = Ladder("lfr-edge watchlist", (_compile_anew,))


@dataclass(frozen=True, slots=True)
class Header:
    fingerprint: str  # of the model pack that made the templates
    dimension: int
    entries: int
    images: int
    rows: int
    created: str  # UTC, ISO 8601
    salt: bytes
    templates: tuple[int, int]  # offset, length
    sealed_entries: tuple[int, int]
    wrapped: dict[str, Any]  # the list's key under what opens it; see keys.wrap

    def encode(self) -> bytes:
        raw: bytes = rfc8785.dumps(
            {
                "format": FORMATS.stamp,
                "fingerprint": self.fingerprint,
                "dimension": self.dimension,
                "entries": self.entries,
                "images": self.images,
                "rows": self.rows,
                "created": self.created,
                "salt": self.salt.hex(),
                "templates": list(self.templates),
                "sealed_entries": list(self.sealed_entries),
                "wrapped": self.wrapped,
            }
        )
        return raw.ljust(HEADER_BYTES)

    @staticmethod
    def decode(block: bytes) -> Header:
        try:
            raw = FORMATS.climb(json.loads(block), Path("this list"))
            del raw["format"]
            raw["salt"] = bytes.fromhex(raw["salt"])
            raw["templates"], raw["sealed_entries"] = tuple(raw["templates"]), tuple(raw["sealed_entries"])
            header = Header(**raw)
            numbers = (header.dimension, header.entries, header.images, header.rows)
            spans = (*header.templates, *header.sealed_entries)
            if len(header.templates) != 2 or len(header.sealed_entries) != 2:
                raise ValueError
            if not all(type(n) is int and 0 <= n < 1 << 48 for n in (*numbers, *spans)):
                raise ValueError
            if not isinstance(header.wrapped, dict) or not {*header.wrapped} == {"key_file", "passphrase"}:
                raise ValueError
            if not isinstance(header.fingerprint, str) or not isinstance(header.created, str):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise WatchlistError(
                "watchlist_not_sealed",
                "this is not a sealed watchlist of a version this program reads",
                hint="make one with: lfr-edge watchlist seal FOLDER OUT --key-file KEY",
            ) from None
        return header


def header_digest(block: bytes) -> bytes:
    """What the entries part is bound to: every byte of the block, its padding included."""
    return hashlib.sha256(block).digest()


def inspect_header(path: Path) -> Header:
    """What anybody can read of a sealed list. It is not authenticated until the list is opened with its key.

    Raises:
        WatchlistError: ``watchlist_missing`` or ``watchlist_not_sealed``.
    """
    descriptor, header, _ = open_header(path)
    os.close(descriptor)
    return header


def open_header(path: Path) -> tuple[int, Header, bytes]:
    """The open file, its header, and the block the header was read from. Raises like :func:`inspect_header`."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise WatchlistError(
            "watchlist_missing",
            say("{path}: {strerror}", path=path, strerror=error.strerror),
            hint="make a list with: lfr-edge watchlist seal FOLDER OUT --key-file KEY",
        ) from None
    try:
        block = os.pread(descriptor, HEADER_BYTES, 0)
        return descriptor, Header.decode(block), block
    except OSError as error:
        os.close(descriptor)
        raise WatchlistError(
            "watchlist_missing",
            say("{path}: {strerror}", path=path, strerror=error.strerror),
            hint="name a sealed list, not a folder",
        ) from None
    except BaseException:
        os.close(descriptor)
        raise


def descriptor_digest(descriptor: int) -> str:
    """SHA-256 of an open file, hex."""
    digest, offset = hashlib.sha256(), 0
    while piece := os.pread(descriptor, 1 << 20, offset):
        digest.update(piece)
        offset += len(piece)
    return digest.hexdigest()


def file_digest(path: Path) -> str:
    """SHA-256 of a sealed list's file, hex, without its key. Raises WatchlistError like :func:`inspect_header`."""
    descriptor, _, _ = open_header(path)
    try:
        return descriptor_digest(descriptor)
    finally:
        os.close(descriptor)
