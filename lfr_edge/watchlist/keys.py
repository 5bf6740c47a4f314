"""The list's key: 32 random bytes, in a file that only its owner reads or wrapped by a passphrase."""

from __future__ import annotations

import os
import re
import secrets
import stat
from pathlib import Path
from typing import Any, Final

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lfr_edge.errors import WatchlistError

KEY_BYTES: Final = 32
_LINE: Final = re.compile(rb"lfr-watchlist-key-1:([0-9a-f]{64})\n?")
# RFC 9106's second recommended option: 64 MiB and three passes, about 0.2 s on the van's computer.
_ARGON: Final = {"time_cost": 3, "memory_cost": 65_536, "parallelism": 4}
_MOST_MEMORY_KIB: Final = 1 << 20  # a header from outside must not make us allocate without bound


def new_key() -> bytes:
    return secrets.token_bytes(KEY_BYTES)


def derive(key: bytes, salt: bytes, purpose: str) -> bytes:
    """A key for one purpose of one container; it opens nothing else, and does not lead back to `key`."""
    return HKDF(hashes.SHA256(), KEY_BYTES, salt, b"lfr-edge watchlist " + purpose.encode()).derive(key)


def write_key_file(path: Path, key: bytes) -> None:
    """Write a new key file (mode 0600); an existing file is never overwritten.

    Raises:
        WatchlistError: ``watchlist_key_exists`` or ``watchlist_key_unwritable``.
    """
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    except FileExistsError:
        raise WatchlistError(
            "watchlist_key_exists",
            f"{path} exists already; a key is never overwritten",
            hint="name another file, or destroy the old list and its key first",
        ) from None
    except OSError as error:
        raise WatchlistError(
            "watchlist_key_unwritable", f"{path}: {error.strerror}", hint="choose a folder you can write to"
        ) from None
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"lfr-watchlist-key-1:" + key.hex().encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def read_key_file(path: Path) -> bytes:
    """The key, from a file that nobody else can read.

    Raises:
        WatchlistError: ``watchlist_key_missing``, ``watchlist_key_exposed`` or ``watchlist_key_invalid``.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        raise WatchlistError(
            "watchlist_key_missing",
            f"{path}: {error.strerror}",
            hint="insert the medium that holds the key, or name it with --key-file",
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
            raise WatchlistError(
                "watchlist_key_exposed",
                f"{path} can be read by other accounts",
                hint=f"chmod 600 {path}; if others had access, seal the list again with a new key",
            )
        found = _LINE.fullmatch(file.read(256))
    if found is None:
        raise WatchlistError(
            "watchlist_key_invalid",
            f"{path} is not a watchlist key",
            hint="it is the file that `lfr-edge watchlist seal --key-file` wrote",
        )
    return bytes.fromhex(found[1].decode())


def wrap(key: bytes, passphrase: str, salt: bytes) -> dict[str, Any]:
    """What a header carries so that a passphrase leads to the key."""
    sealed = AESGCM(_stretch(passphrase, salt, _ARGON)).encrypt(bytes(12), key, b"wrap")
    return {"kdf": "argon2id", **_ARGON, "key": sealed.hex()}


def unwrap(wrapped: dict[str, Any], passphrase: str, salt: bytes) -> bytes:
    """Raises WatchlistError ``watchlist_passphrase_wrong`` (a damaged header looks the same)."""
    cost = {name: wrapped.get(name) for name in _ARGON}
    sane = all(type(value) is int and value > 0 for value in cost.values())
    try:
        if wrapped.get("kdf") != "argon2id" or not sane or int(cost["memory_cost"] or 0) > _MOST_MEMORY_KIB:
            raise ValueError
        if int(cost["time_cost"] or 0) > 64 or int(cost["parallelism"] or 0) > 64:
            raise ValueError
        sealed = bytes.fromhex(wrapped["key"])
        stretched = _stretch(passphrase, salt, {name: int(value or 0) for name, value in cost.items()})
        return AESGCM(stretched).decrypt(bytes(12), sealed, b"wrap")
    except (InvalidTag, ValueError, KeyError, TypeError):
        raise WatchlistError(
            "watchlist_passphrase_wrong",
            "the passphrase does not open this list",
            hint="check the keyboard layout and try again; after an alteration the list must be sealed anew",
        ) from None


def _stretch(passphrase: str, salt: bytes, cost: dict[str, int]) -> bytes:
    return hash_secret_raw(passphrase.encode(), salt, hash_len=KEY_BYTES, type=Type.ID, **cost)
