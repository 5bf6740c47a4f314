"""Ed25519 by the ``openssl`` program: a bare machine has no Python package for it.

Keys are PEM files as ``openssl genpkey -algorithm ed25519`` writes them. A key is named by the first 16 hex digits
of SHA-256 over its 32 raw bytes, as everywhere in lfr-edge.
"""

from __future__ import annotations

import hashlib
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from lfr_install.faults import InstallError

SIGNATURE_BYTES: Final = 64
_SPKI_BYTES: Final = 44  # a 12-byte header, then the raw key (RFC 8410)


def sign(message: bytes, private_key: Path) -> bytes:
    """64 bytes. openssl asks for the key's passphrase where it has one.

    Raises:
        InstallError: ``key_unusable``.
    """
    with tempfile.TemporaryDirectory() as folder:
        given = Path(folder, "message")
        given.write_bytes(message)
        made = _openssl(
            "pkeyutl", "-sign", "-rawin", "-inkey", str(private_key), "-in", str(given), stdin=None
        )
    if made.returncode or len(made.stdout) != SIGNATURE_BYTES:
        raise InstallError(
            "key_unusable",
            f"{private_key} cannot sign",
            hint="an Ed25519 private key is needed: openssl genpkey -algorithm ed25519 -aes256 -out KEY",
        )
    return made.stdout


def verify(message: bytes, signature: bytes, public_key: Path) -> bool:
    """Whether `signature` is `public_key`'s over `message`. Raises InstallError ``key_unusable``."""
    raw_public_key(public_key)
    with tempfile.TemporaryDirectory() as folder:
        given, seal = Path(folder, "message"), Path(folder, "signature")
        given.write_bytes(message)
        seal.write_bytes(signature)
        told = _openssl(
            *("pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", str(public_key)),
            *("-in", str(given), "-sigfile", str(seal)),
        )
    return told.returncode == 0


def raw_public_key(public_key: Path) -> bytes:
    """The 32 bytes of an Ed25519 public key. Raises InstallError ``key_unusable``."""
    told = _openssl("pkey", "-pubin", "-in", str(public_key), "-outform", "DER")
    if told.returncode or len(told.stdout) != _SPKI_BYTES:
        raise InstallError(
            "key_unusable",
            f"{public_key} is not an Ed25519 public key",
            hint="openssl pkey -in KEY -pubout -out KEY.pub writes it",
        )
    return told.stdout[-32:]


def key_id(public_key: Path) -> str:
    return hashlib.sha256(raw_public_key(public_key)).hexdigest()[:16]


def _openssl(*arguments: str, stdin: int | None = subprocess.DEVNULL) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(
            ["openssl", *arguments],
            stdin=stdin,
            stdout=subprocess.PIPE,
            stderr=None if stdin is None else subprocess.DEVNULL,  # the passphrase prompt
            check=False,
        )
    except FileNotFoundError:
        raise InstallError(
            "openssl_missing", "the program openssl is not there", hint="install Debian's package openssl"
        ) from None
