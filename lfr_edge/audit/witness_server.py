"""A small witness for the force's side: remembers the largest head of every log and never signs a contradiction.

C2SP tlog-witness with one addition: ``add-log`` takes the certificate of a deployment's key, so that a witness
that trusts a device need not be told of each deployment by hand. The folder's ``*.note`` files are what an
auditor takes from here: a head that the box cannot unsay (``lfr-edge audit verify --since``).
"""

from __future__ import annotations

import re
import threading
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from lfr_edge.audit.anchor import cosign
from lfr_edge.audit.checkpoint import Checkpoint, Head, parse_checkpoint
from lfr_edge.audit.disk import make_folder, write_new
from lfr_edge.audit.keys import Certificate, open_certificate, read_certificate
from lfr_edge.audit.merkle import EMPTY_ROOT, HASH_BYTES, verify_consistency
from lfr_edge.audit.note import Note, Signer, VerifierKey, decode64, parse_note
from lfr_edge.clock import Clock, SystemClock
from lfr_edge.errors import AuditError

REQUEST_MAX_BYTES: Final = 64 * 1024
PROOF_MAX: Final = 63
_READ_TIMEOUT_S: Final = 10.0
_SIZE: Final = re.compile(r"0|[1-9][0-9]{0,15}")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: str = ""
    content_type: str = "text/plain; charset=utf-8"


@dataclass(slots=True)
class WitnessBook:
    """What a witness remembers, on disk. **Thread rule:** any thread; one request is judged at a time."""

    folder: Path
    signer: Signer  # a key of type 4
    trusted: tuple[VerifierKey, ...]  # devices whose logs are accepted
    clock: Clock = field(default_factory=SystemClock)
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def add_log(self, raw: str) -> Answer:
        """Accept a log whose key is certified by a trusted device; the first certificate of an origin stays."""
        try:
            note = parse_note(raw)
            certificate = self._certified(note)
        except AuditError as error:
            return Answer(400, error.message + "\n")
        if certificate is None:
            return Answer(403, "no device that is trusted here certified this key\n")
        with self._turn:
            path = self._path(certificate.origin, "cert")
            if path.exists() and self._known(certificate.origin) != certificate.key:
                return Answer(409, "this origin has another key\n")
            make_folder(self.folder)
            write_new(path, str(note).encode())
        return Answer(200)

    def add_checkpoint(self, raw: str) -> Answer:
        """Judge a head as C2SP tlog-witness says, remember it, cosign it."""
        try:
            old, proof, checkpoint = parse_request(raw)
        except AuditError as error:
            return Answer(400, error.message + "\n")
        with self._turn:
            key = self._known(checkpoint.origin)
            if key is None:
                return Answer(404, "this log is not known here\n")
            if not _is_signed(checkpoint, key):
                return Answer(403, "not signed by the log's key\n")
            seen = self._seen(checkpoint.origin)
            head = checkpoint.head
            if old > head.size:
                return Answer(400, "the old size exceeds the new\n")
            if old != seen.size or (old == head.size and seen.root != head.root):
                return Answer(409, f"{seen.size}\n", "text/x.tlog.size")
            if old and not verify_consistency(old, seen.root, head.size, head.root, proof):
                return Answer(422, "the consistency proof does not hold\n")
            if not old and proof:
                return Answer(422, "a proof from nothing is empty\n")
            signature = cosign(checkpoint, self.signer, self.clock.wall_ns() // 10**9)
            own = tuple(item for item in checkpoint.note.signatures if item.name == checkpoint.origin)
            note = Note(checkpoint.note.text, (*own, signature))
            write_new(self._path(checkpoint.origin, "note"), str(note).encode())
        return Answer(200, signature.line)

    def _certified(self, note: Note) -> Certificate | None:
        for device in self.trusted:
            try:
                return open_certificate(note, device)
            except AuditError as error:
                if error.code != "audit_certificate_wrong":
                    raise
        return None

    def _known(self, origin: str) -> VerifierKey | None:
        path = self._path(origin, "cert")
        certificate = self._certified(read_certificate(path)) if path.exists() else None
        return certificate.key if certificate else None

    def _seen(self, origin: str) -> Head:
        path = self._path(origin, "note")
        return parse_checkpoint(path.read_bytes().decode()).head if path.exists() else Head(0, EMPTY_ROOT)

    def _path(self, origin: str, kind: str) -> Path:
        return self.folder / f"{sha256(origin.encode()).hexdigest()[:32]}.{kind}"


def parse_request(raw: str) -> tuple[int, tuple[bytes, ...], Checkpoint]:
    """Old size, proof and checkpoint of an ``add-checkpoint`` body.

    Raises:
        AuditError: ``audit_request_malformed``, or what :func:`parse_checkpoint` raises.
    """
    front, _, note = raw.partition("\n\n")
    lines = front.split("\n")
    size = lines[0].removeprefix("old ")
    if not lines[0].startswith("old ") or not _SIZE.fullmatch(size):
        raise AuditError("audit_request_malformed", "the request does not begin with the old size")
    proof = tuple(decode64(line) for line in lines[1:])
    if len(proof) > PROOF_MAX or any(len(node) != HASH_BYTES for node in proof):
        raise AuditError("audit_request_malformed", "the proof is not a list of hashes")
    return int(size), proof, parse_checkpoint(note)


def _is_signed(checkpoint: Checkpoint, key: VerifierKey) -> bool:
    try:
        return checkpoint.note.signed_by(key)
    except AuditError:
        return False


class _Handler(BaseHTTPRequestHandler):
    server: WitnessServer
    timeout = _READ_TIMEOUT_S
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > REQUEST_MAX_BYTES:
            self._answer(Answer(413, "give a length of at most 64 KiB\n"))
            self.close_connection = True
            return
        raw = self.rfile.read(int(length)).decode(errors="replace")
        book = self.server.book
        calls = {"/add-checkpoint": book.add_checkpoint, "/add-log": book.add_log}
        call = calls.get(self.path)
        self._answer(call(raw) if call else Answer(404, "no such call\n"))

    def _answer(self, answer: Answer) -> None:
        body = answer.body.encode()
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
        """Requests are not logged: the book is the record."""


class WitnessServer(ThreadingHTTPServer):
    """Serves one book. Put TLS in front of it, or keep it on the force's own network."""

    daemon_threads = True

    def __init__(self, address: tuple[str, int], book: WitnessBook) -> None:
        super().__init__(address, _Handler)
        self.book = book
