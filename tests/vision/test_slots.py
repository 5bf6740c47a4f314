from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from lfr_edge.errors import VisionError
from lfr_edge.vision.embedder import FusedEmbedder
from lfr_edge.vision.sessions import Runtime
from lfr_edge.vision.slots import ProbeSlots, SealedMemory


@pytest.fixture
def slots():
    return ProbeSlots(8, [(112, 112), (128, 128)], 16, queries=4)


def unit(seed: int, n: int = 1) -> np.ndarray:
    rows = np.random.default_rng(seed).normal(size=(n, 16)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def test_shapes(slots):
    assert [crops.shape for crops in slots.crops] == [(8, 112, 112, 3), (8, 128, 128, 3)]
    assert slots.templates.shape == slots.sums.shape == (8, 16)
    assert slots.templates.dtype == np.float32
    assert slots.crops[0].dtype == np.uint8
    assert all(array.ctypes.data % 64 == 0 for array in (slots.templates, slots.sums, *slots.crops))


def test_acquire_and_wipe(slots):
    first = slots.acquire(3)
    second = slots.acquire(5)
    assert sorted(first + second) == list(range(8))
    assert slots.occupied == 8
    with pytest.raises(VisionError) as caught:
        slots.acquire(1)
    assert caught.value.code == "vision_slots_full"
    for array in (*slots.crops, slots.templates, slots.sums, slots.weights):
        array[:] = 7
    slots.wipe(first)
    assert slots.occupied == 5
    for array in (*slots.crops, slots.templates, slots.sums, slots.weights):
        assert not array[list(first)].any()
        assert array[list(second)].all()
    assert sorted(slots.acquire(3)) == sorted(first)


def test_too_many_takes_none(slots):
    slots.acquire(6)
    with pytest.raises(VisionError):
        slots.acquire(3)
    assert slots.occupied == 6


@pytest.mark.parametrize("wrong", [[0, 0], [7], [0, 7]])
def test_a_slot_that_is_not_held_is_not_wiped(slots, wrong):
    (held,) = slots.acquire(1)
    assert held == 0
    slots.templates[0] = 1
    with pytest.raises(ValueError, match="not held"):
        slots.wipe(wrong)
    assert slots.templates[0].all()
    assert slots.occupied == 1
    slots.wipe([])


def test_wipe_all(slots):
    slots.acquire(5)
    slots.templates[:] = 1
    slots.gather([0, 1])
    assert slots.wipe_all() == 5
    assert slots.occupied == 0
    assert not any(array.any() for array in slots.memory.arrays)
    assert slots.acquire(8)


def test_gather_is_wiped_with_the_slots(slots):
    rows = slots.acquire(3)
    slots.templates[list(rows)] = unit(1, 3)
    view = slots.gather(rows)
    np.testing.assert_array_equal(view, unit(1, 3))
    assert np.shares_memory(view, slots.memory.arrays[-2])
    slots.wipe(rows[:1])
    assert not view.any()
    with pytest.raises(ValueError, match="at most 4"):
        slots.gather([0] * 5)
    assert slots.gather([]).shape == (0, 16)


def test_a_passage_is_the_weighted_mean_of_its_looks(slots):
    passage, *looks = slots.acquire(4)
    templates, weights = unit(2, 3), [1.0, 0.5, 0.25]
    for look, template, weight in zip(looks, templates, weights, strict=True):
        slots.templates[look] = template
        slots.accumulate(look, passage, weight)
    plain = (templates * np.array(weights)[:, None]).sum(0)
    np.testing.assert_allclose(slots.sums[passage], plain, rtol=1e-5, atol=1e-6)
    assert slots.weights[passage] == pytest.approx(1.75)
    (fused,) = slots.gather([passage], fused=True)
    np.testing.assert_allclose(fused, plain / np.linalg.norm(plain), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(slots.sums[passage], plain, rtol=1e-5, atol=1e-6)  # gathering changes no slot
    assert not slots.gather([looks[0]], fused=True).any()  # nothing added there: zero, not a division by it
    slots.move(looks[1], passage)
    np.testing.assert_array_equal(slots.templates[passage], templates[1])


def flags(address: int) -> set[str]:
    """VmFlags of the mapping that holds `address`."""
    inside = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        head = line.split()[0]
        if "-" in head and not head.endswith(":"):
            low, high = (int(end, 16) for end in head.split("-"))
            inside = low <= address < high
        elif inside and head == "VmFlags:":
            return set(line.split()[1:])
    raise AssertionError("no such mapping")


def test_the_kernel_keeps_it_out_of_swap_dumps_and_children(slots):
    address = slots.memory.arrays[0].ctypes.data
    assert {"dd", "dc"} <= flags(address)  # DONTDUMP, DONTFORK
    if slots.memory.locked:
        assert "lo" in flags(address)
    ordinary = np.ones(1 << 22, np.uint8)
    assert not {"dd", "dc", "lo"} & flags(ordinary.ctypes.data)


def test_no_lock_is_said():
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    if os.geteuid() == 0:
        pytest.skip("root may lock anything")
    assert SealedMemory(((soft + 4096,), np.uint8)).locked is False


CHILD = Path(__file__).with_name("wipe_child.py")


def writable(pid: int):
    """Every resident writable mapping of another process, as bytes."""
    bounds = (0, 0)
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/smaps").read_text().splitlines():
            head, *rest = line.split()
            if "-" in head and not head.endswith(":"):
                low, high = (int(end, 16) for end in head.split("-"))
                bounds = (low, high) if rest[0].startswith("rw") else (0, 0)
            elif head == "Rss:" and int(rest[0]):
                for start in range(*bounds, 1 << 25):
                    memory.seek(start)
                    yield memory.read(min(1 << 25, bounds[1] - start))


def found(pid: int, floats: np.ndarray, fragments: list[bytes]) -> tuple[int, int]:
    """How many of the 8-byte `floats` fragments and of the byte `fragments` another process holds."""
    numbers: set[int] = set()
    pieces: set[bytes] = set()
    needles = np.unique(floats.view(np.uint64))
    ends = np.zeros(1 << 16, np.bool_)  # of the needles' low 16 bits: sorts out almost everything at once
    ends[needles & np.uint64(0xFFFF)] = True
    for chunk in writable(pid):
        for shift in (0, 4):
            words = np.frombuffer(chunk, np.uint64, (len(chunk) - shift) // 8, shift)
            words = words[ends[words.view(np.uint16)[::4]]]
            numbers.update(words[np.isin(words, needles)].tolist())
        pieces.update(fragment for fragment in fragments if fragment in chunk)
    return len(numbers), len(pieces)


@pytest.fixture
def person(networks, group, tmp_path):
    """A face's crop and template, computed in this process; the child computes the same in its own."""
    detector = networks.detector("yunet-s")
    points, other = np.split(detector.detect([detector.canvas(group, 1280)])[0].points[:2], 2)
    pack, models = networks.pack("yunet-s", "mobilefacenet", "fr-feature")
    runtime = Runtime(threads=1)
    embedder = FusedEmbedder([(m, runtime.open(models[m.file], m.id)) for m in pack.embedders])
    slots = ProbeSlots(1, [(112, 112)], embedder.dimension)
    embedder.align(group, points, slots, slots.acquire(1))
    embedder.embed(slots, [0])
    np.save(tmp_path / "picture.npy", group)
    np.save(tmp_path / "points.npy", points)
    np.save(tmp_path / "other.npy", other)
    (tmp_path / "pack.json").write_text(pack.model_dump_json())
    for name, model in models.items():
        (tmp_path / name).write_bytes(model)
    crop, template = slots.crops[0][0].copy(), slots.templates[0].copy()
    pieces = [crop[row].tobytes()[at : at + 16] for row in range(40, 80, 10) for at in (120,)]
    pieces += [crop[row, 40:56, 1].tobytes() for row in (50, 70)]  # one colour plane
    blob = (crop.astype(np.float32) - 127.5) / np.float32(128)
    pieces += [blob[row, 40:48, 2].tobytes() for row in (50, 70)]  # the network's input
    pieces = [piece for piece in pieces if len(set(piece)) > 6]
    assert len(pieces) >= 6
    floats = np.concatenate([template[: len(template) & ~1].view(np.uint64), template[1:-1].view(np.uint64)])
    return tmp_path, floats, pieces


class Told:
    """The process that embeds, as it is told."""

    def __init__(self, folder: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, str(CHILD), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid

    def does(self, command: str) -> None:
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        assert self._process.stdout.readline().split()[0] == command

    def __enter__(self) -> Told:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.communicate()


def test_nothing_is_left_after_the_wipe(person):
    """An outside scan of the process that embedded: the face is there before the wipe and gone after it.

    Both controls must fail the scan: a wipe that does nothing, and a copy that somebody made.
    """
    folder, floats, pieces = person
    with Told(folder) as child:

        def after(command: str) -> tuple[int, int]:
            child.does(command)
            return found(child.pid, floats, pieces)

        held, unwiped, wiped, copied = (after(command) for command in ("embed", "pretend", "wipe", "copy"))
    assert held[0] > 300
    assert held[1] >= 4
    assert min(unwiped) > 0
    assert wiped == (0, 0)
    assert copied[0] > 300


def words(pid: int) -> set[int]:
    """A sixty-first of all 8-byte words in another process's writable memory."""
    kept: set[int] = set()
    for chunk in writable(pid):
        there = np.frombuffer(chunk, np.uint64, len(chunk) // 8)
        kept.update(there[there % np.uint64(61) == 7].tolist())
    return kept


def test_the_next_face_overwrites_what_the_last_one_left(person):
    """Of all that a face leaves in the runtime's memory the next one leaves no more than a scrub does: that is why
    only the face embedded last needs one."""
    with Told(person[0]) as child:
        child.does("next")
        before = words(child.pid)
        child.does("embed")
        child.does("forget")
        left = words(child.pid) - before
        child.does("next")
        still = left & words(child.pid)
    assert (
        len(left) > 1000
    )  # the control: wiping the slots alone leaves the networks' memory as it was (12,800)
    assert len(still) < 20  # 1; after a scrub 5 to 11: words that happen to be the same
