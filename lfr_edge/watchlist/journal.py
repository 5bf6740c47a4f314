"""What a compile has finished, on disk and encrypted, so that a killed one goes on where it was.

::

    one line of JSON: format, salt, wrapped key, what it was made with
    length | nonce | sealed record        one per entry, in the order they were finished
    …

The journal's key is random, wrapped by what will open the list. Records are found by the SHA-256 of their entry and
pictures: an entry that was changed in between is simply not found. An orderly end destroys the file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import struct
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import rfc8785
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import say
from lfr_edge.watchlist import keys
from lfr_edge.watchlist.destroy import destroy_file
from lfr_edge.watchlist.entry import Entry
from lfr_edge.watchlist.pages import Float32Array

_FORMAT: Final = "lfr-edge compile journal 1"
_LENGTH: Final = struct.Struct("<I")
_HEAD: Final = struct.Struct("<III")  # bytes of the report, rows, dimension
_NONCE: Final = 12
_MOST_LINE: Final = 8192
_MOST_RECORD: Final = 64 << 20
SYNC_S: Final = 5.0  # a power cut loses at most this much work; a killed process loses none


@dataclass(frozen=True, slots=True)
class Finished:
    """One entry as it was finished."""

    report: Mapping[str, Any]  # EntryReport.to_json
    templates: Float32Array  # (rows, dimension); no rows where the entry was refused
    portrait: bytes


def record_name(entry: Entry, pictures: Sequence[bytes]) -> bytes:
    """What a record is found by: everything that its content follows from, but the networks and rules."""
    digest = hashlib.sha256(rfc8785.dumps(entry.to_json()))
    for picture in pictures:
        digest.update(hashlib.sha256(picture).digest())
    return digest.digest()


class Journal:
    """**Thread rule:** one thread. **Lifetime:** the file until :meth:`destroy`, also beyond this process.

    A second compile to the same place is refused while one runs.
    """

    def __init__(
        self,
        path: Path,
        descriptor: int,
        cipher: AESGCM,
        made_with: bytes,
        known: dict[bytes, tuple[int, int]],
    ) -> None:
        self.path = path
        self._descriptor, self._cipher, self._made_with = descriptor, cipher, made_with
        self._known = known  # name → offset and length of the sealed record
        self._synced = time.monotonic()

    @staticmethod
    def open(path: Path, *, made_with: str, key_file: bytes | None, passphrase: str | None) -> Journal:
        """Take up the journal at `path`, or begin one.

        One that was begun with other networks, rules or credentials is destroyed: nothing of it can be used.

        Raises:
            WatchlistError: ``watchlist_compile_running`` or ``watchlist_unwritable``.
        """
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise _unwritable(path, error) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(descriptor)
            raise WatchlistError(
                "watchlist_compile_running",
                say("{path}: another process compiles this list now", path=path),
                hint="wait for it, or stop it",
            ) from None
        try:
            credential: bytes | str | None = key_file if key_file is not None else passphrase
            if credential is None:
                raise ValueError("a journal needs a credential")
            taken_up = _take_up(descriptor, made_with, credential)
            if taken_up is None:
                key, end = _begin(descriptor, made_with, key_file, passphrase)
                known: dict[bytes, tuple[int, int]] = {}
            else:
                key, end = taken_up
                known = _scan(descriptor, AESGCM(key), made_with.encode(), end)
        except OSError as error:
            os.close(descriptor)
            raise _unwritable(path, error) from None
        except BaseException:
            os.close(descriptor)
            raise
        return Journal(path, descriptor, AESGCM(key), made_with.encode(), known)

    def __len__(self) -> int:
        """How many finished entries it holds."""
        return len(self._known)

    def take(self, name: bytes) -> Finished | None:
        """The record of that name. A damaged one is as good as none."""
        place = self._known.get(name)
        if place is None:
            return None
        body = _unseal(self._descriptor, self._cipher, self._made_with, *place)
        if body is None:
            return None
        at = len(name)
        size, rows, dimension = _HEAD.unpack_from(body, at)
        at += _HEAD.size
        report = json.loads(body[at : at + size])
        at += size
        templates = np.frombuffer(body, np.float32, rows * dimension, at).reshape(rows, dimension).copy()
        return Finished(report, templates, body[at + templates.nbytes :])

    def put(self, name: bytes, finished: Finished) -> None:
        """Write one finished entry. Raises WatchlistError ``watchlist_unwritable``."""
        report = json.dumps(finished.report).encode()
        templates = np.ascontiguousarray(finished.templates, np.float32)
        body = b"".join(
            (
                name,
                _HEAD.pack(len(report), *templates.shape),
                report,
                memoryview(templates.data).cast("B") if templates.size else b"",
                finished.portrait,
            )
        )
        nonce = secrets.token_bytes(_NONCE)
        sealed = nonce + self._cipher.encrypt(nonce, body, self._made_with)
        try:
            offset = os.lseek(self._descriptor, 0, os.SEEK_END)
            _write(self._descriptor, _LENGTH.pack(len(sealed)) + sealed)
            if time.monotonic() - self._synced > SYNC_S:
                os.fdatasync(self._descriptor)
                self._synced = time.monotonic()
        except OSError as error:
            raise _unwritable(self.path, error) from None
        self._known[name] = (offset + _LENGTH.size, len(sealed))

    def close(self) -> None:
        """Keep the file for the next run."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def destroy(self) -> None:
        """Overwrite and remove it. Raises WatchlistError ``watchlist_not_destroyed``."""
        self.close()
        destroy_file(self.path)


def _begin(
    descriptor: int, made_with: str, key_file: bytes | None, passphrase: str | None
) -> tuple[bytes, int]:
    key, salt = keys.new_key(), secrets.token_bytes(32)
    line = json.dumps(
        {
            "format": _FORMAT,
            "made_with": made_with,
            "salt": salt.hex(),
            "wrapped": keys.wrap(key, salt, key_file=key_file, passphrase=passphrase),
        }
    ).encode()
    size = os.fstat(descriptor).st_size
    os.lseek(descriptor, 0, os.SEEK_SET)
    _write(descriptor, secrets.token_bytes(size))  # what another compile left, if anything
    os.ftruncate(descriptor, 0)
    os.lseek(descriptor, 0, os.SEEK_SET)
    _write(descriptor, line + b"\n")
    os.fsync(descriptor)
    return key, len(line) + 1


def _take_up(descriptor: int, made_with: str, credential: bytes | str) -> tuple[bytes, int] | None:
    """The journal's key and where its records begin; None where it cannot be used."""
    line, found, _ = os.pread(descriptor, _MOST_LINE, 0).partition(b"\n")
    try:
        raw = json.loads(line) if found else {}
        if raw["format"] != _FORMAT or raw["made_with"] != made_with:
            return None
        return keys.unwrap(raw["wrapped"], credential, bytes.fromhex(raw["salt"])), len(line) + 1
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, WatchlistError):
        return None


def _scan(descriptor: int, cipher: AESGCM, made_with: bytes, at: int) -> dict[bytes, tuple[int, int]]:
    """Where each record lies. A torn one at the end, and whatever follows it, is cut off."""
    known: dict[bytes, tuple[int, int]] = {}
    while len(raw := os.pread(descriptor, _LENGTH.size, at)) == _LENGTH.size:
        (length,) = _LENGTH.unpack(raw)
        place = (at + _LENGTH.size, length)
        body = _unseal(descriptor, cipher, made_with, *place) if length <= _MOST_RECORD else None
        if body is None:
            break
        known[body[:32]] = place
        at += _LENGTH.size + length
    os.ftruncate(descriptor, at)
    return known


def _unseal(descriptor: int, cipher: AESGCM, made_with: bytes, offset: int, length: int) -> bytes | None:
    sealed = os.pread(descriptor, length, offset)
    try:
        return cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], made_with)
    except (InvalidTag, ValueError):
        return None


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def _unwritable(path: Path, error: OSError) -> WatchlistError:
    return WatchlistError(
        "watchlist_unwritable",
        say("{path}: {strerror}", path=path, strerror=error.strerror),
        hint="choose a folder with room to write to",
    )
