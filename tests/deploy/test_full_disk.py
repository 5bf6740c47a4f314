"""An installation on a disk that is full or read-only: the reason is said, the journal is whole, what runs runs on."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.tiny_disk import tiny_disk

from lfr_install import __main__ as program  # isort: skip - the path is set by conftest
from lfr_install.faults import InstallError  # isort: skip
from lfr_install.journal import Journal  # isort: skip


@pytest.mark.parametrize("how", ["full", "read-only"])
def test_a_journal_that_the_disk_refuses_keeps_every_line(tmp_path: Path, how: str) -> None:
    with tiny_disk(tmp_path / "disk") as disk:
        journal = Journal(disk.path / "journal.jsonl")
        journal.write("keys.enrolled", why="x" * 100)
        before = (disk.path / "journal.jsonl").read_bytes()
        why = disk.refuse(how)
        with pytest.raises(InstallError) as caught:
            journal.write("install.begun", why="x" * 5000)  # more than the page that is begun takes
        assert caught.value.code == "install_journal_unwritable"
        assert why in caught.value.message
        assert "lfr-edge-install recover" in caught.value.hint
        assert (disk.path / "journal.jsonl").read_bytes() == before, "half a line would be taken for a cut"
        disk.make_room()
        journal.write("install.begun")
        assert [line["event"] for line in journal.read()] == ["keys.enrolled", "install.begun"]
        assert "torn_bytes" not in journal.read()[-1]


def test_the_command_says_what_to_do_next(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with tiny_disk(tmp_path / "disk") as disk:
        disk.forbid_writing()
        assert program.main(["--root", str(disk.path / "box"), "recover"]) == 1
        said = capsys.readouterr().err
        assert "install_disk: " in said
        assert "Read-only file system" in said
        assert "make room or mend the disk, then: lfr-edge-install recover" in said
