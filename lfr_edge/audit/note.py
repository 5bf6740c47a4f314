"""Signed notes (C2SP signed-note) and their Ed25519 keys, readable by Go's ``sumdb/note``.

Two signature types are used: 1, the log's plain Ed25519, and 4, a witness's timestamped cosignature.
Parsing is strict to the byte: base64 that another encoder would not write is refused, so that no bit of a note
can change unseen.
"""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final, Protocol

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

LOG_KEY: Final = 1
WITNESS_KEY: Final = 4
_DASH: Final = "— "
_CONTROL: Final = re.compile(r"[\x00-\x09\x0b-\x1f]")
_NOTE_MAX_BYTES: Final = 64 * 1024
_SIGNATURES_MAX: Final = 64


class Signer(Protocol):
    """Whatever holds a private key: RAM, a sealed file, one day a TPM. **Thread rule:** any thread."""

    @property
    def verifier(self) -> VerifierKey: ...

    def sign(self, message: bytes) -> bytes:
        """The raw 64-byte Ed25519 signature."""


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public key with its name; the text form is a C2SP *vkey*: ``name+hash+base64(type ‖ key)``."""

    name: str
    algorithm: int  # LOG_KEY or WITNESS_KEY
    public: bytes  # 32 bytes
    key_id: bytes = field(init=False, repr=False, compare=False)  # 4 bytes
    _key: Ed25519PublicKey = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        if not is_key_name(self.name) or self.algorithm not in {LOG_KEY, WITNESS_KEY}:
            raise _bad_key("the name or the algorithm is not allowed")
        try:
            object.__setattr__(self, "_key", Ed25519PublicKey.from_public_bytes(self.public))
        except ValueError:
            raise _bad_key("the key is not 32 bytes of Ed25519") from None
        digest = sha256(self.name.encode() + b"\n" + bytes([self.algorithm]) + self.public).digest()
        object.__setattr__(self, "key_id", digest[:4])

    @property
    def text(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{encode64(bytes([self.algorithm]) + self.public)}"

    @classmethod
    def parse(cls, text: str) -> VerifierKey:
        """Read a vkey.

        Raises:
            AuditError: ``audit_key_invalid``.
        """
        name, _, rest = text.strip().partition("+")
        key_id, _, encoded = rest.partition("+")
        material = decode64(encoded)
        if not material:
            raise _bad_key("it is not of the form name+hash+base64")
        key = cls(name, material[0], material[1:])
        if key.key_id.hex() != key_id:
            raise _bad_key("its hash does not match its name and bytes")
        return key

    def accepts(self, message: bytes, signature: bytes) -> bool:
        try:
            self._key.verify(signature, message)
        except InvalidSignature:
            return False
        return True


class MemorySigner:
    """An Ed25519 key in this process's memory. **Thread rule:** any thread.

    **Lifetime:** :meth:`forget` drops the only reference; OpenSSL clears the key when it frees it.
    """

    def __init__(self, name: str, seed: bytes, algorithm: int = LOG_KEY) -> None:
        self._private: Ed25519PrivateKey | None = Ed25519PrivateKey.from_private_bytes(seed)
        self.verifier: Final = VerifierKey(name, algorithm, self._private.public_key().public_bytes_raw())

    def sign(self, message: bytes) -> bytes:
        if self._private is None:
            raise AuditError(
                "audit_key_destroyed",
                say("the signing key of {name} was destroyed", name=self.verifier.name),
                hint="a closed deployment signs nothing any more; open a new one",
            )
        return self._private.sign(message)

    def forget(self) -> None:
        self._private = None


@dataclass(frozen=True, slots=True)
class Signature:
    name: str
    key_id: bytes  # 4 bytes
    blob: bytes  # what follows the key id

    @property
    def line(self) -> str:
        return f"{_DASH}{self.name} {encode64(self.key_id + self.blob)}\n"


@dataclass(frozen=True, slots=True)
class Note:
    text: str  # ends with a newline; this is what is signed
    signatures: tuple[Signature, ...]

    def __str__(self) -> str:
        return self.text + "\n" + "".join(signature.line for signature in self.signatures)

    def signed_by(self, key: VerifierKey) -> bool:
        """Whether a signature of `key` is there and good (type 1 signs the text itself).

        Raises:
            AuditError: ``audit_signature_wrong`` if one claims to be by `key` and is not.
        """
        found = False
        for signature in self.signatures:
            if signature.name == key.name and signature.key_id == key.key_id:
                if not key.accepts(self.text.encode(), signature.blob):
                    raise AuditError(
                        "audit_signature_wrong",
                        say("a signature in the name of {name} is not by its key", name=key.name),
                    )
                found = True
        return found


def sign_note(text: str, signer: Signer) -> Note:
    """A note with one plain Ed25519 signature. `text` ends with a newline."""
    key = signer.verifier
    return Note(text, (Signature(key.name, key.key_id, signer.sign(text.encode())),))


def parse_note(raw: str) -> Note:
    """Split a note into text and signatures; nothing is verified yet.

    Raises:
        AuditError: ``audit_note_malformed``.
    """
    text, gap, lines = raw.rpartition("\n\n")
    if len(raw) > _NOTE_MAX_BYTES or not gap or not text or not lines.endswith("\n"):
        raise _bad_note("text, blank line and signatures are not all there")
    if _CONTROL.search(raw):
        raise _bad_note("control characters")
    signatures = tuple(parse_signature(line) for line in lines[:-1].split("\n"))
    if len(signatures) > _SIGNATURES_MAX:
        raise _bad_note("too many signatures")
    return Note(text + "\n", signatures)


def parse_signature(line: str) -> Signature:
    """One signature line, without its newline."""
    name, gap, encoded = line.removeprefix(_DASH).partition(" ")
    blob = decode64(encoded)
    if not line.startswith(_DASH) or not gap or not is_key_name(name) or len(blob) < 5:
        raise _bad_note("a signature line is malformed")
    return Signature(name, blob[:4], blob[4:])


def read_key_file(path: Path, algorithm: int) -> VerifierKey:
    """A file with one vkey of that kind: the two lie side by side, and one taken for the other checks nothing.

    Raises:
        AuditError: ``audit_file_unreadable``, ``audit_key_invalid`` or ``audit_key_kind``.
    """
    key = VerifierKey.parse(read_text_file(path))
    if key.algorithm != algorithm:
        raise AuditError(
            "audit_key_kind",
            say("{path} is the key of a witness", path=path)
            if key.algorithm == WITNESS_KEY
            else say("{path} is the key of a box or a log, and no witness's", path=path),
            hint="--key and --trust take a box's device.vkey, --witness and anchoring.witness_key a witness's key",
        )
    return key


def read_text_file(path: Path) -> str:
    """A small text file exactly as it is, without translating line ends.

    Raises:
        AuditError: ``audit_file_unreadable``.
    """
    try:
        return path.read_bytes().decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not text"
        raise AuditError(
            "audit_file_unreadable", say("{path}: {reason}", path=path, reason=reason), hint="check the name"
        ) from None


def is_key_name(name: str) -> bool:
    """Names hold no white space and no plus."""
    return bool(name) and "+" not in name and name.isprintable() and not any(c.isspace() for c in name)


def encode64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def decode64(text: str) -> bytes:
    """Strict base64; empty if `text` is not exactly what :func:`encode64` writes."""
    try:
        data = base64.b64decode(text, validate=True)
    except (ValueError, binascii.Error):
        return b""
    return data if encode64(data) == text else b""


def _bad_note(reason: str) -> AuditError:
    return AuditError("audit_note_malformed", say("a signed note cannot be read: {reason}", reason=reason))


def _bad_key(reason: str) -> AuditError:
    return AuditError(
        "audit_key_invalid",
        say("a verifier key cannot be used: {reason}", reason=reason),
        hint="a key is one line, name+hash+base64, as in device.vkey",
    )
