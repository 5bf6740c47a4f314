"""A list that joined a live one comes back by the live list's key, exactly as it was approved, or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist import kept
from lfr_edge.watchlist.container import SealedWatchlist, seal
from lfr_edge.watchlist.keys import new_key
from tests.watchlist.lists import DIMENSION, FINGERPRINT, person


def _list(path: Path, number: int) -> SealedWatchlist:
    """Sealed under a key of its own, which nobody has afterwards."""
    key = new_key()
    seal(path, [person(number)], key=key, fingerprint=FINGERPRINT, dimension=DIMENSION)
    return SealedWatchlist.open(path, key)


@pytest.fixture
def live(tmp_path):
    with _list(tmp_path / "live", 1) as sealed:
        yield sealed


@pytest.fixture
def joined(tmp_path):
    with _list(tmp_path / "joined", 2) as sealed:
        yield sealed


def _reopen(folder: Path, live: SealedWatchlist, digest: str) -> SealedWatchlist:
    return kept.reopen(folder, live, digest, fingerprint=FINGERPRINT)


def test_it_comes_back_without_the_medium_and_without_its_own_key(tmp_path, live, joined) -> None:
    folder, digest, picture = tmp_path / "box" / "additions", joined.digest, joined.portrait("W-0002")
    kept.keep(folder, live, joined, tmp_path / "joined").close()
    (tmp_path / "joined").unlink()
    assert kept.digests(folder) == (digest,)
    assert kept.sources(folder) == (tmp_path / "joined",)
    with _reopen(folder, live, digest) as again:
        assert again.entries() == joined.entries()
        assert again.portrait("W-0002") == picture
        assert again.template_key() == joined.template_key()
    assert [path.suffix for path in kept.files(folder)] == [".key", ".sealed"], "the key is destroyed first"
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept.files(folder))
    kept.forget(folder, digest)
    assert not any(folder.iterdir())


def test_where_a_proposed_list_came_from_is_known_before_and_after_it_joins(tmp_path, live, joined) -> None:
    """Two were proposed, one joined: after a crash both files are known, and neither counts as kept twice."""
    folder = tmp_path / "box" / "additions"
    kept.remember(folder, joined.digest, tmp_path / "joined")
    kept.remember(folder, "ab" * 32, tmp_path / "never approved")
    assert kept.digests(folder) == ()
    kept.keep(folder, live, joined, tmp_path / "joined").close()
    kept.forget(folder, joined.digest)
    assert set(kept.sources(folder)) == {tmp_path / "joined", tmp_path / "never approved"}
    (folder / f"{'cd' * 32}.proposed").write_bytes(b"{")  # a torn note costs nothing but itself
    assert len(kept.sources(folder)) == 2
    kept.forget_sources(folder)
    assert not any(folder.iterdir())


def test_another_list_does_not_lead_to_it(tmp_path, live, joined) -> None:
    kept.keep(tmp_path / "a", live, joined, tmp_path / "joined").close()
    with (
        _list(tmp_path / "other", 3) as other,
        pytest.raises(WatchlistError, match="does not lead") as caught,
    ):
        _reopen(tmp_path / "a", other, joined.digest)
    assert caught.value.code == "watchlist_key_wrong"


@pytest.mark.parametrize("suffix", [".key", ".sealed"])
@pytest.mark.parametrize("harm", ["flip", "cut", "gone"])
def test_what_is_missing_or_altered_does_not_come_back(tmp_path, live, joined, suffix, harm) -> None:
    folder = tmp_path / "a"
    kept.keep(folder, live, joined, tmp_path / "joined").close()
    path = folder / f"{joined.digest}{suffix}"
    data = bytearray(path.read_bytes())
    match harm:
        case "flip":
            data[len(data) // 2 if suffix == ".sealed" else -5] ^= 1
            path.write_bytes(data)
        case "cut":
            path.write_bytes(data[: len(data) // 2])
        case _:
            path.unlink()
    with pytest.raises(WatchlistError):
        _reopen(folder, live, joined.digest)


def test_a_file_that_changed_since_it_was_approved_is_not_kept(tmp_path, live, joined) -> None:
    assert joined.digest
    with (tmp_path / "joined").open("r+b") as file:
        file.seek(5000)
        byte = file.read(1)
        file.seek(5000)
        file.write(bytes([byte[0] ^ 1]))
    with pytest.raises(WatchlistError) as caught:
        kept.keep(tmp_path / "a", live, joined, tmp_path / "joined")
    assert caught.value.code == "watchlist_altered"
    assert kept.files(tmp_path / "a") == ()


def test_a_full_disk_leaves_nothing(tmp_path, live, joined, monkeypatch) -> None:
    def full(path, data):
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(kept, "write_new", full)
    with pytest.raises(WatchlistError) as caught:
        kept.remember(tmp_path / "a", joined.digest, tmp_path / "joined")
    assert caught.value.code == "watchlist_unwritable"
    with pytest.raises(WatchlistError) as caught:
        kept.keep(tmp_path / "a", live, joined, tmp_path / "joined")
    assert caught.value.code == "watchlist_unwritable"
    assert kept.files(tmp_path / "a") == ()
