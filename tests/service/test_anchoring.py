"""Heads that leave the box by themselves: a real witness, a network that comes back, a verifier that says so."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from lfr_edge.audit.note import LOG_KEY, WITNESS_KEY, MemorySigner, read_key_file
from lfr_edge.audit.verify import verify
from lfr_edge.audit.witness_server import WitnessBook, WitnessServer
from lfr_edge.clock import SystemClock
from lfr_edge.deployment.session import BoxRecord, DeploymentSession
from lfr_edge.errors import AuditError
from lfr_edge.service.anchoring import Anchoring
from lfr_edge.service.view import View
from lfr_edge.settings import AnchoringSettings, Settings
from tests.audit.test_timestamp import Authority
from tests.service.conftest import until

WITNESS = MemorySigner("force.example/witness", b"w" * 32, WITNESS_KEY)


class Outside:
    """The force's side: an address that somebody answers at, or nobody."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self.key_file = folder / "force.vkey"
        self.key_file.write_text(WITNESS.verifier.text + "\n")
        # Kept from other processes while nobody listens; the witness may bind it, too, as it says the same of it.
        self.place = socket.socket()
        self.place.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.place.bind(("127.0.0.1", 0))
        self.port = self.place.getsockname()[1]
        self.settings = {
            "witness_url": f"http://127.0.0.1:{self.port}",
            "witness_key": str(self.key_file),
            "every_s": 0.3,
        }

    @contextlib.contextmanager
    def reachable(self, *devices: Path) -> Iterator[None]:
        """The network is there; the witness trusts these boxes."""
        book = WitnessBook(
            self.folder / "store", WITNESS, tuple(read_key_file(path, LOG_KEY) for path in devices)
        )
        with WitnessServer(("127.0.0.1", self.port), book) as server:
            thread = threading.Thread(target=server.serve_forever, args=(0.02,))
            thread.start()
            try:
                yield
            finally:
                server.shutdown()
                thread.join()


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Outside]:
    made = Outside(tmp_path / "outside")
    yield made
    made.place.close()


@pytest.mark.network
@pytest.mark.timeout(120)
async def test_what_was_closed_without_a_network_is_witnessed_with_the_next_one(van, start, outside) -> None:
    over = {"anchoring": outside.settings, "deployment": {"autostart": False}}
    device = van.folder / "audit" / "device" / "device.vkey"
    service = await start(**over)
    session, view = service.run.session, View(service)
    assert not await asyncio.to_thread(service.anchoring.deliver, session), "nobody is there"
    assert (await view.log_summary(verify=False)).anchors == 0
    assert "witness" not in repr(view.status().troubles), "a van without a network is no trouble"

    with outside.reachable(device):
        await until(lambda: "anchor.witnessed" in van.verbs(), 40, "the network is back")
        summary = await view.log_summary(verify=True)
        assert summary.anchors > 0
        assert any("force.example/witness" in line for line in summary.lines)
    log, last = van.log(), session.log.origin
    await service.stop()  # with nobody there again
    key = [WITNESS.verifier]
    assert [found.code for found in verify(log, witnesses=key).reservations] == ["unanchored"]

    with outside.reachable(device):
        again = await start(**over)
        await until(lambda: verify(log, witnesses=key).verdict == "intact", 20, "what was closed goes, too")

        def witnessed() -> list[str]:
            told = (entry.event for _, entry in again.box.record.log.log.entries())
            return [event.ref for event in told if event.ev == "anchor.witnessed"]

        await until(lambda: witnessed() == [last], 20, "the record says so a moment after the head went")
        await again.stop()
    report = verify(van.folder / "audit", witnesses=key)
    assert (report.verdict, len(report.logs)) == ("intact", 3), report
    assert verify(van.folder / "audit").verdict == "qualified", (
        "without the witness's key nothing is anchored"
    )


@pytest.fixture
def box(tmp_path: Path) -> Iterator[tuple[BoxRecord, DeploymentSession]]:
    settings, clock = Settings(data=tmp_path / "data", audit=tmp_path / "audit"), SystemClock()
    record = BoxRecord.open(settings, clock)
    session = DeploymentSession.begin(settings, clock, record)
    yield record, session
    session.suspend()
    record.close()


def _anchoring(tmp_path: Path, box: BoxRecord, **settings) -> Anchoring:
    return Anchoring(AnchoringSettings(**settings), tmp_path / "audit", box)


def test_a_witness_that_refuses_is_trouble_until_it_does_not(tmp_path, box, outside) -> None:
    record, session = box
    anchoring = _anchoring(tmp_path, record, **outside.settings)
    assert not anchoring.deliver(session)
    assert anchoring.trouble == "", "away is not wrong"
    with outside.reachable():  # it trusts no box
        assert not anchoring.deliver(session)
    assert "does not trust" in anchoring.trouble
    with outside.reachable(tmp_path / "audit" / "device" / "device.vkey"):
        assert anchoring.deliver(session)
        assert anchoring.trouble == ""
        assert anchoring.held(session.log.folder) == 1
        assert anchoring.held(record.log.log.folder) == 1
        size = record.log.log.size
        assert anchoring.deliver(session)
        assert record.log.log.size == size, "the box's own log comes to rest"


def test_one_damaged_log_does_not_keep_the_others_from_their_anchor(tmp_path, box, outside) -> None:
    record, session = box
    old = tmp_path / "audit" / "2020-01-01-1"
    old.mkdir()
    (old / "entries.lfr").write_bytes(b"no log")
    shutil.copy(session.log.folder / "checkpoints", old)
    anchoring = _anchoring(tmp_path, record, **outside.settings)
    with outside.reachable(tmp_path / "audit" / "device" / "device.vkey"):
        assert not anchoring.deliver(session)
    assert "2020-01-01-1" in anchoring.trouble
    assert anchoring.held(session.log.folder) == anchoring.held(record.log.log.folder) == 1


def test_an_authority_stamps_beside_or_instead_of_a_witness(tmp_path, box, monkeypatch) -> None:
    record, session = box
    authority = Authority(tmp_path / "tsa")
    monkeypatch.setattr("lfr_edge.service.anchoring.HttpStamper", lambda *_: authority)
    anchoring = _anchoring(tmp_path, record, stamp_url="http://127.0.0.1:9/tsa")
    assert anchoring.wanted
    assert anchoring.deliver(session)
    session.log.checkpoint()
    report = verify(session.log.folder, stampers=authority.certificate)
    assert len(report.logs[0].anchors) == 1


def test_without_settings_nothing_is_sent_and_a_missing_key_is_said_at_the_start(
    tmp_path, box, outside
) -> None:
    record, _ = box
    assert not _anchoring(tmp_path, record).wanted
    with pytest.raises(AuditError) as caught:
        _anchoring(tmp_path, record, **outside.settings | {"witness_key": tmp_path / "nowhere.vkey"})
    assert caught.value.code == "audit_file_unreadable"
    with pytest.raises(ValueError, match="need each other"):
        AnchoringSettings(witness_url="http://force.example")
