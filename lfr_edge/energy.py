"""What the box draws, where a counter tells: RAPL for the processor packages, NVML for NVIDIA cards.

Both count upwards by themselves, so nothing is estimated between two readings. They see the whole package and the
whole card, whoever uses them, and nothing of the rest of the box: no fan, no disk, no power supply. Without a
counter there is no figure ("not measured"), never a guess.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any, Final

POWERCAP: Final = Path("/sys/class/powercap")
_NVML: Final = "libnvidia-ml.so.1"
_SHORTEST_S: Final = 1.0  # a mean over less says little; the page asks every second
_LONGEST_S: Final = 60.0

Counter = Callable[[], float]
"""Rising millijoules. Raises OSError or ValueError once it does not answer any more."""


@dataclass(frozen=True, slots=True)
class Energy:
    """`watts` is the mean since some seconds; `joules` rise from the start of this process."""

    watts: float | None
    joules: float | None
    sources: tuple[str, ...]  # "rapl:package-0", "nvml:0"; none: not measured
    absent: str = ""  # why there is none


NOT_MEASURED: Final = Energy(None, None, ())


class RaplCounter:
    """One package. The counter wraps at ``max_energy_range_uj``, after an hour or so at full load."""

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


def counters(
    powercap: Path = POWERCAP, load: Callable[[str], Any] = ctypes.CDLL
) -> tuple[dict[str, Counter], dict[str, str]]:
    """The counters of this machine by name, and why the others are absent."""
    found: dict[str, Counter] = {}
    absent: dict[str, str] = {}
    for zone in sorted(powercap.glob("intel-rapl:?")) if powercap.exists() else ():
        try:
            int((zone / "energy_uj").read_text(encoding="ascii"))
            found[f"rapl:{(zone / 'name').read_text(encoding='ascii').strip()}"] = RaplCounter(zone)
        except (OSError, ValueError) as error:
            absent[zone.name] = f"{type(error).__name__}: readable by root only, or not at all"
    if not found and not absent:
        absent["rapl"] = (
            "this machine has no /sys/class/powercap/intel-rapl (a virtual machine, or not Intel/AMD)"
        )
    try:
        found |= _cards(load(_NVML))
    except (OSError, AttributeError):
        absent["nvml"] = f"no {_NVML}: no NVIDIA driver here"
    return found, absent


def _cards(library: Any) -> dict[str, Counter]:
    if library.nvmlInit_v2() != 0:
        return {}
    count = ctypes.c_uint()
    library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    found: dict[str, Counter] = {}
    for number in range(count.value):
        device = ctypes.c_void_p()
        library.nvmlDeviceGetHandleByIndex_v2(number, ctypes.byref(device))
        energy = ctypes.c_ulonglong()
        if library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(energy)) == 0:
            found[f"nvml:{number}"] = partial(_card_energy, library, device)
    return found


def _card_energy(library: Any, device: ctypes.c_void_p) -> float:
    energy = ctypes.c_ulonglong()
    if library.nvmlDeviceGetTotalEnergyConsumption(device, ctypes.byref(energy)) != 0:
        raise OSError("the card does not answer")
    return float(energy.value)


class EnergyMeter:
    """All counters together. **Thread rule:** any thread."""

    def __init__(self, found: dict[str, Counter], absent: dict[str, str], now_ns: int) -> None:
        self._counters = dict(found)
        self._absent = dict(absent)
        self._lock = threading.Lock()
        self._start = {name: read() for name, read in found.items()}
        self._before: tuple[int, float] = (now_ns, 0.0)  # when, and joules, of the mean's beginning
        self._watts: float | None = None

    def joules(self) -> float | None:
        """Since the start of this process; None where nothing counts."""
        with self._lock:
            return self._joules()

    def read(self, now_ns: int) -> Energy:
        """`now_ns` is monotonic."""
        with self._lock:
            joules = self._joules()
            if joules is None:
                return Energy(None, None, (), "; ".join(self._absent.values()))
            passed_s = (now_ns - self._before[0]) / 1e9
            if passed_s > _LONGEST_S:  # nobody asked for a while: the mean over it says nothing of now
                self._watts = None
            if passed_s >= _SHORTEST_S:
                if passed_s <= _LONGEST_S:
                    self._watts = (joules - self._before[1]) / passed_s
                self._before = (now_ns, joules)
            return Energy(self._watts, joules, tuple(sorted(self._counters)))

    def _joules(self) -> float | None:
        """A counter that stops answering is left out from then on, and what it had counted with it."""
        total = 0.0
        for name, read in list(self._counters.items()):
            try:
                total += read() - self._start[name]
            except (OSError, ValueError) as error:
                del self._counters[name]
                self._absent[name] = f"{name}: {type(error).__name__}"
        return total / 1000 if self._counters else None


@cache
def meter() -> EnergyMeter:
    """This process's meter: it counts from the first call."""
    return EnergyMeter(*counters(), now_ns=0)
