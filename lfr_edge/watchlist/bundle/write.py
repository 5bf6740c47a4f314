"""A checked list → a signed bundle: what a force's own tool does, in the open."""

from __future__ import annotations

import os
import secrets
import shutil
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from lfr_edge.errors import WatchlistError
from lfr_edge.models.licence import Purpose
from lfr_edge.watchlist.bundle import manifest, signature
from lfr_edge.watchlist.bundle.archive import Limits
from lfr_edge.watchlist.bundle.read import IMAGES, MANIFEST, SIGNATURE
from lfr_edge.watchlist.entry import Entry
from lfr_edge.watchlist.findings import Survey
from lfr_edge.watchlist.whole import check_whole

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # one list, one file: no times of this machine inside


@dataclass(frozen=True, slots=True)
class Label:
    """What the manifest says about the list as a whole."""

    list_id: str
    operation: str
    issued_by: str
    purpose: Purpose
    compiled_at: datetime = field(default_factory=lambda: datetime.now(UTC))


def write_bundle(
    out: Path, survey: Survey, label: Label, key: Ed25519PrivateKey, limits: Limits | None = None
) -> str:
    """Write a ZIP where `out` ends in ``.zip`` and a folder otherwise, whole or not at all.

    Images get names of their own, which say nothing. Returns the SHA-256 (hex) of the manifest.

    Raises:
        WatchlistError: ``watchlist_refused``, ``watchlist_manifest_refused`` or ``watchlist_unwritable``.
    """
    bounds = limits or Limits()
    survey.required()
    if os.path.lexists(out):
        raise _unwritable(out, "is there already")
    body, files = _manifest(survey, label)
    total = len(body) + sum(size for _, _, size in files)
    if len(files) > bounds.members or len(body) > bounds.manifest_bytes or total > bounds.total_bytes:
        raise manifest.refused("it is larger than a reader takes; see the limits in watchlists/README.md")
    partial = out.with_name(f".{out.name}.{secrets.token_hex(4)}.partial")
    write = _write_zip if out.suffix.lower() == ".zip" else _write_folder
    try:
        try:
            write(partial, _parts(body, signature.sign(body, key), survey, files))
            partial.rename(out)
        finally:
            _remove(partial)
    except OSError as error:
        raise _unwritable(out, error.strerror or "cannot be written") from None
    return sha256(body).hexdigest()


def _manifest(survey: Survey, label: Label) -> tuple[bytes, list[tuple[str, str, int]]]:
    """The manifest's bytes, and for each image its name in the list, its name in the bundle and its size."""
    entries, files = [], []
    for number, entry in enumerate(survey.entries, 1):
        images = []
        for index, image in enumerate(entry.images, 1):
            data = _picture(survey, entry, image.file)
            suffix = "png" if data.startswith(b"\x89PNG") else "jpg"
            name = f"{IMAGES}/{number:06}-{index:02}.{suffix}"
            _whole(entry, image.file, name, data)
            files.append((image.file, name, len(data)))
            said = image.to_json() | {"file": name, "sha256": sha256(data).hexdigest()}
            images.append(_said(said))
        entries.append(_said(entry.to_json() | {"images": images}))
    return manifest.canonical(_judged(entries, label)), files


def _said(record: dict[str, Any]) -> dict[str, Any]:
    """Without what is not said: a manifest leaves such fields out."""
    return {name: value for name, value in record.items() if value not in (None, "")}


def _judged(entries: list[dict[str, Any]], label: Label) -> manifest.Manifest:
    head = {
        "format": manifest.FORMAT,
        "list_id": label.list_id,
        "operation": label.operation,
        "issued_by": label.issued_by,
        "compiled_at": label.compiled_at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "purpose": label.purpose,
    }
    faults = [
        f"{item.where}: {item.message}"
        for item in manifest.read_entries({"entries": entries})
        if isinstance(item, manifest.Fault)
    ]
    if faults:
        raise manifest.refused("; ".join(faults[:20]))
    manifest.read_head(head)
    try:
        return manifest.Manifest.model_validate(head | {"entries": entries})
    except ValidationError as error:
        raise manifest.refused(f"{error.error_count()} fault(s)") from None


def _picture(survey: Survey, entry: Entry, name: str) -> bytes:
    try:
        return survey.pictures.read(name)
    except ValueError as error:
        raise manifest.refused(f"{entry.reference}: {error}") from None


def _whole(entry: Entry, file: str, name: str, data: bytes) -> None:
    try:
        check_whole(name, data)
    except ValueError as error:
        raise manifest.refused(
            f"{entry.reference}, {file}: {str(error).removeprefix(name).strip()}"
        ) from None


def _parts(
    body: bytes, signed: bytes, survey: Survey, files: list[tuple[str, str, int]]
) -> Iterator[tuple[str, bytes]]:
    yield MANIFEST, body
    yield SIGNATURE, signed
    for file, name, _ in files:
        yield name, survey.pictures.read(file)


def _write_zip(out: Path, parts: Iterator[tuple[str, bytes]]) -> None:
    descriptor = os.open(out, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "w+b") as file, zipfile.ZipFile(file, "w", allowZip64=False) as archive:
        for name, data in parts:
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), data)


def _write_folder(out: Path, parts: Iterator[tuple[str, bytes]]) -> None:
    out.mkdir(mode=0o700)
    (out / IMAGES).mkdir(mode=0o700)
    for name, data in parts:
        (out / name).write_bytes(data)


def _remove(partial: Path) -> None:
    if partial.is_dir():
        shutil.rmtree(partial, ignore_errors=True)
    else:
        partial.unlink(missing_ok=True)


def _unwritable(out: Path, why: str) -> WatchlistError:
    return WatchlistError(
        "watchlist_unwritable", f"{out}: {why}", hint="choose a name that is free, in a folder with room"
    )
