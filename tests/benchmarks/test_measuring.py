"""The instruments themselves: a wrong instrument would make every figure wrong."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from benchmarks import _line, peers, soak
from benchmarks._bare import Bare, best
from benchmarks._drive import Block, Drive
from benchmarks._meter import Meter, is_network
from benchmarks._processes import Usage, family, memory, spent


def burn(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        sum(range(100))


def test_stages_are_exclusive_and_add_up() -> None:
    meter = Meter()
    before = time.process_time()
    with meter.stage("outer"):
        burn(0.02)
        with meter.stage("inner"):
            burn(0.04)
    whole = time.process_time() - before
    assert meter.cpu_s["inner"] > meter.cpu_s["outer"] > 0
    assert meter.total_cpu_s <= whole
    assert sum(meter.shares().values()) == pytest.approx(1, abs=1e-3)


def test_a_stage_may_keep_what_its_inner_calls_take() -> None:
    meter = Meter()
    with meter.stage("wipe", keeps=True), meter.stage("inner"):
        burn(0.01)
    assert set(meter.cpu_s) == {"wipe"}
    assert meter.calls["wipe"] == 1


def test_wrapping_counts_rows_and_can_be_taken_off() -> None:
    meter = Meter()
    owner = SimpleNamespace(run=len)
    take_off = meter.wrap(owner, "run", "detector_network")
    assert owner.run([1, 2, 3]) == 3
    assert (meter.rows["detector_network"], meter.calls["detector_network"]) == (3, 1)
    with meter.stage("wipe", keeps=True):
        owner.run([1])
    assert meter.rows["detector_network"] == 3, "a scrub is no detection"
    take_off()
    assert owner.run is len


def test_a_broken_stage_is_counted_and_the_error_passes() -> None:
    meter = Meter()

    def fails() -> None:
        raise OSError("gone")

    owner = SimpleNamespace(run=fails)
    meter.wrap(owner, "run", "x")
    with pytest.raises(OSError, match="gone"):
        owner.run()
    assert meter.calls["x"] == 1
    assert not meter._open


def test_laps_hold_the_difference() -> None:
    meter = Meter()
    for _ in range(2):
        with meter.stage("a"):
            burn(0.005)
        meter.lap()
    assert len(meter.steps) == 2
    assert sum(step["a"] for step in meter.steps) == pytest.approx(1000 * meter.cpu_s["a"])


def test_efficiency_is_floor_over_measured() -> None:
    done = Drive(blocks=[Block(25, 50, 10, 2.0, 4.0, 1.0, 1.0), Block(25, 50, 10, 2.0, 4.0, 2.0, 3.0)])
    done.meter.cpu_s.update({"detector_network": 3.0, "video_decode": 0.8, "embedder_network:a": 0.2})
    figures = done.figures()
    assert figures["efficiency"] == 0.75
    assert figures["efficiency_wall"] == 0.5
    assert figures["efficiency_without_video_decode"] == pytest.approx(0.9375, abs=1e-3)
    assert figures["efficiency_of_blocks"] == {"median": 0.75, "low": 0.5, "high": 1.0, "n": 2}
    assert figures["network_share"] == 0.8
    assert (figures["frames_per_cpu_s"], figures["frames_per_s"]) == (12.5, 6.25)
    assert is_network("embedder_network:a")
    assert not is_network("video_decode")


def test_the_cheapest_batch_of_each_network_is_the_floor() -> None:
    def bare(name: str, batch: int, ms: float) -> Bare:
        made = Bare(SimpleNamespace(id=name), np.zeros((batch, 1), np.float32), None)  # type: ignore[arg-type]
        made.cpu_ms += [ms, ms, 99.0]
        return made

    found = best([bare("a", 1, 5.0), bare("a", 8, 4.0), bare("b", 1, 7.0)])
    assert {name: (one.batch, one.cpu) for name, one in found.items()} == {"a": (8, 4.0), "b": (1, 7.0)}


def test_ratios_are_peer_time_over_ours_round_by_round() -> None:
    system = SimpleNamespace(networks="n")
    lanes = {
        "ours": peers.Lane(system, "", cpu_ms=[10, 20, 10], wall_ms=[10, 20, 10]),
        "slow": peers.Lane(system, "ours", cpu_ms=[30, 40, 50], wall_ms=[20, 20, 20]),
        "never": peers.Lane(system, "ours"),
    }
    found = peers._ratios(lanes)
    assert found["ratios"] == {"slow": 3.0}
    assert found["spread"]["slow"]["cpu"] == {"median": 3.0, "low": 2.0, "high": 5.0, "n": 3}


def test_a_short_last_round_does_not_count() -> None:
    lane = peers.Lane(SimpleNamespace(networks="n", faces=0, embedded=0, run=lambda _count: 3), "")
    assert not lane.turn(5)
    assert lane.frames == 0
    assert lane.turn(3)
    assert len(lane.cpu_ms) == 1


def test_everybody_begins_a_round_once() -> None:
    assert peers._turn(["a", "b", "c"], 1) == ["b", "c", "a"]
    assert {peers._turn(["a", "b", "c"], number)[0] for number in range(3)} == {"a", "b", "c"}


def test_children_are_seen_with_their_cpu_time() -> None:
    before = family()
    code = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\ninput()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as child:
        try:
            deadline = time.monotonic() + 20
            while spent(before, family()).get("other", 0.0) < 0.2:
                assert time.monotonic() < deadline, "the child's CPU time was not seen"
                time.sleep(0.05)
            now = family()
            assert now[child.pid].role == "other"
            assert memory(now)["desk"] > 10
        finally:
            child.kill()


def sample(at: float, *processes: tuple[str, float, int | None]) -> tuple[float, dict[int, Usage]]:
    return at, {pid: Usage(role, 0.0, mib, fds) for pid, (role, mib, fds) in enumerate(processes, start=1)}


def test_two_recognisers_grow_as_their_sum() -> None:
    samples = [
        sample(360.0 * n, ("desk", 100.0, 30), ("recogniser", 200.0 + n, 8), ("recogniser", 300.0 + n, 8))
        for n in range(20)
    ]
    table = soak._trends(samples)
    both = table["recogniser"]
    assert (both["processes"], table["desk"]["processes"]) == (2, 1)
    assert both["rss_mib"] == both["rss_mib_peak"] == 538
    assert both["rss_mib_per_hour"] == pytest.approx(20), "each gains 10 an hour"
    assert (both["descriptors"], both["descriptors_per_hour"]) == (16, 0)
    assert table["desk"]["rss_mib_per_hour"] == 0


def test_a_recogniser_that_starts_anew_is_no_trend() -> None:
    one, two, three = ([("recogniser", 200.0, 8)] * number for number in (1, 2, 3))
    samples = [sample(60.0 * n, *(one if n == 18 else three if n == 19 else two)) for n in range(20)]
    both = soak._trends(samples)["recogniser"]
    assert (both["processes"], both["rss_mib_per_hour"], both["rss_mib_peak"]) == (2, 0, 600)


def test_descriptors_that_nobody_may_see_are_not_counted() -> None:
    samples = [sample(60.0 * n, ("recogniser", 200.0, 8), ("recogniser", 200.0, None)) for n in range(20)]
    both = soak._trends(samples)["recogniser"]
    assert (both["descriptors"], both["descriptors_per_hour"]) == (None, None)
    assert both["rss_mib_per_hour"] == 0
    assert soak._trends(samples[:2])["recogniser"]["rss_mib_per_hour"] is None, "two samples are no slope"


def test_the_line_is_one_line_and_is_kept(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(_line, "RESULTS", tmp_path)
    args = _line.parser("Test.").parse_args(["--quick", "--write"])
    report = _line.Report("unit", args)
    report.say("working")
    report.emit({"value": np.float32(0.5), "where": Path("a")}, shapes={"n": [1]})
    out, err = capsys.readouterr()
    assert "working" in err
    line = json.loads(out)
    assert (line["value"], line["where"], line["quick"], line["shapes"]) == (0.5, "a", True, {"n": [1]})
    (kept,) = tmp_path.iterdir()
    assert kept.read_text() == out


def test_percentiles_of_nothing_are_nothing() -> None:
    assert _line.percentiles([]) == {"p50": None, "p95": None, "p99": None}
    assert _line.percentiles([1.0, 3.0])["p50"] == 2.0
    assert _line.spread([3.0, 1.0, 2.0]) == {"median": 2.0, "low": 1.0, "high": 3.0, "n": 3}
