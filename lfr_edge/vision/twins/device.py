"""What a twin was proved and built on: an engine for one card or driver is not one for another."""

from __future__ import annotations

import ctypes
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from lfr_edge.vision.sessions import Provider, runtime_version

_NVML: Final = "libnvidia-ml.so.1"
_TEXT: Final = 96  # NVML_DEVICE_NAME_V2_BUFFER_SIZE


@dataclass(frozen=True, slots=True)
class Device:
    """Where graphs run. Two boxes with equal values may share what was built."""

    provider: Provider
    name: str  # the card, or the processor's architecture
    driver: str  # NVIDIA's driver version; empty for a CPU
    runtime: str  # ONNX Runtime's version

    def to_json(self) -> dict[str, str]:
        return asdict(self)


def device_of(provider: Provider, load: Callable[[str], Any] = ctypes.CDLL) -> Device:
    """This machine's device for `provider`; an unknown card (no driver) has empty names and matches no record."""
    if provider == "cpu":
        return Device(provider, platform.machine(), "", runtime_version())
    name, driver = _card(load)
    return Device(provider, name, driver, runtime_version())


def _card(load: Callable[[str], Any]) -> tuple[str, str]:
    """Name of the first card and version of the driver, both empty where there is no driver."""
    try:
        library = load(_NVML)
        if library.nvmlInit_v2() != 0:
            return "", ""
    except (OSError, AttributeError):
        return "", ""
    try:
        handle = ctypes.c_void_p()
        name, driver = (ctypes.create_string_buffer(_TEXT) for _ in range(2))
        answers = (
            library.nvmlDeviceGetHandleByIndex_v2(0, ctypes.byref(handle)),
            library.nvmlDeviceGetName(handle, name, _TEXT),
            library.nvmlSystemGetDriverVersion(driver, _TEXT),
        )
        return ("", "") if any(answers) else (name.value.decode(), driver.value.decode())
    finally:
        library.nvmlShutdown()
