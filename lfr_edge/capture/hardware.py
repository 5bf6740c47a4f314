"""The card's own video decoder (NVDEC), through FFmpeg's CUDA device.

The capture process gives everything up before it reads a byte from outside, a card's device files included, so the
device is opened before that, once, and every reader of the process uses it. Without a card, a driver or a decoder
for the stream, pictures are decoded by the processor, and the reason is told.
"""

from __future__ import annotations

from functools import cache
from typing import Final

import av
from av.codec.hwaccel import HWAccel, hwdevices_available
from av.error import FFmpegError

_DEVICE: Final = "cuda"
_CODEC: Final = "h264"  # asked for the device; a stream of H.265 uses the same one


@cache
def nvdec() -> tuple[HWAccel | None, str]:
    """The decoder, or None and why there is none. **Lifetime:** the device stays open as long as the process."""
    if _DEVICE not in hwdevices_available():
        return None, "this FFmpeg was built without CUDA"
    try:
        # Opens the device: without a driver FFmpeg answers with a plain 'operation not permitted'.
        return HWAccel(_DEVICE, allow_software_fallback=True).create(av.Codec(_CODEC, "r")), ""
    except (FFmpegError, OSError, RuntimeError, ValueError, NotImplementedError) as error:
        return None, f"no CUDA device opens here ({type(error).__name__})"


def nvdec_fault() -> str:
    """Why NVDEC cannot be used; empty where it can."""
    return nvdec()[1]
