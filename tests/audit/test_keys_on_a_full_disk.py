"""A key that the disk refuses: said with what to do, and nothing that was there is lost (issue 7: disk full)."""

from __future__ import annotations

from pathlib import Path

import pytest

from lfr_edge.audit.keys import FileKeyStore
from lfr_edge.errors import AuditError
from tests.faults.tiny_disk import tiny_disk

HOWS = ("full", "read-only")


@pytest.mark.parametrize("how", HOWS)
def test_a_key_that_the_disk_refuses_is_said_and_the_others_stay(tmp_path: Path, how: str) -> None:
    with tiny_disk(tmp_path / "disk") as disk:
        store = FileKeyStore(disk.path / "keys")
        store.write("device", b"d" * 32)
        why = disk.refuse(how)
        for name in ("device", "another"):
            with pytest.raises(AuditError) as caught:
                store.write(name, b"n" * 32)
            assert caught.value.code == "audit_key_unwritable"
            assert why in caught.value.message
            assert f"{name}.key" in caught.value.message
            assert "start again" in caught.value.hint
        assert store.read("device") == b"d" * 32
        assert store.read("another") is None
        assert [path.name for path in (disk.path / "keys").iterdir()] == ["device.key"]
        disk.make_room()
        store.write("another", b"n" * 32)
        assert store.read("another") == b"n" * 32


def test_a_key_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    with tiny_disk(tmp_path / "disk") as disk:
        disk.forbid_writing()
        with pytest.raises(AuditError) as caught:
            FileKeyStore(disk.path / "keys").write("device", b"d" * 32)
        assert caught.value.code == "audit_key_unwritable"


def test_a_key_that_cannot_be_read_is_said_and_never_made_anew(tmp_path: Path) -> None:
    (tmp_path / "device.key").mkdir(mode=0o700)
    with pytest.raises(AuditError) as caught:
        FileKeyStore(tmp_path).read("device")
    assert caught.value.code == "audit_key_unreadable"
    assert "do not make a new key" in caught.value.hint


def test_a_key_below_what_is_no_folder_is_said_too(tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(b"")
    with pytest.raises(AuditError) as caught:
        FileKeyStore(tmp_path / "keys").read("device")
    assert caught.value.code == "audit_key_unreadable"
