"""How an installation ends: with what the service says to its restart, and with a line in the journal.

Setting up an environment takes seconds and is the business of ``test_install``; here it is left out.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.deploy.conftest import OFFLINE, Keys, Release

from lfr_bundle import parts  # isort: skip - the path is set by conftest
from lfr_install import __main__ as program  # isort: skip
from lfr_install import release as steps  # isort: skip
from lfr_install.faults import InstallError  # isort: skip
from lfr_install.journal import Journal  # isort: skip

Box = Callable[..., steps.Release]


@pytest.fixture
def box(tmp_path: Path, keys: Keys, monkeypatch: pytest.MonkeyPatch) -> Box:
    """`box(health, restart)` → the steps on one root that knows its keys; nothing is set up in a slot."""
    monkeypatch.setattr(steps, "_set_up", lambda folder, manifest: None)
    people = ["--installer", str(keys.public("anna")), "--installer", str(keys.public("ben"))]
    root = str(tmp_path / "box")
    assert not program.main(["--root", root, "enrol", "--release-key", str(keys.public("release")), *people])

    def make(health: str = "", *restart: str) -> steps.Release:
        return steps.Release(Path(root), lambda folder: health, restart)

    return make


@pytest.fixture
def approved(release: Release, keys: Keys, tmp_path: Path) -> Callable[[int], Path]:
    def make(serial: int) -> Path:
        bundle = release(serial)
        for name in ("anna", "ben"):
            pair = ["--key", str(keys.private(name)), "--public-key", str(keys.public(name))]
            assert not program.main(["--root", str(tmp_path / "box"), "approve", str(bundle), *pair])
        return bundle

    return make


Approved = Callable[[int], Path]


def _script(tmp_path: Path, text: str) -> str:
    path = tmp_path / "restart"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_a_release_whose_service_does_not_start_is_taken_back_and_the_one_before_is_started(
    box: Box, approved: Approved, tmp_path: Path
) -> None:
    """`systemctl restart` waits until the service is ready: what it says is part of the health check."""
    link, started = tmp_path / "box" / "current", tmp_path / "started"
    restart = _script(tmp_path, f"readlink {link} >> {started}; test $(readlink {link}) = slots/a")
    box("", restart).install(approved(1))
    bundle = approved(2)
    with pytest.raises(
        InstallError, match=r"\(serial 2\) was in use and is taken back.*restart` ended with 1"
    ) as back:
        box("", restart).install(bundle)
    assert "the release before it runs on" in back.value.hint
    assert started.read_text().split() == ["slots/a", "slots/b", "slots/a"]
    assert link.resolve().name == "a"
    last = box().journal.read()[-1]
    assert (last["event"], last["serial"]) == ("install.returned", 2)
    with pytest.raises(
        InstallError, match="the release before it was not restarted: `/no/such/program`"
    ) as dead:
        box("", "/no/such/program").install(bundle)
    assert "NOTHING RUNS" in dead.value.hint, "that it runs on would be a lie"
    assert link.resolve().name == "a"


def test_a_release_that_brought_the_data_forward_and_died_leaves_no_word_of_running(
    box: Box, approved: Approved, tmp_path: Path
) -> None:
    """The one before refuses a newer folder, as it must: the installer may not say that it runs on."""
    format_file = tmp_path / "format"
    format_file.write_text("2")
    service = f"""case $(readlink {tmp_path / "box" / "current"}) in
      slots/a) test $(cat {format_file}) = 2;;
      *) echo 3 > {format_file}; exit 1;;
    esac"""
    restart = _script(tmp_path, service)
    box("", restart).install(approved(1))
    with pytest.raises(InstallError, match="the release before it was not restarted") as caught:
        box("", restart).install(approved(2))
    assert "NOTHING RUNS" in caught.value.hint
    assert "runs on" not in caught.value.hint


def test_what_status_and_install_say_to_a_person(
    box: Box,
    approved: Approved,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(program, "doctor", lambda config: lambda folder: "")
    empty = ["--root", str(tmp_path / "new"), "status"]
    assert not program.main(empty)
    assert "no keys are enrolled" in capsys.readouterr().out
    box()
    here = ["--root", str(tmp_path / "box")]
    bundle = approved(1)
    capsys.readouterr()
    missing = tmp_path / "mistyped.toml"
    assert not program.main([*here, "install", str(bundle), "--config", str(missing)])
    said = capsys.readouterr().out
    assert f"{missing} is not there: the health check looks at the machine alone" in said
    assert "(serial 1) is in use from the service's next start on" in said
    assert not program.main([*here, "status"])
    said = capsys.readouterr().out
    assert "no keys" not in said
    assert said.splitlines()[-1].endswith("(serial 1)")
    missing.write_text("")
    bundle = approved(2)
    capsys.readouterr()
    assert not program.main([*here, "install", str(bundle), "--config", str(missing), "--restart", "true"])
    said = capsys.readouterr().out
    assert "is not there" not in said
    assert "(serial 2) runs: " in said


def test_a_restart_without_an_end_is_given_up(
    box: Box, approved: Approved, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(steps, "_RESTART_S", 0.2)
    with pytest.raises(InstallError, match=r"did not end within 0\.2 s") as caught:
        box("", _script(tmp_path, "exec sleep 60")).install(approved(1))
    assert "no release ran before it" in caught.value.hint
    assert box().slots.current() is None


def test_the_service_may_ask_recover_while_an_installation_restarts_it(
    box: Box, approved: Approved, tmp_path: Path
) -> None:
    """As the unit's ExecStartPre does. Refused there, no restarted service would ever come up."""
    said, root, installer = tmp_path / "said", tmp_path / "box", tmp_path / "lfr-edge-install"
    parts.write_program(OFFLINE / "lfr_install", installer)
    recover = [sys.executable, str(installer), "--root", str(root), "recover"]
    with program._locked(root), said.open("w") as out:
        subprocess.run(recover, stdout=out, check=True)
        refused = [*recover[:-1], "install", "any.bundle"]
        other = subprocess.run(refused, capture_output=True, text=True, check=False)
    assert "another lfr-edge-install works here" in said.read_text()
    assert other.returncode == 1
    assert "install_busy" in other.stderr


def test_what_a_killed_installer_leaves_at_work_keeps_the_next_one_out(tmp_path: Path) -> None:
    """Found by the cuts: SIGKILL of the installer alone leaves its pip writing into the slot."""
    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pathlib import Path\n"
        "from lfr_install import __main__, release\n"
        "with __main__._locked(Path(sys.argv[2])):\n"
        "    release._run(['sh', '-c', 'echo $$ > $0; exec sleep 60', sys.argv[3]], '', '')\n"
    )
    root, number = tmp_path / "box", tmp_path / "number"
    installer = subprocess.Popen([sys.executable, "-c", code, str(OFFLINE), str(root), str(number)])
    until = time.monotonic() + 30
    while not (number.exists() and number.read_text()) and time.monotonic() < until:
        time.sleep(0.02)
    installer.kill()
    installer.wait()
    try:
        with pytest.raises(InstallError, match="another lfr-edge-install works here"), program._locked(root):
            pass
    finally:
        os.kill(int(number.read_text()), signal.SIGKILL)
    while time.monotonic() < until:
        try:
            with program._locked(root):
                break
        except InstallError:
            time.sleep(0.02)
    else:
        pytest.fail("the lock outlived everything that worked under it")


def test_a_cut_after_the_beginning_is_closed_by_recover(
    box: Box, approved: Approved, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bundle = approved(1)
    (tmp_path / "box" / "slots").write_text("")  # no slot can be made: the disk refuses
    assert program.main(["--root", str(tmp_path / "box"), "install", str(bundle)]) == 1
    assert "install_disk: " in capsys.readouterr().err
    assert "run it as root" not in capsys.readouterr().err
    assert box().journal.read()[-1]["event"] == "install.begun"
    assert "never got its turn" in box().recover()
    last = box().journal.read()[-1]
    assert (last["event"], last["serial"], last["recovered"]) == ("install.abandoned", 1, True)
    assert box().recover() == "nothing was left half-done"


def test_a_release_that_cannot_be_set_up_is_given_up_in_the_journal(
    box: Box, approved: Approved, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(folder: Path, manifest: object) -> None:
        steps._run(["sh", "-c", "echo no such wheel >&2; exit 1"], "install_wheels", "make it again")

    monkeypatch.setattr(steps, "_set_up", refuse)
    with pytest.raises(InstallError, match="no such wheel"):
        box().install(approved(1))
    last = box().journal.read()[-1]
    assert (last["event"], last["why"]) == ("install.abandoned", "install_wheels: sh failed: no such wheel")
    assert box().recover() == "nothing was left half-done"


def test_a_cut_between_commit_and_its_line_is_closed_by_recover(
    box: Box, approved: Approved, tmp_path: Path
) -> None:
    box().install(approved(1))
    journal = tmp_path / "box" / "journal.jsonl"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    assert box().recover() == "release 0.1 (serial 1) was committed"
    last = box().journal.read()[-1]
    assert (last["event"], last["serial"], last["recovered"]) == ("install.committed", 1, True)
    assert "approved_by" not in last


def test_doctor_without_an_answer_is_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = steps.doctor(tmp_path / "no.toml")
    assert ask(tmp_path) == "doctor cannot be run: No such file or directory"
    doctor = tmp_path / steps.PROGRAM
    doctor.parent.mkdir(parents=True)
    doctor.write_text("#!/bin/sh\nexec sleep 60\n")
    doctor.chmod(0o755)
    monkeypatch.setattr(steps, "_DOCTOR_S", 0.2)
    assert ask(tmp_path) == "doctor gave no answer within 0.2 s"


def test_a_wrong_release_key_is_not_enrolled(
    keys: Keys, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    people = ["--installer", str(keys.public("anna")), "--installer", str(keys.public("ben"))]
    root, wrong = tmp_path / "box", tmp_path / "wrong.pub"
    wrong.write_text("no key")
    for key in (wrong, tmp_path / "missing.pub"):
        assert program.main(["--root", str(root), "enrol", "--release-key", str(key), *people]) == 1
        assert f"key_unusable: {key} is not" in capsys.readouterr().err
    assert (
        program.main(["--root", str(root), "enrol", "--release-key", str(keys.public("release")), *people])
        == 0
    )


def test_a_disk_that_fills_up_while_unpacking_gets_its_room_back_and_the_line_says_why(
    box: Box,
    approved: Approved,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box().install(approved(1))
    slot = tmp_path / "box" / "slots" / "b"

    def full(folder: Path, manifest: object) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / "half"))

    monkeypatch.setattr(steps, "_set_up", full)
    with pytest.raises(OSError, match="No space left"):
        box().install(approved(2))
    assert list(slot.iterdir()) == []
    last = box().journal.read()[-1]
    assert (last["event"], last["serial"], last["why"]) == (
        "install.abandoned", 2, "install_disk: No space left on device",
    )  # fmt: skip
    assert (tmp_path / "box" / "current").resolve().name == "a"
    assert box().recover() == "nothing was left half-done"


def test_a_reason_is_told_also_where_the_journal_cannot_be_written(
    box: Box,
    approved: Approved,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    box().install(approved(1))
    write = Journal.write

    def refusing(self: Journal, event: str, **data: object) -> None:
        if event in {"install.abandoned", "install.returned"}:
            raise InstallError("install_journal_unwritable", "journal.jsonl: No space left on device")
        write(self, event, **data)

    monkeypatch.setattr(Journal, "write", refusing)
    with pytest.raises(InstallError, match=r"FAIL the camera.*the journal does not say so yet") as caught:
        box("FAIL the camera").install(approved(2))
    assert caught.value.code == "install_unwell"
    monkeypatch.setattr(Journal, "write", write)
    box().recover()  # closes it

    def unfit(folder: Path, manifest: object) -> None:
        raise InstallError("install_wheels", "pip failed: no matching distribution")

    monkeypatch.setattr(steps, "_set_up", unfit)
    monkeypatch.setattr(Journal, "write", refusing)
    with pytest.raises(InstallError, match="no matching distribution"):
        box().install(approved(3))
    monkeypatch.setattr(Journal, "write", write)
    assert box().recover().endswith("never got its turn; what ran before it runs on")
    assert box().journal.read()[-1]["event"] == "install.abandoned"
