"""Store and forward to a witness over real HTTP, and a witness that cannot be talked into a contradiction."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import http.server
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lfr_edge.audit.anchor import Cosignature, cosign, read_cosignature
from lfr_edge.audit.checkpoint import Checkpoint, Head, parse_checkpoint, sign_head
from lfr_edge.audit.event import Event
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.keys import certificate_text
from lfr_edge.audit.merkle import EMPTY_ROOT
from lfr_edge.audit.note import WITNESS_KEY, MemorySigner, Note, Signature, VerifierKey, encode64, sign_note
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.audit.witness import HttpWitness, WitnessRefusedError, cosigned_size, deliver, request_text
from lfr_edge.audit.witness_server import WitnessBook, WitnessServer
from lfr_edge.errors import AuditError

from .conftest import Box

WITNESS = MemorySigner("force.example/witness", b"w" * 32, WITNESS_KEY)


@dataclass
class Running:
    book: WitnessBook
    server: WitnessServer

    @property
    def witness(self) -> HttpWitness:
        return HttpWitness(f"http://127.0.0.1:{self.server.server_port}/", WITNESS.verifier, 5.0)


@pytest.fixture
def running(box: Box) -> Iterator[Running]:
    book = WitnessBook(box.root / "witness", WITNESS, (box.device.device,), box.clock)
    with WitnessServer(("127.0.0.1", 0), book) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield Running(book, server)
        server.shutdown()
        thread.join()


def code(caught: pytest.ExceptionInfo[AuditError]) -> str:
    return caught.value.code


def test_delivery_introduces_the_log_and_brings_back_an_anchor(box: Box, running: Running) -> None:
    log = box.create()
    box.fill(log, 4)
    log.checkpoint()
    first = deliver(log.folder, log, running.witness)
    assert first is not None
    assert first.cosignature.witness == "force.example/witness"
    assert first.cosignature.when_s == box.clock.wall // 10**9
    assert first.checkpoint.head.size == 5
    assert deliver(log.folder, log, running.witness) is None  # nothing new
    box.fill(log, 4)
    log.checkpoint()
    second = deliver(log.folder, log, running.witness)
    assert second is not None
    assert second.path != first.path
    log.close()
    last = deliver(log.folder, LogView.load(log.folder), running.witness)
    assert last is not None
    report = verify(log.folder, witnesses=[WITNESS.verifier])
    assert report.exit_code == 0
    assert [anchor.size for anchor in report.logs[0].anchors] == [5, 9, 10]
    # what the witness kept anchors the log even if the box threw its own copy away
    (kept,) = (box.root / "witness").glob("*.note")
    assert kept.read_bytes() == last.path.read_bytes()


def test_nothing_is_lost_while_there_is_no_network(box: Box, running: Running) -> None:
    log = box.create()
    away = HttpWitness("http://127.0.0.1:1", WITNESS.verifier, 0.5)
    for _ in range(3):
        box.fill(log, 3)
        log.checkpoint()
        with pytest.raises(AuditError) as caught:
            deliver(log.folder, log, away)
        assert code(caught) == "audit_witness_unreachable"
        assert caught.value.message.endswith("Connection refused"), "what the network says, and no more"
    delivery = deliver(log.folder, log, running.witness)
    assert delivery is not None
    assert delivery.checkpoint.head.size == 10


def test_a_log_without_a_head_has_nothing_to_deliver(box: Box, running: Running) -> None:
    log = box.create()
    log.suspend()
    (log.folder / "checkpoints").unlink()
    assert deliver(log.folder, LogView.load(log.folder), running.witness) is None


def test_the_box_forgot_what_was_cosigned(box: Box, running: Running) -> None:
    log = box.create()
    box.fill(log, 4)
    log.checkpoint()
    deliver(log.folder, log, running.witness)
    shutil.rmtree(log.folder / "anchors")
    again = deliver(log.folder, log, running.witness)
    assert again is not None
    assert again.checkpoint.head.size == 5


def test_the_witness_forgot_what_it_cosigned(box: Box, running: Running) -> None:
    log = box.create()
    box.fill(log, 4)
    log.checkpoint()
    deliver(log.folder, log, running.witness)
    for path in (box.root / "witness").glob("*.note"):
        path.unlink()
    box.fill(log, 4)
    log.checkpoint()
    again = deliver(log.folder, log, running.witness)
    assert again is not None
    assert again.checkpoint.head.size == 9


def test_a_rolled_back_log_raises_the_alarm(box: Box, running: Running) -> None:
    log = box.create()
    box.fill(log, 4)
    log.suspend()
    shutil.copytree(log.folder, box.folder("old"))
    log = box.open()
    box.fill(log, 8)
    log.checkpoint()
    deliver(log.folder, log, running.witness)
    log._release()
    with pytest.raises(AuditError) as caught:
        deliver(box.folder("old"), LogView.load(box.folder("old")), running.witness)
    assert code(caught) == "audit_witness_contradicts"


def test_a_rewritten_log_raises_the_alarm(box: Box, running: Running) -> None:
    """Same key, same origin, another history of the same and of a greater length."""
    log = box.create()
    box.fill(log, 4)
    log.checkpoint()
    deliver(log.folder, log, running.witness)
    log._release()
    shutil.rmtree(log.folder)
    log = box.create()
    for _ in range(4):
        log.append(Event("camera.lost", ref="another history"))
    log.checkpoint()
    with pytest.raises(AuditError) as caught:
        deliver(log.folder, log, running.witness)
    assert code(caught) == "audit_witness_contradicts"
    log.append(Event("camera.lost"))
    log.checkpoint()
    with pytest.raises(AuditError) as caught:
        deliver(log.folder, log, running.witness)
    assert code(caught) == "audit_witness_contradicts"


def test_a_box_that_the_witness_does_not_trust(box: Box, running: Running, tmp_path: Path) -> None:
    other = Box(tmp_path / "other")
    log = other.create()
    with pytest.raises(AuditError) as caught:
        deliver(log.folder, log, running.witness)
    assert code(caught) == "audit_witness_refused"
    log._release()


def test_an_address_must_be_http() -> None:
    with pytest.raises(AuditError) as caught:
        HttpWitness("file:///etc/passwd", WITNESS.verifier)
    assert code(caught) == "audit_witness_address"


def test_an_answer_that_is_no_text(box: Box, tmp_path: Path) -> None:
    """Another program answers at the witness's address: an error with a code, never a traceback."""

    class Noise(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"\xff\xfe noise\n")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            pass

    log = box.create()
    box.fill(log, 3)
    log.checkpoint()
    with http.server.HTTPServer(("127.0.0.1", 0), Noise) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        with pytest.raises(AuditError) as caught:
            deliver(log.folder, log, HttpWitness(f"http://127.0.0.1:{server.server_port}", WITNESS.verifier))
        server.shutdown()
        thread.join()
    assert code(caught) == "audit_note_malformed"


class Scripted:
    """A witness that answers what a test tells it to."""

    key: VerifierKey = WITNESS.verifier

    def __init__(self, *answers: WitnessRefusedError | tuple[Signature, ...]) -> None:
        self.answers = list(answers)
        self.asked: list[int] = []

    def introduce(self, certificate: Note) -> None:
        return

    def add_checkpoint(
        self, old: int, proof: tuple[bytes, ...], checkpoint: Checkpoint
    ) -> tuple[Signature, ...]:
        self.asked.append(old)
        answer = self.answers.pop(0)
        if isinstance(answer, WitnessRefusedError):
            raise answer
        return answer


@pytest.mark.parametrize(
    ("answers", "expected", "asked"),
    [
        ([WitnessRefusedError(500)], "audit_witness_refused", [0]),
        ([WitnessRefusedError(404), WitnessRefusedError(404)], "audit_witness_refused", [0, 0]),
        ([WitnessRefusedError(409)], "audit_witness_contradicts", [0]),
        ([WitnessRefusedError(409, 0)], "audit_witness_contradicts", [0]),
        ([WitnessRefusedError(409, 99)], "audit_witness_contradicts", [0]),
        ([WitnessRefusedError(422)], "audit_witness_contradicts", [0]),
        ([WitnessRefusedError(409, size) for size in (3, 2, 3, 2)], "audit_witness_refused", [0, 3, 2, 3]),
        ([(Signature("stranger", bytes(4), bytes(72)),)], "audit_witness_wrong_key", [0]),
        ([()], "audit_witness_wrong_key", [0]),
        ([(Signature(WITNESS.verifier.name, WITNESS.verifier.key_id, bytes(72)),)], "audit_signature_wrong", [0]),
    ],
)  # fmt: skip
def test_odd_answers(box: Box, answers: list[object], expected: str, asked: list[int]) -> None:
    log = box.create()
    box.fill(log, 3)
    log.checkpoint()
    witness = Scripted(*answers)  # type: ignore[arg-type]
    with pytest.raises(AuditError) as caught:
        deliver(log.folder, log, witness)
    assert code(caught) == expected
    assert witness.asked == asked
    assert cosigned_size(LogFolder(log.folder), WITNESS.verifier) == 0


# The witness's own side: C2SP tlog-witness, rule by rule.


class Rival:
    """A log whose owner signs whatever they like."""

    def __init__(self, box: Box, origin: str = "van.example/3/rival") -> None:
        self.signer = MemorySigner(origin, b"r" * 32)
        self.certificate = sign_note(certificate_text(origin, self.signer.verifier, 5), box.device.signer)
        self.origin = origin

    def head(self, size: int, root: bytes) -> Checkpoint:
        return sign_head(self.origin, Head(size, root), self.signer)


def test_the_rules_of_the_witness(box: Box, running: Running) -> None:
    book, rival = running.book, Rival(box)
    one = rival.head(1, b"1" * 32)
    assert book.add_checkpoint("nonsense").status == 400
    assert book.add_checkpoint(request_text(0, (), one)).status == 404
    assert book.add_log("nonsense").status == 400
    assert book.add_log(str(sign_note("x\n", MemorySigner("nobody", b"n" * 32)))).status == 403
    forged = Note(rival.certificate.text.replace("5", "6"), rival.certificate.signatures)
    assert book.add_log(str(forged)).status == 400
    assert book.add_log(str(rival.certificate)).status == 200
    assert book.add_log(str(rival.certificate)).status == 200
    other_key = sign_note(
        certificate_text(rival.origin, MemorySigner(rival.origin, b"q" * 32).verifier, 7), box.device.signer
    )
    assert book.add_log(str(other_key)).status == 409
    unsigned = sign_head(rival.origin, one.head, MemorySigner(rival.origin, b"q" * 32))
    assert book.add_checkpoint(request_text(0, (), unsigned)).status == 403
    false = Checkpoint(one.origin, one.head, Note(one.note.text.replace("1", "2", 1), one.note.signatures))
    assert book.add_checkpoint(request_text(0, (), false)).status == 403
    assert book.add_checkpoint(request_text(2, (), one)).status == 400
    assert book.add_checkpoint(request_text(0, (b"p" * 32,), one)).status == 422
    answer = book.add_checkpoint(request_text(0, (), one))
    assert answer.status == 200
    assert answer.body.startswith("— force.example/witness ")
    answer = book.add_checkpoint(request_text(0, (), one))
    assert (answer.status, answer.body, answer.content_type) == (409, "1\n", "text/x.tlog.size")
    assert book.add_checkpoint(request_text(1, (), one)).status == 200  # again the same, a fresh time
    assert book.add_checkpoint(request_text(1, (), rival.head(1, b"2" * 32))).status == 409
    assert book.add_checkpoint(request_text(1, (b"p" * 32,), rival.head(2, b"2" * 32))).status == 422


@pytest.mark.parametrize(
    "front",
    ["", "old", "old x", "old 01", "old -1", "new 0", "old 99999999999999999", "old ٣", "old 0\nAAAA",
     "old 0" + ("\n" + encode64(bytes(32))) * 64],
)  # fmt: skip
def test_malformed_requests(box: Box, running: Running, front: str) -> None:
    checkpoint = Rival(box).head(1, bytes(32))
    assert running.book.add_checkpoint(f"{front}\n\n{checkpoint}").status == 400
    assert running.book.add_checkpoint(front).status == 400


def test_a_device_that_is_no_longer_trusted_is_unknown(box: Box, running: Running) -> None:
    rival = Rival(box)
    running.book.add_log(str(rival.certificate))
    running.book.trusted = ()
    assert running.book.add_checkpoint(request_text(0, (), rival.head(1, bytes(32)))).status == 404


def test_http_limits(running: Running) -> None:
    def ask(path: str, body: bytes | None, headers: dict[str, str] | None = None) -> int:
        connection = http.client.HTTPConnection("127.0.0.1", running.server.server_port, timeout=20)
        connection.putrequest("POST", path)
        for name, value in (headers or {"Content-Length": str(len(body or b""))}).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        with connection.getresponse() as answer:
            said = answer.read()
            status = answer.status
        assert answer.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert answer.headers["Content-Length"] == str(len(said))
        connection.close()
        return status

    assert ask("/add-checkpoint", b"nonsense") == 400
    assert ask("/elsewhere", b"nonsense") == 404
    assert ask("/add-checkpoint", None, {"Content-Length": "65537"}) == 413
    assert ask("/add-checkpoint", b"x" * 65536) == 400
    assert ask("/add-checkpoint", None, {"Content-Length": "-5"}) == 413
    assert ask("/add-checkpoint", None, {"X": "no length"}) == 413
    assert ask("/add-log", b"\xff\xff") == 400


def test_a_witness_signs_the_time_that_it_is() -> None:
    checkpoint = sign_head("van/d1", Head(0, EMPTY_ROOT), MemorySigner("van/d1", b"l" * 32))
    before = int(time.time())
    seen = read_cosignature(checkpoint, cosign(checkpoint, WITNESS), WITNESS.verifier)
    assert seen is not None
    assert before <= seen.when_s <= int(time.time())
    assert read_cosignature(checkpoint, cosign(checkpoint, WITNESS, 5), WITNESS.verifier) == Cosignature(
        "force.example/witness", 5
    )


def good(box: Box) -> Signature:
    latest = LogView.load(box.folder()).latest
    assert latest is not None
    return cosign(latest, WITNESS, 5)


def test_a_witness_that_is_as_far_as_the_log_is_asked_again_from_there(box: Box) -> None:
    log = box.create()
    box.fill(log, 3)
    log.checkpoint()
    witness = Scripted(WitnessRefusedError(409, 4), (Signature("other", bytes(4), bytes(72)), good(box)))
    delivery = deliver(log.folder, log, witness)
    assert witness.asked == [0, 4]
    assert delivery is not None  # a stranger's signature in front of it is no hindrance
    assert delivery.path == log.folder / "anchors" / "force.example-witness-000000000004.note"
    assert delivery.cosignature == Cosignature("force.example/witness", 5)
    assert [item.name for item in delivery.checkpoint.note.signatures] == [log.origin, WITNESS.verifier.name]
    assert str(delivery.checkpoint.note).encode() == delivery.path.read_bytes()
    assert cosigned_size(LogFolder(log.folder), WITNESS.verifier) == 4


def test_the_largest_cosigned_head_counts_and_only_this_witness_s(box: Box) -> None:
    log = box.create()
    for _ in range(2):
        box.fill(log, 3)
        log.checkpoint()
        deliver(log.folder, log, Scripted((good(box),)))
    files = LogFolder(log.folder)
    assert cosigned_size(files, WITNESS.verifier) == 7
    other = MemorySigner("force.example/other", b"o" * 32, WITNESS_KEY)
    assert cosigned_size(files, other.verifier) == 0
    (files.anchors / "force.example-witness-000000000007.note").unlink()
    assert cosigned_size(files, WITNESS.verifier) == 4


@pytest.mark.parametrize("body", [b"", b"x", b"\xff", b"1" * 5000])
def test_a_conflict_without_a_size_is_a_contradiction(box: Box, body: bytes) -> None:
    log = box.create()
    box.fill(log, 3)
    log.checkpoint()
    with talking(409, body) as url, pytest.raises(AuditError) as caught:
        deliver(log.folder, log, HttpWitness(url, WITNESS.verifier, 20))
    assert code(caught) == "audit_witness_contradicts"


def test_a_witness_that_never_ends_its_answer_is_read_in_part(box: Box) -> None:
    log = box.create()
    with talking(200, None) as url, pytest.raises(AuditError) as caught:
        deliver(log.folder, log, HttpWitness(url, WITNESS.verifier, 20))
    assert code(caught) == "audit_note_malformed"


def test_a_witness_that_never_answers_is_given_up(box: Box) -> None:
    log = box.create()
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(AuditError) as caught:
            deliver(log.folder, log, HttpWitness(url, WITNESS.verifier, 0.2))
    assert code(caught) == "audit_witness_unreachable"


@contextlib.contextmanager
def talking(status: int, body: bytes | None) -> Iterator[str]:
    """A server that answers every request so; without a body it talks until the other side hangs up."""

    class Talks(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            self.end_headers()
            with contextlib.suppress(OSError):
                while body is None:
                    self.wfile.write(b"x" * 4096)
                self.wfile.write(body)
            self.close_connection = True

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002  the base class's name
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Talks) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_every_refusal_is_one_line(box: Box, running: Running) -> None:
    """`curl` shows it as it is."""
    book, rival = running.book, Rival(box)
    one, two = rival.head(1, b"1" * 32), rival.head(2, b"2" * 32)
    refusals = [book.add_log("nonsense"), book.add_log(str(sign_note("x\n", rival.signer)))]
    refusals += [book.add_checkpoint("nonsense"), book.add_checkpoint(request_text(0, (), one))]
    assert book.add_log(str(rival.certificate)).body == ""
    refusals += [book.add_checkpoint(request_text(2, (), one)), book.add_checkpoint(request_text(1, (), two))]
    refusals.append(book.add_checkpoint(request_text(0, (bytes(32),), one)))
    refusals.append(book.add_checkpoint(request_text(0, (), sign_head(one.origin, one.head, WITNESS))))
    assert book.add_checkpoint(request_text(0, (), one)).status == 200
    refusals.append(book.add_checkpoint(request_text(1, (bytes(32),), two)))
    assert [answer.status for answer in refusals] == [400, 403, 400, 404, 400, 409, 422, 403, 422]
    for answer in refusals:
        assert answer.body.splitlines(keepends=True) == [answer.body.strip() + "\n"]


def test_what_a_witness_keeps_lies_where_it_will_look_for_it(box: Box, running: Running) -> None:
    """A witness that is updated finds its memory again, and keeps no more of a head than was asked for."""
    book, rival = running.book, Rival(box)
    book.add_log(str(rival.certificate))
    other_key = MemorySigner(rival.origin, b"q" * 32).verifier
    assert book.add_log(str(sign_note(certificate_text(rival.origin, other_key, 7), box.device.signer))).body
    one = rival.head(1, b"1" * 32)
    stranger = Signature("stranger", bytes(4), bytes(64))
    busy = Checkpoint(one.origin, one.head, Note(one.note.text, (stranger, *one.note.signatures)))
    assert book.add_checkpoint(request_text(0, (), busy)).status == 200
    name = hashlib.sha256(rival.origin.encode()).hexdigest()[:32]
    assert sorted(path.name for path in book.folder.iterdir()) == [f"{name}.cert", f"{name}.note"]
    assert (book.folder / f"{name}.cert").read_bytes().decode() == str(rival.certificate)
    kept = parse_checkpoint((book.folder / f"{name}.note").read_bytes().decode())
    assert [item.name for item in kept.note.signatures] == [rival.origin, "force.example/witness"]
    assert kept.note.signed_by(rival.signer.verifier)
    again = WitnessBook(book.folder, WITNESS, (WITNESS.verifier, box.device.device), box.clock)
    assert again.add_checkpoint(request_text(1, (), one)).status == 200
    assert again.add_checkpoint(request_text(0, (), one)).status == 409


def test_a_proof_may_have_sixty_three_hashes(box: Box, running: Running) -> None:
    one = Rival(box).head(1, bytes(32))
    assert running.book.add_checkpoint(request_text(0, (bytes(32),) * 63, one)).status == 404
    assert running.book.add_checkpoint(request_text(0, (bytes(31),), one)).status == 400


def test_a_connection_goes_on_after_an_answer_and_not_after_a_flood(running: Running) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.server.server_port, timeout=20)
    for path in ("/add-log", "/elsewhere"):
        connection.request("POST", path, b"x")
        with connection.getresponse() as answer:
            assert answer.status in {400, 404}
            answer.read()
    assert connection.sock is not None
    connection.putrequest("POST", "/add-log")
    connection.putheader("Content-Length", "65537")
    connection.endheaders()
    held = connection.sock
    with connection.getresponse() as answer:
        assert (answer.status, answer.read()[-1:]) == (413, b"\n")
    held.settimeout(8)  # less than the server's own patience
    assert held.recv(1) == b""  # what follows would be the flood
    connection.close()


def test_the_head_over_nothing_has_one_root(box: Box, running: Running) -> None:
    rival = Rival(box)
    running.book.add_log(str(rival.certificate))
    assert running.book.add_checkpoint(request_text(0, (), rival.head(0, bytes(32)))).status == 409
    assert running.book.add_checkpoint(request_text(0, (), rival.head(0, EMPTY_ROOT))).status == 200
