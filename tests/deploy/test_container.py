"""A bundle is exactly what was signed, to the last bit, and an ordinary tar."""

from __future__ import annotations

import contextlib
import random
import subprocess
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from tests.deploy.conftest import Keys, Release

from lfr_install.container import Bundle  # isort: skip - the path is set by conftest
from lfr_install.faults import InstallError  # isort: skip
from lfr_install.manifest import Manifest, Member, decode  # isort: skip


def _read(path: Path, keys: Keys) -> Manifest:
    with Bundle.open(path, keys.public("release")) as bundle:
        bundle.read()
        return bundle.manifest


def test_every_member_comes_out_as_it_went_in(release: Release, keys: Keys, tmp_path: Path) -> None:
    path, into = release(1), tmp_path / "out"
    into.mkdir()
    with Bundle.open(path, keys.public("release")) as bundle:
        bundle.read(into)
    for member in bundle.manifest.members:
        assert (into / member.name).read_bytes() == (tmp_path / "parts-1" / member.name).read_bytes()


def test_an_ordinary_tar_reads_it_and_openssl_checks_it(release: Release, keys: Keys, tmp_path: Path) -> None:
    """Nobody needs our program to look into a bundle."""
    with tarfile.open(release(1)) as archive:
        archive.extractall(tmp_path / "plain", filter="data")
    plain = tmp_path / "plain"
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-rawin", "-inkey", str(keys.public("release"))]
    command += ["-in", str(plain / "manifest.json"), "-sigfile", str(plain / "manifest.sig")]
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    names = {member.name for member in decode((plain / "manifest.json").read_bytes()).members}
    assert names == {str(p.relative_to(plain)) for p in plain.rglob("*") if p.is_file()} - {
        "manifest.json",
        "manifest.sig",
    }


def _flip(path: Path, keys: Keys, flips: int, seed: int) -> int:
    """How many of so many single-bit flips were accepted."""
    raw, altered, accepted = path.read_bytes(), path.with_suffix(".flipped"), 0
    chance = random.Random(seed)
    for _ in range(flips):
        at, bit = chance.randrange(len(raw)), 1 << chance.randrange(8)
        body = bytearray(raw)
        body[at] ^= bit
        altered.write_bytes(body)
        with contextlib.suppress(InstallError):
            _read(altered, keys)
            accepted += 1
    return accepted


def test_no_flipped_bit_is_accepted(release: Release, keys: Keys) -> None:
    path = release(1)
    assert _read(path, keys).serial == 1  # the control: unflipped, it is accepted
    assert _flip(path, keys, 150, seed=1) == 0


@pytest.mark.trial
def test_ten_thousand_flipped_bits(release: Release, keys: Keys) -> None:
    assert _flip(release(1), keys, 10_000, seed=20261122) == 0


@pytest.mark.parametrize(
    ("cut", "code"), [(100, "bundle_not_a_bundle"), (-1, "bundle_altered"), (-600, "bundle_altered")]
)
def test_a_cut_file_is_refused(release: Release, keys: Keys, cut: int, code: str) -> None:
    path = release(1)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(InstallError) as caught:
        _read(path, keys)
    assert caught.value.code == code


def test_something_after_the_end_is_refused(release: Release, keys: Keys) -> None:
    path = release(1)
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(InstallError, match="its end"):
        _read(path, keys)


def test_another_key_does_not_open_it(release: Release, keys: Keys) -> None:
    with pytest.raises(InstallError) as caught:
        _read(release(1, signer="stranger"), keys)
    assert caught.value.code == "bundle_signature_invalid"


_GOOD = Manifest(
    "1.0", 1, "2026-11-22", "cpu", "3.11", "x86_64", (Member("a", 1, "0" * 64), Member("b", 2, "1" * 64))
)


@pytest.mark.parametrize(
    "name", ["../a", "/a", "a/../b", "a//b", "", ".a", "a\\b", "a\0b", "a/", "ä", "x" * 256, "a/./b"]
)
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    assert decode(_GOOD.encode()) == _GOOD
    bad = replace(
        _GOOD,
        members=tuple(sorted((Member(name, 1, "0" * 64), Member("b", 2, "1" * 64)), key=lambda m: m.name)),
    )
    with pytest.raises(InstallError, match="bundle_manifest_invalid"):
        decode(bad.encode())


@pytest.mark.parametrize(
    "bad",
    [
        replace(_GOOD, serial=0),
        replace(_GOOD, profile="other"),
        replace(_GOOD, members=()),
        replace(_GOOD, members=_GOOD.members[::-1]),
        replace(_GOOD, members=_GOOD.members + _GOOD.members[-1:]),
        replace(_GOOD, members=(Member("a", 1, "0" * 64), Member("a/b", 1, "0" * 64))),
        replace(_GOOD, members=(Member("a", -1, "0" * 64),)),
        replace(_GOOD, members=(Member("a", 9 << 30, "0" * 64),)),
        replace(_GOOD, members=(Member("a", 1, "xyz"),)),
    ],
)
def test_a_manifest_that_is_not_as_it_must_be_is_refused(bad: Manifest) -> None:
    with pytest.raises(InstallError, match="bundle_manifest_invalid"):
        decode(bad.encode())


def test_a_second_spelling_is_refused() -> None:
    with pytest.raises(InstallError, match="one allowed way"):
        decode(_GOOD.encode() + b" ")
