"""The value that leaves the capture room."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

UInt8Array = NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class Frame:
    """One picture of one camera.

    ``pixels`` stay in the decoder's YUV 4:2:0 layout (I420: Y plane, then U, then V), so that only what is
    looked at is converted to colour.
    """

    camera: str
    epoch: int  # counts connections: rises by one at each reconnect, tracks do not outlive it
    sequence: int  # counts frames published within the epoch, from 1; gaps are frames nobody took
    captured_ns: int  # CLOCK_MONOTONIC at receipt of the frame's last packet
    captured_wall_ns: int  # UTC: the camera's own NTP time where it sends one, else the time of receipt
    width: int
    height: int
    pixels: UInt8Array  # (height * 3 // 2, width) I420; width and height even
