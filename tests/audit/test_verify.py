"""The verdicts: what makes a log intact, qualified, altered, unreadable; anchors; boxes with several logs."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from lfr_edge.audit import check
from lfr_edge.audit.anchor import cosign, printed_code, same_code
from lfr_edge.audit.checkpoint import Checkpoint, Head, head_text, parse_checkpoint, sign_head
from lfr_edge.audit.device import DeviceLog
from lfr_edge.audit.event import Event
from lfr_edge.audit.folder import LogFolder, head_line
from lfr_edge.audit.merkle import leaf_hash
from lfr_edge.audit.note import WITNESS_KEY, MemorySigner, Note
from lfr_edge.audit.report import Finding, LogReport, VerifyReport
from lfr_edge.audit.segment import pack_frame
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView

from .conftest import OFFICER, Box

WITNESS = MemorySigner("force.example/witness", b"w" * 32, WITNESS_KEY)


def codes(findings: tuple[Finding, ...]) -> set[str]:
    return {item.code for item in findings}


def anchor(
    folder: Path, checkpoint: Checkpoint, name: str = "w-1.note", signer: MemorySigner = WITNESS
) -> None:
    note = Note(
        checkpoint.note.text, (*checkpoint.note.signatures, cosign(checkpoint, signer, 1_795_000_100))
    )
    LogFolder(folder).anchors.mkdir(exist_ok=True)
    (LogFolder(folder).anchors / name).write_bytes(str(note).encode())


def last(folder: Path) -> Checkpoint:
    latest = LogView.load(folder).latest
    assert latest is not None
    return latest


def only(report: VerifyReport) -> LogReport:
    assert len(report.logs) == 1
    return report.logs[0]


def test_an_anchored_closed_log_is_intact(box: Box) -> None:
    folder = box.closed()
    anchor(folder, last(folder))
    report = verify(folder, device_key=box.device.device, witnesses=[WITNESS.verifier])
    assert (report.verdict, report.exit_code, report.intact) == ("intact", 0, True)
    assert report.first_bad is None
    assert only(report).heads.key_from == "given"
    (seen,) = only(report).anchors
    assert (seen.by, seen.size, seen.when_s) == ("force.example/witness", 20, 1_795_000_100)
    text = report.text()
    assert "INTACT: nothing was altered" in text
    assert "force.example/witness over 20 entries at 20" in text
    again = json.loads(json.dumps(report.to_json()))
    assert again["format"] == "lfr-edge/audit-verification/v1"
    assert (again["verdict"], again["exit_code"], again["entries"]) == ("intact", 0, 20)


def test_without_an_anchor_it_is_qualified(box: Box) -> None:
    report = verify(box.closed())
    assert (report.verdict, report.exit_code, report.intact) == ("qualified", 2, True)
    assert codes(report.reservations) == {"unanchored"}
    assert "unanchored: nothing is anchored" in report.text()


def test_a_witness_counts_only_if_its_key_is_known(box: Box) -> None:
    folder = box.closed()
    anchor(folder, last(folder))
    stranger = MemorySigner("force.example/witness", b"x" * 32, WITNESS_KEY)
    assert verify(folder).exit_code == 2
    assert codes(verify(folder, witnesses=[stranger.verifier]).reservations) == {"unanchored"}


def test_a_cosignature_to_the_byte(box: Box) -> None:
    """C2SP tlog-cosignature v1: eight bytes of time, then Ed25519 over header, time and the checkpoint's text."""
    checkpoint = last(box.closed())
    signature = cosign(checkpoint, WITNESS, 1_679_315_147)
    assert len(signature.blob) == 72
    assert signature.blob[:8] == bytes.fromhex("00000000641850cb")
    message = b"cosignature/v1\ntime 1679315147\n" + checkpoint.note.text.encode()
    assert WITNESS.verifier.accepts(message, signature.blob[8:])


def test_a_forged_cosignature_is_no_anchor(box: Box) -> None:
    folder = box.closed()
    anchor(folder, last(folder))
    path = next(LogFolder(folder).anchors.glob("*.note"))
    note = parse_checkpoint(path.read_bytes().decode()).note
    own, theirs = note.signatures
    forged = type(theirs)(theirs.name, theirs.key_id, theirs.blob[:-1] + bytes([theirs.blob[-1] ^ 1]))
    path.write_bytes(str(Note(note.text, (own, forged))).encode())
    report = verify(folder, witnesses=[WITNESS.verifier])
    assert codes(report.reservations) == {"anchor_unreadable", "unanchored"}
    short = type(theirs)(theirs.name, theirs.key_id, theirs.blob[:9])
    path.write_bytes(str(Note(note.text, (own, short))).encode())
    assert "anchor_unreadable" in codes(verify(folder, witnesses=[WITNESS.verifier]).reservations)
    path.write_bytes(b"\xff")
    assert "anchor_unreadable" in codes(verify(folder).reservations)
    path.write_bytes(b"nothing")
    assert "anchor_unreadable" in codes(verify(folder).reservations)


def test_an_anchor_short_of_the_end_leaves_the_rest_open(box: Box) -> None:
    log = box.create()
    box.fill(log, 8)
    anchor(box.folder(), log.checkpoint())
    box.fill(log, 8)
    log.close()
    report = verify(box.folder(), witnesses=[WITNESS.verifier])
    assert codes(report.reservations) == {"unanchored"}
    assert "the entries from 9 on are not anchored" in report.text()


def test_roll_back_is_found_whenever_an_anchor_exists(box: Box) -> None:
    """Everything after entry 9 is taken back, heads and signatures too: the box alone looks innocent."""
    log = box.create(checkpoint_every=1)
    box.fill(log, 8)
    log.suspend()
    shutil.copytree(box.folder(), box.folder("before"))
    log = box.open()
    box.fill(log, 8)
    newest = log.checkpoint()
    code = printed_code(box.origin(), newest.head)
    log.suspend()
    rolled = box.folder("before")
    assert verify(rolled).intact  # the control: without an anchor nobody can tell
    report = verify(rolled, since=newest)
    assert report.exit_code == 1
    assert codes(report.findings) == {"entries_missing"}
    assert verify(rolled, codes=[code]).exit_code == 1
    anchor(rolled, newest)
    assert verify(rolled, witnesses=[WITNESS.verifier]).exit_code == 1
    assert verify(box.folder(), since=newest, codes=[code]).intact


def test_a_rewritten_log_contradicts_its_anchor(box: Box) -> None:
    """The owner of the box has the key and signs another history from the start."""
    folder = box.closed()
    anchored = last(folder)
    code = printed_code(box.origin(), anchored.head)
    shutil.rmtree(folder)
    box.closed(entries=24)
    assert verify(folder).intact
    anchor(folder, anchored)
    report = verify(folder, witnesses=[WITNESS.verifier])
    (found,) = report.findings
    assert (found.code, found.seq, found.message) == (
        "entries_altered",
        0,
        "entries 0 to 19 are not those a witnessed head covers",
    )
    report = verify(folder, codes=[code])
    assert codes(report.findings) == {"code_contradicts"}
    # another key made it, so even the signature of the older checkpoint is not this log's
    assert codes(verify(folder, since=anchored).findings) == {"signature"}


def test_codes_are_compared_as_people_write_them(box: Box) -> None:
    folder = box.closed()
    code = printed_code(box.origin(), last(folder).head)
    assert len(code) == 39
    report = verify(folder, codes=[code.lower().replace(" ", "-")])
    assert report.exit_code == 0
    assert only(report).anchors[0].by == "printed code"
    assert not same_code("", "")
    assert not same_code(code, code[:-1])


def test_since_another_log_cannot_be_answered(box: Box) -> None:
    folder = box.closed()
    report = verify(folder, since=last(box.closed("d2")))
    assert (report.verdict, report.exit_code) == ("unreadable", 3)
    assert codes(report.findings) == {"audit_since_foreign"}


def test_since_an_older_checkpoint_of_this_log(box: Box) -> None:
    log = box.create()
    box.fill(log, 4)
    old = log.checkpoint()
    box.fill(log, 4)
    log.close()
    report = verify(box.folder(), since=old)
    assert report.intact
    assert only(report).anchors[0].by == "older checkpoint"
    assert "the entries from 5 on" in report.text()
    forged = sign_head(box.origin(), Head(5, b"\x01" * 32), MemorySigner(box.origin(), b"f" * 32))
    assert codes(verify(box.folder(), since=forged).findings) == {"signature"}


def test_unreadable(tmp_path: Path, box: Box) -> None:
    assert verify(tmp_path / "nowhere").exit_code == 3
    (found,) = verify(tmp_path / "nowhere").findings
    assert str(tmp_path / "nowhere") in found.message
    assert verify(tmp_path).exit_code == 3
    folder = box.closed()
    entries = LogFolder(folder).entries
    entries.unlink()
    entries.mkdir()
    report = verify(folder)
    assert (report.exit_code, report.intact) == (3, False)
    assert str(folder) in report.findings[0].message
    assert "UNREADABLE" in report.text()


@pytest.mark.parametrize("name", ["checkpoints", "heads", "key.cert", "device.vkey"])
def test_missing_files(box: Box, name: str) -> None:
    folder = box.closed()
    (folder / name).unlink()
    report = verify(folder)
    assert report.exit_code == 1
    assert codes(report.findings) & {"signatures_missing", "certificate", "device_key"}


def test_a_missing_key_beside_the_log_is_no_matter_if_one_is_given(box: Box) -> None:
    folder = box.closed()
    (folder / "device.vkey").unlink()
    assert verify(folder, device_key=box.device.device).findings == ()


def test_the_device_key_that_the_auditor_brings_decides(box: Box, tmp_path: Path) -> None:
    """Another box's owner can make a whole consistent log; only the key from elsewhere tells."""
    other = Box(tmp_path / "other")
    folder = other.closed()
    assert verify(folder).intact
    report = verify(folder, device_key=box.device.device)
    assert codes(report.findings) >= {"device_key", "certificate"}


@pytest.mark.parametrize("text", ["", "nonsense\n", "a+b\n", "no newline"])
def test_a_bad_device_key(box: Box, text: str) -> None:
    folder = box.closed()
    path = folder / "device.vkey"
    path.write_text(path.read_text().strip() if text == "no newline" else text)
    assert "device_key" in codes(verify(folder).findings)


def test_a_certificate_for_another_purpose(box: Box) -> None:
    folder = box.closed()
    other = box.closed("d2")
    shutil.copy(other / "key.cert", folder / "key.cert")
    assert {"signature", "entry_of_another_log"} <= codes(verify(folder).findings)
    extra = (folder / "key.cert").read_text()
    (folder / "key.cert").write_text(extra + extra[extra.index("—") :])
    assert "certificate" in codes(verify(folder).findings)


def test_heads_that_nobody_may_write(box: Box) -> None:
    folder = box.closed()
    whole = LogFolder(folder).heads.read_bytes()
    LogFolder(folder).heads.write_bytes(whole + head_line(Head(3, b"\x05" * 32)))
    assert codes(verify(folder).findings) == {"head_smaller", "entries_altered"}
    LogFolder(folder).heads.write_bytes(whole + head_line(Head(30, b"\x05" * 32)))
    report = verify(folder)
    assert codes(report.findings) == {"entries_missing"}
    LogFolder(folder).heads.write_bytes(whole[: whole.index(b"\n") + 1])
    assert codes(verify(folder).findings) == {"head_missing"}


def test_checkpoints_that_go_back_or_carry_more(box: Box) -> None:
    log = box.create(checkpoint_every=4)
    box.fill(log, 10)
    log.close()
    path = LogFolder(box.folder()).checkpoints
    raw = path.read_text()
    notes = [note + "\n" for note in raw.split("\n\n\n")] if "\n\n\n" in raw else []
    parts = raw.split("\n\n")
    notes = [f"{parts[i]}\n\n{parts[i + 1]}\n\n" for i in range(0, len(parts) - 1, 2)]
    assert "".join(notes) == raw
    path.write_text(raw + notes[0])
    assert codes(verify(box.folder()).findings) == {"checkpoint_smaller"}
    signature = notes[-1].split("\n\n")[1]
    path.write_text(raw[:-1] + signature + "\n\n")
    assert codes(verify(box.folder()).findings) == {"checkpoint_malformed"}


def test_a_running_log_is_qualified(box: Box) -> None:
    log = box.create()
    box.fill(log, 5)
    report = verify(box.folder())
    assert codes(report.reservations) >= {"not_closed", "unsigned", "unanchored"}
    assert "no head covers the last 2 entries" in report.text()
    assert report.intact


def device_log(box: Box) -> DeviceLog:
    device = DeviceLog.open(
        box.root / "audit",
        "van.example/3/device",
        box.device,
        box.clock,
        options=box.options(ballast_bytes=0),
    )
    box.logs.append(device.log)
    return device


def deployment(box: Box, device: DeviceLog, name: str) -> None:
    device.opened(box.origin(name), OFFICER)
    log = box.create(name)
    box.fill(log, 8)
    device.closed(box.origin(name), log.close(OFFICER), OFFICER)


def test_a_box_with_all_its_deployments(box: Box) -> None:
    device = device_log(box)
    for name in ("d1", "d2"):
        deployment(box, device, name)
    device.suspend()
    device = device_log(box)  # goes on after a restart
    device.suspend()
    report = verify(box.root / "audit")
    assert report.findings == ()
    assert [log.origin for log in report.logs] == [box.origin("device"), box.origin("d1"), box.origin("d2")]
    assert [log.device for log in report.logs] == [True, False, False]
    assert codes(report.reservations) == {"unanchored"}
    assert "duties" not in report.text().split("\n\n")[0]
    for log in report.logs:
        anchor(Path(log.path), last(Path(log.path)))
    assert verify(box.root / "audit", witnesses=[WITNESS.verifier]).exit_code == 0
    assert verify(box.root / "audit", since=last(box.folder("d1"))).intact


def test_a_missing_deployment_shows_as_a_gap(box: Box) -> None:
    device = device_log(box)
    for name in ("d1", "d2"):
        deployment(box, device, name)
    shutil.rmtree(box.folder("d1"))
    report = verify(box.root / "audit")
    assert codes(report.findings) == {"deployment_missing"}
    assert "van.example/3/d1 is not here" in report.text()
    assert report.text().count("deployment_missing") == 1


def test_an_unclosed_an_unrecorded_and_an_exchanged_deployment(box: Box) -> None:
    device = device_log(box)
    device.opened(box.origin("d1"))
    log = box.create("d1")
    box.fill(log, 4)
    report = verify(box.root / "audit")
    assert "deployment_unclosed" in codes(report.reservations)
    assert report.findings == ()
    log.close()
    box.closed("d2")
    assert codes(verify(box.root / "audit").findings) == {"deployment_unrecorded"}
    shutil.rmtree(box.folder("d2"))
    device.log.append(
        Event("device.deployment_closed", ref=box.origin("d1"), data={"size": 6, "root": "00" * 32})
    )
    assert codes(verify(box.root / "audit").findings) == {"deployment_contradicts"}
    device.log.append(Event("device.deployment_closed", ref=box.origin("d1"), data={"size": "x", "root": 5}))
    assert codes(verify(box.root / "audit").findings) == {"deployment_contradicts"}


def test_a_damaged_device_log_still_gives_a_report(box: Box) -> None:
    device = device_log(box)
    deployment(box, device, "d1")
    device.suspend()
    path = box.folder("device") / "entries.lfr"
    raw = path.read_bytes()
    (box.folder("d1") / "key.cert").write_bytes(b"x")
    path.write_bytes(raw[:-1] + b"?")
    report = verify(box.root / "audit")
    assert report.exit_code == 1
    assert "entry_damaged" in codes(report.findings)


def test_nonsense_in_the_device_log(box: Box) -> None:
    device = device_log(box)
    deployment(box, device, "d1")
    device.suspend()
    path = box.folder("device") / "entries.lfr"
    path.write_bytes(path.read_bytes() + pack_frame(b"{}", leaf_hash(b"{}"), 0))
    assert codes(verify(box.root / "audit").findings) == {"entry_malformed"}


def test_head_text_is_the_checkpoint_body(box: Box) -> None:
    checkpoint = last(box.closed())
    assert checkpoint.note.text == head_text(box.origin(), checkpoint.head)
    assert str(checkpoint).startswith(head_text(box.origin(), checkpoint.head) + "\n— ")


def test_what_an_auditor_holds_of_one_log_of_a_box(box: Box) -> None:
    """A code or a checkpoint is held to the log that it is of, and never passed over in silence."""
    device = device_log(box)
    for name in ("d1", "d2"):
        deployment(box, device, name)
    root, head = box.root / "audit", last(box.folder("d2")).head
    code = printed_code(box.origin("d2"), head)
    report = verify(root, codes=[code], since=last(box.folder("d2")))
    assert report.findings == ()
    anchored = {log.origin: {one.by for one in log.anchors} for log in report.logs if log.anchors}
    assert anchored == {box.origin("d2"): {"printed code", "older checkpoint"}}
    other = verify(root, codes=[code, "AAAA " * 8])
    assert codes(other.findings) == {"code_contradicts"}
    shutil.rmtree(box.folder("d1"))
    gone = verify(root, since=sign_head(box.origin("d1"), Head(1, bytes(32)), WITNESS))
    assert (gone.verdict, codes(gone.findings)) == ("unreadable", {"audit_since_foreign"})
    assert "which is not here" in gone.text()
    (box.folder("d2") / "checkpoints").unlink()
    assert codes(verify(root, codes=[code]).findings) >= {"code_contradicts", "signatures_missing"}


def test_a_log_that_goes_on_while_it_is_read(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """Heads and checkpoints are read until they stay, and the entries after them: no gap where somebody just signs."""
    log = box.create()
    box.fill(log, 8)
    real, reads = check._read_all, []

    def somebody_signs(paths: tuple[Path, ...]) -> list[bytes]:
        found = real(paths)
        reads.append(found)
        if len(reads) in {1, 2}:
            box.fill(log, 4)
            log.checkpoint()
        return found

    monkeypatch.setattr(check, "_read_all", somebody_signs)
    report = verify(box.folder())
    assert report.findings == ()
    assert only(report).heads.last_size == log.size
    assert len(reads) == 4
    assert reads[-1] == reads[-2]
