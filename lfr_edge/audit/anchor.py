"""Heads held outside the box: cosigned by witnesses, or printed and signed by the deployment officer.

A chain proves nothing against whoever owns the box; an anchor does. What leaves the van is origin, size and root.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from lfr_edge.audit.checkpoint import Checkpoint, Head, head_text
from lfr_edge.audit.note import WITNESS_KEY, Signature, Signer, VerifierKey
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

_STAMP_BYTES: Final = 8
_BLOB_BYTES: Final = _STAMP_BYTES + 64
_CODE_BYTES: Final = 20  # 160 bits: nobody finds a second head with the same code
_CODE_LETTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")
_CODE_LENGTH: Final = 32
# Letters that may be misread. Another head's code agrees in the other 28 by chance once in 2^105 (140 bits less the
# choice of four places and their letters), so whoever comes this close has misread and was not deceived.
MISREAD_MAX: Final = 4


@dataclass(frozen=True, slots=True)
class Cosignature:
    """A witness saw this head at `when_s` (seconds since 1970) and no contradicting one before."""

    witness: str
    when_s: int


def cosign(checkpoint: Checkpoint, signer: Signer, when_s: int | None = None) -> Signature:
    """A C2SP cosignature/v1 over `checkpoint`; `signer` holds a key of type 4."""
    when_s = int(time.time()) if when_s is None else when_s
    key = signer.verifier
    assert key.algorithm == WITNESS_KEY, "a log's key must not cosign"
    stamp = when_s.to_bytes(_STAMP_BYTES, "big")
    return Signature(key.name, key.key_id, stamp + signer.sign(_message(checkpoint, when_s)))


def read_cosignature(checkpoint: Checkpoint, signature: Signature, key: VerifierKey) -> Cosignature | None:
    """What `signature` says if it is by the witness `key`; None if it is by somebody else.

    Raises:
        AuditError: ``audit_signature_wrong`` if it claims to be by `key` and is not.
    """
    if signature.name != key.name or signature.key_id != key.key_id:
        return None
    when_s = int.from_bytes(signature.blob[:_STAMP_BYTES], "big")
    if len(signature.blob) != _BLOB_BYTES or not key.accepts(
        _message(checkpoint, when_s), signature.blob[_STAMP_BYTES:]
    ):
        raise AuditError(
            "audit_signature_wrong",
            say("a cosignature in the name of {name} is not by its key", name=key.name),
        )
    return Cosignature(key.name, when_s)


def _message(checkpoint: Checkpoint, when_s: int) -> bytes:
    return f"cosignature/v1\ntime {when_s}\n{checkpoint.note.text}".encode()


def printed_code(origin: str, head: Head) -> str:
    """32 letters and digits in groups of four that stand for origin, size and root: for paper."""
    digest = sha256(head_text(origin, head).encode()).digest()[:_CODE_BYTES]
    text = base64.b32encode(digest).decode()
    return " ".join(text[start : start + 4] for start in range(0, len(text), 4))


def same_code(one: str, other: str) -> bool:
    """Compare codes as people write them: spacing, hyphens and case do not matter."""
    return _plain(one) == _plain(other) != ""


def read_printed(typed: str) -> str:
    """A whole printed code as a person typed it, without its gaps.

    Raises:
        AuditError: ``audit_code_mistyped``.
    """
    plain = _plain(typed)
    if len(plain) != _CODE_LENGTH or not set(plain) <= _CODE_LETTERS:
        raise AuditError(
            "audit_code_mistyped",
            "this is no printed code: a letter is wrong, missing or too many",
            hint="a code has eight groups of four, of the letters A to Z and the digits 2 to 7; give all of them",
        )
    return plain


def find_printed(code: str, printed: Iterable[str]) -> str | None:
    """The one of `printed` that `code` is, None where it is none of them.

    Raises:
        AuditError: ``audit_code_mistyped``; ``audit_code_misread`` where it is all but one of them.
    """
    plain = read_printed(code)
    nearest, places = None, _CODE_LENGTH
    for one in printed:
        differing = sum(a != b for a, b in zip(plain, _plain(one), strict=True))
        if differing < places:
            nearest, places = one, differing
    if 0 < places <= MISREAD_MAX:
        raise AuditError(
            "audit_code_misread",
            say(
                "the printed code differs from this log's in {places} of 32 letters: read it again from the paper",
                places=places,
            ),
            hint="no other head has a code that comes so close",
        )
    return None if places else nearest


def _plain(code: str) -> str:
    return "".join(
        character for character in code.upper() if not character.isspace() and character not in "-–—."
    )
