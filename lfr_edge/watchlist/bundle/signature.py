"""``manifest.sig``: the issuing authority's Ed25519 signature over the bytes of ``manifest.json``.

``openssl pkeyutl -verify -rawin`` checks it too, once the base64 is decoded.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final, Literal

import rfc8785
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from lfr_edge.errors import WatchlistError
from lfr_edge.sentences import say

_KEY_FILE_MOST: Final = 16 << 10


class Signature(BaseModel):
    """The whole of ``manifest.sig``, canonical JSON like the manifest."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    algorithm: Literal["ed25519"]
    format: Literal["lfr-edge watchlist signature 1"]
    key_id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] = Field(
        description="The first 16 hex digits of the SHA-256 of the public key's 32 bytes."
    )
    value: Annotated[str, Field(pattern=r"^[A-Za-z0-9+/]{86}==$")] = Field(description="Base64 of 64 bytes.")


def key_id(public: bytes) -> str:
    """What the trust store calls a public key."""
    return hashlib.sha256(public).hexdigest()[:16]


def sign(manifest: bytes, key: Ed25519PrivateKey) -> bytes:
    """The bytes of ``manifest.sig``."""
    name = key_id(key.public_key().public_bytes_raw())
    value = base64.b64encode(key.sign(manifest)).decode()
    signature = Signature(
        algorithm="ed25519", format="lfr-edge watchlist signature 1", key_id=name, value=value
    )
    return bytes(rfc8785.dumps(signature.model_dump()))


def verify(manifest: bytes, signature: bytes, trusted: Mapping[str, bytes]) -> str:
    """The key id of who signed exactly these bytes.

    Args:
        trusted: key id → 32 bytes of the public key, as the trust store gives them.

    Raises:
        WatchlistError: ``watchlist_signature_refused`` or ``watchlist_issuer_unknown``.
    """
    try:
        found = Signature.model_validate(json.loads(signature))
        raw = base64.b64decode(found.value, validate=True)
        if rfc8785.dumps(found.model_dump()) != signature or base64.b64encode(raw).decode() != found.value:
            raise ValueError
    except (ValidationError, ValueError, RecursionError, binascii.Error):
        raise _refused("manifest.sig is not a signature as this format writes it") from None
    public = trusted.get(found.key_id)
    if public is None or key_id(public) != found.key_id:
        raise WatchlistError(
            "watchlist_issuer_unknown",
            say("the list is signed by key {key_id}, which is not enrolled on this box", key_id=found.key_id),
            hint="enrol the issuing authority's public key; it takes two persons",
        )
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(raw, manifest)
    except InvalidSignature:
        raise _refused("manifest.json is not what the issuing authority signed") from None
    return found.key_id


def new_private_key(passphrase: bytes | None = None) -> tuple[bytes, bytes, str]:
    """A new key: PKCS#8 PEM (locked where a passphrase is given), its public half as PEM, and its id."""
    key = Ed25519PrivateKey.generate()
    lock = BestAvailableEncryption(passphrase) if passphrase else NoEncryption()
    public = key.public_key()
    return (
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock),
        public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        key_id(public.public_bytes_raw()),
    )


def read_private_key(path: Path, passphrase: bytes | None = None) -> Ed25519PrivateKey:
    """A PKCS#8 PEM file. Raises WatchlistError ``watchlist_key_unreadable``."""
    try:
        key = load_pem_private_key(_key_bytes(path), passphrase)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise _no_key(path, "not a private key, or its passphrase is wrong or missing") from None
    if not isinstance(key, Ed25519PrivateKey):
        raise _no_key(path, "not an Ed25519 key")
    return key


def read_public_key(path: Path) -> bytes:
    """The 32 bytes of a SubjectPublicKeyInfo PEM file. Raises WatchlistError ``watchlist_key_unreadable``."""
    try:
        key = load_pem_public_key(_key_bytes(path))
    except (ValueError, UnsupportedAlgorithm):
        raise _no_key(path, "not a public key") from None
    if not isinstance(key, Ed25519PublicKey):
        raise _no_key(path, "not an Ed25519 key")
    return key.public_bytes_raw()


def _key_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_KEY_FILE_MOST)
    except OSError as error:
        raise _no_key(path, error.strerror or "unreadable") from None


def _no_key(path: Path, why: str) -> WatchlistError:
    return WatchlistError(
        "watchlist_key_unreadable",
        say("{path}: {why}", path=path, why=why),
        hint="make one with: openssl genpkey -algorithm ed25519 -out issuer.pem",
    )


def _refused(why: str) -> WatchlistError:
    return WatchlistError(
        "watchlist_signature_refused", why, hint="ask the issuing authority for the bundle again"
    )
