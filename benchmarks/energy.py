"""Millijoules for 1,000 faces, where the machine tells: RAPL for the processor, NVML for a GPU.

    python -m benchmarks.energy --quick --json

Without either counter (virtual machines, most ARM boards) it says so and gives the CPU seconds instead.
"""

from __future__ import annotations

import ctypes
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from benchmarks import _line
from benchmarks._drive import SIDE, Drive, drive
from benchmarks._material import drawn_index, material, pack
from lfr_edge.vision.pipeline import VisionStack

_POWERCAP: Final = Path("/sys/class/powercap")
_IDLE_S: Final = 2.0


def main(argv: list[str] | None = None) -> int:
    args = _line.parser(__doc__).parse_args(argv)
    report = _line.Report("energy", args)
    counters, absent = meters()
    loaded = pack(args.pack)
    stack = VisionStack.open(loaded, threads=args.threads)
    idle_w = _idle(counters)

    def go_on(done: Drive) -> bool:
        return report.time_left(120) and done.total("frames") < (50 if args.quick else 500)

    with material(most_people=1) as found:
        before = {name: read() for name, read in counters.items()}
        began = time.perf_counter()
        done = drive(
            loaded,
            stack,
            drawn_index(stack.dimension, 1000),
            found.clips,
            cut=0.99,
            threads=args.threads,
            go_on=go_on,
        )
        took_s = time.perf_counter() - began
        used_mj = {name: read() - before[name] for name, read in counters.items()}
    faces, probes = done.total("faces"), done.total("probes")
    report.emit(
        {
            "counters": sorted(counters),
            "absent": absent,
            "mj_per_1000_faces": {name: round(1000 * mj / faces, 1) for name, mj in used_mj.items() if faces},
            "mean_w": {name: round(mj / 1000 / took_s, 2) for name, mj in used_mj.items()},
            "idle_w": idle_w,
            "cpu_s_per_1000_faces": round(1000 * done.total("cpu_s") / faces, 3) if faces else None,
            "faces_detected": int(faces),
            "faces_embedded": int(probes),
            "note": "counters are of the whole package or card, the floor's own runs and everybody else included",
        },
        shapes={"frame": [1920, 1080], "side": SIDE},
    )
    return 0


def meters() -> tuple[dict[str, Callable[[], float]], dict[str, str]]:
    """Readers of rising counters in millijoules, and why the others are absent."""
    found: dict[str, Callable[[], float]] = {}
    absent: dict[str, str] = {}
    for zone in sorted(_POWERCAP.glob("intel-rapl:?")) if _POWERCAP.exists() else ():
        try:
            int((zone / "energy_uj").read_text(encoding="ascii"))
            found[f"rapl:{(zone / 'name').read_text(encoding='ascii').strip()}"] = _Rapl(zone)
        except (OSError, ValueError) as error:
            absent[zone.name] = f"{type(error).__name__}: readable by root only, or not at all"
    if not any(name.startswith("rapl") for name in found) and not absent:
        absent["rapl"] = (
            "this machine has no /sys/class/powercap/intel-rapl (a virtual machine, or not Intel/AMD)"
        )
    try:
        found |= _nvml()
    except OSError:
        absent["nvml"] = "no libnvidia-ml.so.1: no NVIDIA driver here"
    return found, absent


class _Rapl:
    """One package. The counter wraps at ``max_energy_range_uj``."""

    def __init__(self, zone: Path) -> None:
        self._file = zone / "energy_uj"
        self._range = float((zone / "max_energy_range_uj").read_text(encoding="ascii"))
        self._last = self._wrapped = 0.0

    def __call__(self) -> float:
        now = float(self._file.read_text(encoding="ascii"))
        if now < self._last:
            self._wrapped += self._range
        self._last = now
        return (now + self._wrapped) / 1000


def _nvml() -> dict[str, Callable[[], float]]:
    library: Any = ctypes.CDLL("libnvidia-ml.so.1")
    if library.nvmlInit_v2() != 0:
        return {}
    count = ctypes.c_uint()
    library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    found: dict[str, Callable[[], float]] = {}
    for number in range(count.value):
        device = ctypes.c_void_p()
        library.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(device))
        energy = ctypes.c_ulonglong()
        if library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(energy)) == 0:
            found[f"nvml:{number}"] = partial(_gpu_energy, library, device)
    return found


def _gpu_energy(library: Any, device: ctypes.c_void_p) -> float:
    energy = ctypes.c_ulonglong()
    library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(energy))
    return float(energy.value)


def _idle(counters: dict[str, Callable[[], float]]) -> dict[str, float]:
    """Watts while this program waits: whoever shares the machine is in it."""
    if not counters:
        return {}
    before = {name: read() for name, read in counters.items()}
    time.sleep(_IDLE_S)
    return {name: round((read() - before[name]) / 1000 / _IDLE_S, 2) for name, read in counters.items()}


if __name__ == "__main__":
    sys.exit(main())
