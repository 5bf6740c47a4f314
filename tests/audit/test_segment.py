from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from lfr_edge.audit.merkle import leaf_hash
from lfr_edge.audit.segment import (
    HEADER_BYTES,
    MAGIC,
    BadFrame,
    Frame,
    judge_tail,
    map_segment,
    pack_frame,
    read_frame,
    read_frames,
)


def batch(*bodies: bytes) -> bytes:
    """What one write puts on the disk."""
    raw = b""
    for body in bodies:
        raw += pack_frame(body, leaf_hash(body), len(raw))
    return raw


def good(data: bytes) -> list[bytes]:
    return [frame.body for frame in read_frames(data) if isinstance(frame, Frame)]


def bad(data: bytes) -> BadFrame:
    last = list(read_frames(data))[-1]
    assert isinstance(last, BadFrame)
    return last


def test_the_exact_bytes() -> None:
    raw = batch(b"{}")
    assert (
        raw.hex()
        == (
            "4c464531"  # LFE1
            "00000002"  # length
            "00000000"  # batch
            + raw[12:16].hex()
            + "00" * 0
            + leaf_hash(b"{}").hex()
            + "7b7d"
        )
    )
    assert len(raw) == HEADER_BYTES + 2


@given(st.lists(st.lists(st.binary(max_size=60), min_size=1, max_size=4), max_size=6))
def test_frames_read_back(writes: list[list[bytes]]) -> None:
    data = b"".join(batch(*bodies) for bodies in writes)
    assert good(data) == [body for bodies in writes for body in bodies]


@given(st.lists(st.lists(st.binary(max_size=30), min_size=1, max_size=3), min_size=1, max_size=4), st.data())
def test_a_torn_last_write_is_never_damage(writes: list[list[bytes]], draw: st.DataObject) -> None:
    """Truncate it, or lose any 16-byte pieces of it as a power cut loses pages: only whole frames survive."""
    before = b"".join(batch(*bodies) for bodies in writes[:-1])
    last = bytearray(batch(*writes[-1]))
    for piece in draw.draw(st.sets(st.integers(0, len(last) // 16))):
        last[piece * 16 : piece * 16 + 16] = bytes(len(last[piece * 16 : piece * 16 + 16]))
    data = before + bytes(last[: draw.draw(st.integers(0, len(last)))])
    frames = list(read_frames(data))
    if frames and isinstance(frames[-1], BadFrame):
        tail = judge_tail(data, frames[-1])
        assert (tail.offset, tail.reason, tail.damage) == (frames[-1].offset, frames[-1].reason, False)
    assert good(data)[: sum(map(len, writes[:-1]))] == [body for bodies in writes[:-1] for body in bodies]


@given(st.lists(st.binary(max_size=30), min_size=2, max_size=5), st.data())
def test_a_bad_frame_before_a_later_write_is_damage(bodies: list[bytes], draw: st.DataObject) -> None:
    data = bytearray(b"".join(batch(body) for body in bodies))
    position = draw.draw(st.integers(0, len(data) - len(batch(bodies[-1])) - 1))
    data[position] ^= 1 << draw.draw(st.integers(0, 7))
    stopped = bad(bytes(data))
    tail = judge_tail(bytes(data), stopped)
    assert (tail.offset, tail.reason, tail.damage) == (stopped.offset, stopped.reason, True)


def test_a_frame_cut_out_of_a_write_is_damage() -> None:
    data = batch(b"one", b"two", b"three")
    size = len(batch(b"one"))
    without = data[size:]
    assert bad(without).reason == "the frame belongs to another write"
    assert judge_tail(without, bad(without)).damage
    middle = data[:size] + data[size + len(batch(b"two")) :]
    assert bad(middle).offset == size
    assert judge_tail(middle, bad(middle)).damage


def test_the_second_frame_of_a_write_without_its_first_is_torn() -> None:
    first = batch(b"one")
    lost = bytes(len(first)) + batch(b"one", b"two")[len(first) :]
    assert bad(lost).offset == 0
    assert not judge_tail(lost, bad(lost)).damage
    # control: the same frames as two writes were durable one after the other
    damaged = bytes(len(first)) + batch(b"two")
    assert judge_tail(damaged, bad(damaged)).damage


def test_the_magic_inside_other_bytes_is_no_frame() -> None:
    data = batch(b"one") + MAGIC * 30
    assert not judge_tail(data, bad(data)).damage


def test_each_way_to_be_bad() -> None:
    raw = batch(b"body")
    assert read_frame(raw[:47], 0) == BadFrame(0, "the header is cut short")
    assert read_frame(b"X" + raw[1:], 0) == BadFrame(0, "no frame starts here")
    assert read_frame(raw[:20] + b"\x00" + raw[21:], 0) == BadFrame(0, "the header's checksum is wrong")
    assert read_frame(raw[:-1], 0) == BadFrame(0, "the body is cut short")
    assert read_frame(raw[:-1] + b"?", 0) == BadFrame(0, "the body does not match its hash")
    long = batch(b"x" * 16_385)
    assert read_frame(long, 0) == BadFrame(0, "the body is longer than allowed")
    longest = read_frame(batch(b"x" * 16_384), 0)
    assert isinstance(longest, Frame)
    assert longest.end == HEADER_BYTES + 16_384


def test_mapping(tmp_path: Path) -> None:
    path = tmp_path / "entries.lfr"
    path.write_bytes(b"")
    assert list(read_frames(map_segment(path))) == []
    path.write_bytes(batch(b"one", b"two"))
    assert [frame.body for frame in read_frames(map_segment(path)) if isinstance(frame, Frame)] == [
        b"one",
        b"two",
    ]
