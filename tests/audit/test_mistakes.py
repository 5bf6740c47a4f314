"""What an auditor mistypes, mixes up or copies in part: said as what it is, and never as an altered record."""

from __future__ import annotations

import errno
import json
import os
import shutil
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from lfr_edge.audit.__main__ import main
from lfr_edge.audit.anchor import MISREAD_MAX, find_printed, printed_code, read_printed
from lfr_edge.audit.checkpoint import Head
from lfr_edge.audit.event import Event
from lfr_edge.audit.note import WITNESS_KEY, MemorySigner, sign_note
from lfr_edge.audit.verify import verify
from lfr_edge.audit.witness_server import WitnessBook, WitnessServer
from lfr_edge.cli.main import main as product
from lfr_edge.errors import AuditError

from .conftest import Box
from .test_verify import codes, deployment, device_log, last

Capture = pytest.CaptureFixture[str]
WITNESS = MemorySigner("force.example/witness", b"w" * 32, WITNESS_KEY)


@pytest.fixture
def folder(box: Box) -> Path:
    return box.closed()


@pytest.fixture
def keys(box: Box, tmp_path: Path) -> tuple[str, str]:
    """Files with the box's key and the witness's."""
    (tmp_path / "device.vkey").write_text(box.device.device.text)
    (tmp_path / "witness.vkey").write_text(WITNESS.verifier.text)
    return str(tmp_path / "device.vkey"), str(tmp_path / "witness.vkey")


def altered(code: str, places: int) -> str:
    """`code` with that many letters misread, from its end on."""
    plain = "".join(code.split())
    other = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", "BCDEFGHIJKLMNOPQRSTUVWXYZ234567A")
    return plain[: 32 - places] + plain[32 - places :].translate(other)


# --- printed codes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("typed", ["", "ABCD EFGH", "A" * 31, "A" * 33, "0" + "A" * 31, "É" + "A" * 31])
def test_half_a_code_is_no_contradiction(folder: Path, typed: str, capsys: Capture) -> None:
    assert main(["verify", str(folder), "--code", typed]) == 3
    said = capsys.readouterr()
    assert "audit_code_mistyped" in said.err
    assert "eight groups of four" in said.err
    assert said.out == ""


def test_a_code_is_read_as_people_write_it() -> None:
    code = printed_code("van.example/d1", Head(5, bytes(32)))
    for typed in (
        code,
        code.lower(),
        code.replace(" ", "-"),
        code.replace(" ", " – "),
        code.replace(" ", "\u00a0"),
    ):
        assert read_printed(typed) == code.replace(" ", "")
        assert find_printed(typed, ["A" * 32, code]) == code
    assert find_printed(code, []) is None
    assert find_printed(code, ["A" * 32]) is None


@pytest.mark.parametrize(
    "command", [main, lambda words: product(["audit", *words])], ids=["alone", "product"]
)
def test_a_code_without_quotation_marks_is_one_code(command: Any, box: Box, capsys: Capture) -> None:
    folder = box.closed("vans")  # four letters, as a group has
    code = printed_code(box.origin("vans"), last(folder).head)
    ways = (
        ["--code", code, str(folder)],
        [str(folder), "--code", *code.split()],
        ["--code", *code.lower().split(), str(folder), "--json"],
        [str(folder), "--code", *code.split(), "--code", *code.split()],
        [str(folder), "--code", *code.split(), "--code", code],
    )
    for words in ways:
        assert command(["verify", *words]) == 0
        assert "printed code" in capsys.readouterr().out
    for typed in (["ABCD"], code.split()[:7], [code.split()[0].replace(code[0], "0"), *code.split()[1:]]):
        assert command(["verify", str(folder), "--code", *typed, "--json"]) == 3
        assert "audit_code_mistyped" in capsys.readouterr().err


def test_a_folder_after_a_code_is_no_part_of_it(
    box: Box, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    folder = box.closed("vans")
    code = printed_code(box.origin("vans"), last(folder).head)
    monkeypatch.chdir(folder.parent)
    for typed in ([code], code.split(), [code.replace(" ", "-")]):
        assert main(["verify", "--code", *typed, "vans"]) == 0
        assert "printed code" in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["lfr-edge-audit", "verify", "vans", "--code", *code.split()])
    assert main() == 0
    assert "printed code" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["verify", "vans", "--code", *code.split(), "ABCD"])
    assert ended.value.code == 3
    assert "unrecognized arguments: ABCD" in capsys.readouterr().err


@pytest.mark.parametrize("places", [1, 2, MISREAD_MAX])
def test_a_misread_letter_is_no_contradiction(box: Box, folder: Path, places: int) -> None:
    code = altered(printed_code(box.origin(), last(folder).head), places)
    report = verify(folder, codes=[code])
    assert (report.exit_code, codes(report.findings)) == (3, {"audit_code_misread"})
    assert f"in {places} of 32 letters" in report.text()


def test_a_code_of_another_head_is_a_contradiction(box: Box, folder: Path) -> None:
    """The control: a guard against misreading that let another head's code pass would be worth nothing."""
    code = printed_code(box.origin(), last(folder).head)
    for other in (altered(code, MISREAD_MAX + 1), printed_code(box.origin(), Head(20, bytes(32)))):
        report = verify(folder, codes=[other])
        assert (report.exit_code, codes(report.findings)) == (1, {"code_contradicts"})


def test_a_misread_code_of_a_box(box: Box) -> None:
    deployment(box, device_log(box), "d1")
    code = printed_code(box.origin("d1"), last(box.folder("d1")).head)
    report = verify(box.root / "audit", codes=[altered(code, 1)])
    assert (report.exit_code, codes(report.findings)) == (3, {"audit_code_misread"})


def test_the_paper_still_counts_where_the_certificate_is_lost(box: Box, folder: Path) -> None:
    """The origin is in the heads: that the certificate is gone makes the sheet of paper no false one."""
    code = printed_code(box.origin(), last(folder).head)
    (folder / "key.cert").unlink()
    report = verify(folder, codes=[code])
    assert codes(report.findings) == {"certificate"}
    assert [(one.by, one.size) for one in report.logs[0].anchors] == [("printed code", 20)]
    data = bytearray((folder / "entries.lfr").read_bytes())
    data[100] ^= 1
    (folder / "entries.lfr").write_bytes(bytes(data))
    assert "code_contradicts" in codes(verify(folder, codes=[code]).findings)


# --- keys and files of the wrong kind --------------------------------------------------------------------------------


def test_one_key_taken_for_the_other(
    folder: Path, keys: tuple[str, str], tmp_path: Path, capsys: Capture
) -> None:
    device, witness = keys
    assert main(["verify", str(folder), "--prove", "3"]) == 0
    (tmp_path / "proof").write_text(capsys.readouterr().out)
    assert main(["witness", "new-key", "w.example/w", "--store", str(tmp_path / "store")]) == 0
    capsys.readouterr()
    for words in (
        ["verify", str(folder), "--key", witness],
        ["verify", str(folder), "--witness", device],
        ["check-proof", str(tmp_path / "proof"), "--cert", str(folder / "key.cert"), "--key", witness],
        ["witness", "deliver", str(folder), "--url", "http://127.0.0.1:9", "--witness", device],
        [
            "witness",
            "serve",
            "w.example/w",
            "--store",
            str(tmp_path / "store"),
            "--trust",
            witness,
            "--port",
            "0",
        ],
    ):
        assert main(words) == 3, words
        said = capsys.readouterr()
        assert "audit_key_kind" in said.err
        assert "INTACT" not in said.out


def test_a_file_without_certificates_is_no_authority(
    folder: Path, keys: tuple[str, str], capsys: Capture
) -> None:
    """Passed over in silence, it would look as if the stamps had not counted."""
    assert main(["verify", str(folder), "--tsa", keys[0]]) == 3
    assert "audit_stamp_authority" in capsys.readouterr().err
    assert main(["verify", str(folder), "--tsa", str(folder / "absent.pem")]) == 3
    assert "audit_file_unreadable" in capsys.readouterr().err


def test_a_copy_of_the_checkpoints_is_an_older_head(box: Box, tmp_path: Path, capsys: Capture) -> None:
    """What an auditor can keep with nothing but cp; of a running log its end may be cut short."""
    log = box.create()
    box.fill(log, 4)
    log.checkpoint()
    raw = (box.folder() / "checkpoints").read_bytes()
    (tmp_path / "monday").write_bytes(raw + raw[:40])
    box.fill(log, 4)
    log.checkpoint()
    assert main(["verify", str(box.folder()), "--since", str(tmp_path / "monday")]) == 2
    assert "older checkpoint over 5 entries" in capsys.readouterr().out


# --- folders ---------------------------------------------------------------------------------------------------------


def test_commands_for_one_log_name_those_of_a_box(box: Box, capsys: Capture) -> None:
    deployment(box, device_log(box), "d1")
    root = str(box.root / "audit")
    for words in (["code", root], ["show", root], ["verify", root, "--prove", "1"]):
        assert main(words) == 3
        said = capsys.readouterr().err
        assert "holds several logs" in said
        assert str(box.folder("d1")) in said


def test_a_box_without_its_device_log_is_said_to_be_one(box: Box) -> None:
    deployment(box, device_log(box), "d1")
    shutil.rmtree(box.folder("device"))
    report = verify(box.root / "audit")
    assert report.exit_code == 3
    assert "holds 1 log(s) and no device log" in report.text()


@pytest.mark.parametrize("name", ["a-copy", "z-copy"])
def test_a_log_that_lies_in_a_box_twice(box: Box, name: str) -> None:
    """A copy that is cut short passed for the deployment, or not, by the name of its folder; and reports counted
    every alert twice."""
    deployment(box, device_log(box), "d1")
    shutil.copytree(box.folder("d1"), box.folder(name))
    report = verify(box.root / "audit")
    assert (report.exit_code, codes(report.findings)) == (1, {"deployment_twice"})
    assert box.origin("d1") in report.findings[0].message


def test_a_log_without_certificate_is_named_by_its_folder(box: Box) -> None:
    deployment(box, device_log(box), "d1")
    (box.folder("d1") / "key.cert").unlink()
    (unknown,) = [one for one in verify(box.root / "audit").findings if one.code == "deployment_unrecorded"]
    assert unknown.message == f"the device log does not know {box.folder('d1')}"


def test_an_unreadable_file_is_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path) -> Any:
        raise OSError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr("lfr_edge.audit.check.map_segment", refuse)
    assert f"{folder / 'entries.lfr'} cannot be read as a log: Permission denied" in verify(folder).text()


def test_a_folder_that_was_never_searched_proves_no_erasure(
    box: Box, tmp_path: Path, capsys: Capture
) -> None:
    log = box.create()
    log.append(Event("alert.raised", ref="ab12"))
    log.append(Event("alert.erased", ref="ab12"))
    log.checkpoint()
    command = ["erase-proof", str(box.folder()), "--ref", "ab12"]
    assert main([*command, "--store", str(tmp_path / "mistyped")]) == 3
    said = capsys.readouterr()
    assert "audit_store_unreadable" in said.err
    assert said.out == ""
    (tmp_path / "deep" / "x-ab12").mkdir(parents=True)
    (tmp_path / "deep" / "x-ab12" / "ab12.bin").write_bytes(b"")
    assert main([*command, "--store", str(tmp_path / "deep")]) == 2
    left = json.loads(capsys.readouterr().out)["left"]
    assert left == [str(tmp_path / "deep" / "x-ab12"), str(tmp_path / "deep" / "x-ab12" / "ab12.bin")]
    assert main(command) == 0
    assert json.loads(capsys.readouterr().out)["searched"] == []


# --- the command itself ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words",
    [["verify"], ["verify", "LOG", "--witnes-key", "x"], ["verify", "LOG", "more"], ["code"], ["no-such"]],
)
@pytest.mark.parametrize("alone", [True, False])
def test_wrong_use_is_no_verdict(words: list[str], alone: bool, capsys: Capture) -> None:
    """A script reads 2 as "nothing was altered", so a mistyped option must not end with it."""
    with pytest.raises(SystemExit) as ended:
        main(words) if alone else product(["audit", *words])
    assert ended.value.code == 3
    said = capsys.readouterr().err
    assert "error: " in said
    assert said.startswith("usage: ")


def test_a_medium_that_cannot_be_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def read_only(*arguments: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(folder / "anchors"))

    monkeypatch.setattr("lfr_edge.audit.witness_commands.stamp", read_only)
    assert main(["stamp", str(folder), "--url", "http://127.0.0.1:9"]) == 3
    said = capsys.readouterr().err
    assert f"{folder / 'anchors'}: Read-only file system [audit_files_refused]" in said
    assert "Traceback" not in said


# --- a head kept from before -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kept", "why"),
    [
        ("", "text, blank line and signatures are not all there"),
        ("# lfr-edge\n\nA box that looks for faces.\n", "a signature line is malformed"),
        ("van.example/3/d1\n10\n", "text, blank line and signatures are not all there"),
        (f"a letter\n\n{sign_note('t' + chr(10), WITNESS).signatures[0].line}", "not origin, size and root"),
    ],
    ids=["nothing", "a page", "half a checkpoint", "another note"],
)
def test_what_is_no_checkpoint_is_told_what_is(
    kept: str, why: str, folder: Path, tmp_path: Path, capsys: Capture
) -> None:
    (tmp_path / "kept").write_text(kept)
    assert main(["verify", str(folder), "--since", str(tmp_path / "kept")]) == 3
    said = capsys.readouterr()
    assert f"{tmp_path / 'kept'} holds no checkpoint: " in said.err
    assert why in said.err
    assert "a copy of its file checkpoints, or a witness's *.note" in said.err
    assert said.out == ""


# --- the witness -----------------------------------------------------------------------------------------------------


def test_a_witness_keeps_its_name(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    """Under another name every cosignature would be by a key that nobody holds."""
    store = tmp_path / "store"
    assert main(["witness", "new-key", "force.example/witness", "--store", str(store)]) == 0
    printed = capsys.readouterr().out
    assert (store / "witness.vkey").read_text() == printed
    serve = ["--store", str(store), "--trust", str(folder / "device.vkey"), "--port", "0"]
    assert main(["witness", "serve", "force.example/other", *serve]) == 3
    said = capsys.readouterr().err
    assert "audit_witness_name" in said
    assert "made for force.example/witness" in said
    (store / "witness.vkey").write_text("nonsense")
    assert main(["witness", "serve", "force.example/witness", *serve]) == 3
    assert "audit_key_invalid" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["", "bad name", "force+1", "force\x1b[2J"])
def test_a_witness_is_told_which_names_there_are(name: str, tmp_path: Path, capsys: Capture) -> None:
    store = tmp_path / "store"
    trusted = ["--trust", str(tmp_path)]
    for command in (["new-key", name], ["serve", name, *trusted]):
        assert main(["witness", *command, "--store", str(store)]) == 3
        said = capsys.readouterr().err
        assert f"{name!r} cannot be a witness's name [audit_witness_name]" in said
        assert "such as force.example/witness" in said
        assert "verifier key" not in said
    assert not store.exists()


def test_a_store_of_before_learns_its_public_key(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    store = tmp_path / "store"
    main(["witness", "new-key", "force.example/witness", "--store", str(store)])
    printed = capsys.readouterr().out
    (store / "witness.vkey").unlink()

    def stop(server: WitnessServer) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(WitnessServer, "serve_forever", stop)
    serve = ["--store", str(store), "--trust", str(folder / "device.vkey"), "--port", "0"]
    assert main(["witness", "serve", "force.example/witness", *serve]) == 0
    assert (store / "witness.vkey").read_text() == printed


def test_an_address_that_cannot_be_listened_on(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    store = tmp_path / "store"
    main(["witness", "new-key", "w.example/w", "--store", str(store)])
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port in (taken.getsockname()[1], 99_999):
            serve = ["--store", str(store), "--trust", str(folder / "device.vkey"), "--port", str(port)]
            assert main(["witness", "serve", "w.example/w", *serve]) == 3
            said = capsys.readouterr().err
            assert f"127.0.0.1:{port} cannot be listened on" in said
            assert "Traceback" not in said


def test_a_log_with_a_fault_keeps_no_other_from_its_anchor(
    box: Box, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    """An old log that contradicts its witness came first by its name, and the box's own log was never sent."""
    device = device_log(box)
    deployment(box, device, "a1")
    deployment(box, device, "b1")
    sent: list[str] = []

    def deliver(folder: Path, view: Any, witness: Any) -> None:
        sent.append(folder.name)
        if folder.name != "device":
            raise AuditError("audit_witness_" + ("refused" if folder.name == "a1" else "contradicts"), "no")

    monkeypatch.setattr("lfr_edge.audit.witness_commands.deliver", deliver)
    (tmp_path / "witness.vkey").write_text(WITNESS.verifier.text)
    command = ["witness", "deliver", str(box.root / "audit"), "--url", "http://127.0.0.1:9"]
    assert main([*command, "--witness", str(tmp_path / "witness.vkey")]) == 1
    assert sent == ["a1", "b1", "device"]
    said = capsys.readouterr()
    assert "audit_witness_contradicts" in said.err, "the worst is what it ends with"
    assert f"{box.folder('a1')}  not sent: no" in said.out
    assert "device  5 entries  nothing new" in said.out


def test_another_server_is_not_called_a_witness_that_mistrusts(
    box: Box, keys: tuple[str, str], capsys: Capture
) -> None:
    book = WitnessBook(box.root / "store", WITNESS, (box.device.device,))
    with WitnessServer(("127.0.0.1", 0), book) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            url = f"http://127.0.0.1:{server.server_port}/elsewhere"
            assert main(["witness", "deliver", str(box.closed()), "--url", url, "--witness", keys[1]]) == 3
        finally:
            server.shutdown()
            thread.join()
    said = capsys.readouterr().err
    assert "what answers there is not the witness force.example/witness (404)" in said


def test_where_nobody_answers_each_log_is_not_tried(box: Box, keys: tuple[str, str], capsys: Capture) -> None:
    deployment(box, device_log(box), "d1")
    command = [
        "witness",
        "deliver",
        str(box.root / "audit"),
        "--url",
        "http://127.0.0.1:9",
        "--witness",
        keys[1],
    ]
    assert main(command) == 3
    said = capsys.readouterr()
    assert "audit_witness_unreachable" in said.err
    assert said.out == ""
