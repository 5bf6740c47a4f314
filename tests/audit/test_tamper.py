"""A3: any alteration of a closed log is found and located; nothing is found in a log that nobody touched."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lfr_edge.audit.checkpoint import parse_checkpoints
from lfr_edge.audit.crc32c import crc32c
from lfr_edge.audit.folder import LogFolder
from lfr_edge.audit.merkle import leaf_hash
from lfr_edge.audit.segment import BadFrame, Frame, map_segment, pack_frame, read_frame, read_frames
from lfr_edge.audit.verify import verify

from .conftest import Box

SIGNED_FILES = ("checkpoints", "heads", "key.cert", "device.vkey")


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A closed log of 200 entries with a head every 64."""
    box = Box(tmp_path_factory.mktemp("closed"))
    return box.closed(entries=200, checkpoint_every=64, ballast_bytes=0)


@pytest.fixture
def copied(closed: Path, tmp_path: Path) -> Path:
    shutil.copytree(closed, tmp_path / "log")
    return tmp_path / "log"


def frames(folder: Path) -> list[Frame]:
    raw = LogFolder(folder).entries.read_bytes()
    return [frame for frame in read_frames(raw) if isinstance(frame, Frame)]


def flip(path: Path, bit: int) -> None:
    with path.open("r+b") as file:
        file.seek(bit // 8)
        byte = file.read(1)[0]
        file.seek(bit // 8)
        file.write(bytes([byte ^ 1 << bit % 8]))


def test_the_untouched_log_is_intact(closed: Path) -> None:
    report = verify(closed)
    assert report.findings == ()
    assert report.entries == 200
    assert {item.code for item in report.reservations} == {"unanchored"}


def test_every_bit_of_every_frame_is_seen_by_its_own_check(closed: Path) -> None:
    """All bits of 200 entries, one frame at a time: the frame itself is refused, whichever bit was turned.

    Together with the next test (a refused frame, whichever it is, makes the log altered at that entry and byte)
    this is every bit of the log without verifying half a million whole logs.
    """
    raw = bytearray(LogFolder(closed).entries.read_bytes())
    step = 8  # all bits in the slow test below
    for frame in frames(closed):
        for bit in range(frame.offset * 8 + frame.offset % step, frame.end * 8, step):
            raw[bit // 8] ^= 1 << bit % 8
            read = read_frame(raw, frame.offset)
            # the one field that no hash covers is `batch`; the header's checksum does
            assert isinstance(read, BadFrame), bit
            raw[bit // 8] ^= 1 << bit % 8


@pytest.mark.trial
@pytest.mark.slow
def test_every_bit_of_every_frame_all_of_them(closed: Path) -> None:
    raw = bytearray(LogFolder(closed).entries.read_bytes())
    for frame in frames(closed):
        for bit in range(frame.offset * 8, frame.end * 8):
            raw[bit // 8] ^= 1 << bit % 8
            assert isinstance(read_frame(raw, frame.offset), BadFrame), bit
            raw[bit // 8] ^= 1 << bit % 8


def test_a_bad_frame_anywhere_is_located(closed: Path, copied: Path) -> None:
    path = LogFolder(copied).entries
    whole = frames(closed)
    for seq in [*range(0, 200, 9), 198, 199]:
        frame = whole[seq]
        bit = random.Random(seq).randrange(frame.offset * 8, frame.end * 8)
        flip(path, bit)
        report = verify(copied)
        assert report.exit_code == 1, seq
        assert report.first_bad is not None
        assert (report.first_bad.seq, report.first_bad.offset) == (seq, frame.offset)
        assert report.findings[0].code == "entry_damaged"
        flip(path, bit)
    assert verify(copied).findings == ()


@pytest.mark.parametrize("name", SIGNED_FILES)
def test_bits_of_the_signed_files(copied: Path, name: str) -> None:
    bits = (copied / name).stat().st_size * 8
    for bit in range(0, bits, max(1, bits // 60) | 1):
        flip(copied / name, bit)
        assert verify(copied).exit_code == 1, (name, bit)
        flip(copied / name, bit)


@pytest.mark.trial
@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("name", SIGNED_FILES)
def test_every_bit_of_the_signed_files(copied: Path, name: str) -> None:
    for bit in range((copied / name).stat().st_size * 8):
        flip(copied / name, bit)
        assert verify(copied).exit_code == 1, (name, bit)
        flip(copied / name, bit)


def edit(raw: bytes, chance: random.Random) -> bytes:
    """One random edit: overwrite, insert, delete, swap, duplicate, or append."""
    data = bytearray(raw)
    start = chance.randrange(len(data))
    stop = min(len(data), start + chance.choice([1, 1, 2, 8, 64, 500]))
    match chance.randrange(6):
        case 0:
            data[start:stop] = chance.randbytes(stop - start)
        case 1:
            data[start:start] = chance.randbytes(stop - start)
        case 2:
            del data[start:stop]
        case 3:
            other = chance.randrange(len(data))
            data[start], data[other] = data[other], data[start]
        case 4:
            data[start:start] = data[start:stop]
        case _:
            data += data[start:stop]
    return bytes(data)


def as_a_power_cut(name: str, original: bytes, changed: bytes) -> bool:
    """Whether only the last checkpoint is gone, or its end: what a power cut between head and signature leaves behind.
    No edit can be told from that, and none has to be: the entries are named that no signature covers."""
    last = parse_checkpoints(original[:-1]).end if name == "checkpoints" else 0
    return 0 < last <= len(changed) and original.startswith(changed)


def random_edits(folder: Path, count: int, seed: int) -> None:
    chance = random.Random(seed)
    files = ["entries.lfr"] * 6 + list(SIGNED_FILES)
    originals = {name: (folder / name).read_bytes() for name in set(files)}
    for number in range(count):
        name = chance.choice(files)
        changed = edit(originals[name], chance)
        if changed == originals[name]:
            continue
        (folder / name).write_bytes(changed)
        report = verify(folder)
        if as_a_power_cut(name, originals[name], changed):
            assert "unsigned" in {item.code for item in report.reservations}, number
        else:
            assert report.exit_code == 1, (number, name)
        (folder / name).write_bytes(originals[name])
    assert verify(folder).findings == ()


def test_random_edits(copied: Path) -> None:
    random_edits(copied, 120, seed=1)


@pytest.mark.trial
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_ten_thousand_random_edits(copied: Path) -> None:
    random_edits(copied, 10_000, seed=2)


def test_a_closed_log_without_the_end_of_its_signatures(copied: Path) -> None:
    """Only what a power cut leaves is let through, and it is not let through in silence."""
    path = copied / "checkpoints"
    raw = path.read_bytes()
    last = parse_checkpoints(raw[:-1]).end
    before = parse_checkpoints(raw[: last - 1]).end
    for length in [*range(before, len(raw), 7), last - 1, last, last + 1]:
        path.write_bytes(raw[:length])
        report = verify(copied)
        assert as_a_power_cut("checkpoints", raw, raw[:length]) == (length >= last), length
        assert bool(report.findings) == (length < last), length
        assert "unsigned" in {item.code for item in report.reservations}
    for length in (0, before):
        path.write_bytes(raw[:length])
        found = [(item.code, item.seq) for item in verify(copied).findings]
        assert found[-1][0] == "checkpoint_missing", found
        assert len(found) == (1 if length else len(parse_checkpoints(raw).whole) - 1)
    path.write_bytes(raw)


def rewrite(folder: Path, change: dict[int, bytes], drop: frozenset[int] = frozenset()) -> None:
    """What a clever owner of the box does: change bodies and recompute every hash and checksum."""
    raw = b""
    for seq, frame in enumerate(frames(folder)):
        if seq not in drop:
            body = change.get(seq, frame.body)
            raw += pack_frame(body, leaf_hash(body), 0)
    LogFolder(folder).entries.write_bytes(raw)


def test_a_clever_edit_is_found_between_two_heads(closed: Path, copied: Path) -> None:
    body = frames(closed)[70].body
    assert b"false_alert" in frames(closed)[67].body
    rewrite(copied, {67: frames(closed)[67].body.replace(b"false_alert", b"true__alert"), 70: body})
    report = verify(copied)
    assert report.exit_code == 1
    assert report.first_bad is not None
    assert report.first_bad.seq is not None
    assert report.first_bad.seq <= 67 < 128  # the good head before it … the first bad head after it
    assert "entries_altered" in {item.code for item in report.findings}
    assert report.first_bad.offset == frames(copied)[report.first_bad.seq].offset
    # nothing was changed but the write boundaries: the record itself is the same
    rewrite(copied, {67: frames(closed)[67].body})
    shutil.copy(LogFolder(closed).entries, LogFolder(copied).entries)
    assert verify(copied).findings == ()


def test_nothing_is_torn_after_a_closed_log(closed: Path, copied: Path) -> None:
    """What would pass for the beginning of another head, had the log not ended."""
    for name, more in (("heads", b"2"), ("checkpoints", b"van.ex")):
        (copied / name).write_bytes((closed / name).read_bytes() + more)
        assert verify(copied).exit_code == 1
        shutil.copy(closed / name, copied / name)
    assert verify(copied).findings == ()


def test_nothing_left_of_a_signed_log(copied: Path) -> None:
    LogFolder(copied).entries.write_bytes(b"")
    first = verify(copied).first_bad
    assert first is not None
    assert (first.code, first.seq, first.offset) == ("entries_missing", 0, 0)


def test_entries_dropped_swapped_or_renumbered(closed: Path, copied: Path) -> None:
    whole = frames(closed)
    rewrite(copied, {}, frozenset({100}))
    assert {"entry_out_of_sequence", "entries_altered"} <= {item.code for item in verify(copied).findings}
    shutil.copy(LogFolder(closed).entries, LogFolder(copied).entries)
    rewrite(copied, {100: whole[101].body, 101: whole[100].body})
    first = verify(copied).first_bad
    assert first is not None
    assert first.seq is not None
    assert first.seq <= 100
    shutil.copy(LogFolder(closed).entries, LogFolder(copied).entries)
    rewrite(copied, {100: whole[100].body.replace(b"van.example/3/d1", b"van.example/3/d2")})
    assert "entry_of_another_log" in {item.code for item in verify(copied).findings}
    shutil.copy(LogFolder(closed).entries, LogFolder(copied).entries)
    rewrite(copied, {100: whole[0].body, 101: b"{}", 102: whole[199].body})
    codes = {item.code for item in verify(copied).findings}
    assert {"entry_misplaced", "entry_malformed", "entry_after_close"} <= codes


def clean(folder: Path, first: int, second: int, close: bool) -> None:
    """A log of any length, suspended and reopened, closed or cut off: nothing may be found."""
    box = Box(folder)
    log = box.create(checkpoint_every=7, ballast_bytes=0)
    box.fill(log, first)
    log.suspend()
    log = box.open(checkpoint_every=7, ballast_bytes=0)
    box.fill(log, second)
    if close:
        log.close()
    else:
        log._release()
    assert verify(box.folder()).findings == ()


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 60), st.integers(0, 30), st.booleans())
def test_no_false_alarm(
    tmp_path_factory: pytest.TempPathFactory, first: int, second: int, close: bool
) -> None:
    clean(tmp_path_factory.mktemp("clean"), first, second, close)


@pytest.mark.trial
@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_no_false_alarm_in_a_thousand_clean_logs(tmp_path: Path) -> None:
    chance = random.Random(4)
    for number in range(1000):
        clean(tmp_path / f"{number}", chance.randrange(60), chance.randrange(30), chance.random() < 0.5)
        shutil.rmtree(tmp_path / f"{number}")


def test_the_checksum_of_the_header_is_what_protects_the_batch_field(closed: Path) -> None:
    raw = LogFolder(closed).entries.read_bytes()
    assert raw[8:12] == bytes(4)
    assert crc32c(raw[:12] + raw[16:48]) == int.from_bytes(raw[12:16], "big")
    assert not isinstance(map_segment(LogFolder(closed).entries), bytes)
