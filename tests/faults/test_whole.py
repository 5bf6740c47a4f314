"""Slices of the trials of the whole service (tests/trials/whole.py): each short, each with what shows that it sees."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.faults.whole import needles as looking
from tests.faults.whole.hygiene import Find, Group, told_apart
from tests.faults.whole.memory_group import MemoryGroup
from tests.faults.whole.needles import Needles, Sieve
from tests.faults.whole.power import Tally, cuts, lies
from tests.faults.whole.readiness import BUSY, READY_S, Readiness, Stopwatch
from tests.faults.whole.returns import suffer
from tests.faults.whole.soak import Course, Sample, grown, slope_mib_h, soak
from tests.faults.whole.street import Street, street
from tests.faults.whole.traces import _files, _pieces_of
from tests.faults.whole.work import Told
from tests.trials.parts import go_verifier
from tests.trials.running import missing
from tests.trials.trial import Attempt, Need
from tests.trials.whole import TRIALS

pytestmark = [pytest.mark.network, pytest.mark.timeout(300)]


def needs(name: str) -> None:
    lacking: tuple[Need, ...] = missing(next(trial for trial in TRIALS if trial.name == name))
    if lacking:
        pytest.skip(f"NOT TESTED: {name} needs {', '.join(lacking)}")


@pytest.fixture(scope="module")
def outside(tmp_path_factory, model_store) -> Iterator[Street]:
    with street(tmp_path_factory.mktemp("street"), model_store, spare=20, additions=3) as made:
        yield made


def but_for_how_soon(failures: list[str]) -> list[str]:
    """Of a slice beside other tests: seconds are judged by the trial, on a machine of its own."""
    return [failure for failure in failures if failure != BUSY and not failure.endswith(" are allowed")]


def test_how_soon_is_all_that_a_slice_leaves_to_the_trial() -> None:
    starts = Readiness()
    late = starts.judge("ready", READY_S + 0.1, 0.4)
    assert late
    assert but_for_how_soon([*late, BUSY]) == []
    assert but_for_how_soon(["told and lost: an alert", *late]) == ["told and lost: an alert"]


async def test_a_power_cut_and_a_disk_that_lies(outside, tmp_path) -> None:
    needs("service-power")
    go = go_verifier(tmp_path)
    told: Tally = await cuts(outside, tmp_path, 1, random.Random(2), go)
    assert but_for_how_soon(told.failures) == []
    assert told.acknowledged > 3
    assert (await lies(outside, tmp_path, 1, random.Random(1), go)).failures


async def test_faults_one_after_the_other_heal_and_lose_nothing(outside, tmp_path) -> None:
    needs("service-soak")
    course = Course()
    # All of it is warming up: what eight seconds let memory grow shows nothing (and see test_what_grows_is_noticed).
    await soak(outside, tmp_path, 0.0, random.Random(1), course, warm_up_s=8.0, every_s=2.0, back_s=90.0)
    assert course.failures == []
    assert sum(course.faults.values()) >= 1
    assert course.acknowledged > 3


def test_strangers_are_gone_from_all_memory_after_a_second(tmp_path) -> None:
    needs("service-memory")
    trial = next(trial for trial in TRIALS if trial.name == "service-memory")
    outcome = trial.run(Attempt(1, 1, tmp_path))
    assert outcome.failures == ()
    assert outcome.tried == 1


def test_what_grows_is_noticed() -> None:
    flat = [Sample(30.0 * n, 90_000 + n % 3, 30, 12) for n in range(120)]
    assert grown(flat, 600) == []
    leak = [Sample(one.at_s, one.rss_kib + int(one.at_s * 2), 30, 12) for one in flat]
    assert slope_mib_h(leak) == pytest.approx(7, abs=0.2)
    assert "memory grows" in grown(leak, 600)[0]
    (told,) = grown([Sample(one.at_s, 90_000, 30 + int(one.at_s / 100), 12) for one in flat], 600)
    assert "descriptors grow" in told


def test_every_place_is_really_read(tmp_path: Path) -> None:
    """The slice of service-traces: its readers find what lies at any place of a file, and in a hole's neighbour."""
    chance = np.random.default_rng(1)
    needles = Needles(np.sort(chance.integers(1 << 60, 1 << 63, 50, np.uint64)), [chance.bytes(16)])
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"xyz" + needles.words.tobytes() + needles.pieces[0])
    assert sum(map(needles.in_bytes, _files(tmp_path))) == 51
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(1 << 26)
        file.seek(1 << 25)
        file.write(needles.words.tobytes())
    assert sum(map(needles.in_bytes, _pieces_of(image))) == 50
    assert needles.in_bytes(bytes(1 << 16)) == 0


def test_a_promise_that_the_record_does_not_keep_is_named() -> None:
    told = Told()
    told.add("alert.decided", "f00", "miller")
    told.add("alert.decided", "f00", "miller")
    assert told.count == 1
    (problem,) = told.missing([])
    assert "alert.decided" in problem


def test_a_late_start_breaks_the_promise_and_a_busy_machine_shows_nothing() -> None:
    starts = Readiness()
    assert starts.judge("ready", READY_S, 0.9) == []
    (told,) = starts.judge("ready", READY_S + 0.1, 0.4)
    assert "10.1 s" in told
    assert starts.judge("ready", 60.0, 0.6) == []
    assert starts.disturbed == 1
    assert starts.verdict() == []
    nothing = Readiness()
    nothing.judge("ready", 60.0, 0.6)
    assert nothing.verdict() == [BUSY]


def test_what_others_do_meanwhile_is_seen() -> None:
    own = [5.0]
    watch, began = Stopwatch(lambda: own[0]), time.process_time()
    while time.process_time() - began < 0.2:
        pass
    took_s, others = watch.read()
    assert took_s >= 0.2
    assert others > 0.05
    own[0] += 1e6
    assert watch.read()[1] == 0.0


async def test_the_kernel_takes_a_child_for_want_of_memory_and_it_is_back(outside, tmp_path) -> None:
    """The slice of service-back; the figure of two seconds is the trial's, on a machine of its own."""
    needs("service-back")
    told = await suffer(
        outside, tmp_path, ["capture out of memory", "recogniser out of memory"], random.Random(1)
    )
    assert but_for_how_soon(told.failures) == []
    assert told.taken == 2
    assert len(told.back_s) == 2
    assert told.acknowledged > 3


@pytest.mark.parametrize(
    ("files", "limit"),
    [
        ({"memory.max": "max\n", "memory.current": "1000\n", "memory.swap.max": "max\n",
          "memory.events": "low 0\nhigh 0\nmax 7\noom 4\noom_kill 3\noom_group_kill 0\n"}, "memory.max"),
        ({"memory.limit_in_bytes": "9223372036854771712\n", "memory.usage_in_bytes": "1000\n",
          "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n"}, "memory.limit_in_bytes"),
    ],
    ids=["version 2", "version 1"],
)  # fmt: skip
def test_a_memory_group_of_either_version(tmp_path, files, limit) -> None:
    """What the kernel's files say, as its documentation has them: no box has the controller in both versions."""
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="ascii")
    group = MemoryGroup(tmp_path)
    group.leave_room(24)
    group.take(77)
    assert (tmp_path / limit).read_text() == "1024"
    assert (tmp_path / "cgroup.procs").read_text() == "77"
    assert group.kills == 3
    if "memory.swap.max" in files:
        assert (tmp_path / "memory.swap.max").read_text() == "0"


@pytest.mark.parametrize("seed", range(8))
def test_the_sieve_finds_what_a_plain_search_finds(seed: int) -> None:
    chance = np.random.default_rng(seed)
    data = bytearray(chance.bytes(1 << 14))
    there, absent = chance.bytes(16 * 20), chance.bytes(16 * 20)
    pieces = [run[at : at + 16] for run in (there, absent) for at in range(0, 320, 16)]
    words = np.unique(np.frombuffer(chance.bytes(8 * 40), np.uint64))
    for number in range(
        20
    ):  # a piece anywhere, and words at every place of eight bytes: at half of them they count
        at = 700 * number + int(chance.integers(0, 300))
        data[at : at + 16] = there[16 * number : 16 * number + 16]
        data[at + 321 : at + 329] = words[number].tobytes()
    data[-16:] = pieces[0]
    plain = {piece.hex() for piece in pieces if piece in data}
    for word in words.tolist():
        places = (data.find(word.to_bytes(8, "little"), at, at + 8) for at in range(0, len(data), 4))
        plain |= {f"{word:016x}" for place in places if place >= 0}
    assert len(plain) > 20
    assert Sieve(Needles(words, pieces)).catch(bytes(data)) == plain


def test_a_cheek_tells_nobody_from_another_and_an_eye_does():
    """The first is of a freeze in which nothing had stayed: two people stood in the same light."""
    cheek, eye = bytes.fromhex("9bbedd9cbfdc9dbf"), bytes.fromhex("9bbedd3c415a2b30")
    words = np.frombuffer(cheek + eye + random.Random(3).randbytes(8), np.uint64)
    assert looking._telling(words).tolist() == [False, True, True]


def test_every_byte_of_another_process_is_read(monkeypatch) -> None:
    """What it holds is found at every place, over the ends of what is read at once too, and in what kind of memory; a
    page nobody touched is not read."""
    monkeypatch.setattr(looking, "_CHUNK", 1 << 14)
    secret, sealed = random.Random(4).randbytes(1 << 17), random.Random(6).randbytes(64)
    holds = (
        "import mmap, sys; kept = sys.stdin.buffer.read(1 << 17); much = mmap.mmap(-1, 1 << 31)",
        "apart = mmap.mmap(-1, 4096, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)",
        f"apart.madvise(mmap.MADV_DONTDUMP); apart[:64] = bytes.fromhex('{sealed.hex()}')",
        "print(end='!', flush=True); sys.stdin.read()",
    )
    command = [sys.executable, "-c", "; ".join(holds)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(secret)
        child.stdin.flush()
        assert child.stdout.read(1) == b"!"
        pieces = [secret[at : at + 16] for at in range(0, len(secret) - 16, 101)]
        found = Needles(pieces=[*pieces, sealed[:16]]).in_memory(child.pid)
        assert sealed[:16].hex() in found.pop("sealed")
        assert len(set().union(*found.values()) - {sealed[:16].hex()}) == len(pieces)
        assert Needles(pieces=[random.Random(5).randbytes(16)]).in_memory(child.pid) == {}
        assert sum(len(chunk) for _, chunk in looking.resident(child.pid)) < 1 << 28
        child.stdin.close()


def test_a_group_whose_pictures_may_have_come_again_is_not_looked_for() -> None:
    """Of the run that was broken by somebody who came again while the bytes of two freezes ago were looked for: the
    clip then began anew every 62.5 s, and a freeze took 31."""
    groups = [Group(number, 31.0 * number, Needles()) for number in range(5)]
    now_s = groups[-1].met_s + 2.5
    assert told_apart(groups, now_s, 62.5, 0.0) == groups[-2:]
    assert told_apart(groups, now_s, 62.5, 30.0) == groups[-1:]
    assert told_apart(groups, now_s, 152.5, 4.0) == groups, "the control: a long clip hides nobody"


def test_a_find_says_where_and_whose() -> None:
    own, others = (np.random.default_rng(seed).integers(1 << 60, 1 << 63, 9, np.uint64) for seed in (1, 2))
    piece = random.Random(1).randbytes(16)
    groups = [Group(3, 10.0, Needles(np.sort(own), [piece])), Group(4, 20.0, Needles(np.sort(others)))]
    held = {f"{word:016x}" for word in own[:4].tolist()} | {piece.hex()}
    told = Find("recogniser (7)", {"sealed": held, "[heap], 132 KiB": {f"{own[0]:016x}"}}).told(groups, 31.5)
    assert told.startswith(
        "recogniser (7): 1 in [heap], 132 KiB, 5 in sealed; 5 of group 3, met 21.5 s ago; "
    )
    assert "group 4" not in told
