"""Where findings point, and what a report says besides: written after mutants that nobody had noticed.

An auditor goes from a finding to the entry and the byte. A finding without its place, or with a wrong one, is no use.
"""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from lfr_edge.audit.anchor import cosign, printed_code
from lfr_edge.audit.checkpoint import Head, parse_checkpoints
from lfr_edge.audit.event import Event
from lfr_edge.audit.folder import LogFolder, head_line, parse_heads
from lfr_edge.audit.merkle import leaf_hash
from lfr_edge.audit.note import WITNESS_KEY, MemorySigner, Note, Signature, encode64, sign_note
from lfr_edge.audit.report import VerifyReport
from lfr_edge.audit.segment import pack_frame
from lfr_edge.audit.verify import verify
from lfr_edge.audit.view import LogView

from .conftest import OFFICER, Box
from .test_tamper import frames, rewrite
from .test_verify import WITNESS, anchor, deployment, device_log, last

Place = tuple[str, int | None, int | None]


def places(report: VerifyReport) -> list[Place]:
    assert all(len(item.message) > 10 for item in (*report.findings, *report.reservations)), (
        "words for a person"
    )
    return [(item.code, item.seq, item.offset) for item in report.findings]


@pytest.fixture
def folder(box: Box) -> Path:
    """Twelve entries, heads over 1, 4, 8 and 12."""
    return box.closed(entries=12, checkpoint_every=4)


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("entry_out_of_sequence", lambda body, first: body.replace(b'"seq":6', b'"seq":7')),
        ("entry_of_another_log", lambda body, first: body.replace(b"3/d1", b"3/d2")),
        ("entry_misplaced", lambda body, first: first.replace(b'"seq":0', b'"seq":6')),
        ("entry_malformed", lambda body, first: b"{}"),
    ],
)
def test_a_wrong_entry_is_named_with_its_byte(folder: Path, code: str, change: object) -> None:
    whole = frames(folder)
    rewrite(folder, {6: change(whole[6].body, whole[0].body)})  # type: ignore[operator]
    found = places(verify(folder))
    assert found[0] == (code, 6, whole[6].offset)
    # … and the head over 8 says from where on nothing is sure: the good head before it
    assert ("entries_altered", 4, whole[4].offset) in found
    assert not [one for one in found if one[1] == 8]  # those over 12 say nothing new


def test_a_first_entry_that_opens_nothing(folder: Path) -> None:
    rewrite(folder, {0: frames(folder)[1].body.replace(b'"seq":1', b'"seq":0')})
    assert places(verify(folder))[0] == ("entry_misplaced", 0, 0)


@pytest.mark.parametrize("copied", [3, 11])
def test_what_follows_the_end_is_named(folder: Path, copied: int) -> None:
    """An ordinary entry, or a second end: the log ended at the first."""
    whole = frames(folder)
    body = whole[copied].body.replace(b'"seq":%d' % copied, b'"seq":12')
    path = LogFolder(folder).entries
    path.write_bytes(path.read_bytes() + pack_frame(body, leaf_hash(body), 0))
    report = verify(folder)
    assert places(report) == [("entry_after_close", 12, whole[11].end)]
    assert not report.logs[0].closed


def test_the_end_of_what_is_left_is_named(folder: Path) -> None:
    whole = frames(folder)
    path = LogFolder(folder).entries
    path.write_bytes(path.read_bytes()[: whole[6].end])
    found = places(verify(folder))
    assert set(found) == {("entries_missing", 7, whole[6].end)}
    assert (
        len(found) == 2
    )  # the first head and the first checkpoint, both over 8; those over 12 say nothing new


def test_a_missing_signature_is_named(folder: Path) -> None:
    path = folder / "checkpoints"
    raw = path.read_bytes()
    notes = parse_checkpoints(raw).whole
    second = f"{notes[1]}\n".encode()
    path.write_bytes(raw.replace(second, b""))
    assert places(verify(folder)) == [("checkpoint_missing", 4, frames(folder)[4].offset)]


def test_a_head_without_a_signature_is_let_through_before_a_recovery_only(box: Box) -> None:
    """Opening adds two entries at most before it signs; a third is another matter."""
    for entries, expected in ((2, []), (3, ["checkpoint_missing"])):
        name = f"d{entries}"
        log = box.create(name)
        log._release()
        log = box.open(name)
        box.fill(log, entries - 1 if entries > 1 else 0)
        log.append(Event("deployment.closed", OFFICER))
        log._release()
        path = box.folder(name) / "checkpoints"
        notes = parse_checkpoints(path.read_bytes()).whole
        path.write_bytes(f"{notes[-1]}\n".encode())
        heads = parse_heads((box.folder(name) / "heads").read_bytes()).whole
        assert [head.size for head in heads] == [1, 1, 1 + entries]
        assert [item.code for item in verify(box.folder(name)).findings] == expected


@pytest.mark.parametrize("name", ["heads", "checkpoints"])
def test_a_signed_file_that_is_absent_or_garbled(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes() + b"garbage")
    code = {"heads": "head_malformed", "checkpoints": "checkpoint_malformed"}[name]
    assert (code, None, None) in places(verify(folder))
    (folder / name).unlink()
    assert ("signatures_missing", None, None) in places(verify(folder))


def test_a_torn_end_is_named(box: Box) -> None:
    log = box.create(ballast_bytes=0)
    box.fill(log, 3)
    log.suspend()
    path = box.folder() / "entries.lfr"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"LFE1 torn")
    report = verify(box.folder())
    (torn,) = [item for item in report.reservations if item.code == "torn_write"]
    assert (torn.seq, torn.offset) == (4, size)
    assert report.findings == ()
    # once the box has found damage, nothing passes for torn any more
    (box.folder() / "FROZEN").write_text("something is wrong\n")
    assert places(verify(box.folder())) == [("entry_damaged", 4, size)]


def test_a_report_says_whose_log_it_is_and_who_says_so(box: Box, folder: Path) -> None:
    (log,) = verify(folder).logs
    head = last(folder).head
    assert (log.path, log.origin, log.entries, log.closed, log.device) == (
        str(folder),
        box.origin(),
        12,
        True,
        False,
    )
    assert (log.heads.signed, log.heads.last_size, log.heads.last_root) == (4, 12, encode64(head.root))
    assert (log.heads.key, log.heads.key_from) == (box.device.device.text, "beside the log")
    (log,) = verify(folder, device_key=box.device.device).logs
    assert (log.heads.key, log.heads.key_from) == (box.device.device.text, "given")
    for name in ("device.vkey", "key.cert", "checkpoints"):
        (folder / name).unlink()
    report = verify(folder)
    assert {item.code for item in report.findings} >= {"device_key", "certificate", "signatures_missing"}
    (log,) = report.logs
    assert (log.origin, log.device, log.heads.signed, log.heads.last_size) == ("", False, 0, 0)
    assert (log.heads.key, log.heads.key_from) == ("", "beside the log")


def test_gaps_are_told_in_order(box: Box) -> None:
    log = box.create(ballast_bytes=0)
    for _ in range(2):
        log.suspend()
        path = box.folder() / "entries.lfr"
        path.write_bytes(path.read_bytes() + b"LFE1 torn")
        log = box.open(ballast_bytes=0)
    log.close()
    assert verify(box.folder()).logs[0].gaps == (
        "a torn write was cut off before entry 1",
        "a torn write was cut off before entry 2",
    )


def test_a_printed_code_anchors_as_far_as_its_head_goes(box: Box, folder: Path) -> None:
    notes = parse_checkpoints((folder / "checkpoints").read_bytes()).whole
    for note in notes:
        (seen,) = verify(folder, codes=[printed_code(box.origin(), note.head)]).logs[0].anchors
        assert (seen.by, seen.size, seen.when_s) == ("printed code", note.head.size, None)
    report = verify(folder, codes=[printed_code(box.origin(), Head(12, bytes(32)))])
    assert places(report) == [("code_contradicts", None, None)]


def test_every_witness_counts_and_a_bad_one_hinders_nobody(folder: Path) -> None:
    second = MemorySigner("second.example/witness", b"2" * 32, WITNESS_KEY)
    anchor(folder, last(folder), "a.note")
    anchor(folder, last(folder), "b.note", second)
    (folder / "anchors" / "0.note").write_bytes(b"nothing")
    report = verify(folder, witnesses=[second.verifier, WITNESS.verifier])
    assert {seen.by for seen in report.logs[0].anchors} == {WITNESS.verifier.name, second.verifier.name}
    assert [item.code for item in report.reservations] == ["anchor_unreadable"]


def test_an_anchor_over_another_history_counts_for_nothing(box: Box, folder: Path) -> None:
    anchored = last(folder)
    shutil.rmtree(folder)
    box.closed(entries=16)
    anchor(folder, anchored)
    report = verify(folder, witnesses=[WITNESS.verifier])
    assert places(report) == [("entries_altered", 0, 0)]
    assert report.logs[0].anchors == ()


def test_a_box_s_findings_name_the_entry_of_the_device_log(box: Box) -> None:
    device = device_log(box)
    for name in ("d1", "d2"):
        deployment(box, device, name)
    device.opened(box.origin("d3"), OFFICER)
    box.create("d3").suspend()
    root = box.root / "audit"
    (unclosed,) = [item for item in verify(root).reservations if item.code == "deployment_unclosed"]
    named = {
        (entry.event.ev.removeprefix("device.deployment_"), entry.event.ref): entry.seq
        for _, entry in LogView.load(root / "device").entries()
    }
    assert unclosed.seq == named["opened", box.origin("d3")]
    shutil.rmtree(box.folder("d1"))
    other = box.folder("d2")
    shutil.rmtree(other)
    box.closed("d2", entries=14)
    assert [(item.code, item.seq) for item in verify(root).findings] == [
        ("deployment_missing", named["opened", box.origin("d1")]),
        ("deployment_contradicts", named["closed", box.origin("d2")]),
    ]


def test_a_deployment_of_the_right_size_and_another_root_contradicts(box: Box) -> None:
    device = device_log(box)
    deployment(box, device, "d1")
    size = last(box.folder("d1")).head.size
    shutil.rmtree(box.folder("d1"))
    log = box.create("d1")
    while log.size < size - 1:
        log.append(Event("camera.lost"))
    log.close()
    assert [item.code for item in verify(box.root / "audit").findings] == ["deployment_contradicts"]


def test_a_code_given_for_a_box_is_of_one_of_its_logs(box: Box) -> None:
    device = device_log(box)
    for name in ("d1", "d2"):
        deployment(box, device, name)
    root = box.root / "audit"
    code = printed_code(box.origin("d1"), last(box.folder("d1")).head)
    report = verify(root, codes=[code])
    assert (report.findings, report.path) == ((), str(root))
    assert [[seen.by for seen in log.anchors] for log in report.logs] == [[], ["printed code"], []]
    report = verify(root, codes=[code, "ABCD " * 8])
    assert places(report) == [("code_contradicts", None, None)]


def test_a_deployment_whose_certificate_is_gone_does_not_stop_the_others(box: Box) -> None:
    device = device_log(box)
    for name in ("d1", "d2"):
        deployment(box, device, name)
    (box.folder("d1") / "key.cert").unlink()
    report = verify(box.root / "audit", since=last(box.folder("d2")))
    assert len(report.logs) == 3
    assert "deployment_missing" in {item.code for item in report.findings}
    assert [seen.size for seen in report.logs[2].anchors] == [last(box.folder("d2")).head.size]


def test_the_first_bad_entry_is_the_lowest(folder: Path) -> None:
    whole = frames(folder)
    rewrite(folder, {7: b"{}", 3: whole[3].body.replace(b"3/d1", b"3/d2")})
    first = verify(folder).first_bad
    assert first is not None
    assert first.seq == 1  # the head over 4 fails, and the last good one covered 1
    heads = LogFolder(folder).heads
    heads.write_bytes(heads.read_bytes() + head_line(Head(12, bytes(32))))
    assert verify(folder).exit_code == 1


def test_a_signature_that_is_not_by_its_key_is_a_finding(folder: Path) -> None:
    path = folder / "checkpoints"
    notes = parse_checkpoints(path.read_bytes()).whole
    (own,) = notes[1].note.signatures
    forged = Note(notes[1].note.text, (Signature(own.name, own.key_id, bytes(64)),))
    path.write_bytes(path.read_bytes().replace(str(notes[1]).encode(), str(forged).encode()))
    assert places(verify(folder)) == [("signature", None, None)]
    stranger = sign_note(notes[1].note.text, MemorySigner(notes[1].origin, b"x" * 32))
    path.write_bytes(path.read_bytes().replace(str(forged).encode(), str(stranger).encode()))
    assert places(verify(folder)) == [("signature", None, None)]


def test_a_log_without_entries_is_not_closed(box: Box) -> None:
    box.create().suspend()
    for name in ("entries.lfr", "heads", "checkpoints"):
        (box.folder() / name).write_bytes(b"")
    report = verify(box.folder())
    assert (report.findings, report.logs[0].closed) == ((), False)
    assert "not_closed" in {item.code for item in report.reservations}


def test_each_stamp_over_what_is_missing_is_a_finding(folder: Path) -> None:
    (folder / "anchors").mkdir()
    for size in (13, 14):
        (folder / "anchors" / f"stamp-{size:012}.tsr").write_bytes(b"")
    found = places(verify(folder, stampers=folder / "nobody.pem"))
    assert found == [("entries_missing", None, None)] * 2


def test_a_forged_cosignature_is_told_in_words(folder: Path) -> None:
    head = last(folder)
    stamped = cosign(head, WITNESS, 5)
    forged = Signature(stamped.name, stamped.key_id, stamped.blob[:-1] + bytes([stamped.blob[-1] ^ 1]))
    note = Note(head.note.text, (*head.note.signatures, forged, stamped))
    (folder / "anchors").mkdir()
    (folder / "anchors" / "w.note").write_bytes(str(note).encode())
    report = verify(folder, witnesses=[WITNESS.verifier])
    assert places(report) == []
    assert [item.code for item in report.reservations] == ["anchor_unreadable"]
    assert [seen.when_s for seen in report.logs[0].anchors] == [5], "a forged one before it hinders nobody"


def test_a_log_that_begins_with_its_end_is_closed_and_wrong(box: Box) -> None:
    folder = box.closed(entries=2)
    body = frames(folder)[1].body.replace(b'"seq":1', b'"seq":0')
    rewrite(folder, {0: body}, frozenset({1}))
    report = verify(folder)
    assert places(report)[0] == ("entry_misplaced", 0, 0)
    assert report.logs[0].closed
    assert "not_closed" not in {item.code for item in report.reservations}
    whole = LogFolder(folder).entries.read_bytes()
    again = body.replace(b'"seq":0', b'"seq":1')
    LogFolder(folder).entries.write_bytes(whole + pack_frame(again, leaf_hash(again), 0))
    assert ("entry_after_close", 1, len(whole)) in places(verify(folder)), "the first end counts"


def test_the_box_s_own_log_takes_its_options(box: Box) -> None:
    device_log(box)
    assert not (box.folder("device") / "ballast").exists(), "asked for none"
