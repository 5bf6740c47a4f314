"""A renewal that is cut at any step leaves a key and a certificate that belong together (issue 7: faults)."""

from __future__ import annotations

import errno
import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from unittest.mock import patch

import pytest

from lfr_edge.console.door import pair
from lfr_edge.console.door.certificates import Authority, Names, as_files, issue, new_authority
from lfr_edge.errors import AccessError

NOW = datetime.now(UTC)
STEPS = ("open", "fsync", "replace", "symlink", "mkdir", "unlink", "rmdir", "chown")


class CutError(BaseException):
    """The power, or SIGKILL: nothing runs on."""


@contextmanager
def failing(number: int, raises: Callable[[], BaseException]) -> Iterator[list[str]]:
    """Every call that changes a disk, until the `number`-th one fails."""
    done: list[str] = []

    def wrapped(name: str, call: Callable[..., object]) -> Callable[..., object]:
        def step(*args: object, **more: object) -> object:
            done.append(name)
            if len(done) == number:
                raise raises()
            return call(*args, **more)

        return step

    patches = [patch.object(os, name, wrapped(name, getattr(os, name))) for name in STEPS]
    for one in patches:
        one.start()
    try:
        yield done
    finally:
        for one in patches:
            one.stop()


@pytest.fixture(scope="module")
def authority() -> Authority:
    return new_authority("t", ["lfr.test"], [], NOW)


@pytest.fixture
def renew(authority: Authority) -> Callable[[Path], None]:
    def again(folder: Path) -> None:
        certificate, key = issue(authority, Names(dns=("van-7.lfr.test",)), 30, NOW)
        pair.change(folder, as_files(authority, certificate, key), None)

    return again


def belongs_together(folder: Path) -> bool:
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(folder / "cert.pem", folder / "key.pem")
    except (ssl.SSLError, OSError):
        return False
    return True


def walk(folder: Path, begin: Callable[[], None], renew: Callable[[Path], None]) -> tuple[int, list[int]]:
    """(steps of a renewal, those after which the pair does not belong together). `begin` puts a pair there."""
    broken = []
    for number in range(1, 200):
        begin()
        try:
            with failing(number, CutError) as done:
                renew(folder)
        except CutError:
            if not belongs_together(folder):
                broken.append(number)
            renew(folder)  # whoever does it again
            assert belongs_together(folder)
            assert len(list(folder.iterdir())) == 5, "nothing of the cut one is left"
        else:
            return len(done), broken
    raise AssertionError("it never comes to its end")


def plain(folder: Path, authority: Authority) -> None:
    """As a release before, or a force's own authority, wrote them."""
    for path in folder.glob("*.pem"):
        path.unlink()
    certificate, key = issue(authority, Names(dns=("van-7.lfr.test",)), 30, NOW)
    for name, (content, mode) in as_files(authority, certificate, key).items():
        (folder / name).write_bytes(content)
        (folder / name).chmod(mode)
    assert belongs_together(folder)


def test_a_cut_at_any_step_of_a_renewal_leaves_a_pair(tmp_path: Path, renew) -> None:
    renew(tmp_path)
    steps, broken = walk(tmp_path, lambda: None, renew)
    assert broken == []
    assert steps > 15


def test_a_cut_at_any_step_of_the_first_renewal_of_plain_files_leaves_a_pair(
    tmp_path: Path, authority, renew
) -> None:
    steps, broken = walk(tmp_path, lambda: plain(tmp_path, authority), renew)
    assert broken == []
    assert steps > 30
    assert (tmp_path / "key.pem").is_symlink()
    assert (tmp_path / "key.pem").stat().st_mode & 0o777 == 0o600


def test_the_control_one_file_after_the_other_is_torn_by_a_cut(
    tmp_path: Path, authority, renew, monkeypatch
) -> None:
    """Also what a stick without links is left with: it serves nobody, and whoever writes it sees the cut."""
    monkeypatch.setattr(pair, "_has_links", lambda folder: False)
    torn = 0
    for number in range(1, 30):
        plain(tmp_path, authority)
        try:
            with failing(number, CutError):
                renew(tmp_path)
        except CutError:
            torn += not belongs_together(tmp_path)
    assert torn >= 3


@pytest.mark.parametrize("why", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_stick_without_links_gets_plain_files(tmp_path: Path, renew, monkeypatch, why: int) -> None:
    """A laptop's certificate travels on FAT, which answers EPERM to whoever asks for a link."""

    def refuse(*_: object, **__: object) -> None:
        raise OSError(why, os.strerror(why))

    monkeypatch.setattr(os, "symlink", refuse)
    for _ in range(2):
        renew(tmp_path / "laptop")
        assert belongs_together(tmp_path / "laptop")
    assert sorted(path.name for path in (tmp_path / "laptop").iterdir()) == ["ca.pem", "cert.pem", "key.pem"]


@pytest.mark.parametrize("why", [errno.ENOSPC, errno.EROFS])
def test_a_disk_that_refuses_is_said_with_what_to_do_and_nothing_is_lost(
    tmp_path: Path, renew, why: int
) -> None:
    renew(tmp_path)
    before = (tmp_path / "key.pem").read_bytes()
    told: list[AccessError] = []
    for number in range(2, 200):  # the first is the folder's mkdir: it is there
        try:
            with failing(number, lambda: OSError(why, os.strerror(why))):
                renew(tmp_path)
            break
        except AccessError as error:
            told.append(error)
        assert belongs_together(tmp_path)
    assert len(told) > 15
    assert {error.code for error in told} == {"tls_not_written"}
    assert all(os.strerror(why) in error.message and "again" in error.hint for error in told)
    assert (tmp_path / "key.pem").read_bytes() != before


def test_no_file_from_elsewhere_is_taken_into_the_set(tmp_path: Path, authority, renew) -> None:
    """Root renews in a folder of the service's: what a link there leads to stays where it is."""
    secret, folder = tmp_path / "shadow", tmp_path / "tls"
    secret.write_bytes(b"root's own")
    folder.mkdir()
    plain(folder, authority)
    (folder / "key.pem").unlink()
    (folder / "key.pem").symlink_to(secret)
    with pytest.raises(AccessError, match="leads out of its folder") as caught:
        renew(folder)
    assert caught.value.code == "tls_not_written"
    assert caught.value.hint
    assert sorted(path.name for path in folder.iterdir()) == ["ca.pem", "cert.pem", "key.pem"]
