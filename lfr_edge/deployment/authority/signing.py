"""Ed25519 keys of Authorising Officers, and signatures over the canonical bytes of a record."""

from __future__ import annotations

import base64
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Final, Literal

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import ConfigDict, Field

from lfr_edge.deployment.authority.terms import KeyId, Record, canonical
from lfr_edge.errors import DeploymentError
from lfr_edge.sentences import say

PUBLIC_BYTES: Final = 32
_KEY_FILE_MAX: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Signature:
    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid", strict=True)
    algorithm: Literal["ed25519"]
    key_id: KeyId
    value: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$", description="Base64 of 64 bytes.")]


def key_id(public: bytes) -> str:
    """The name of a public key: 16 hex digits of the SHA-256 of its 32 bytes."""
    return hashlib.sha256(public).hexdigest()[:16]


def public_bytes(key: Ed25519PrivateKey | Ed25519PublicKey) -> bytes:
    public = key.public_key() if isinstance(key, Ed25519PrivateKey) else key
    return public.public_bytes(Encoding.Raw, PublicFormat.Raw)


def sign(record: Record, key: Ed25519PrivateKey) -> Signature:
    value = base64.b64encode(key.sign(canonical(record))).decode()
    return Signature("ed25519", key_id(public_bytes(key)), value)


def verify(record: Record, signature: Signature, trusted: Mapping[str, bytes], what: str) -> None:
    """Accept the signature of a trusted key over exactly this record.

    Args:
        trusted: key id → 32 bytes of the public key, as :meth:`TrustStore.keys` gives them.
        what: what the message calls the record.

    Raises:
        DeploymentError: ``authority_signer_unknown``, ``authority_altered``.
    """
    public = trusted.get(signature.key_id)
    if public is None or key_id(public) != signature.key_id:
        raise DeploymentError(
            "authority_signer_unknown",
            say(
                "{what} is signed by key {key_id}, which is not enrolled on this box",
                what=what,
                key_id=signature.key_id,
            ),
            hint="enrol the Authorising Officer's public key on the Approvals page; it takes two persons",
        )
    raw = base64.b64decode(signature.value)
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(raw, canonical(record))
    except InvalidSignature:
        raise _altered(what) from None
    if base64.b64encode(raw).decode() != signature.value:  # bits that base64 ignores
        raise _altered(what)


def _altered(what: str) -> DeploymentError:
    return DeploymentError(
        "authority_altered",
        say("{what} was changed after it was signed", what=what),
        hint="ask the Authorising Officer for the file as it was signed; a change needs a new signature",
    )


def make_key(path: Path, passphrase: bytes | None) -> Ed25519PrivateKey:
    """Write a new private key to `path` (mode 0600) and its public half beside it as ``.pub``.

    Raises:
        DeploymentError: ``authority_key_exists``.
    """
    key = Ed25519PrivateKey.generate()
    how: KeySerializationEncryption = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    secret = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, how)
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    for target, data, mode in ((path, secret, 0o600), (public_path(path), public, 0o644)):
        try:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
        except FileExistsError:
            raise DeploymentError(
                "authority_key_exists",
                say("{target} exists; a key is never overwritten", target=target),
                hint="choose another name",
            ) from None
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(descriptor)
    return key


def public_path(path: Path) -> Path:
    return path.with_name(path.name + ".pub")


def read_private_key(path: Path, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """Raises DeploymentError: ``authority_key_unreadable``, ``authority_key_locked``, ``authority_key_exposed``."""
    data = _read(path)
    if path.stat().st_mode & 0o077:
        raise DeploymentError(
            "authority_key_exposed",
            say("others can read {path}", path=path),
            hint=say("chmod 600 {path}, or make a new key", path=path),
        )
    try:
        key = load_pem_private_key(data, passphrase)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        # cryptography says TypeError for a missing passphrase, ValueError for a wrong one.
        raise DeploymentError(
            "authority_key_locked",
            say("{path} cannot be opened with this passphrase, or holds no private key", path=path),
            hint="give the passphrase with which keygen made it",
        ) from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path)
    return key


def read_public_key(path: Path) -> bytes:
    """32 bytes. Raises DeploymentError: ``authority_key_unreadable``."""
    return parse_public_key(_read(path), str(path))


def parse_public_key(pem: bytes, name: str) -> bytes:
    """32 bytes of the Ed25519 key in `pem`. Raises DeploymentError: ``authority_key_unreadable``."""
    try:
        key = load_pem_public_key(pem)
    except (ValueError, UnsupportedAlgorithm):
        raise _no_key(name) from None
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(name)
    return public_bytes(key)


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_KEY_FILE_MAX)
    except OSError:
        raise _no_key(path) from None


def _no_key(name: Path | str) -> DeploymentError:
    return DeploymentError(
        "authority_key_unreadable",
        say("{name} is not a readable Ed25519 key in PEM form", name=name),
        hint="make a pair with: lfr-edge authority keygen ao.key",
    )
