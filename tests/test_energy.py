"""Counters drawn as files and as a library; and a machine without any."""

from __future__ import annotations

import ctypes
from pathlib import Path

import pytest

from lfr_edge.energy import Energy, EnergyMeter, RaplCounter, counters, meter

SECOND = 1_000_000_000


def zone(folder: Path, number: int, microjoules: int, name: str | None = None) -> Path:
    place = folder / f"intel-rapl:{number}"
    place.mkdir(parents=True, exist_ok=True)
    (place / "energy_uj").write_text(str(microjoules))
    (place / "max_energy_range_uj").write_text("262143328850")
    (place / "name").write_text(name or f"package-{number}\n")
    return place


class Card:
    """libnvidia-ml with one card; millijoules rise by 500 each time somebody looks."""

    def __init__(self, *, fails: bool = False) -> None:
        self.millijoules = 0
        self.fails = fails

    def nvmlInit_v2(self) -> int:  # noqa: N802 - the library's names
        return 0

    def nvmlDeviceGetCount_v2(self, count) -> int:  # noqa: N802
        ctypes.cast(count, ctypes.POINTER(ctypes.c_uint))[0] = 1
        return 0

    def nvmlDeviceGetHandleByIndex_v2(self, number, device) -> int:  # noqa: N802
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, device, energy) -> int:  # noqa: N802
        if self.fails:
            return 3
        self.millijoules += 500
        ctypes.cast(energy, ctypes.POINTER(ctypes.c_ulonglong))[0] = self.millijoules
        return 0


def nothing(_: str) -> object:
    raise OSError("no such library")


def test_packages_and_cards_are_added(tmp_path):
    zone(tmp_path, 0, 1_000_000)
    zone(tmp_path, 1, 5_000_000)
    (tmp_path / "intel-rapl:0:0").mkdir()  # a part of package 0 must not be counted twice
    found, absent = counters(tmp_path, lambda _: Card())
    assert sorted(found) == ["nvml:0", "rapl:package-0", "rapl:package-1"]
    assert absent == {}
    energy = EnergyMeter(found, absent, 0)
    zone(tmp_path, 0, 3_000_000)
    zone(tmp_path, 1, 5_500_000)
    assert energy.joules() == pytest.approx(2 + 0.5 + 0.5)


def test_watts_are_a_mean_over_at_least_a_second(tmp_path):
    zone(tmp_path, 0, 0)
    energy = EnergyMeter(*counters(tmp_path, nothing), 0)
    assert energy.read(SECOND // 2).watts is None
    zone(tmp_path, 0, 30_000_000)
    assert energy.read(2 * SECOND).watts == pytest.approx(15)
    zone(tmp_path, 0, 31_000_000)
    assert energy.read(2 * SECOND + 1).watts == pytest.approx(15), "until another second has passed"
    assert energy.read(3 * SECOND).watts == pytest.approx(1)
    assert energy.read(300 * SECOND).watts is None, "a mean over minutes says nothing of now"
    assert energy.read(301 * SECOND).watts == pytest.approx(0)


def test_a_counter_that_wraps_goes_on_rising(tmp_path):
    place = zone(tmp_path, 0, 900_000)
    (place / "max_energy_range_uj").write_text("1000000")
    read = RaplCounter(place)
    assert read() == 900
    zone(tmp_path, 0, 100_000)
    (place / "max_energy_range_uj").write_text("1000000")
    assert read() == 1100


def test_a_machine_without_counters_says_why(tmp_path):
    found, absent = counters(tmp_path / "none", nothing)
    assert found == {}
    energy = EnergyMeter(found, absent, 0).read(SECOND)
    assert (energy.watts, energy.joules, energy.sources) == (None, None, ())
    assert "virtual machine" in energy.absent
    assert "NVIDIA" in energy.absent


def test_a_counter_that_others_may_not_read_is_named(tmp_path):
    zone(tmp_path, 0, 1)
    (tmp_path / "intel-rapl:0/energy_uj").write_text("denied")
    found, absent = counters(tmp_path, nothing)
    assert found == {}
    assert "readable by root only" in absent["intel-rapl:0"]


def test_a_counter_that_stops_is_left_out(tmp_path):
    place = zone(tmp_path, 0, 1_000_000)
    card = Card()
    energy = EnergyMeter(*counters(tmp_path, lambda _: card), 0)
    (place / "energy_uj").unlink()
    assert energy.read(SECOND).sources == ("nvml:0",)
    card.fails = True
    gone = energy.read(2 * SECOND)
    assert gone.joules is None
    assert "rapl:package-0: FileNotFoundError" in gone.absent


def test_this_machine():
    found = meter().read(SECOND)
    assert isinstance(found, Energy)
    assert bool(found.sources) != bool(found.absent)
    assert meter() is meter()
