"""Sending heads to a witness outside the box (C2SP tlog-witness), whenever there is a network.

Store and forward needs no queue: the newest signed head covers all before it, so whatever could not be sent
yesterday goes with today's. Only origin, size, root and key certificate ever leave the van.
"""

from __future__ import annotations

import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from lfr_edge.audit.anchor import Cosignature, read_cosignature
from lfr_edge.audit.checkpoint import Checkpoint, parse_checkpoint
from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.keys import read_certificate
from lfr_edge.audit.note import Note, Signature, VerifierKey, encode64, parse_signature
from lfr_edge.audit.proof import ProofSource
from lfr_edge.errors import AuditError
from lfr_edge.sentences import say

ANSWER_MAX_BYTES: Final = 64 * 1024
_UNKNOWN_LOG: Final = frozenset({403, 404})


class WitnessRefusedError(Exception):
    """A witness answered with an HTTP status other than 200; `size` is what a 409 says it has."""

    def __init__(self, status: int, size: int | None = None) -> None:
        super().__init__(say("the witness answered {status}", status=status))
        self.status = status
        self.size = size


class Witness(Protocol):
    """Somebody who remembers the largest head of each log. **Thread rule:** one call at a time; blocks."""

    @property
    def key(self) -> VerifierKey: ...

    def introduce(self, certificate: Note) -> None:
        """Make a log known: its key, certified by a device that the witness trusts."""

    def add_checkpoint(
        self, old: int, proof: tuple[bytes, ...], checkpoint: Checkpoint
    ) -> tuple[Signature, ...]:
        """Ask for cosignatures.

        Raises:
            WitnessRefusedError: the witness does not know the log (403, 404), is at another size (409) or finds the
                proof wrong (422).
            AuditError: ``audit_witness_unreachable``.
        """


@dataclass(frozen=True, slots=True)
class HttpWitness:
    """A witness over HTTP. `url` is its submission prefix."""

    url: str
    key: VerifierKey
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise AuditError(
                "audit_witness_address",
                "a witness's address begins with http:// or https://",
                hint="correct it",
            )

    def introduce(self, certificate: Note) -> None:
        self._post("add-log", str(certificate))

    def add_checkpoint(
        self, old: int, proof: tuple[bytes, ...], checkpoint: Checkpoint
    ) -> tuple[Signature, ...]:
        answer = self._post("add-checkpoint", request_text(old, proof, checkpoint))
        return tuple(parse_signature(line) for line in answer.removesuffix("\n").split("\n"))

    def _post(self, call: str, body: str) -> str:
        request = urllib.request.Request(  # noqa: S310  the scheme is checked above
            f"{self.url.rstrip('/')}/{call}", data=body.encode()
        )
        try:
            with urllib.request.urlopen(request, timeout=self.timeout_s) as answer:  # noqa: S310
                text: bytes = answer.read(ANSWER_MAX_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                size = error.read(32).decode("ascii", "replace").strip()
            raise WitnessRefusedError(error.code, int(size) if size.isdecimal() else None) from None
        except OSError as error:
            reason = getattr(error, "reason", None) or error
            raise AuditError(
                "audit_witness_unreachable",
                say("the witness {name} cannot be reached: {reason}", name=self.key.name, reason=reason),
                hint="nothing is lost: the next delivery covers everything",
            ) from None
        return text.decode(errors="replace")


def request_text(old: int, proof: tuple[bytes, ...], checkpoint: Checkpoint) -> str:
    """The body of ``add-checkpoint``."""
    nodes = "".join(encode64(node) + "\n" for node in proof)
    return f"old {old}\n{nodes}\n{checkpoint}"


@dataclass(frozen=True, slots=True)
class Delivery:
    """A head that a witness cosigned, and where the cosigned note lies."""

    checkpoint: Checkpoint
    cosignature: Cosignature
    path: Path


def deliver(folder: Path, source: ProofSource, witness: Witness) -> Delivery | None:
    """Have the newest signed head of the log in `folder` cosigned; None if it already is.

    `source` is the open log or a view of it. Call it at every close and whenever a network appears.

    Raises:
        AuditError: ``audit_witness_unreachable`` (try later); ``audit_witness_contradicts``: the witness holds a
            head that this log does not contain, so one of the two histories is false. Raise the alarm.
    """
    files = LogFolder(folder)
    latest = source.latest
    if latest is None:
        return None
    old = cosigned_size(files, witness.key)
    if old >= latest.head.size:
        return None
    signatures = _ask(files, source, latest, witness, old)
    for signature in signatures:
        seen = read_cosignature(latest, signature, witness.key)
        if seen is not None:
            note = Note(latest.note.text, (*latest.note.signatures, signature))
            make_folder(files.anchors)
            path = files.anchors / f"{_file_name(witness.key)}-{latest.head.size:012}.note"
            write_new(path, str(note).encode())
            return Delivery(Checkpoint(latest.origin, latest.head, note), seen, path)
    raise AuditError(
        "audit_witness_wrong_key",
        say("the answer is not signed by {name}", name=witness.key.name),
        hint="compare the public key here with witness.vkey in the witness's store",
    )


def cosigned_size(files: LogFolder, key: VerifierKey) -> int:
    """How much of the log this witness has cosigned, as far as the files here tell."""
    size = 0
    for path in files.anchors.glob(f"{_file_name(key)}-*.note"):
        checkpoint = parse_checkpoint(path.read_bytes().decode())
        size = max(size, checkpoint.head.size)
    return size


def _ask(
    files: LogFolder, source: ProofSource, latest: Checkpoint, witness: Witness, old: int
) -> tuple[Signature, ...]:
    introduced = False
    for _ in range(4):  # unknown log, then another size, then good; once more for a rival delivery
        proof = source.consistency(old, latest.head.size)
        try:
            return witness.add_checkpoint(old, proof, latest)
        except WitnessRefusedError as refusal:
            if refusal.status in _UNKNOWN_LOG and not introduced:
                introduced = True
                _introduce(files, witness)
            elif (
                refusal.status == 409 and refusal.size is not None and old < refusal.size <= latest.head.size
            ):
                old = refusal.size
            elif refusal.status == 409 and refusal.size is not None and refusal.size < old:
                old = refusal.size  # the witness lost its memory; it starts again
            else:
                raise _contradiction(witness, refusal) from None
    raise AuditError(
        "audit_witness_refused", say("the witness {name} keeps changing its mind", name=witness.key.name)
    )


def _introduce(files: LogFolder, witness: Witness) -> None:
    try:
        witness.introduce(read_certificate(files.certificate))
    except WitnessRefusedError as refusal:
        if refusal.status == 404:
            raise AuditError(
                "audit_witness_refused",
                say("what answers there is not the witness {name} (404)", name=witness.key.name),
                hint="compare the address with the one that witness serve printed",
            ) from None
        raise AuditError(
            "audit_witness_refused",
            say(
                "the witness {name} does not trust this box ({status})",
                name=witness.key.name,
                status=refusal.status,
            ),
            hint="give the witness this box's device.vkey",
        ) from None


def _contradiction(witness: Witness, refusal: WitnessRefusedError) -> AuditError:
    if refusal.status in {409, 422}:
        return AuditError(
            "audit_witness_contradicts",
            say(
                "the witness {name} holds another history of this log ({status})",
                name=witness.key.name,
                status=refusal.status,
            ),
            hint="stop: the log was rolled back or rewritten. Keep the box and the witness's copy as evidence",
        )
    return AuditError(
        "audit_witness_refused",
        say("the witness {name} refused ({status})", name=witness.key.name, status=refusal.status),
        hint="see its log",
    )


def _file_name(key: VerifierKey) -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", key.name)[:80]
