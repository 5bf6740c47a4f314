"""Every list has a random key of its own, wrapped by what the deployment officer brings.

That is a key file on a medium that is taken away, a passphrase, or both; either opens the list. Without one of them
nothing of the list but its header can be read, and destroying them destroys every list they wrap.
"""

from __future__ import annotations

import os
import re
import secrets
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from argon2.low_level import Type, hash_secret_raw
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import say

KEY_BYTES: Final = 32
_LINE: Final = re.compile(rb"lfr-watchlist-key-1:([0-9a-f]{64})\n?")
# RFC 9106's second recommended option: 64 MiB and three passes, about 0.2 s on the van's computer.
_ARGON: Final = {"time_cost": 3, "memory_cost": 65_536, "parallelism": 4}
_MOST_MEMORY_KIB: Final = 1 << 20  # a header from outside must not make us allocate without bound


@dataclass(frozen=True, slots=True)
class Handed:
    """A list's key, wrapped under a secret of another list: it opens as long as that one does."""

    secret: bytes = field(repr=False)  # 32 bytes
    wrapped: bytes


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
            say("{path} exists already; a key is never overwritten", path=path),
            hint="name another file, or destroy the old list and its key first",
        ) from None
    except OSError as error:
        raise WatchlistError(
            "watchlist_key_unwritable",
            say("{path}: {strerror}", path=path, strerror=error.strerror),
            hint="choose a folder you can write to",
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
            say("{path}: {strerror}", path=path, strerror=error.strerror),
            hint="insert the medium that holds the key, or name it with --key-file",
        ) from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode) or status.st_mode & 0o077:
            raise WatchlistError(
                "watchlist_key_exposed",
                say("{path} can be read by other accounts", path=path),
                hint=say(
                    "chmod 600 {path}; if others had access, seal the list again with a new key", path=path
                ),
            )
        found = _LINE.fullmatch(file.read(256))
    if found is None:
        raise WatchlistError(
            "watchlist_key_invalid",
            say("{path} is not a watchlist key", path=path),
            hint="it is the file that `lfr-edge watchlist seal --key-file` wrote",
        )
    return bytes.fromhex(found[1].decode())


def wrap(key: bytes, salt: bytes, *, key_file: bytes | None, passphrase: str | None) -> dict[str, Any]:
    """What a header carries so that a credential leads to the list's key. At least one credential is needed."""
    if key_file is None and passphrase is None:
        raise ValueError("a list without a credential could never be opened")
    # The salt is random for every list, so every key that a fixed nonce meets is used exactly once.
    return {
        "key_file": None
        if key_file is None
        else AESGCM(derive(key_file, salt, "wrap")).encrypt(bytes(12), key, b"wrap").hex(),
        "passphrase": None
        if passphrase is None
        else {
            "kdf": "argon2id",
            **_ARGON,
            "key": AESGCM(_stretch(passphrase, salt, _ARGON)).encrypt(bytes(12), key, b"wrap").hex(),
        },
    }


def hand(key: bytes, secret: bytes) -> Handed:
    """`key` for whoever has `secret` (32 bytes)."""
    nonce = secrets.token_bytes(12)
    return Handed(secret, nonce + AESGCM(secret).encrypt(nonce, key, b"hand"))


def unwrap(wrapped: Mapping[str, Any], credential: bytes | str | Handed, salt: bytes) -> bytes:
    """The list's key, by the key file's bytes, by the passphrase (a str) or by what another list's secret wraps.

    Raises:
        WatchlistError: ``watchlist_key_wrong``, ``watchlist_passphrase_wrong`` (a damaged header looks the same),
            ``watchlist_no_key_file`` or ``watchlist_no_passphrase`` for a credential it was not sealed with.
    """
    if isinstance(credential, Handed):
        return _by_secret(credential)
    if isinstance(credential, str):
        return _by_passphrase(wrapped.get("passphrase"), credential, salt)
    sealed = wrapped.get("key_file")
    if sealed is None:
        raise WatchlistError(
            "watchlist_no_key_file",
            "this list was sealed with a passphrase, not with a key file",
            hint="open it with --passphrase",
        )
    try:
        return AESGCM(derive(credential, salt, "wrap")).decrypt(bytes(12), bytes.fromhex(sealed), b"wrap")
    except (InvalidTag, ValueError, TypeError):
        raise WatchlistError(
            "watchlist_key_wrong",
            "this key file does not open this list",
            hint="bring the key that it was sealed with; after an alteration the list must be sealed anew",
        ) from None


def _by_secret(handed: Handed) -> bytes:
    try:
        return AESGCM(handed.secret).decrypt(handed.wrapped[:12], handed.wrapped[12:], b"hand")
    except (InvalidTag, ValueError):
        raise WatchlistError(
            "watchlist_key_wrong",
            "the live list does not lead to the key of this list",
            hint="add the list again from its file",
        ) from None


def _by_passphrase(wrapped: Any, passphrase: str, salt: bytes) -> bytes:
    if wrapped is None:
        raise WatchlistError(
            "watchlist_no_passphrase",
            "this list was sealed with a key file, not with a passphrase",
            hint="name the key with --key-file",
        )
    try:
        cost = {name: wrapped.get(name) for name in _ARGON}
        sane = all(type(value) is int and value > 0 for value in cost.values())
        if wrapped.get("kdf") != "argon2id" or not sane or int(cost["memory_cost"] or 0) > _MOST_MEMORY_KIB:
            raise ValueError
        if int(cost["time_cost"] or 0) > 64 or int(cost["parallelism"] or 0) > 64:
            raise ValueError
        sealed = bytes.fromhex(wrapped["key"])
        stretched = _stretch(passphrase, salt, {name: int(value or 0) for name, value in cost.items()})
        return AESGCM(stretched).decrypt(bytes(12), sealed, b"wrap")
    except (InvalidTag, ValueError, KeyError, TypeError, AttributeError):
        raise WatchlistError(
            "watchlist_passphrase_wrong",
            "the passphrase does not open this list",
            hint="check the keyboard layout and try again; after an alteration the list must be sealed anew",
        ) from None


def _stretch(passphrase: str, salt: bytes, cost: dict[str, int]) -> bytes:
    return hash_secret_raw(passphrase.encode(), salt, hash_len=KEY_BYTES, type=Type.ID, **cost)
