"""RFC 3161 tokens against a real time-stamp authority: OpenSSL's own, with keys made here."""

from __future__ import annotations

import http.server
import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from lfr_edge.audit import timestamp
from lfr_edge.audit.__main__ import main
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.timestamp import HttpStamper, digest_of, query_of, stamp, stamp_path, stamped_sizes
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.errors import AuditError

from .conftest import Box

CONFIG = """\
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_digest = sha256
default_policy = 1.2.3.4
digests = sha256
ess_cert_id_alg = sha256
clock_precision_digits = 3
[v3]
extendedKeyUsage = critical,timeStamping
[req]
distinguished_name = name
[name]
"""


@dataclass
class Authority:
    """`openssl ts -reply` with a certificate of its own."""

    folder: Path
    name: str = "tsa"

    def __post_init__(self) -> None:
        if shutil.which("openssl") is None:
            if os.environ.get("CI") == "true":
                pytest.fail("openssl has to be installed in CI")
            pytest.skip("NOT TESTED: openssl is absent on this machine")
        self.folder.mkdir()
        (self.folder / "config").write_text(CONFIG.format(folder=self.folder))
        (self.folder / "serial").write_text("01")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
             "-keyout", "key.pem", "-out", "cert.pem", "-days", "2", "-subj", f"/CN={self.name}",
             "-config", "config", "-extensions", "v3"],
            cwd=self.folder, check=True, capture_output=True,
        )  # fmt: skip

    @property
    def certificate(self) -> Path:
        return self.folder / "cert.pem"

    def stamp(self, query: bytes) -> bytes:
        (self.folder / "query").write_bytes(query)
        done = subprocess.run(
            ["openssl", "ts", "-reply", "-config", "config", "-section", "here", "-queryfile", "query",
             "-inkey", "key.pem", "-signer", "cert.pem"],
            cwd=self.folder, check=False, capture_output=True,
        )  # fmt: skip
        return done.stdout


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "tsa")


@pytest.fixture
def address(authority: Authority) -> Iterator[str]:
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            assert self.headers["Content-Type"] == "application/timestamp-query"
            answer = authority.stamp(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200 if self.path == "/" else 503)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_openssl_reads_the_question(tmp_path: Path, authority: Authority) -> None:
    del authority
    for nonce in (0, 127, 128, 2**63 - 1):
        (tmp_path / "query").write_bytes(query_of(bytes(range(32)), nonce))
        said = subprocess.run(
            ["openssl", "ts", "-query", "-in", "query", "-text"],
            cwd=tmp_path,
            check=True,
            capture_output=True,
        ).stdout.decode()
        assert "Hash Algorithm: sha256" in said
        assert f"Nonce: 0x{nonce:X}" in said.replace("0x0", "0x").replace("0x\n", "0x0\n")
        assert "Certificate required: yes" in said
        assert "00 01 02 03" in said.replace("-", " ")


def test_a_stamped_log_is_anchored(
    box: Box, authority: Authority, address: str, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = box.closed()
    assert main(["stamp", str(folder.parent), "--url", address]) == 0
    assert main(["stamp", str(folder), "--url", address]) == 0
    assert [line.split("  ")[-1] for line in capsys.readouterr().out.splitlines()] == [
        "stamped now",
        "nothing new",
    ]
    assert stamped_sizes(LogFolder(folder)) == {20: stamp_path(LogFolder(folder), 20)}
    assert {item.code for item in verify(folder).reservations} == {"unanchored"}
    report = verify(folder, stampers=authority.certificate)
    assert report.verdict == "intact"
    (anchor,) = report.logs[0].anchors
    assert (anchor.by, anchor.size) == ("time stamp", 20)
    assert anchor.when_s is not None
    assert abs(anchor.when_s - time.time()) < 300
    assert main(["verify", str(folder), "--tsa", str(authority.certificate)]) == 0


def test_a_rewritten_log_contradicts_its_stamp(box: Box, authority: Authority) -> None:
    folder = box.closed("d1")
    assert stamp(folder, LogView.load(folder), authority) is not None
    token = stamp_path(LogFolder(folder), 20)
    # The owner of the box writes another log of the same length and keeps the stamp.
    other = box.closed("d2", entries=20)
    (other / "anchors").mkdir()
    shutil.copy(token, other / "anchors" / token.name)
    report = verify(other, stampers=authority.certificate)
    assert report.exit_code == 1
    assert [item.code for item in report.findings] == ["stamp_contradicts"]
    # … or a shorter one
    shutil.copy(token, other / "anchors" / "stamp-000000000021.tsr")
    (other / "anchors" / token.name).unlink()
    assert [item.code for item in verify(other, stampers=authority.certificate).findings] == [
        "entries_missing"
    ]


def test_a_stamp_by_another_authority_or_of_nothing_is_no_anchor(
    box: Box, authority: Authority, tmp_path: Path
) -> None:
    folder = box.closed()
    stranger = Authority(tmp_path / "stranger", "stranger")
    assert stamp(folder, LogView.load(folder), stranger) is not None
    token = stamp_path(LogFolder(folder), 20)
    for raw in (token.read_bytes(), b"", b"\x30\x03\x02\x01\x00"):
        token.write_bytes(raw)
        report = verify(folder, stampers=authority.certificate)
        assert report.findings == ()
        assert {item.code for item in report.reservations} == {"anchor_unreadable", "unanchored"}
    (folder / "anchors" / "stamp-x.tsr").write_bytes(b"")
    assert list(stamped_sizes(LogFolder(folder))) == [20]


def test_without_openssl_it_is_said(box: Box, authority: Authority, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = box.closed()
    stamp(folder, LogView.load(folder), authority)
    monkeypatch.setattr(shutil, "which", lambda name: None)
    report = verify(folder, stampers=authority.certificate)
    assert any("openssl" in item.message for item in report.reservations)


@dataclass
class Fixed:
    answer: bytes

    def stamp(self, query: bytes) -> bytes:
        del query
        return self.answer


def test_what_is_no_stamp_is_not_kept(box: Box, authority: Authority) -> None:
    log = box.create()
    view = LogView.load(log.folder)
    assert view.latest is not None
    good = authority.stamp(query_of(digest_of(view.latest), 5))
    refused = authority.stamp(b"no question")
    for answer in (b"", b"\x30\x03", refused, good.replace(digest_of(view.latest), bytes(32)), b"x" + good):
        with pytest.raises(AuditError) as caught:
            stamp(log.folder, view, Fixed(answer))
        assert caught.value.code == "audit_stamp_refused"
    assert not LogFolder(log.folder).anchors.exists()
    assert stamp(log.folder, view, Fixed(good)) == stamp_path(LogFolder(log.folder), view.latest.head.size)
    assert stamp(log.folder, view, Fixed(b"")) is None


def test_nothing_signed_nothing_stamped(box: Box) -> None:
    log = box.create()
    LogFolder(log.folder).checkpoints.write_bytes(b"")
    assert stamp(log.folder, LogView.load(log.folder), Fixed(b"")) is None


def test_an_authority_that_is_away(box: Box, address: str) -> None:
    with pytest.raises(AuditError) as caught:
        HttpStamper("ftp://tsa.example")
    assert caught.value.code == "audit_stamp_address"
    folder = box.closed()
    for url in ("http://127.0.0.1:9", f"{address}/away"):
        with pytest.raises(AuditError) as caught:
            stamp(folder, LogView.load(folder), HttpStamper(url, timeout_s=5))
        assert caught.value.code == "audit_stamp_unreachable"
        assert caught.value.message.endswith(("Connection refused", ": Service Unavailable"))
    assert (
        HttpStamper(address).timeout_s
        == timestamp.HttpStamper.__dataclass_fields__["timeout_s"].default
        == 10.0
    )


@pytest.mark.parametrize(
    ("front", "taken"),
    [
        (b"\x30\x0a\x30\x0a\x02\x01\x00", True),
        (b"\x30\x0a\x30\x03\x02\x01\x01", True),
        (b"\x30\x81\x0a\x30\x03\x02\x01\x00", True),
        (b"\x30\x82\x0a\x0a\x30\x03\x02\x01\x00", True),
        (b"\x30\x0a\x30\x03\x02\x01\x02", False),
        (b"\x30\x0a\x30\x03\x02\x02\x00", False),
        (b"\x31\x0a\x30\x03\x02\x01\x00", False),
        (b"\x30\x83\x0a\x0a\x0a\x30\x03\x02\x01\x00", False),
    ],
)
def test_only_an_answer_that_grants_is_kept(box: Box, front: bytes, taken: bool) -> None:
    """RFC 3161, 2.4.2: status 0 or 1, in DER of each length; a length may look like the end of a line."""
    log = box.create()
    view = LogView.load(log.folder)
    assert view.latest is not None
    answer = front + digest_of(view.latest)
    if taken:
        path = stamp(log.folder, view, Fixed(answer))
        assert path == log.folder / "anchors" / "stamp-000000000001.tsr"
        assert path.read_bytes() == answer
    else:
        with pytest.raises(AuditError) as caught:
            stamp(log.folder, view, Fixed(answer))
        assert caught.value.code == "audit_stamp_refused"


def test_each_question_has_a_nonce_of_its_own(box: Box) -> None:
    """The same head asked twice: an old answer would not fit the new question."""
    asked: list[bytes] = []

    class Spy:
        def stamp(self, query: bytes) -> bytes:
            asked.append(query)
            return b""

    log = box.create()
    view = LogView.load(log.folder)
    assert view.latest is not None
    for _ in range(2):
        with pytest.raises(AuditError):
            stamp(log.folder, view, Spy())
    assert asked[0] != asked[1]
    assert all(digest_of(view.latest) in query for query in asked)


def test_a_time_stamp_is_in_utc_wherever_the_auditor_sits(
    box: Box, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = box.closed()
    stamp(folder, LogView.load(folder), authority)
    try:
        with monkeypatch.context() as elsewhere:
            elsewhere.setenv("TZ", "Asia/Tokyo")
            time.tzset()
            (anchor,) = verify(folder, stampers=authority.certificate).logs[0].anchors
    finally:
        time.tzset()
    assert anchor.when_s is not None
    assert abs(anchor.when_s - time.time()) < 300


def test_an_authority_that_never_answers_is_given_up() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, pytest.raises(AuditError) as caught:
        HttpStamper(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.2).stamp(b"x")
    assert caught.value.code == "audit_stamp_unreachable"


def test_an_authority_that_talks_too_much_is_read_in_part() -> None:
    class Talks(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"x" * 70_000)

        def log_message(self, *arguments: object) -> None:
            pass

    with http.server.HTTPServer(("127.0.0.1", 0), Talks) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        answer = HttpStamper(f"http://127.0.0.1:{server.server_port}", timeout_s=20).stamp(b"x")
        thread.join()
    assert answer == b"x" * 65_536


def test_a_stamp_is_found_by_the_path_that_an_auditor_types(
    box: Box, authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Relative paths, as an auditor types them, mean the same to openssl, which runs in a folder of its own."""
    folder = box.closed()
    stamp(folder, LogView.load(folder), authority)
    monkeypatch.chdir(tmp_path)
    relative = Path("tsa") / authority.certificate.name
    report = verify(folder.relative_to(tmp_path), stampers=relative)
    assert [anchor.by for anchor in report.logs[0].anchors] == ["time stamp"]
    token = stamp_path(LogFolder(folder), 20)
    data = token.read_bytes()
    token.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    assert [item.code for item in verify(folder, stampers=relative).reservations] == [
        "anchor_unreadable",
        "unanchored",
    ]


def test_an_openssl_that_hangs_is_no_anchor_and_no_crash(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A token is the box owner's to choose: whatever it does to openssl, the verifier gives its report."""
    folder = box.closed()
    LogFolder(folder).anchors.mkdir()
    stamp_path(LogFolder(folder), 20).write_bytes(b"token")
    program = tmp_path / "bin" / "openssl"
    program.parent.mkdir()
    program.write_text("#!/bin/sh\nexec sleep 60\n")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{program.parent}:/usr/bin:/bin")
    monkeypatch.setattr(timestamp, "_CHECK_S", 0.1)
    report = verify(folder, stampers=tmp_path)
    assert report.findings == ()
    assert {item.code for item in report.reservations} == {"anchor_unreadable", "unanchored"}


def test_a_log_without_a_head_has_nothing_to_stamp(box: Box, capsys: pytest.CaptureFixture[str]) -> None:
    folder = box.closed()
    (folder / "checkpoints").unlink()
    assert main(["stamp", str(folder), "--url", "http://127.0.0.1:9"]) == 0
    assert capsys.readouterr().out == "van.example/3/d1  0 entries  nothing new\n"


def test_the_short_form_of_a_length_ends_at_127() -> None:
    """X.690, 8.1.3.4: a byte of 128 would say that more bytes of length follow."""
    assert timestamp._der(0x04, bytes(127)) == b"\x04\x7f" + bytes(127)
    with pytest.raises(AssertionError):
        timestamp._der(0x04, bytes(128))
