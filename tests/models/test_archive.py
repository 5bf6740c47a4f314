"""Untrusted archives: one member, capped, nothing unpacked."""

from __future__ import annotations

import contextlib
import io
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lfr_edge.errors import ModelError
from lfr_edge.models.archive import read_member


def wheel(path: Path, **members: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"pkg/{name}.bin", data)
    return path


def tarball(path: Path, *entries: tuple[str, bytes, bytes]) -> Path:
    with tarfile.open(path, "w:gz") as archive:
        for name, data, kind in entries:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.size = len(data) if kind == tarfile.REGTYPE else 0
            info.linkname = "/etc/passwd"
            archive.addfile(info, io.BytesIO(data))
    return path


def refusal(archive: Path, member: str, limit: int = 100) -> str:
    with pytest.raises(ModelError) as caught:
        read_member(archive, member, limit)
    assert caught.value.hint
    return caught.value.code


def test_a_member_of_each_kind(tmp_path: Path):
    assert read_member(wheel(tmp_path / "a.whl", x=b"abc"), "pkg/x.bin", 3) == b"abc"
    packed = tarball(tmp_path / "a.tgz", ("package/d/x.bin", b"abc", tarfile.REGTYPE))
    assert read_member(packed, "d/x.bin", 3) == b"abc"


def test_a_member_that_is_not_there(tmp_path: Path):
    assert refusal(wheel(tmp_path / "a.whl", x=b"abc"), "pkg/y.bin") == "model_archive_member_missing"
    packed = tarball(tmp_path / "a.tgz", ("package/x", b"abc", tarfile.REGTYPE))
    assert refusal(packed, "y") == "model_archive_member_missing"


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_are_no_members(tmp_path: Path, kind: bytes):
    packed = tarball(tmp_path / "a.tgz", ("package/x", b"", kind))
    assert refusal(packed, "x") == "model_archive_member_missing"


def test_the_cap_counts_what_is_unpacked(tmp_path: Path):
    assert refusal(wheel(tmp_path / "a.whl", x=bytes(10_000_000)), "pkg/x.bin") == "model_archive_too_large"
    packed = tarball(tmp_path / "a.tgz", ("package/x", bytes(10_000_000), tarfile.REGTYPE))
    assert refusal(packed, "x") == "model_archive_too_large"


def test_a_search_through_a_bomb_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("lfr_edge.models.archive._SCAN_LIMIT", 1_000_000)
    packed = tarball(
        tmp_path / "a.tgz",
        ("package/padding", bytes(3_000_000), tarfile.REGTYPE),
        ("package/x", b"abc", tarfile.REGTYPE),
    )
    assert refusal(packed, "x") == "model_archive_too_large"


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04", b"\x1f\x8b\x08\x00", b"<html>404</html>"])
def test_no_archive(tmp_path: Path, data: bytes):
    path = tmp_path / "a.whl"
    path.write_bytes(data)
    assert refusal(path, "x") == "model_archive_invalid"


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.data())
def test_a_damaged_archive_never_does_worse_than_an_error(tmp_path: Path, data: st.DataObject):
    make = data.draw(st.sampled_from(["whl", "tgz"]))
    path = tmp_path / f"a.{make}"
    if make == "whl":
        wheel(path, x=b"abc" * 30)
    else:
        tarball(path, ("package/pkg/x.bin", b"abc" * 30, tarfile.REGTYPE))
    content = bytearray(path.read_bytes())
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path.write_bytes(content[: data.draw(st.integers(0, len(content)))])
    with contextlib.suppress(ModelError):
        assert len(read_member(path, "pkg/x.bin", 100)) <= 100
