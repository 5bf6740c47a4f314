"""The bundle's file: a plain tar that any ``tar`` lists, of which every byte is decided by the signed manifest.

First ``manifest.json``, then ``manifest.sig`` (64 bytes, Ed25519), then the members in the manifest's order. The
reader does not interpret a header: it writes the header that must be there and compares. So there is no field, no
padding and no tail in which a bit can change unseen.
"""

from __future__ import annotations

import hashlib
import os
import tarfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import BinaryIO, Final

from lfr_install import signing
from lfr_install.faults import InstallError
from lfr_install.manifest import MANIFEST_MAX, Manifest, Member, decode

MANIFEST: Final = "manifest.json"
SIGNATURE: Final = "manifest.sig"
_BLOCK: Final = 512
_END: Final = bytes(2 * _BLOCK)
_PIECE: Final = 1 << 20

Progress = Callable[[int, int], None]
"""Told (bytes done, bytes in all)."""


def write_bundle(out: Path, manifest: Manifest, sources: Mapping[str, Path], signature: bytes) -> None:
    """One file, from members whose content must be what the manifest says.

    Raises:
        InstallError: ``bundle_altered`` where a source is not what the manifest says.
    """
    encoded = manifest.encode()
    partial = out.with_name(out.name + ".partial")
    try:
        with partial.open("wb") as file:
            for name, body in ((MANIFEST, encoded), (SIGNATURE, signature)):
                file.write(_header(Member(name, len(body), "")) + body + _padding(len(body)))
            for member in manifest.members:
                file.write(_header(member))
                with sources[member.name].open("rb") as source:
                    _copy(source, file, member)
                file.write(_padding(member.size))
            file.write(_END)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(out)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


class Bundle:
    """An opened bundle whose signature holds. Nothing of it was written anywhere yet."""

    def __init__(self, file: BinaryIO, manifest: Manifest) -> None:
        self._file = file
        self.manifest = manifest
        self._start = file.tell()

    @staticmethod
    def open(path: Path, public_key: Path) -> Bundle:
        """Check manifest and signature, before anything else is read. The caller closes.

        Raises:
            InstallError: ``bundle_missing``, ``bundle_not_a_bundle``, ``bundle_signature_invalid``,
                ``bundle_manifest_invalid``, ``key_unusable``.
        """
        try:
            file = path.open("rb")
        except OSError as error:
            raise InstallError(
                "bundle_missing", f"{path}: {error.strerror}", hint="name the .bundle file on the medium"
            ) from None
        try:
            encoded = _leading(file, MANIFEST, MANIFEST_MAX)
            signature = _leading(file, SIGNATURE, signing.SIGNATURE_BYTES)
            if not signing.verify(encoded, signature, public_key):
                raise InstallError(
                    "bundle_signature_invalid",
                    "the bundle was altered, or was not signed with this release key",
                    hint="copy it again from its source; compare the release key's id on paper",
                )
            return Bundle(file, decode(encoded))
        except BaseException:
            file.close()
            raise

    def close(self) -> None:
        self._file.close()

    def __enter__(self) -> Bundle:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self, into: Path | None = None, progress: Progress | None = None, keep: str = "") -> bytes:
        """Check every byte; with `into` (a folder that is empty) also write the members there.

        The content of the member called `keep` is returned where it has no more than a few MiB, otherwise b"".

        What was written before a refusal stays for the caller to remove: it must not be used.

        Raises:
            InstallError: ``bundle_altered``; ``install_disk`` where the folder takes no more.
        """
        self._file.seek(self._start)
        kept = b""
        done, total = 0, sum(member.size for member in self.manifest.members)
        for member in self.manifest.members:
            self._expect(_header(member), member.name)
            try:
                if member.name == keep and member.size <= MANIFEST_MAX:
                    kept = self._peek(member)
                self._member(member, None if into is None else into / member.name)
            except OSError as error:
                raise InstallError(
                    "install_disk",
                    f"{member.name}: {error.strerror}",
                    hint=f"{total >> 20} MiB are needed twice over; free some space and start again",
                ) from None
            self._expect(_padding(member.size), member.name)
            done += member.size
            if progress:
                progress(done, total)
        self._expect(_END, "its end")
        if self._file.read(1):
            raise _altered("its end")
        return kept

    def _peek(self, member: Member) -> bytes:
        """Its bytes, not yet compared with its digest: :meth:`_member` reads them again and does."""
        start = self._file.tell()
        found = self._file.read(member.size)
        self._file.seek(start)
        return found

    def _member(self, member: Member, target: Path | None) -> None:
        if target is None:
            _copy(self._file, None, member)
            return
        target.parent.mkdir(parents=True, exist_ok=True)
        mode = 0o755 if member.executable else 0o644
        descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode)
        with os.fdopen(descriptor, "wb") as file:
            _copy(self._file, file, member)
            file.flush()
            os.fsync(file.fileno())

    def _expect(self, wanted: bytes, where: str) -> None:
        if self._file.read(len(wanted)) != wanted:
            raise _altered(where)


def _leading(file: BinaryIO, name: str, most: int) -> bytes:
    """One of the two members that come before the manifest can say how long they are."""
    block = file.read(_BLOCK)
    try:
        size = tarfile.TarInfo.frombuf(block, "ascii", "strict").size
    except (tarfile.HeaderError, UnicodeDecodeError):
        size = -1
    if not 0 <= size <= most or _header(Member(name, size, "")) != block:
        raise InstallError(
            "bundle_not_a_bundle",
            f"there is no {name} where it belongs",
            hint="the file is damaged or is something else",
        )
    body = file.read(size)
    if len(body) != size or file.read(-size % _BLOCK) != _padding(size):
        raise _altered(name)
    return body


def _copy(source: BinaryIO, target: BinaryIO | None, member: Member) -> None:
    digest, left = hashlib.sha256(), member.size
    while left and (piece := source.read(min(left, _PIECE))):
        digest.update(piece)
        left -= len(piece)
        if target is not None:
            target.write(piece)
    if left or digest.hexdigest() != member.sha256:
        raise _altered(member.name)


def _header(member: Member) -> bytes:
    info = tarfile.TarInfo(member.name)
    info.size = member.size
    info.mode = 0o755 if member.executable else 0o644
    return info.tobuf(tarfile.GNU_FORMAT, "ascii", "strict")  # a wheel's name may exceed what ustar holds


def _padding(size: int) -> bytes:
    return bytes(-size % _BLOCK)


def _altered(where: str) -> InstallError:
    return InstallError(
        "bundle_altered",
        f"the bundle is not what was signed: {where}",
        hint="copy it again from its source; nothing was installed",
    )
