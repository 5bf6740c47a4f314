"""The file of an authority: the document, its signature, and what was added to it later, each signed.

The border: bytes that anybody may have written become an :class:`Authority` here or are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ConfigDict, TypeAdapter, ValidationError

from lfr_edge.audit.disk import write_new
from lfr_edge.deployment.authority.signing import Signature, sign, verify
from lfr_edge.deployment.authority.terms import (
    CANCELLATION_FORMAT,
    CONFIRMATION_FORMAT,
    Authority,
    Cancellation,
    Confirmation,
    Record,
    to_json,
)
from lfr_edge.deployment.authority.words import instant_text
from lfr_edge.errors import DeploymentError
from lfr_edge.sentences import say

FILE_MAX: Final = 1024 * 1024  # an authority with every field full is under 400 KiB
_STRICT: Final = ConfigDict(extra="forbid", strict=True)


@dataclass(frozen=True, slots=True)
class SignedCancellation:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    record: Cancellation
    signature: Signature


@dataclass(frozen=True, slots=True)
class SignedConfirmation:
    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    record: Confirmation
    signature: Signature


@dataclass(frozen=True, slots=True)
class Document:
    """What the file holds; nothing of it is believed yet."""

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT
    authority: Authority
    signature: Signature | None = None
    confirmation: SignedConfirmation | None = None
    cancellation: SignedCancellation | None = None


@dataclass(frozen=True, slots=True)
class SignedAuthority:
    """An authority whose signatures hold. `key_id` is empty for one that nobody here believes: it authorises nothing.

    Attributes:
        claimed: of one that nobody here believes, the key that its unchecked signature names.
    """

    authority: Authority
    key_id: str = ""
    confirmation: Confirmation | None = None
    cancellation: Cancellation | None = None
    claimed: str = ""

    @property
    def sha256(self) -> str:
        return self.authority.sha256


_DOCUMENT: Final = TypeAdapter(Document)


def schema() -> dict[str, Any]:
    """JSON Schema (2020-12) of the file."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **_DOCUMENT.json_schema(),
        "title": "Authority for a deployment of live facial recognition",
    }


def read_authority(path: Path, trusted: Mapping[str, bytes]) -> SignedAuthority:
    """Read the file and believe it only as far as trusted keys have signed it.

    Args:
        trusted: key id → 32 bytes of an enrolled public key.

    Raises:
        DeploymentError: ``authority_missing``, ``authority_unreadable``, ``authority_invalid``,
            ``authority_unsigned``, ``authority_signer_unknown``, ``authority_altered``.
    """
    return believe(read_document(path), trusted)


def believe(document: Document, trusted: Mapping[str, bytes]) -> SignedAuthority:
    """The document with every signature checked. Raises as :func:`read_authority`."""
    authority, signature = document.authority, document.signature
    if signature is None:
        raise DeploymentError(
            "authority_unsigned",
            "the authority is a draft: nobody has signed it",
            hint="the Authorising Officer signs it with: lfr-edge authority sign FILE --key KEY",
        )
    verify(authority, signature, trusted, say("the authority"))
    for added, what in (
        (document.confirmation, say("the confirmation")),
        (document.cancellation, say("the cancellation")),
    ):
        if added is not None:
            verify(added.record, added.signature, trusted, what)
            if added.record.authority_sha256 != authority.sha256:
                raise DeploymentError(
                    "authority_mixed",
                    say("{what} in the file belongs to another authority", what=what),
                    hint="ask the Authorising Officer for the file as it was signed",
                )
    return SignedAuthority(
        authority,
        signature.key_id,
        document.confirmation.record if document.confirmation else None,
        document.cancellation.record if document.cancellation else None,
    )


def draft(document: Document) -> SignedAuthority:
    """The document unbelieved, to show what a signature would cover: its first clause never holds. A cancellation
    counts without a check of its signature: nobody is to prepare a deployment on the strength of a doubt."""
    return SignedAuthority(
        document.authority,
        cancellation=document.cancellation.record if document.cancellation else None,
        claimed=document.signature.key_id if document.signature else "",
    )


def read_document(path: Path) -> Document:
    """Raises DeploymentError: ``authority_missing``, ``authority_unreadable``, ``authority_invalid``."""
    try:
        with path.open("rb") as file:
            data = file.read(FILE_MAX + 1)
    except OSError as error:
        raise DeploymentError(
            "authority_missing",
            say("{path}: {strerror}", path=path, strerror=error.strerror),
            hint="name the file of the authority; lfr-edge authority new writes one",
        ) from None
    return parse_document(data, str(path))


def parse_document(data: bytes, name: str = "the authority") -> Document:
    """Raises DeploymentError: ``authority_unreadable``, ``authority_invalid``; names fields, not their contents."""
    try:
        if len(data) > FILE_MAX:
            raise ValueError
        raw = json.loads(data.decode(), object_pairs_hook=_unique, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise DeploymentError(
            "authority_unreadable",
            say("{name} is not JSON, names a field twice, or is larger than 1 MiB", name=name),
            hint="lfr-edge authority schema prints what it must look like",
        ) from None
    try:
        # As JSON: there a list is a tuple and a code is an enumeration's value.
        return _DOCUMENT.validate_json(json.dumps(raw))
    except ValidationError as error:
        faults = error.errors(include_input=False, include_url=False, include_context=False)
        lines = [f"{'.'.join(map(str, fault['loc'])) or 'file'}: {fault['msg']}" for fault in faults[:20]]
        raise DeploymentError(
            "authority_invalid",
            say("{name}: {faults}", name=name, faults="; ".join(lines)),
            hint="lfr-edge authority schema prints every field",
        ) from None


def encode_document(document: Document) -> bytes:
    """The file: readable JSON. Its layout is free; the signatures cover the canonical form of each record."""
    raw: dict[str, Any] = {"authority": to_json(document.authority)}
    if document.signature:
        raw["signature"] = _signature_json(document.signature)
    for name, added in (("confirmation", document.confirmation), ("cancellation", document.cancellation)):
        if added is not None:
            raw[name] = {"record": to_json(added.record), "signature": _signature_json(added.signature)}
    return json.dumps(raw, indent=2, ensure_ascii=False).encode() + b"\n"


def write_document(path: Path, document: Document) -> None:
    """Replace the file in one step, durably.

    Raises:
        DeploymentError: ``authority_invalid`` for words that no reader would take back; the file stays as it was.
    """
    data = encode_document(document)
    parse_document(data, str(path))
    write_new(path, data)


def signed(document: Document, key: Ed25519PrivateKey) -> Document:
    """Sign the authority; earlier signatures, confirmations and cancellations belong to other words and fall away."""
    return Document(document.authority, sign(document.authority, key))


def confirmed(document: Document, key: Ed25519PrivateKey, *, by: str, at_ns: int) -> Document:
    record = Confirmation(CONFIRMATION_FORMAT, document.authority.sha256, instant_text(at_ns), by)
    return replace(document, confirmation=SignedConfirmation(record, sign(record, key)))


def cancelled(document: Document, key: Ed25519PrivateKey, *, by: str, why: str, at_ns: int) -> Document:
    record = Cancellation(CANCELLATION_FORMAT, document.authority.sha256, instant_text(at_ns), by, why)
    return replace(document, cancellation=SignedCancellation(record, sign(record, key)))


def _signature_json(signature: Signature) -> dict[str, str]:
    return {"algorithm": signature.algorithm, "key_id": signature.key_id, "value": signature.value}


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Two readers must not see two documents."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a field is named twice")
    return found


def _no_constant(_: str) -> Any:
    raise ValueError("NaN and infinities are not JSON")


__all__ = [
    "Document", "Record", "SignedAuthority", "SignedCancellation", "SignedConfirmation", "believe", "cancelled",
    "confirmed", "draft", "encode_document", "parse_document", "read_authority", "read_document", "schema",
    "signed", "write_document",
]  # fmt: skip
