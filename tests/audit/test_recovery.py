"""A8 and point 1.8: torn tails are cut off and recorded, damage freezes the log, nothing is repaired silently."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from lfr_edge.audit.checkpoint import Head, parse_checkpoints
from lfr_edge.audit.event import Event
from lfr_edge.audit.log import AuditLog
from lfr_edge.audit.recovery import citation
from lfr_edge.audit.segment import Frame, map_segment, read_frames
from lfr_edge.audit.torn import is_torn_checkpoint, is_torn_head
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView
from lfr_edge.errors import AuditError

from .conftest import OPERATOR, Box, FaultyDisk

LOST = Event("camera.lost", ref="gate")


def copy(box: Box, to: str = "copy") -> Path:
    target = box.folder(to)
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(box.folder(), target)
    return target


def reopen(box: Box, folder: Path) -> AuditLog:
    log = AuditLog.open(folder, box.origin(), box.keys(), box.clock, options=box.options())
    box.logs.append(log)
    return log


def test_truncate_the_last_record_at_every_byte(box: Box) -> None:
    log = box.create(ballast_bytes=0)
    for _ in range(3):
        log.append(LOST)
    log.checkpoint()
    before = (box.folder() / "entries.lfr").stat().st_size
    log.append(Event("camera.lost", ref="the last one"))
    size = (box.folder() / "entries.lfr").stat().st_size
    for length in range(before, size + 1):
        folder = copy(box)
        with (folder / "entries.lfr").open("r+b") as file:
            file.truncate(length)
        report = verify(folder)
        assert report.verdict == "qualified", (length, report.findings)
        assert ("torn_write" in {item.code for item in report.reservations}) == (length not in {before, size})
        again = reopen(box, folder)
        whole = 5 if length == size else 4
        torn = again.recovered
        again.suspend()
        view = LogView.load(folder)
        assert [entry.event.ref for _, entry in view.entries()][4:whole] == ["the last one"][: whole - 4]
        if length in {before, size}:
            assert torn is None
            assert view.size == whole
        else:
            assert torn is not None
            assert (torn.offset, torn.size) == (before, length - before)
            assert (folder / "aside" / torn.aside).stat().st_size == torn.size
            assert view.size == whole + 1
            assert view.entry(whole).event.ev == "log.recovered"
            assert view.entry(whole).event.data["sha256"] == torn.sha256
        assert verify(folder).findings == ()


def test_truncating_what_was_signed_is_damage(box: Box) -> None:
    log = box.create(ballast_bytes=0)
    log.append(LOST)
    before = (box.folder() / "entries.lfr").stat().st_size
    log.append(Event("alert.decided", OPERATOR, "ab"))
    size = (box.folder() / "entries.lfr").stat().st_size
    log.suspend()
    for length in range(before, size, 7):
        folder = copy(box)
        with (folder / "entries.lfr").open("r+b") as file:
            file.truncate(length)
        with pytest.raises(AuditError, match="3 entries were signed, 2 are left") as caught:
            reopen(box, folder)
        assert caught.value.code == "audit_log_damaged"
        with pytest.raises(AuditError) as caught:
            reopen(box, folder)
        assert caught.value.code == "audit_log_frozen"
        assert verify(folder).verdict == "altered"


def test_a_lost_page_in_a_shared_write_is_torn_not_damage(box: Box) -> None:
    """Two frames of one write, the first lost and the second on disk: nobody was told that they are durable."""
    log = box.create(ballast_bytes=0)
    log.suspend()
    path = box.folder() / "entries.lfr"
    start = path.stat().st_size
    again = box.open(ballast_bytes=0)
    with again._turn:
        for _ in range(2):
            again._enqueue(LOST.ev, again._stamp.draft(LOST))
        again._group.claim()
        again._group.write()
        again._group.pass_on()
    again._release()
    raw = bytearray(path.read_bytes())
    raw[start : start + 64] = bytes(64)
    path.write_bytes(raw)
    third = box.open(ballast_bytes=0)
    assert third.recovered is not None
    assert third.size == 2
    third.close()
    assert verify(box.folder()).findings == ()


def test_a_bad_frame_before_good_ones_freezes_and_a_successor_cites_it(box: Box) -> None:
    log = box.create(ballast_bytes=0)
    for _ in range(5):
        log.append(LOST)
    log.suspend()
    path = box.folder() / "entries.lfr"
    frames = list(read_frames(map_segment(path)))
    raw = bytearray(path.read_bytes())
    raw[frames[3].offset + 60] ^= 4
    path.write_bytes(raw)
    with pytest.raises(AuditError, match="entry 3 at byte") as caught:
        box.open()
    assert caught.value.code == "audit_log_damaged"
    report = verify(box.folder())
    assert report.exit_code == 1
    assert report.first_bad is not None
    assert (report.first_bad.seq, report.first_bad.offset) == (3, frames[3].offset)
    assert "frozen" in {item.code for item in report.reservations}

    successor = AuditLog.succeed(
        box.folder(), box.folder("d2"), box.origin("d2"), box.keys("d2"), box.clock, options=box.options()
    )
    box.logs.append(successor)
    cited = LogView.load(box.folder("d2")).entry(1).event
    assert cited.ev == "log.succeeded"
    assert cited.data["origin"] == box.origin()
    assert cited.data["signed_size"] == 6
    assert cited.data["readable"] == 3
    assert str(cited.data["reason"]).startswith("entry 3 at byte")
    assert path.read_bytes() == bytes(raw)  # the evidence was not touched


def test_a_successor_of_a_log_without_a_head(box: Box) -> None:
    log = box.create(ballast_bytes=0)
    log.suspend()
    (box.folder() / "checkpoints").unlink()
    successor = AuditLog.succeed(
        box.folder(), box.folder("d2"), box.origin("d2"), box.keys("d2"), box.clock, options=box.options()
    )
    box.logs.append(successor)
    cited = LogView.load(box.folder("d2")).entry(1).event.data
    assert (cited["signed_size"], cited["reason"]) == (0, "")
    (box.folder() / "FROZEN").write_text(f"  {'x' * 1000}\n", encoding="utf-8")
    assert citation(box.folder()).data["reason"] == "x" * 900  # an entry's string holds 1,024


@pytest.mark.parametrize("name", ["heads", "checkpoints"])
def test_truncate_the_signed_files_at_every_byte(box: Box, name: str) -> None:
    """A head that was being written down, or a signature that was not yet released."""
    log = box.create(ballast_bytes=0)
    first = (box.folder() / "checkpoints").read_bytes()
    before = (box.folder() / name).stat().st_size
    log.append(Event("alert.decided", OPERATOR, "ab"))
    log.suspend()
    size = (box.folder() / name).stat().st_size
    for length in range(before, size):
        folder = copy(box)
        if name == "heads":  # the signature comes after the head, so it is not there either
            (folder / "checkpoints").write_bytes(first)
        with (folder / name).open("r+b") as file:
            file.truncate(length)
        assert verify(folder).findings == (), length
        reopen(box, folder).suspend()
        report = verify(folder)
        assert report.findings == ()
        assert report.logs[0].heads.last_size == 2


def test_what_a_torn_head_looks_like() -> None:
    line = b"803 " + b"A" * 43 + b"= 0123abcd"
    for length in range(1, len(line) + 1):
        assert is_torn_head(line[:length])
    for bad in (
        b"",
        b"x",
        line + b"\n",
        line + b"0",
        line + b"J",
        b"803  A",
        b"803 A b",
        b"8" * 17,
        line[:-1] + b"G",
    ):
        assert not is_torn_head(bad)


def test_what_a_torn_checkpoint_looks_like(box: Box) -> None:
    log = box.create()
    log.suspend()
    raw = (box.folder() / "checkpoints").read_bytes()
    note = raw[: raw.index(b"\n\n", raw.index(b"\n\n") + 2) + 2]
    head = parse_checkpoints(note).whole[0].head
    for length in range(1, len(note)):
        assert is_torn_checkpoint(note[:length], box.origin(), head), note[:length]
        for more in (b"\xb8", b"\xe2", b"\n\n", b"?"):
            if not note.startswith(note[:length] + more):
                assert not is_torn_checkpoint(note[:length] + more, box.origin(), head), (length, more)
        assert not is_torn_checkpoint(note[:length], box.origin(), None)
    assert is_torn_checkpoint(b"", box.origin(), head)
    assert is_torn_checkpoint(b"", box.origin(), None)
    start = note.index(b"\n") + 1
    for other in (Head(head.size + 1, head.root), Head(head.size, bytes(32))):
        assert is_torn_checkpoint(note[:start], box.origin(), other)  # says nothing yet
        assert not is_torn_checkpoint(note[: start + 40], box.origin(), other)
    for bad in (
        note[:-1] + b"J",
        note[:-2] + b"JJ",
        note[:20] + b"\x00",
        note.replace(b"\n\n", b"\nX", 1)[:-1],
    ):
        assert not is_torn_checkpoint(bad, box.origin(), head), bad
    assert not is_torn_checkpoint(b"other", box.origin(), head)


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("heads", lambda raw: raw.replace(b"1 ", b"2 ", 1), "the heads file is wrong at byte 0"),
        ("heads", lambda raw: b"", "never written down"),
        (
            "checkpoints",
            lambda raw: raw.replace(b"van", b"vam", 1),
            "the checkpoints are wrong|not by this log",
        ),
        ("checkpoints", lambda raw: b"garbage\n" + raw, "the checkpoints are wrong at byte 0"),
        ("checkpoints", lambda raw: raw[:-20] + b"\n\n", "the checkpoints are wrong"),
    ],
)
def test_changed_signed_files_are_damage(box: Box, name: str, change: object, message: str) -> None:
    log = box.create(ballast_bytes=0)
    log.suspend()
    path = box.folder() / name
    path.write_bytes(change(path.read_bytes()))  # type: ignore[operator]
    with pytest.raises(AuditError, match=message) as caught:
        box.open()
    assert caught.value.code == "audit_log_damaged"


def test_a_checkpoint_of_another_log_is_damage(box: Box) -> None:
    for name in ("d1", "d2"):
        box.create(name).suspend()
    shutil.copy(box.folder("d2") / "checkpoints", box.folder() / "checkpoints")
    with pytest.raises(AuditError, match="not by this log's key"):
        box.open()


def test_entries_of_another_log_are_damage(box: Box) -> None:
    """Even where no head contradicts: the last entry names its log and its place."""
    for name in ("d1", "d2"):
        box.create(name).suspend()
    shutil.copy(box.folder("d2") / "entries.lfr", box.folder() / "entries.lfr")
    (box.folder() / "heads").unlink()
    (box.folder() / "checkpoints").unlink()
    with pytest.raises(AuditError, match=r"the last entry says van\.example/3/d2 0, not"):
        box.open()


def test_another_history_under_the_same_heads_is_damage(box: Box) -> None:
    log = box.create(ballast_bytes=0)
    log.append(LOST)
    log.suspend()
    signed = [(box.folder() / name).read_bytes() for name in ("heads", "checkpoints")]
    shutil.rmtree(box.folder())
    other = box.create(ballast_bytes=0)
    other.append(Event("camera.connected"))
    other.suspend()
    for name, raw in zip(("heads", "checkpoints"), signed, strict=True):
        (box.folder() / name).write_bytes(raw)
    with pytest.raises(AuditError, match="are not those that were signed"):
        box.open()


def test_a_crash_inside_create_can_be_tried_again(box: Box) -> None:
    log = box.create()
    log.suspend()
    (box.folder() / "entries.lfr").unlink()
    (box.folder() / "heads").unlink()
    (box.folder() / "checkpoints").unlink()
    again = box.create()
    again.close()
    assert verify(box.folder()).findings == ()


def test_a_crash_before_the_first_entry(box: Box) -> None:
    log = box.create()
    log.suspend()
    for name in ("entries.lfr", "heads", "checkpoints"):
        (box.folder() / name).write_bytes(b"")
    report = verify(box.folder())
    assert report.findings == ()
    again = box.open()
    assert again.size == 1
    again.close()


def test_a_crash_while_closing_is_finished_by_open(box: Box) -> None:
    disk = FaultyDisk()
    log = box.create(disk=disk)
    log.append(LOST)
    disk.plan["append", disk.calls["append"] + 1] = errno.EIO  # log.closed is durable, its head is not
    with pytest.raises(AuditError):
        log.close()
    log.suspend()
    report = verify(box.folder())
    assert report.verdict == "qualified"
    assert "unsigned" in {item.code for item in report.reservations}
    with pytest.raises(AuditError) as caught:
        box.open()
    assert caught.value.code == "audit_log_closed"
    report = verify(box.folder())
    assert {item.code for item in report.reservations} == {"unanchored"}
    with pytest.raises(AuditError) as caught:
        box.open()
    assert caught.value.code == "audit_log_closed"


def test_a_torn_write_that_cannot_be_moved_aside_is_not_cut_off(box: Box) -> None:
    log = box.create(ballast_bytes=0)
    log.suspend()
    path = box.folder() / "entries.lfr"
    path.write_bytes(path.read_bytes() + b"LFE1 torn")
    (box.folder() / "aside").write_text("in the way")
    with pytest.raises(AuditError) as caught:
        box.open()
    assert caught.value.code == "audit_log_unwritable"
    assert path.read_bytes().endswith(b"LFE1 torn")


def test_only_one_file_can_end_in_a_torn_write(box: Box) -> None:
    """Each is durable before the next is touched: two torn ends are nobody's power cut. Evidence is left as it is."""
    log = box.create(ballast_bytes=0)
    log._release()
    ends = {"entries.lfr": b"LFE1 torn", "heads": bytes(40), "checkpoints": b"van.example"}
    whole = {name: (box.folder() / name).read_bytes() for name in ends}
    for name in ends:
        folder = copy(box)
        for other in ends.keys() - {name}:
            (folder / other).write_bytes(whole[other] + ends[other])
        before = {other: (folder / other).read_bytes() for other in ends}
        assert [item.code for item in verify(folder).findings][-1] == "torn_twice"
        with pytest.raises(AuditError, match="more than one file ends in a torn write"):
            reopen(box, folder)
        assert {other: (folder / other).read_bytes() for other in ends} == before
    for name, more in ends.items():
        folder = copy(box)
        (folder / name).write_bytes(whole[name] + more)
        assert verify(folder).findings == ()
        reopen(box, folder).suspend()


def test_opening_writes_once_more_what_a_failed_sync_may_have_left_in_memory_only(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FaultyDisk()
    log = box.create(disk=disk, ballast_bytes=0)
    box.fill(log, 6)
    disk.plan["datasync", disk.calls["datasync"]] = errno.EIO
    with pytest.raises(AuditError):
        log.append(LOST)
    log.suspend()
    files = {name: (box.folder() / name).read_bytes() for name in ("entries.lfr", "heads", "checkpoints")}
    real, written = os.pwrite, []

    def one_at_a_time(descriptor: int, data: bytes, at: int) -> int:
        written.append((Path(f"/proc/self/fd/{descriptor}").readlink().name, at, bytes(data)))
        return real(descriptor, data[:30], at)  # the kernel may take less than it is given

    monkeypatch.setattr(os, "pwrite", one_at_a_time)
    box.open(ballast_bytes=0)
    for name, raw in files.items():
        first = next(one for one in written if one[0] == name)
        assert raw[first[1] :] == first[2], "all of the last write"
        assert [one for one in written if one[0] == name][-1][1] > first[1]
    frames = [one for one in read_frames(files["entries.lfr"]) if isinstance(one, Frame)]
    assert next(at for name, at, _ in written if name == "entries.lfr") == frames[-1].offset


def test_what_froze_a_log_is_one_line_beside_it(box: Box) -> None:
    log = box.create(ballast_bytes=0)
    log.suspend()
    (box.folder() / "heads").write_bytes(b"")
    with pytest.raises(AuditError) as caught:
        box.open()
    said = (box.folder() / "FROZEN").read_text(encoding="utf-8")
    assert said.endswith("\n")
    assert said.count("\n") == 1
    assert caught.value.message == f"{box.folder()} is damaged: {said.strip()}"
    assert (box.folder() / "FROZEN").stat().st_mode & 0o777 == 0o600
    assert citation(box.folder()).data["reason"] == said.strip()


def test_zeros_count_by_whole_sectors_wherever_the_write_begins(box: Box) -> None:
    log = box.create()
    log.suspend()
    raw = (box.folder() / "checkpoints").read_bytes()
    note = raw[: raw.index(b"\n\n", raw.index(b"\n\n") + 2) + 2]
    head = parse_checkpoints(note).whole[0].head
    for at in (512 - 20, 1024 - 20):  # twenty bytes in one sector, the rest in the next
        assert is_torn_checkpoint(note[:20] + bytes(len(note) - 20), box.origin(), head, at)
        assert is_torn_checkpoint(bytes(20) + note[20:], box.origin(), head, at)
        assert not is_torn_checkpoint(note[:19] + bytes(len(note) - 19), box.origin(), head, at)
        assert not is_torn_checkpoint(note[:21] + bytes(len(note) - 21), box.origin(), head, at)
        assert not is_torn_checkpoint(note[:60] + b"\0" + note[61:], box.origin(), head, at)
