"""The list at rest: one file, AES-256-GCM, in parts that are opened separately.

::

    header     4,096 bytes of JSON, padded; readable by anybody, authenticated by the entries part
    images     each candidate image sealed by itself, so that the desk opens exactly one
    templates  a part with a head of its own: handed, still sealed, to the recogniser (templates.py)
    entries    who is on the list, and where each image lies

The list's key is random and lies in the header, wrapped by what opens the list (keys.py). Each part has a key of
its own, derived from it and the header's salt: the recogniser is given the templates' key and cannot open an image;
the desk never derives the templates' key for itself.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from numpy.typing import NDArray

from lfr_edge.audit.disk import sync_folder
from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import say
from lfr_edge.watchlist import keys
from lfr_edge.watchlist.about import About
from lfr_edge.watchlist.entry import Entry
from lfr_edge.watchlist.header import (
    HEADER_BYTES,
    Header,
    descriptor_digest,
    header_digest,
    open_header,
)
from lfr_edge.watchlist.pages import Float32Array
from lfr_edge.watchlist.templates import TEMPLATES, altered, nonce, seal_templates

MOST_ENTRIES_BYTES: Final = 1 << 30
IMAGES: Final = "images"
ENTRIES: Final = "entries"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """One entry, ready to be sealed."""

    entry: Entry
    images: tuple[bytes, ...]  # encoded pictures as they came, in the order of entry.images
    templates: Float32Array  # (m, dimension), at least one row, L2-normalised
    portrait: bytes = b""  # JPEG: the face of the first image, cut and turned as the desk shows it
    warnings: tuple[str, ...] = ()  # what is weak about the images, in plain words
    quality: Mapping[str, float] = field(
        default_factory=dict
    )  # the portrait's measures, as an alert names them


Describe = Callable[[Sequence[str], NDArray[np.intp], Sequence[Float32Array]], About]
"""(references, owner of each row, each entry's templates) → what the list says of itself."""


def seal(
    path: Path,
    enrolled: Iterable[Enrolled],
    *,
    key: bytes | None,
    fingerprint: str,
    dimension: int,
    passphrase: str | None = None,
    created: datetime | None = None,
    describe: Describe | None = None,
) -> Header:
    """Write a sealed list, whole or not at all (a new file is moved over `path`).

    `key` is a key file's, `passphrase` opens the list too; one of them is needed. Images are sealed one at a time
    and never held together; templates are held until the end (56 MB for 20,000 people with one image each and
    the default pack) and then overwritten. `created` is UTC now unless given.

    Raises:
        WatchlistError: ``watchlist_empty``, ``watchlist_duplicate_reference`` or ``watchlist_unwritable``.
    """
    partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                salt, own = secrets.token_bytes(32), keys.new_key()
                wrapped = keys.wrap(own, salt, key_file=key, passphrase=passphrase)
                when = (created or datetime.now(UTC)).isoformat(timespec="seconds")
                blank = Header(fingerprint, dimension, 0, 0, 0, when, salt, (0, 0), (0, 0), wrapped)
                header = _write(file, enrolled, own, blank, describe)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(path)
        except BaseException:
            partial.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)
    except OSError as error:
        raise WatchlistError(
            "watchlist_unwritable",
            say("{path}: {strerror}", path=path, strerror=error.strerror),
            hint="choose a folder with room to write to",
        ) from None
    return header


def _write(
    file: BinaryIO, enrolled: Iterable[Enrolled], key: bytes, blank: Header, describe: Describe | None
) -> Header:
    file.write(bytes(HEADER_BYTES))
    records, matrices = _write_images(file, enrolled, key, blank)
    try:
        return _write_parts(file, records, matrices, key, blank, describe)
    finally:
        for matrix in matrices:
            matrix[:] = 0


def _write_parts(
    file: BinaryIO,
    records: list[dict[str, Any]],
    matrices: list[Float32Array],
    key: bytes,
    blank: Header,
    describe: Describe | None,
) -> Header:
    if not records:
        raise WatchlistError("watchlist_empty", "there is nobody to put on the list", hint="add an entry")
    references = [record["entry"]["reference"] for record in records]
    owners = np.repeat(np.arange(len(records)), [len(matrix) for matrix in matrices])
    about = describe(references, owners, matrices) if describe else About()
    templates_at = file.tell()
    template_key = keys.derive(key, blank.salt, TEMPLATES)
    for piece in seal_templates(
        template_key, blank.fingerprint, references, owners, matrices, blank.dimension
    ):
        file.write(piece)
    entries_at = file.tell()
    body = rfc8785.dumps({"about": about.to_json(), "entries": records})
    header = replace(
        blank,
        entries=len(records),
        images=sum(len(record["images"]) - 1 for record in records),
        rows=len(owners),
        templates=(templates_at, entries_at - templates_at),
        sealed_entries=(entries_at, len(body) + 16),
    )
    block = header.encode()
    if len(block) > HEADER_BYTES:
        raise ValueError("the header does not fit")
    file.write(AESGCM(keys.derive(key, blank.salt, ENTRIES)).encrypt(nonce(0), body, header_digest(block)))
    file.seek(0)
    file.write(block)
    return header


def _write_images(
    file: BinaryIO, enrolled: Iterable[Enrolled], key: bytes, blank: Header
) -> tuple[list[dict[str, Any]], list[Float32Array]]:
    """Each picture sealed by itself as it comes; the entries' records and templates, for the parts after."""
    cipher = AESGCM(keys.derive(key, blank.salt, IMAGES))
    records: list[dict[str, Any]] = []
    matrices: list[Float32Array] = []
    places = 0
    seen: set[str] = set()
    for item in enrolled:
        _check(item, seen, blank.dimension)
        spans = []
        for image in (*item.images, item.portrait):
            offset = file.tell()
            length = file.write(cipher.encrypt(nonce(places), image, places.to_bytes(8, "little")))
            spans.append([places, offset, length])
            places += 1
        records.append(
            {
                "entry": item.entry.to_json(),
                "images": spans,
                "rows": len(item.templates),
                "warnings": list(item.warnings),
                "quality": dict(item.quality),
            }
        )
        matrices.append(np.array(item.templates, np.float32))  # ours to overwrite
    return records, matrices


def _check(item: Enrolled, seen: set[str], dimension: int) -> None:
    reference = item.entry.reference
    if reference in seen:
        raise WatchlistError(
            "watchlist_duplicate_reference",
            say("{reference} is on the list twice", reference=reference),
            hint="give all images of a person in one row",
        )
    seen.add(reference)
    if item.templates.ndim != 2 or item.templates.shape[1] != dimension or not len(item.templates):
        raise ValueError(f"templates of {reference} are {item.templates.shape}, not (≥1, {dimension})")
    if len(item.images) != len(item.entry.images):
        raise ValueError(f"{reference}: {len(item.images)} pictures for {len(item.entry.images)} images")


class SealedWatchlist:
    """An opened list: entries in memory, images and templates still sealed in the file.

    **Thread rule:** any thread; reads use their own file positions. **Lifetime:** the key stays in this object
    until :meth:`close`.
    """

    def __init__(
        self, descriptor: int, key: bytes, header: Header, about: About, records: Sequence[Any]
    ) -> None:
        self.header = header
        self.about = about
        self._descriptor, self._key = descriptor, key
        self._digest = ""
        self._entries = {record["entry"]["reference"]: Entry.from_json(record["entry"]) for record in records}
        self._spans = {record["entry"]["reference"]: record["images"] for record in records}
        self._rows = {record["entry"]["reference"]: int(record["rows"]) for record in records}
        # Lists that were sealed by an earlier version do not have it.
        self._quality = {record["entry"]["reference"]: record.get("quality", {}) for record in records}
        self._warnings = {record["entry"]["reference"]: tuple(record["warnings"]) for record in records}

    @staticmethod
    def open(
        path: Path, key: bytes | str | keys.Handed, *, fingerprint: str | None = None
    ) -> SealedWatchlist:
        """Open with a key file's bytes, with the passphrase (a str) or by another list. The caller closes.

        Raises:
            WatchlistError: ``watchlist_missing``, ``watchlist_not_sealed``, those of :func:`keys.unwrap` for a
                wrong credential, ``watchlist_altered``, or ``watchlist_model_mismatch`` where `fingerprint` is
                given and the templates were made by another pack.
        """
        descriptor, header, block = open_header(path)
        try:
            own = keys.unwrap(header.wrapped, key, header.salt)
            about, records = _read_entries(descriptor, own, header, block)
            if fingerprint is not None and fingerprint != header.fingerprint:
                raise WatchlistError(
                    "watchlist_model_mismatch",
                    "the list was enrolled with another model pack than the one that runs",
                    hint="seal it again with this pack, or configure the pack that enrolled it",
                )
            return SealedWatchlist(descriptor, own, header, about, records)
        except BaseException:
            os.close(descriptor)
            raise

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor, self._key = -1, b""
        self._entries.clear()  # who was looked for leaves this process with the list

    def __enter__(self) -> SealedWatchlist:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._entries)

    def entries(self) -> tuple[Entry, ...]:
        return tuple(self._entries.values())

    def entry(self, reference: str) -> Entry:
        """Raises WatchlistError ``watchlist_unknown_reference``."""
        found = self._entries.get(reference)
        if found is None:
            raise WatchlistError(
                "watchlist_unknown_reference",
                say("{reference} is not on this list", reference=reference),
                hint="see the references with: lfr-edge watchlist inspect",
            )
        return found

    @property
    def digest(self) -> str:
        """SHA-256 of the file, hex: what two persons approve, and what ``sha256sum`` prints. Reads it once."""
        if not self._digest:
            self._digest = descriptor_digest(self._descriptor)
        return self._digest

    def secret(self, purpose: str) -> bytes:
        """32 bytes that only this list's key leads to, for material that must die with the list."""
        return keys.derive(self._key, self.header.salt, f"secret {purpose}")

    def hand_key(self, secret: bytes) -> keys.Handed:
        """This list's key for whoever has `secret`, which :meth:`secret` of another list gave."""
        return keys.hand(self._key, secret)

    def copy_to(self, path: Path) -> None:
        """The sealed file as it was opened, whatever its name holds now, durable at the new `path`. Raises OSError."""
        with os.fdopen(
            os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600), "wb"
        ) as file:
            offset = 0
            while piece := os.pread(self._descriptor, 1 << 20, offset):
                offset += file.write(piece)
            file.flush()
            os.fsync(file.fileno())
        sync_folder(path.parent)

    def look_alikes(self, reference: str) -> tuple[tuple[str, float], ...]:
        """Other entries whose images come near this one's: (reference, cosine), nearest first."""
        return self.about.look_alikes.get(reference, ())

    def warnings_of(self, reference: str) -> tuple[str, ...]:
        """What is weak about this person's images. Raises WatchlistError ``watchlist_unknown_reference``."""
        self.entry(reference)
        return self._warnings[reference]

    def candidate_image(self, reference: str, number: int = 0) -> bytes:
        """The encoded picture as it was imported. Raises WatchlistError ``watchlist_altered``; IndexError."""
        if not 0 <= number < len(self.entry(reference).images):
            raise IndexError(f"{reference} has no image {number}")
        return self._picture(reference, number)

    def portrait(self, reference: str) -> bytes:
        """The face as the desk shows it: a JPEG made at enrolment, or the first image where none was made."""
        return self._picture(reference, len(self.entry(reference).images)) or self._picture(reference, 0)

    def quality(self, reference: str) -> dict[str, float]:
        """The portrait's measures (``overall`` 0 to 1, ``eye_px``); empty where the list was sealed without them.

        Raises:
            WatchlistError: ``watchlist_unknown_reference``.
        """
        self.entry(reference)
        return dict(self._quality[reference])

    def templates_of(self, reference: str) -> int:
        """How many templates this person has. Raises WatchlistError ``watchlist_unknown_reference``."""
        self.entry(reference)
        return self._rows[reference]

    def _picture(self, reference: str, number: int) -> bytes:
        place, offset, length = self._spans[reference][number]
        sealed = os.pread(self._descriptor, length, offset)
        cipher = AESGCM(keys.derive(self._key, self.header.salt, IMAGES))
        try:
            return cipher.decrypt(nonce(place), sealed, int(place).to_bytes(8, "little"))
        except (InvalidTag, ValueError):
            raise altered(f"a candidate image of {reference}") from None

    def template_part(self) -> bytes:
        """The templates, still sealed, to be handed to the recogniser."""
        offset, length = self.header.templates
        return self._read(offset, length)

    def template_key(self) -> bytes:
        """The key of :meth:`template_part` and of nothing else: for the recogniser."""
        return keys.derive(self._key, self.header.salt, TEMPLATES)

    def verify_images(self) -> int:
        """Open every image once; returns how many. Raises WatchlistError ``watchlist_altered``."""
        for reference, spans in self._spans.items():
            for number in range(len(spans)):
                self._picture(reference, number)
        return self.header.images

    def _read(self, offset: int, length: int) -> bytes:
        # The kernel moves at most 2 GiB at a time.
        pieces = []
        while length > 0 and (piece := os.pread(self._descriptor, min(length, 1 << 28), offset)):
            pieces.append(piece)
            offset, length = offset + len(piece), length - len(piece)
        return b"".join(pieces)


def _read_entries(
    descriptor: int, key: bytes, header: Header, block: bytes
) -> tuple[About, list[dict[str, Any]]]:
    offset, length = header.sealed_entries
    if length > MOST_ENTRIES_BYTES or os.fstat(descriptor).st_size != offset + length:
        raise altered("the file")
    try:
        cipher = AESGCM(keys.derive(key, header.salt, ENTRIES))
        body = json.loads(
            cipher.decrypt(nonce(0), os.pread(descriptor, length, offset), header_digest(block))
        )
    except (InvalidTag, ValueError):
        raise altered("the list of entries") from None
    return About.from_json(body["about"]), body["entries"]
