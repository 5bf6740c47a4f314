"""The sealed list: what goes in comes out, and every altered byte is noticed."""

from __future__ import annotations

import hashlib
import json
import stat
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parent))
from lists import DIMENSION, FINGERPRINT, person, unit

from lfr_edge.errors import WatchlistError
from lfr_edge.watchlist import keys, templates
from lfr_edge.watchlist.about import About, Scale
from lfr_edge.watchlist.container import SealedWatchlist, seal
from lfr_edge.watchlist.header import Header, file_digest, inspect_header
from lfr_edge.watchlist.unseal import unseal_templates

KEY = bytes(range(32))


def sealed(tmp_path: Path, people=3, key=KEY, **kwargs) -> Path:
    path = tmp_path / "list.sealed"
    seal(
        path,
        (person(n, 1 + n % 2) for n in range(people)),
        key=key,
        fingerprint=FINGERPRINT,
        dimension=DIMENSION,
        **kwargs,
    )
    return path


def code_of(call, *args, **kwargs) -> str:
    with pytest.raises(WatchlistError) as caught:
        call(*args, **kwargs)
    return caught.value.code


def test_entries_images_and_templates_come_out_as_they_went_in(tmp_path):
    path = sealed(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["list.sealed"]
    with SealedWatchlist.open(path, KEY, fingerprint=FINGERPRINT) as opened:
        assert len(opened) == 3
        assert opened.entries() == tuple(person(n, 1 + n % 2).entry for n in range(3))
        assert opened.entry("W-0001").category == "wanted_by_court"
        assert opened.candidate_image("W-0001", 1) == person(1, 2).images[1]
        with pytest.raises(IndexError):
            opened.candidate_image("W-0000", 1)
        assert code_of(opened.entry, "W-9") == "watchlist_unknown_reference"
        assert opened.quality("W-0001") == {}, "sealed without"
        assert code_of(opened.quality, "W-9") == "watchlist_unknown_reference"
        assert opened.verify_images() == 4
        index = unseal_templates(opened.template_part(), opened.template_key(), fingerprint=FINGERPRINT)
    assert (len(index), index.rows, index.dimension) == (3, 4, DIMENSION)
    for n in range(3):
        found = index.search(unit(n, 1))
        assert index.reference(int(found.entry[0])) == f"W-{n:04}"
        assert found.score[0] == pytest.approx(1, abs=1e-5)


def test_several_chunks_of_templates(tmp_path, monkeypatch):
    monkeypatch.setattr(templates, "CHUNK_BYTES", DIMENSION * 4 * 3)
    path = sealed(tmp_path, people=10)  # 15 rows: five full chunks
    with SealedWatchlist.open(path, KEY) as opened:
        part, key = opened.template_part(), opened.template_key()
    index = unseal_templates(part, key)
    wanted = np.vstack([person(n, 1 + n % 2).templates for n in range(10)])
    assert np.array_equal(index._pages.matrix, wanted)
    # Two chunks exchanged: each is genuine, the order is not.
    size = DIMENSION * 4 * 3 + 16
    swapped = part[: -2 * size] + part[-size:] + part[-2 * size : -size]
    assert code_of(unseal_templates, swapped, key) == "watchlist_altered"
    assert code_of(unseal_templates, part[:-size], key) == "watchlist_altered"


def test_nothing_of_the_list_is_readable_in_the_file(tmp_path):
    raw = sealed(tmp_path).read_bytes()
    assert FINGERPRINT.encode() in raw  # the control: the header is meant to be readable
    enrolled = person(0)
    for secret in (b"W-0000", b"wanted", b"custody", b"picture", enrolled.templates[0, :2].tobytes(), KEY):
        assert secret not in raw


@pytest.fixture(scope="module")
def whole_list(tmp_path_factory) -> tuple[Path, bytes]:
    path = sealed(tmp_path_factory.mktemp("list"))
    return path, path.read_bytes()


def open_all(path: Path) -> None:
    with SealedWatchlist.open(path, KEY, fingerprint=FINGERPRINT) as opened:
        opened.verify_images()
        unseal_templates(opened.template_part(), opened.template_key(), fingerprint=FINGERPRINT)


def test_every_altered_byte_is_noticed(tmp_path):
    path = sealed(tmp_path)
    open_all(path)
    genuine = path.read_bytes()
    blank_from, blank_to = len(genuine[:4096].rstrip()) + 8, 4096  # padding: all alike, a few are enough
    generator = np.random.default_rng(5)
    for position in range(len(genuine)):
        if blank_from < position < blank_to - 8:
            continue
        altered = bytearray(genuine)
        altered[position] ^= 1 << int(generator.integers(8))
        path.write_bytes(altered)
        assert code_of(open_all, path) in {
            "watchlist_altered",
            "watchlist_not_sealed",
            "watchlist_model_mismatch",
            "watchlist_key_wrong",
        }, position


@pytest.mark.parametrize("change", [lambda raw: raw[:-1], lambda raw: raw + b"x", lambda raw: raw[:4096]])
def test_a_shorter_or_longer_file_is_altered(tmp_path, change):
    path = sealed(tmp_path)
    path.write_bytes(change(path.read_bytes()))
    assert code_of(open_all, path) == "watchlist_altered"


def test_pieces_of_another_list_under_the_same_key_do_not_fit(tmp_path):
    first = sealed(tmp_path)
    genuine = first.read_bytes()
    second = tmp_path / "second"
    second.mkdir()
    other = sealed(second).read_bytes()
    assert len(genuine) == len(other)
    first.write_bytes(genuine[:4096] + other[4096:])
    assert code_of(open_all, first) == "watchlist_altered"
    header = inspect_header(second / "list.sealed")
    offset, length = header.templates
    first.write_bytes(genuine[:offset] + other[offset : offset + length] + genuine[offset + length :])
    assert code_of(open_all, first) == "watchlist_altered"


def test_the_recognisers_key_opens_templates_only(tmp_path):
    with SealedWatchlist.open(sealed(tmp_path), KEY) as opened:
        narrow = opened.template_key()
        assert code_of(unseal_templates, opened.template_part(), KEY) == "watchlist_altered"
    assert code_of(SealedWatchlist.open, tmp_path / "list.sealed", narrow) == "watchlist_key_wrong"


def test_another_model_is_refused_on_both_sides(tmp_path):
    path = sealed(tmp_path)
    assert code_of(SealedWatchlist.open, path, KEY, fingerprint="other") == "watchlist_model_mismatch"
    with SealedWatchlist.open(path, KEY) as opened:
        part, key = opened.template_part(), opened.template_key()
    assert code_of(unseal_templates, part, key, fingerprint="other") == "watchlist_model_mismatch"


@pytest.mark.parametrize("part", [b"", b"LFRT", b"LFRT\xff\xff\xff\xff", b"LFRT\x02\0\0\0{}", b"x" * 100])
def test_a_part_that_is_none_is_refused(part):
    assert code_of(unseal_templates, part, KEY) == "watchlist_altered"


def test_a_passphrase_opens_the_list_too(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "_ARGON", {"time_cost": 1, "memory_cost": 64, "parallelism": 1})
    path = sealed(tmp_path, passphrase="correct horse")
    with SealedWatchlist.open(path, "correct horse") as opened:
        assert opened.candidate_image("W-0000") == person(0).images[0]
    assert code_of(SealedWatchlist.open, path, "wrong horse") == "watchlist_passphrase_wrong"
    with SealedWatchlist.open(path, KEY) as opened:
        assert len(opened) == 3


def test_a_passphrase_for_a_list_that_has_none(tmp_path):
    assert code_of(SealedWatchlist.open, sealed(tmp_path), "anything") == "watchlist_no_passphrase"


@pytest.mark.parametrize(
    "change", [{"memory_cost": 1 << 30}, {"kdf": "scrypt"}, {"time_cost": 10**6}, {"key": "zz"}, {"key": 5}]
)
def test_a_hostile_wrap_costs_nothing(change):
    wrapped = {"kdf": "argon2id", "time_cost": 1, "memory_cost": 64, "parallelism": 1, "key": "00" * 48}
    hostile = {"key_file": None, "passphrase": wrapped | change}
    assert code_of(keys.unwrap, hostile, "x", bytes(32)) == "watchlist_passphrase_wrong"


def test_a_failed_seal_leaves_the_old_list_and_nothing_else(tmp_path):
    path = sealed(tmp_path)
    before = path.read_bytes()

    def broken():
        yield person(1)
        yield person(1)

    assert (
        code_of(seal, path, broken(), key=KEY, fingerprint=FINGERPRINT, dimension=DIMENSION)
        == "watchlist_duplicate_reference"
    )
    assert code_of(seal, path, [], key=KEY, fingerprint=FINGERPRINT, dimension=8) == "watchlist_empty"
    with pytest.raises(ValueError):
        seal(path, [person(1)], key=KEY, fingerprint=FINGERPRINT, dimension=9)
    with pytest.raises(ValueError, match="header"):
        seal(path, [person(1)], key=KEY, fingerprint="x" * 5000, dimension=DIMENSION)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["list.sealed"]
    assert (
        code_of(seal, tmp_path / "no" / "x", [person(1)], key=KEY, fingerprint="", dimension=DIMENSION)
        == "watchlist_unwritable"
    )


def test_files_that_are_no_lists(tmp_path):
    assert code_of(SealedWatchlist.open, tmp_path / "absent", KEY) == "watchlist_missing"
    assert code_of(inspect_header, tmp_path) == "watchlist_missing"
    (tmp_path / "text").write_text("hello")
    assert code_of(inspect_header, tmp_path / "text") == "watchlist_not_sealed"
    (tmp_path / "other").write_text('{"format": "lfr-edge watchlist 2"}')
    assert code_of(inspect_header, tmp_path / "other") == "watchlist_not_sealed"
    (tmp_path / "link").symlink_to(sealed(tmp_path))
    assert code_of(inspect_header, tmp_path / "link") == "watchlist_missing"


def test_header_says_what_anybody_may_know(tmp_path):
    header = inspect_header(sealed(tmp_path))
    assert (header.entries, header.images, header.rows, header.dimension) == (3, 4, 4, DIMENSION)
    assert header.created.endswith("+00:00")
    assert Header.decode(header.encode()) == header


def test_key_files(tmp_path):
    path = tmp_path / "key"
    key = keys.new_key()
    keys.write_key_file(path, key)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert keys.read_key_file(path) == key
    assert code_of(keys.write_key_file, path, key) == "watchlist_key_exists"
    assert code_of(keys.write_key_file, tmp_path / "no" / "key", key) == "watchlist_key_unwritable"
    path.chmod(0o640)
    assert code_of(keys.read_key_file, path) == "watchlist_key_exposed"
    path.chmod(0o600)
    path.write_text("secret")
    assert code_of(keys.read_key_file, path) == "watchlist_key_invalid"
    assert code_of(keys.read_key_file, tmp_path / "absent") == "watchlist_key_missing"
    (tmp_path / "link").symlink_to(path)
    assert code_of(keys.read_key_file, tmp_path / "link") == "watchlist_key_missing"


@given(st.binary(max_size=200), st.integers(0, 4200), st.sampled_from(["replace", "insert", "cut"]))
@settings(max_examples=150, deadline=None)
def test_any_damage_is_an_error_of_ours(whole_list, raw, at, how):
    path, genuine = whole_list
    tail = {"replace": genuine[at + len(raw) :], "insert": genuine[at:], "cut": b""}[how]
    damaged = genuine[:at] + raw + tail
    path.write_bytes(damaged)
    if damaged == genuine:
        open_all(path)
        return
    with pytest.raises(WatchlistError):
        open_all(path)


@pytest.mark.parametrize("text", [b"[" * 4096, b'{"format":' * 400, b"null", b'{"format": [1]}'])
def test_a_header_that_is_no_header(tmp_path, text):
    (tmp_path / "list").write_bytes(text)
    assert code_of(inspect_header, tmp_path / "list") == "watchlist_not_sealed"


def test_a_deep_head_of_a_templates_part():
    head = b"[" * 60_000
    part = b"LFRT" + len(head).to_bytes(4, "little") + head
    assert code_of(unseal_templates, part, KEY) == "watchlist_altered"


@pytest.mark.parametrize(
    "change",
    [
        {"templates": [1, 2, 3], "sealed_entries": [4]},
        {"templates": [-1, 2]},
        {"rows": "4"},
        {"rows": True},
        {"salt": "zz"},
        {"fingerprint": None},
        {"created": 5},
        {"extra": 1},
        {"wrapped": None},
        {"wrapped": {"key_file": "00"}},
    ],
)
def test_header_fields_that_cannot_be(tmp_path, change):
    path = sealed(tmp_path)
    block = json.loads(path.read_bytes()[:4096])
    path.write_bytes(json.dumps(block | change).encode().ljust(4096) + path.read_bytes()[4096:])
    assert code_of(inspect_header, path) == "watchlist_not_sealed"


def test_a_list_sealed_with_a_passphrase_only(tmp_path, monkeypatch):
    monkeypatch.setattr(keys, "_ARGON", {"time_cost": 1, "memory_cost": 64, "parallelism": 1})
    path = sealed(tmp_path, key=None, passphrase="correct horse")
    with SealedWatchlist.open(path, "correct horse") as opened:
        assert opened.candidate_image("W-0000") == person(0).images[0]
    assert code_of(SealedWatchlist.open, path, KEY) == "watchlist_no_key_file"
    with pytest.raises(ValueError, match="credential"):
        sealed(tmp_path, key=None)


def test_every_list_has_a_key_of_its_own(tmp_path):
    paths = []
    for name in "ab":
        folder = tmp_path / name
        folder.mkdir()
        paths.append(sealed(folder))
    assert code_of(SealedWatchlist.open, paths[0], keys.new_key()) == "watchlist_key_wrong"
    with SealedWatchlist.open(paths[0], KEY) as first, SealedWatchlist.open(paths[1], KEY) as second:
        assert first._key not in (KEY, second._key)
        assert first.secret("alerts") != second.secret("alerts")
        assert first.secret("alerts") == first.secret("alerts") != first.secret("other")


def test_the_digest_is_the_files(tmp_path):
    path = sealed(tmp_path)
    wanted = hashlib.sha256(path.read_bytes()).hexdigest()
    assert file_digest(path) == wanted
    with SealedWatchlist.open(path, KEY) as opened:
        assert opened.digest == wanted == opened.digest


def test_what_the_list_says_of_itself_is_sealed_with_it(tmp_path):
    scale = Scale(0.42, 0.57, 1.7e-6, "calibrated on nobody")
    about = About("operational", "Force", "ab12", "cd" * 32, None, scale, {"W-0000": (("W-0001", 0.5),)})
    told = []

    def describe(references, owners, matrices):
        told.append((list(references), owners.tolist(), [len(matrix) for matrix in matrices]))
        return about

    path = sealed(tmp_path, describe=describe)
    assert told == [(["W-0000", "W-0001", "W-0002"], [0, 1, 1, 2], [1, 2, 1])]
    assert b"W-0001" not in path.read_bytes()
    with SealedWatchlist.open(path, KEY) as opened:
        assert opened.about == about
        assert opened.look_alikes("W-0000") == (("W-0001", 0.5),)
        assert opened.look_alikes("W-0002") == ()
        assert opened.warnings_of("W-0000") == ()
