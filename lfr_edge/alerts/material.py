"""The pictures of an alert: sealed under a key of their own, and gone once that key is gone.

One file per alert holds its two JPEGs (AES-256-GCM). A second, 64-byte file holds the alert's key, wrapped by the
deployment's key, which lives in RAM only. Erasure overwrites and unlinks both; at the deployment's end the RAM key
goes too, and every wrapped key left behind by a log-structured disk becomes noise.
"""

from __future__ import annotations

import contextlib
import hashlib
import hmac
import os
import re
import secrets
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from lfr_edge.audit.disk import make_folder, sync_folder, write_new
from lfr_edge.errors import AlertError
from lfr_edge.sentences import say

KEY_BYTES: Final = 32
_NONCE_BYTES: Final = 12
_SALT_BYTES: Final = 32
_TOKEN: Final = re.compile(r"[0-9a-f]{32}")
_NO_PICTURE: Final = "its retention has ended; only the record of the decision remains"


@dataclass(frozen=True, slots=True)
class AlertPictures:
    """**Lifetime:** as short as the caller can make it; never cached, logged or sent twice."""

    probe_jpeg: bytes = field(repr=False)
    candidate_jpeg: bytes = field(repr=False)


class AlertMaterial:
    """The folder of sealed pictures.

    **Thread rule:** methods block on the disk and may run in any thread, also several at once for different
    alerts. **Lifetime:** the deployment's key is held until :meth:`close`.
    """

    def __init__(self, folder: Path, deployment_key: bytes) -> None:
        if len(deployment_key) != KEY_BYTES:
            raise ValueError("a deployment key has 32 bytes")
        make_folder(folder)
        self._folder = folder
        self._key = bytearray(deployment_key)

    def keep(self, token: str, pictures: AlertPictures) -> str:
        """Seal the pictures durably and return their salted SHA-256 commitment (hex) for the record.

        Raises:
            AlertError: ``alert_material_failed`` when the disk refuses.
        """
        salt = secrets.token_bytes(_SALT_BYTES)
        key = AESGCM.generate_key(256)
        commitment = _commitment(salt, pictures)
        body = (
            salt + len(pictures.probe_jpeg).to_bytes(4, "big") + pictures.probe_jpeg + pictures.candidate_jpeg
        )
        try:
            _write(self._body(token), _seal(key, body, f"pictures:{token}"))
            _write(self._wrapped(token), _seal(bytes(self._key), key, f"key:{token}"))
            sync_folder(self._folder)
        except OSError as error:
            with contextlib.suppress(OSError):  # then the next start erases it
                self.erase(token)
            raise AlertError(
                "alert_material_failed",
                say("the pictures of an alert cannot be written: {strerror}", strerror=error.strerror),
                hint="free disk space; lfr-edge doctor shows what is full",
            ) from None
        return commitment

    def read(self, token: str) -> AlertPictures:
        """The pictures in clear.

        Raises:
            AlertError: ``alert_pictures_erased`` when they are gone, ``alert_pictures_damaged`` when the files do
                not decrypt.
        """
        body = self._clear(token)
        split = _SALT_BYTES + 4 + int.from_bytes(body[_SALT_BYTES : _SALT_BYTES + 4], "big")
        return AlertPictures(body[_SALT_BYTES + 4 : split], body[split:])

    def commitment(self, token: str) -> str:
        """What the record must say about these pictures; recomputed from the sealed file."""
        body = self._clear(token)
        return _commitment(body[:_SALT_BYTES], self.read(token))

    def erase(self, token: str) -> None:
        """Destroy the key, then the pictures. Erasing twice is no error."""
        for path in (self._wrapped(token), self._body(token)):
            if path.exists():
                _overwrite(path)
                path.unlink(missing_ok=True)
        sync_folder(self._folder)

    def rewrap(self, token: str, new_key: bytes) -> None:
        """Wrap the alert's key under `new_key` instead: its pictures outlive this deployment's key. Twice is no error.

        Raises:
            AlertError: ``alert_pictures_erased``, ``alert_pictures_damaged``.
            OSError: the disk refused; the old wrapping still stands.
        """
        with contextlib.suppress(AlertError):
            AlertMaterial(self._folder, new_key).read(token)
            return  # a kill came between this and what follows it
        self._clear(token)
        path = self._wrapped(token)
        key = _unseal(bytes(self._key), path.read_bytes(), f"key:{token}")
        write_new(path, _seal(new_key, key, f"key:{token}"))

    def tokens(self) -> frozenset[str]:
        """Alerts of which any file is still there."""
        return frozenset(path.stem for path in self._folder.iterdir() if _TOKEN.fullmatch(path.stem))

    def reference_code(self, reference: str) -> str:
        """The name under which a watchlist entry stands in the record: an HMAC that dies with the key."""
        return hmac.new(bytes(self._key), b"reference\0" + reference.encode(), hashlib.sha256).hexdigest()[
            :32
        ]

    def close(self) -> None:
        """Forget the deployment's key: nothing here can be read again without it."""
        self._key[:] = bytes(KEY_BYTES)

    def _clear(self, token: str) -> bytes:
        try:
            wrapped, sealed = self._wrapped(token).read_bytes(), self._body(token).read_bytes()
        except FileNotFoundError:
            raise AlertError(
                "alert_pictures_erased", "the pictures of this alert are erased", hint=_NO_PICTURE
            ) from None
        try:
            key = _unseal(bytes(self._key), wrapped, f"key:{token}")
            return _unseal(key, sealed, f"pictures:{token}")
        except InvalidTag:
            raise AlertError(
                "alert_pictures_damaged",
                "the pictures of this alert do not decrypt",
                hint="they belong to another deployment or were altered; the audit log shows which",
            ) from None

    def _body(self, token: str) -> Path:
        return self._folder / f"{_checked(token)}.sealed"

    def _wrapped(self, token: str) -> Path:
        return self._folder / f"{_checked(token)}.key"


def _checked(token: str) -> str:
    if not _TOKEN.fullmatch(token):  # it becomes a file name
        raise AlertError("alert_unknown", "there is no such alert", hint="reload the desk page")
    return token


def _commitment(salt: bytes, pictures: AlertPictures) -> str:
    digest = hashlib.sha256(b"lfr-edge alert pictures v1\0" + salt)
    digest.update(hashlib.sha256(pictures.probe_jpeg).digest())
    digest.update(hashlib.sha256(pictures.candidate_jpeg).digest())
    return digest.hexdigest()


def _seal(key: bytes, clear: bytes, what: str) -> bytes:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + AESGCM(key).encrypt(nonce, clear, what.encode())


def _unseal(key: bytes, sealed: bytes, what: str) -> bytes:
    if len(sealed) < _NONCE_BYTES:
        raise InvalidTag
    return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], what.encode())


def _write(path: Path, data: bytes) -> None:
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(handle)


def _overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(secrets.token_bytes(path.stat().st_size))
        file.flush()
        os.fsync(file.fileno())
