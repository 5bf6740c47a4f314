"""Processes that measure at one moment: none begins before all are ready, and none that fails is passed over."""

from __future__ import annotations

import importlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import cv2
import pytest

from benchmarks import gpu, loop
from benchmarks._crowd import ScriptedCrowd, scripted_stack
from benchmarks._side_by_side import ChildError, shares, side_by_side
from lfr_edge.vision.sessions import available_providers
from tests.benchmarks.test_programs import check
from tests.conftest import REPOSITORY
from tests.fakes import side_child

CHILD = "tests.fakes.side_child"


def measured(jobs: list[dict[str, Any]], *, rounds: int = 1, longest_s: float = 60, **about: str) -> Any:
    """The rows of the last round."""
    with side_by_side(CHILD, [about] * len(jobs), lambda: side_child.child(about), longest_s) as team:
        for _ in range(rounds):
            team.prepare(jobs)
            rows = team.measure()
        return rows


def test_nobody_begins_before_everybody_is_ready() -> None:
    rows = measured([{"number": 0}, {"number": 1, "preparing": "linger"}, {"number": 2, "long": 300_000}])
    assert [row["number"] for row in rows] == [0, 1, 2], "in the order of the jobs, whoever was first"
    assert min(row["began_ns"] for row in rows) > max(row["prepared_ns"] for row in rows)
    assert len({row["pid"] for row in rows} | {os.getpid()}) == 4
    assert len(rows[2]["long"]) == 300_000, "more than a pipe holds"


def test_one_opening_serves_many_rounds_and_nobody_is_left_over() -> None:
    rows = measured([{"number": 0}, {"number": 1}], rounds=3)
    assert not [row["pid"] for row in rows if Path(f"/proc/{row['pid']}").exists()]


def test_one_process_is_this_one(capsys: pytest.CaptureFixture[str]) -> None:
    (row,) = measured([{"number": 7}])
    assert (row["number"], row["pid"]) == (7, os.getpid())


@pytest.mark.parametrize("when", ["opening", "preparing", "measuring"])
@pytest.mark.parametrize(
    ("what", "said"), [("raise", "status 1: ValueError: the card fell out"), ("die", "ended with status -9")]
)
def test_whoever_fails_fails_the_benchmark(when: str, what: str, said: str) -> None:
    about = {when: what} if when == "opening" else {}
    # The other one would go on for ten minutes: nobody waits for it.
    jobs = [{"number": 0, when: "hang" if when == "measuring" else ""}, {"number": 1, when: what}]
    with pytest.raises(ChildError, match=said):
        measured(jobs, **about)


def test_whoever_hangs_fails_the_benchmark() -> None:
    with pytest.raises(ChildError, match="1 of 2 processes did not answer within 2 s"):
        measured([{"number": 0}, {"number": 1, "measuring": "hang"}], longest_s=2)


def test_children_do_not_outlive_a_killed_benchmark() -> None:
    code = f"""if True:
        from benchmarks._side_by_side import side_by_side
        with side_by_side({CHILD!r}, [{{}}, {{}}], lambda: None) as team:
            team.prepare([{{"number": 0, "measuring": "hang"}}] * 2)
            print(*[child.process.pid for child in team._children], flush=True)
            team.measure()"""
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, cwd=REPOSITORY) as parent:
        assert parent.stdout is not None
        children = [int(word) for word in parent.stdout.readline().split()]
        assert len(children) == 2
        assert all(_runs(child) for child in children)
        parent.send_signal(signal.SIGKILL)
    deadline = time.monotonic() + 20
    while any(_runs(child) for child in children):
        assert time.monotonic() < deadline, "a child outlived the benchmark"
        time.sleep(0.02)


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in {"Z", "X"}
    except OSError:
        return False


@pytest.mark.parametrize(("cameras", "recognisers"), [(64, 8), (7, 3), (2, 2), (5, 1)])
def test_every_camera_is_in_one_share(cameras: int, recognisers: int) -> None:
    dealt = shares(cameras, recognisers)
    assert sorted(camera for mine in dealt for camera in mine) == list(range(cameras))
    sizes = [len(mine) for mine in dealt]
    assert len(sizes) == recognisers
    assert max(sizes) - min(sizes) <= 1


def test_the_loop_in_two_processes(capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--quick", "--json", "--listed", "50", "--cameras", "3", "--steps", "4"]
    assert loop.main([*arguments, "--recognisers", "1", "2"]) == 0
    line = json.loads(capsys.readouterr().out)
    check(line, "loop")
    alone, two = line["loop"]
    assert set(alone) == set(two)
    assert [(row["cameras"], row["recognisers"]) for row in (alone, two)] == [(3, 1), (3, 2)]
    each = two["cameras_carried_each"]
    assert 0 < each["least"] <= each["most"]
    assert two["cameras_carried"] == pytest.approx(each["least"] + each["most"], abs=0.2)
    assert alone["cameras_carried"] == alone["cameras_carried_each"]["least"]
    assert two["cameras_carried_by_the_clock"] > 0
    assert two["most_passages"] == 2 * 192, "each has slots of its own"
    assert two["slots_mib"] > alone["slots_mib"]
    assert two["held"] == pytest.approx(alone["held"], rel=0.4), "as many people, if other ones"
    assert sum(two["stage_shares"].values()) == pytest.approx(1, abs=0.01)


def test_opencv_has_one_thread_as_in_the_sealed_process(tmp_path: Path) -> None:
    parts = importlib.import_module("benchmarks._gpu_parts")
    before = cv2.getNumThreads()
    try:
        for build in (
            lambda: scripted_stack(ScriptedCrowd(["cam1"], 1, 1)),
            lambda: parts.Bench(None, "cpu", 1, tmp_path, None, True),
        ):
            cv2.setNumThreads(2)
            build()
            assert cv2.getNumThreads() == 1
    finally:
        cv2.setNumThreads(before)


def test_rows_of_several_recognisers_add_up() -> None:
    one = {"cameras": 2, "cpu_s": 1.0, "wall_s": 2.0, "faces": 100, "templates": 10, "held": 5, "put_off": 1,
           "passed_over": 0, "most_passages": 192, "most_looks_a_step": 32, "slots_mib": 9.0,
           "stage_shares": {"search": 0.5, "loop": 0.5}}  # fmt: skip
    other = one | {"cameras": 1, "cpu_s": 3.0, "wall_s": 3.0, "put_off": 2, "stage_shares": {"search": 1.0}}
    row = loop._together([one, other], steps=100)
    assert (row["cameras"], row["put_off"], row["slots_mib"]) == (3, 3, 18.0)
    assert row["cameras_carried"] == pytest.approx(200 / 25 + 100 / 3 / 25, abs=0.05)
    assert row["cameras_carried_by_the_clock"] == pytest.approx(200 / 2 / 25 + 100 / 3 / 25, abs=0.05)
    assert row["cpu_ms_a_step"] == 30, "the busiest one's"
    assert row["cpu_ms_a_frame"] == pytest.approx(4000 / 300, abs=0.001)
    assert row["stage_shares"] == {"search": 0.875, "loop": 0.125}


def test_cameras_of_several_recognisers_add_up() -> None:
    cameras = importlib.import_module("benchmarks._gpu_cameras")
    one = {"latencies": [10.0] * 50, "took_s": 1.0, "dropped": 0, "steps": 50, "ledger": {"faces": 5},
           "passed_over": 1, "put_off": 2, "stages": {"detect": 3.0}}  # fmt: skip
    other = one | {"latencies": [90.0] * 30, "dropped": 20, "took_s": 2.0, "stages": {"detect": 1.0}}
    row = cameras._together([one, other])
    assert row["latency_ms"]["p50"] == 10
    assert row["worst_p95_ms"] == 90, "of the recogniser that is worst off"
    assert row["looked_at_per_s"] == 65
    assert row["looked_at_per_s_each"] == {"least": 15, "most": 50}
    assert row["drops"] == 0.2
    assert row["ledger"] == {"faces": 10}
    assert (row["passed_over"], row["put_off"], row["stages_ms_last"]) == (2, 4, {"detect": 3.0})
    nothing = cameras._together([one | {"latencies": []}, other | {"latencies": []}])
    assert nothing["worst_p95_ms"] is None


def test_recognisers_on_a_card_that_is_not_there_fail_the_benchmark(
    capsys: pytest.CaptureFixture[str],
) -> None:
    if "CUDAExecutionProvider" in available_providers():
        pytest.skip("NOT TESTED here: this machine has CUDA")
    arguments = ["cameras", "--quick", "--json", "--cameras", "2", "--recognisers", "2", "--provider", "cuda"]
    assert gpu.main(arguments) == 1
    out = capsys.readouterr()
    assert not out.out
    assert "vision_provider_missing" in out.err


@pytest.mark.parametrize("program", [["loop"], ["gpu", "cameras"]])
@pytest.mark.parametrize(
    ("recognisers", "said"), [("0", "from 1 on"), ("x", "from 1 on"), ("3", "nothing to do")]
)
def test_recognisers_that_cannot_be_meant(
    program: list[str], recognisers: str, said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    module = importlib.import_module(f"benchmarks.{program[0]}")
    with pytest.raises(SystemExit) as end:
        module.main([*program[1:], "--quick", "--cameras", "2", "--recognisers", recognisers])
    assert end.value.code == 2
    assert said in capsys.readouterr().err


def test_a_loop_whose_processes_fail(capsys: pytest.CaptureFixture[str]) -> None:
    assert loop.main(["--quick", "--cameras", "2", "--recognisers", "2", "--faces", "-1"]) == 1
    out = capsys.readouterr()
    assert not out.out
    assert "negative dimensions" in out.err
