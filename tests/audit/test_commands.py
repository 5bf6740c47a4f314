"""The command line, run as a person runs it: arguments in, text and exit status out."""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path

import pytest

from lfr_edge.audit.__main__ import main
from lfr_edge.audit.commands import entry_line
from lfr_edge.audit.event import Event
from lfr_edge.audit.exits import never_altered_by_accident
from lfr_edge.audit.keys import FileKeyStore
from lfr_edge.audit.note import LOG_KEY, WITNESS_KEY, MemorySigner, VerifierKey, read_key_file
from lfr_edge.audit.proof import parse_proof
from lfr_edge.audit.view import LogView
from lfr_edge.audit.witness_server import WitnessServer
from lfr_edge.cli.audit import register
from lfr_edge.cli.main import main as product
from lfr_edge.errors import AuditError

from .conftest import Box

Capture = pytest.CaptureFixture[str]
WITNESS = MemorySigner("force.example/witness", b"w" * 32, WITNESS_KEY)


@pytest.fixture
def folder(box: Box) -> Path:
    return box.closed()


def test_registers_in_the_product_s_own_parser(folder: Path, capsys: Capture) -> None:
    parser = argparse.ArgumentParser()
    register(parser.add_subparsers())
    arguments = parser.parse_args(["audit", "verify", str(folder)])
    assert arguments.run(arguments) == 2
    assert "INTACT WITH RESERVATIONS" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [["verify"], ["show"], ["check-proof"], ["erase-proof"], ["code"], ["witness"]],
)
def test_help_has_examples(words: list[str], capsys: Capture) -> None:
    with pytest.raises(SystemExit):
        main([*words, "--help"])
    assert "lfr-edge audit" in capsys.readouterr().out


def test_verify_text_and_json(folder: Path, capsys: Capture) -> None:
    assert main(["verify", str(folder)]) == 2
    assert "unanchored" in capsys.readouterr().out
    assert main(["verify", str(folder), "--json"]) == 2
    result = json.loads(capsys.readouterr().out)
    assert (result["verdict"], result["entries"], result["exit_code"]) == ("qualified", 20, 2)
    assert main(["verify", str(folder / "nowhere"), "--json"]) == 3
    assert json.loads(capsys.readouterr().out)["verdict"] == "unreadable"


def test_verify_with_a_code(folder: Path, capsys: Capture) -> None:
    assert main(["code", str(folder)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("van.example/3/d1\n20\n")
    assert main(["verify", str(folder), "--code", out.strip().split("\n")[-1]]) == 0
    assert main(["verify", str(folder), "--code", "ABCD " * 8]) == 1


def test_verify_since(box: Box, tmp_path: Path, capsys: Capture) -> None:
    log = box.create()
    box.fill(log, 4)
    old = tmp_path / "old.checkpoint"
    old.write_bytes(str(log.checkpoint()).encode())
    box.fill(log, 4)
    log.close()
    assert main(["verify", str(box.folder()), "--since", str(old), "--json"]) == 2
    since = json.loads(capsys.readouterr().out)["since"]
    assert (since["old_size"], since["size"]) == (5, 10)
    assert len(since["proof"]) == 5
    path = box.folder() / "entries.lfr"
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    assert main(["verify", str(box.folder()), "--since", str(old), "--json"]) == 1
    assert "since" not in json.loads(capsys.readouterr().out)


def test_prove_and_check(folder: Path, box: Box, tmp_path: Path, capsys: Capture) -> None:
    assert main(["verify", str(folder), "--prove", "7"]) == 0
    raw = capsys.readouterr().out
    assert parse_proof(raw).index == 7
    proof = tmp_path / "entry-7.tlog-proof"
    proof.write_bytes(raw.encode())
    keys = ["--cert", str(folder / "key.cert"), "--key", str(folder / "device.vkey")]
    assert main(["check-proof", str(proof), *keys]) == 0
    out = capsys.readouterr().out
    assert "alert.decided" in out
    assert "PROVED: entry 7 of van.example/3/d1, among 20 signed entries." in out
    proof.write_bytes(raw.replace("index 7", "index 8").encode())
    assert main(["check-proof", str(proof), *keys]) == 1
    assert "NOT PROVED" in capsys.readouterr().out
    proof.write_bytes(raw.encode())
    other = box.closed("d2")
    assert main(["check-proof", str(proof), "--cert", str(other / "key.cert"), *keys[2:]]) == 3
    assert "the certificate is of van.example/3/d2, the proof of van.example/3/d1" in capsys.readouterr().err
    assert main(["verify", str(folder), "--prove", "99"]) == 3
    error = capsys.readouterr().err
    assert "audit_entry_missing" in error
    assert "Traceback" not in error


def test_show(folder: Path, capsys: Capture) -> None:
    assert main(["show", str(folder), "--ev", "alert."]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 12
    assert (
        lines[0].split()[:3] == ["1", "2026-11-18T11:06:41.000Z", "alert.raised"]
        or "alert.raised" in lines[0]
    )
    assert "“first look”" in lines[1]
    assert main(["show", str(folder), "--seq", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["seq"] == 3
    assert main(["show", str(folder), "--seq", "30"]) == 3


def test_erase_proof(box: Box, tmp_path: Path, capsys: Capture) -> None:
    log = box.create()
    log.append(Event("alert.raised", ref="ab12"))
    log.checkpoint()
    command = ["erase-proof", str(box.folder()), "--ref", "ab12", "--store", str(tmp_path / "nothing")]
    (tmp_path / "nothing").mkdir()
    assert main(command) == 2
    assert json.loads(capsys.readouterr().out)["gone"] is False
    log.append(Event("alert.erased", ref="ab12"))
    log.checkpoint()
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert (result["gone"], result["verdict"]) == (True, "qualified")
    assert result["searched"] == [str(tmp_path / "nothing")]
    heads = box.folder() / "heads"
    heads.write_bytes(heads.read_bytes().replace(b"2 ", b"3 ", 1))
    assert main(command) == 1


def test_code_needs_a_head(folder: Path, capsys: Capture) -> None:
    (folder / "checkpoints").unlink()
    assert main(["code", str(folder)]) == 3
    assert "audit_entry_unsigned" in capsys.readouterr().err


def test_bad_files_are_errors_without_traceback(folder: Path, tmp_path: Path, capsys: Capture) -> None:
    assert main(["verify", str(folder), "--key", str(tmp_path / "absent")]) == 3
    assert "audit_file_unreadable" in capsys.readouterr().err
    assert main(["verify", str(folder), "--witness", str(folder / "heads")]) == 3
    assert "audit_key_invalid" in capsys.readouterr().err


def test_errors_never_look_like_an_alteration(folder: Path, tmp_path: Path) -> None:
    """Through the product's own command: what cannot be checked ends with 3, not with 1."""
    assert product(["audit", "verify", str(folder), "--key", str(tmp_path / "absent")]) == 3
    assert product(["audit", "show", str(tmp_path)]) == 3
    assert product(["audit", "verify", str(folder)]) == 2


def test_a_witness_s_key(tmp_path: Path, capsys: Capture) -> None:
    command = ["witness", "new-key", "force.example/witness", "--store", str(tmp_path)]
    assert main(command) == 0
    out = capsys.readouterr().out
    key = VerifierKey.parse(out.removesuffix("\n"))
    assert (key.name, key.algorithm) == ("force.example/witness", WITNESS_KEY)
    seed = FileKeyStore(tmp_path).read("witness")
    assert seed is not None
    assert MemorySigner(key.name, seed, WITNESS_KEY).verifier == key
    assert main(command) == 3
    assert "audit_key_exists" in capsys.readouterr().err
    assert FileKeyStore(tmp_path).read("witness") == seed
    assert main(["witness", "serve", "w", "--store", str(tmp_path / "none"), "--trust", str(tmp_path)]) == 3
    assert "audit_key_missing" in capsys.readouterr().err


def test_a_witness_from_key_to_anchor(box: Box, tmp_path: Path, capsys: Capture) -> None:
    """new-key, serve in a process of its own, deliver twice, verify with the witness's key: exit 0."""
    store = tmp_path / "force"
    assert main(["witness", "new-key", "force.example/witness", "--store", str(store)]) == 0
    key = tmp_path / "force.vkey"
    key.write_text(capsys.readouterr().out)
    assert main(["witness", "new-key", "force.example/witness", "--store", str(store)]) == 3
    assert "audit_key_exists" in capsys.readouterr().err
    folder = box.closed()
    command = ["witness", "serve", "force.example/witness", "--store", str(store)]
    command += ["--trust", str(folder / "device.vkey"), "--port", "0"]
    with subprocess.Popen(
        [sys.executable, "-m", "lfr_edge.audit", *command],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).resolve().parents[2],
        # A shell that runs this in the background ignores Control-C, and so would the child.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    ) as process:
        assert process.stdout is not None
        url = re.search(r"http://\S+", process.stdout.readline())
        assert url is not None
        deliver = ["witness", "deliver", str(box.root / "audit"), "--url", url[0], "--witness", str(key)]
        assert main(deliver) == 0
        assert "20 entries  cosigned now" in capsys.readouterr().out
        assert main([*deliver[:2], str(folder), *deliver[3:]]) == 0
        assert "20 entries  nothing new" in capsys.readouterr().out
        process.send_signal(signal.SIGINT)
        assert "stopped" in process.stdout.read()
    assert process.returncode == 0
    assert main(["verify", str(folder), "--witness", str(key), "--key", str(folder / "device.vkey")]) == 0
    with pytest.raises(SystemExit):
        main(["witness"])
    (kept,) = store.glob("*.note")
    assert main(["verify", str(folder), "--since", str(kept)]) == 0


def test_witness_commands_refuse(tmp_path: Path, box: Box, capsys: Capture) -> None:
    key = tmp_path / "w.vkey"
    key.write_text(WITNESS.verifier.text)
    assert main(["witness", "serve", "w", "--store", str(tmp_path / "none"), "--trust", str(key)]) == 3
    assert "audit_key_missing" in capsys.readouterr().err
    deliver = ["witness", "deliver", str(tmp_path), "--url", "http://127.0.0.1:1", "--witness", str(key)]
    assert main(deliver) == 3
    assert "audit_log_unreadable" in capsys.readouterr().err


def test_delivering_a_log_without_a_head(box: Box, tmp_path: Path, capsys: Capture) -> None:
    folder = box.closed()
    (folder / "checkpoints").unlink()
    key = tmp_path / "w.vkey"
    key.write_text(WITNESS.verifier.text)
    command = ["witness", "deliver", str(folder), "--url", "http://127.0.0.1:1", "--witness", str(key)]
    assert main(command) == 0
    assert "0 entries  nothing new" in capsys.readouterr().out


def test_a_contradiction_ends_with_altered(box: Box) -> None:
    def contradicted(arguments: argparse.Namespace) -> int:
        raise AuditError("audit_witness_contradicts", "another history")

    with pytest.raises(AuditError) as caught:
        never_altered_by_accident(contradicted)(argparse.Namespace())
    assert caught.value.exit_code == 1


def test_serving_and_delivering_in_this_process(
    box: Box, tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What `witness serve` would serve, stopped at once; then a real server for `witness deliver`."""
    store, key = tmp_path / "force", tmp_path / "force.vkey"
    assert main(["witness", "new-key", "force.example/witness", "--store", str(store)]) == 0
    key.write_text(capsys.readouterr().out)
    assert (store / "witness.key").stat().st_mode & 0o777 == 0o600
    assert (store / "witness.vkey").read_text() == key.read_text()
    folder = box.closed()
    served: list[WitnessServer] = []

    def serve(server: WitnessServer) -> None:
        served.append(server)
        raise KeyboardInterrupt

    monkeypatch.setattr(WitnessServer, "serve_forever", serve)
    trust = ["--trust", str(folder / "device.vkey"), "--port", "0"]
    assert main(["witness", "serve", "force.example/witness", "--store", str(store), *trust]) == 0
    (server,) = served
    said = f"witness force.example/witness at http://127.0.0.1:{server.server_port}\nstopped\n"
    assert capsys.readouterr().out == said
    assert server.server_address[0] == "127.0.0.1"
    assert server.book.signer.verifier.text == key.read_text().strip()
    assert server.book.trusted == (read_key_file(folder / "device.vkey", LOG_KEY),)
    assert server.book.folder == store
    assert main(["witness", "serve", "force.example/witness", "--store", str(tmp_path), *trust]) == 3
    assert "audit_key_missing" in capsys.readouterr().err
    monkeypatch.undo()

    with WitnessServer(("127.0.0.1", 0), server.book) as again:
        thread = threading.Thread(target=again.serve_forever, args=(0.02,))
        thread.start()
        url = f"http://127.0.0.1:{again.server_port}"
        deliver = ["--url", url, "--witness", str(key)]
        assert main(["witness", "deliver", str(folder.parent), *deliver]) == 0
        assert capsys.readouterr().out == "van.example/3/d1  20 entries  cosigned now\n"
        assert [path.name for path in (folder / "anchors").iterdir()] == [
            "force.example-witness-000000000020.note"
        ]
        assert main(["witness", "deliver", str(folder), *deliver]) == 0
        assert capsys.readouterr().out == "van.example/3/d1  20 entries  nothing new\n"
        assert main(["witness", "deliver", str(tmp_path / "force"), *deliver]) == 3
        assert "audit_log_unreadable" in capsys.readouterr().err
        again.shutdown()
        thread.join()


def test_a_line_for_a_person(box: Box) -> None:
    log = box.create()
    event = Event("camera.changed", ref="gate", data={"b": 1, "a": "Süd"}, why="moved – wind")
    log.append(event)
    (_, entry), *_ = LogView.load(log.folder).entries(1)
    assert entry_line(entry) == (
        "      1  2026-11-18T11:06:40.000Z  camera.changed            system (system)  gate"
        '  {"a": "Süd", "b": 1}  “moved – wind”'
    )


def test_every_finding_can_be_printed_as_json(
    folder: Path, box: Box, tmp_path: Path, capsys: Capture
) -> None:
    """Also one that carries an error: a copy of it was tried, and failed with the status of an alteration."""
    key = tmp_path / "other.vkey"
    key.write_text(Box(tmp_path / "other").device.signer.verifier.text + "\n")
    assert main(["verify", str(folder), "--key", str(key)]) == 1
    assert "! certificate: the certificate of the log's key does not hold" in capsys.readouterr().out
    assert main(["verify", str(folder), "--key", str(key), "--json"]) == 1
    told = json.loads(capsys.readouterr().out)
    assert {item["code"] for item in told["findings"]} == {"device_key", "certificate"}


def test_a_fault_of_the_program_never_looks_like_an_alteration(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    def broken(*told: object, **more: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr("lfr_edge.audit.commands.verify", broken)
    assert main(["verify", str(folder)]) == 3
    said = capsys.readouterr().err
    assert "the check itself failed: ZeroDivisionError: oh" in said
    assert "Traceback" in said, "whoever mends it wants to know where"
