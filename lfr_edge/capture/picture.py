"""What a reader hands to the capture child, and what a reader is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from lfr_edge.capture.frame import UInt8Array


@dataclass(frozen=True, slots=True)
class StreamInfo:
    codec: str
    width: int  # pixels, as announced; 0 where only the pictures tell
    height: int
    fps: float  # as announced; 0 where unknown


@dataclass(frozen=True, slots=True)
class Picture:
    """One decoded picture in video range. **Lifetime:** the planes belong to the decoder; copy before the next."""

    y: UInt8Array  # (height, width), may be strided
    u: UInt8Array  # (height // 2, width // 2)
    v: UInt8Array  # (height // 2, width // 2)
    captured_ns: int  # CLOCK_MONOTONIC at receipt; for recordings at full speed the recording's own time
    captured_wall_ns: int  # UTC, the camera's own where it sends one


class Reader(Protocol):
    """An opened source. **Thread rule:** one thread."""

    info: StreamInfo
    decode_errors: int

    def pictures(self) -> Iterator[Picture]:
        """Every picture until the recording ends.

        Raises:
            CameraError: a live source ended or failed (``camera_ended``, ``camera_timeout``, ...).
        """

    def close(self) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
