"""The box's key, a key per deployment, and where they lie.

The device key is long-lived and certifies each deployment's key. A deployment's key is destroyed when its log
closes, so that a box stolen on Tuesday cannot re-sign Monday. Keys lie in a :class:`KeyStore`, today plain files of
mode 0600: the service makes and destroys them itself, and ``systemd-creds`` seals for root alone until systemd 256
(Debian 12 has 252). The disk beneath is what is encrypted, with the TPM (docs/how-to/run-under-systemd.md).
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from lfr_edge.audit import refusals
from lfr_edge.audit.commitment import reference
from lfr_edge.audit.disk import make_folder, sync_folder, write_new
from lfr_edge.audit.note import MemorySigner, Note, VerifierKey, is_key_name, parse_note, sign_note
from lfr_edge.clock import Clock
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

SECRET_BYTES: Final = 32
CERTIFICATE_TITLE: Final = "lfr-edge/log-key/v1"
_SECRET_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]{0,127}")


class KeyStore(Protocol):
    """Where secrets rest between starts. **Thread rule:** one caller at a time."""

    def read(self, name: str) -> bytes | None: ...

    def write(self, name: str, secret: bytes) -> None: ...

    def destroy(self, name: str) -> None:
        """After this returns the secret cannot be read from this store any more; absent is no error."""


class FileKeyStore:
    """Secrets as files of mode 0600 in a folder of mode 0700.

    Destroying overwrites before it unlinks. On flash the old block may live on inside the drive: full-disk
    encryption is the deployment's answer to that (docs/threat-model.md).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        path = self._path(name)
        try:
            status = path.stat()
        except FileNotFoundError:
            return None
        except OSError as error:
            raise refusals.key_unreadable(path, error) from None
        if status.st_mode & 0o077:
            raise AuditError(
                "audit_key_exposed",
                say("{path} can be read by others", path=path),
                hint=say("chmod 600 {path}, and replace the key if others had access", path=path),
            )
        try:
            return path.read_bytes()
        except OSError as error:
            raise refusals.key_unreadable(path, error) from None

    def write(self, name: str, secret: bytes) -> None:
        """Durable when it returns. Raises AuditError ``audit_key_unwritable``; the key before is still there."""
        path = self._path(name)
        try:
            make_folder(self._folder)
            write_new(path, secret)
        except OSError as error:
            with contextlib.suppress(OSError):  # half of a secret is of no use to us
                path.with_name(path.name + ".new").unlink()
            raise refusals.key_unwritable(path, error) from None

    def destroy(self, name: str) -> None:
        path = self._path(name)
        with contextlib.suppress(FileNotFoundError):
            with path.open("r+b") as file:
                file.write(secrets.token_bytes(path.stat().st_size))
                file.flush()
                os.fsync(file.fileno())
            path.unlink()
            sync_folder(self._folder)

    def _path(self, name: str) -> Path:
        if not _SECRET_NAME.fullmatch(name):
            raise ValueError(f"not a key name: {name!r}")
        return self._folder / f"{name}.key"


@dataclass(slots=True)
class LogKeys:
    """What one open log needs: its signer, the certificate of its key, the key of its references.

    **Thread rule:** any thread. **Lifetime:** :meth:`destroy` ends it; nothing can be signed or named afterwards.
    """

    signer: MemorySigner
    certificate: Note  # the device's signature over the log's key
    device: VerifierKey
    _reference_key: bytes = field(repr=False)
    _burn: Callable[[], None] = field(repr=False, default=lambda: None)

    def reference(self, identifier: str) -> str:
        """The name of `identifier` in this log.

        Raises:
            AuditError: ``audit_key_destroyed``.
        """
        if not self._reference_key:
            raise AuditError("audit_key_destroyed", "this deployment's reference key was destroyed")
        return reference(self._reference_key, identifier)

    def destroy(self) -> None:
        """Destroy the keys here and in the store. The device's own key survives its log's closing."""
        self._burn()
        self.signer.forget()
        self._reference_key = b""


@dataclass(frozen=True, slots=True)
class Certificate:
    """Which key may sign which log, said by the device."""

    origin: str
    key: VerifierKey
    issued_us: int


def certificate_text(origin: str, key: VerifierKey, issued_us: int) -> str:
    return f"{CERTIFICATE_TITLE}\n{origin}\n{key.text}\n{issued_us}\n"


def open_certificate(note: Note, device: VerifierKey) -> Certificate:
    """Check the device's signature and read what it certifies.

    Raises:
        AuditError: ``audit_certificate_wrong`` or ``audit_signature_wrong``.
    """
    lines = note.text.split("\n")
    if not note.signed_by(device):
        raise _bad_certificate(say("it is not signed by {name}", name=device.name))
    if len(lines) != 5 or lines[0] != CERTIFICATE_TITLE or not lines[3].isdecimal():
        raise _bad_certificate("it is not a log key's certificate")
    key = VerifierKey.parse(lines[2])
    if key.name != lines[1]:
        raise _bad_certificate("the key has another name than the log")
    return Certificate(lines[1], key, int(lines[3]))


def device_keys(store: KeyStore, name: str, clock: Clock) -> LogKeys:
    """The box's own keys, made at the first call; `name` is the origin of its device log."""
    secret = _secret(store, "device")
    signer = MemorySigner(_origin(name), _derive(secret, "signing"))
    certificate = sign_note(certificate_text(name, signer.verifier, clock.wall_ns() // 1000), signer)
    return LogKeys(signer, certificate, signer.verifier, _derive(secret, "reference"))


def deployment_keys(store: KeyStore, device: LogKeys, origin: str, clock: Clock) -> LogKeys:
    """The keys of one deployment's log: made at the first call, read again after a restart, until destroyed."""
    name = re.sub(r"[^a-z0-9._-]", "-", f"log-{origin.lower()}")[:80] + "-" + reference(b"", origin)
    secret = _secret(store, name)
    signer = MemorySigner(_origin(origin), _derive(secret, "signing"))
    text = certificate_text(origin, signer.verifier, clock.wall_ns() // 1000)
    return LogKeys(
        signer,
        sign_note(text, device.signer),
        device.device,
        _derive(secret, "reference"),
        lambda: store.destroy(name),
    )


def read_certificate(path: Path) -> Note:
    return parse_note(path.read_bytes().decode())


def _secret(store: KeyStore, name: str) -> bytes:
    secret = store.read(name)
    if secret is None:
        secret = secrets.token_bytes(SECRET_BYTES)
        store.write(name, secret)
    if len(secret) != SECRET_BYTES:
        raise AuditError(
            "audit_key_damaged",
            say("the key {name} has the wrong length", name=name),
            hint="restore the store",
        )
    return secret


def _derive(secret: bytes, use: str) -> bytes:
    return HKDF(SHA256(), SECRET_BYTES, None, b"lfr-edge/audit/" + use.encode()).derive(secret)


def _origin(origin: str) -> str:
    if not is_key_name(origin):
        raise AuditError(
            "audit_origin_invalid",
            say("{origin!r} cannot name a log", origin=origin),
            hint="use a form like force.example/van-3/2026-11-22, without spaces or plus",
        )
    return origin


def _bad_certificate(reason: str) -> AuditError:
    return AuditError(
        "audit_certificate_wrong",
        say("the certificate of the log's key does not hold: {reason}", reason=reason),
    )
