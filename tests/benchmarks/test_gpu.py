"""The GPU benchmarks' slice on a CPU, their networks, and the wheels that travel."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from benchmarks import _gpu_wheels, gpu
from benchmarks._gpu_wheels import chosen, join, lay_out, take
from benchmarks._random_analysis import PUBLISHED, analysis_network
from benchmarks._random_networks import NOTE, random_pack
from lfr_edge.models.importers import recognise
from tests.benchmarks.test_programs import check
from tests.conftest import REPOSITORY

KEYS = {
    "floor": "networks",
    "options": "options",
    "align": "graph_ms",
    "prove": "compared",
    "cameras": "cameras",
    "decode": "decoders",
}


def test_every_part_runs_as_a_slice(tmp_path: Path) -> None:
    done = subprocess.run(
        ["bash", "benchmarks/gpu.sh", "run", "--quick"],
        cwd=REPOSITORY, capture_output=True, text=True, timeout=280,
        env={"PATH": "/usr/bin:/bin", "LFR_WORK": str(tmp_path), "HOME": str(tmp_path)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["benchmark"] for line in lines] == [f"gpu_{part}" for part in gpu.PARTS]
    for line, key in zip(lines, KEYS.values(), strict=True):
        check(line, key, "weights", "device")
        assert line["weights"] == NOTE, "random weights are never passed over in silence"
    assert (tmp_path / "out/gpu.jsonl").read_text() == done.stdout
    by_name = dict(zip(KEYS, lines, strict=True))
    assert all(row["cosine"] >= 0.999 for row in by_name["prove"]["compared"].values())
    assert not any("refused" in row for row in by_name["options"]["options"])
    assert by_name["decode"]["decoders"][0]["pictures"] == 10
    runs = by_name["cameras"]["cameras"]
    assert [(row["cameras"], row["recognisers"]) for row in runs] == [(1, 1), (2, 1), (2, 2)]
    for row in runs:
        assert row["ledger"]["faces"] > 0
        assert row["worst_p95_ms"] >= row["latency_ms"]["p50"] > 0
        assert 0 <= row["drops"] < 1


def test_the_shell_script_refuses_what_it_cannot_do(tmp_path: Path) -> None:
    for arguments, said in (
        ([], "under eight minutes"),
        (["take"], "which folder"),
        (["run"], "no NVIDIA driver"),
    ):
        done = subprocess.run(
            ["bash", "benchmarks/gpu.sh", *arguments],
            cwd=REPOSITORY, capture_output=True, text=True, timeout=60,
            env={"PATH": "/usr/bin:/bin", "LFR_WORK": str(tmp_path)},
        )  # fmt: skip
        if "no NVIDIA" in said and "no NVIDIA" not in done.stderr:
            pytest.skip("NOT TESTED here: this machine has a driver")
        assert done.returncode != 0
        assert said in done.stdout + done.stderr


def test_a_missing_card_fails_and_measures_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    from lfr_edge.vision.sessions import available_providers

    if "CUDAExecutionProvider" in available_providers():
        pytest.skip("NOT TESTED here: this machine has CUDA")
    assert gpu.main(["floor", "--quick", "--json", "--provider", "cuda"]) == 1
    out = capsys.readouterr()
    assert not out.out
    assert "vision_provider_missing" in out.err


def test_random_networks_count_the_arithmetic_of_the_real_ones() -> None:
    small = random_pack(small=True)
    assert "random weights" in small.manifest.description
    half = random_pack(small=True, half=True)
    assert half.manifest.precision == "fp16"
    assert all(network.licence.operational_use == "no" for network in small.manifest.networks)
    assert set(small.gflops) == {network.id for network in small.manifest.networks}


@pytest.mark.slow
def test_the_full_size_is_that_of_scrfd_10g_and_r50() -> None:
    """Published: 10 G multiply-adds at 640 × 480, 16.9 MB; 6.3 G a face, 174 MB."""
    full = random_pack()
    eye, mind = full.manifest.networks
    assert full.gflops[eye.id] / 2 * 480 / 640 == pytest.approx(10, rel=0.02)
    assert full.gflops[mind.id] / 2 == pytest.approx(6.3, rel=0.02)
    assert (eye.size / 1e6, mind.size / 1e6) == (pytest.approx(16.9, abs=0.3), pytest.approx(174, abs=2))


@pytest.mark.parametrize("name", ["2d106det", "genderage"])
def test_a_peers_other_networks_are_as_large_as_the_published_ones_and_never_imported(name: str) -> None:
    """They are there to be timed in the peer's loop. The product recognises none of them."""
    built = analysis_network(name)
    assert len(built.data) == pytest.approx(PUBLISHED[name], rel=0.01)
    assert recognise(f"{name}.onnx", built.data) is None


def test_the_lock_gives_the_wheels_of_one_python() -> None:
    lock = (REPOSITORY / "requirements/gpu.txt").read_text(encoding="utf-8")
    for minor in (11, 12):
        lines = [line for line in chosen(lock, _gpu_wheels.WANTED, minor).splitlines() if "==" in line]
        assert [line.split("==")[0] for line in lines].count("numpy") == 1
        assert {line.split("==")[0] for line in lines} == set(_gpu_wheels.WANTED)
        assert not any(";" in line for line in lines)
    assert "nvidia-cublas==" in chosen(lock, _gpu_wheels.NVIDIA, 12)
    with pytest.raises(ValueError, match="no-such"):
        chosen(lock, ("no-such",), 12)


def test_wheels_travel_in_parts_and_arrive_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_gpu_wheels, "PART", 1000)
    monkeypatch.setattr(_gpu_wheels, "FOLDER", 1500)
    source = tmp_path / "source"
    source.mkdir()
    contents = {f"{name}-1-py3-none-any.whl": bytes([at]) * size for at, (name, size) in
                enumerate((("large", 3456), ("exact", 1000), ("small", 7), ("twice", 2000)))}  # fmt: skip
    for name, data in contents.items():
        (source / name).write_bytes(data)
    lock = tmp_path / "lock.txt"
    lock.write_text("x==1\n")
    folders = lay_out(sorted(source.iterdir()), lock, tmp_path)
    for folder in folders:
        assert sum(path.stat().st_size for path in folder.glob("*.whl*")) <= 1500
    for folder in reversed(folders):  # in any order
        take(folder, tmp_path / "work")
    join(tmp_path / "work/parts", tmp_path / "wheels")
    assert {path.name: path.read_bytes() for path in (tmp_path / "wheels").iterdir()} == contents
